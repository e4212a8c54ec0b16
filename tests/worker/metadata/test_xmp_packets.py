"""XMP is read as others write it, changed where it is to be, and otherwise left; what is hostile is refused."""

import pytest

from tasks.errors import Rejected
from worker.metadata.fields import BY_LANGUAGE, LISTS, PLAIN
from worker.metadata.tree import MOST_BYTES, MOST_DEPTH, clean
from worker.metadata.xmp import Packet, Property

TITLE, SUBJECT, HEADLINE = BY_LANGUAGE["title"], LISTS["keywords"], PLAIN["headline"]
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"

LIGHTROOM = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Adobe XMP Core 7.0">
 <rdf:RDF xmlns:rdf="{RDF}">
  <rdf:Description rdf:about="" xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/" crs:Exposure2012="+0.50"
    xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" photoshop:Headline="An old &quot;headline&quot;">
   <dc:subject xmlns:dc="http://purl.org/dc/elements/1.1/"><rdf:Bag><rdf:li>one</rdf:li>
     <rdf:li rdf:parseType="Resource"><rdf:value>two</rdf:value><crs:Note>a qualifier</crs:Note></rdf:li></rdf:Bag>
   </dc:subject>
   <!-- a remark -->
   <crs:ToneCurve><rdf:Seq><rdf:li>0, 0</rdf:li><rdf:li>255, 255</rdf:li></rdf:Seq></crs:ToneCurve>
  </rdf:Description>
  <rdf:Description rdf:about="" xmlns:d="http://purl.org/dc/elements/1.1/">
   <d:title><rdf:Alt><rdf:li xml:lang="x-default">Lake</rdf:li><rdf:li xml:lang="ko">호수</rdf:li></rdf:Alt></d:title>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>""".encode()


def test_a_packet_is_read_however_it_spells_things() -> None:
    packet = Packet(LIGHTROOM)
    assert packet.alternatives(TITLE) == {"x-default": "Lake", "ko": "호수"}
    assert packet.items(SUBJECT) == ("one", "two")
    assert packet.alternatives(HEADLINE) == {"x-default": 'An old "headline"'}
    assert packet.alternatives(Property("x:", "none")) == {}
    assert packet.items(TITLE) == ("Lake", "호수")


def test_what_is_not_set_stays_as_it_was() -> None:
    packet = Packet(LIGHTROOM)
    packet.set_alternatives(TITLE, {"en": "Sea", "x-default": "바다"})
    packet.set_items(SUBJECT, ["one", "two", "three"])
    packet.set_text(HEADLINE, "New")
    packet.set_items(LISTS["scene"], [])
    data = packet.to_bytes()
    again = Packet(data)
    assert list(again.alternatives(TITLE).items()) == [("x-default", "바다"), ("en", "Sea")]
    assert again.items(SUBJECT) == ("one", "two", "three")
    assert again.alternatives(HEADLINE) == {"x-default": "New"}
    text = data.decode()
    for kept in ("a qualifier", "<!-- a remark -->", 'crs:Exposure2012="+0.50"', "255, 255", "Adobe XMP Core 7.0"):
        assert kept in text
    assert text.count("<photoshop:Headline") == 1
    assert text.count("<?xpacket") == 2


def test_an_empty_packet_takes_everything() -> None:
    packet = Packet()
    hard = "a & b < c > \"d\" 'e'\t]]>\n\r한글 😀"
    packet.set_alternatives(TITLE, {"x-default": hard})
    packet.set_items(SUBJECT, ["-dash", "#hash", "<x>", "a|b"])
    again = Packet(packet.to_bytes())
    assert again.alternatives(TITLE) == {"x-default": hard}
    assert again.items(SUBJECT) == ("-dash", "#hash", "<x>", "a|b")
    assert packet.to_bytes().startswith(b'<?xpacket begin="\xef\xbb\xbf"')


def test_what_xml_cannot_carry_is_left_out() -> None:
    assert clean("a\0b\x1b\ud800\ufffe\tc\x7f") == "ab\tc\x7f"
    packet = Packet()
    packet.set_text(HEADLINE, "a\0b\x08")
    assert Packet(packet.to_bytes()).alternatives(HEADLINE) == {"x-default": "ab"}


def test_a_prefix_that_means_something_else_is_not_used() -> None:
    packet = Packet(
        f'<rdf:RDF xmlns:rdf="{RDF}"><rdf:Description xmlns:dc="urn:else" dc:title="theirs"/></rdf:RDF>'.encode()
    )
    packet.set_items(SUBJECT, ["dog"])
    again = Packet(packet.to_bytes())
    assert again.items(SUBJECT) == ("dog",)
    assert again.alternatives(Property("urn:else", "title")) == {"x-default": "theirs"}


def test_an_attribute_keeps_its_line_ends() -> None:
    packet = Packet(
        f'<r:RDF xmlns:r="{RDF}"><r:Description xmlns:p="urn:p" p:note="a&#xA;b&#x9;c&#xD;"/></r:RDF>'.encode()
    )
    packet.set_items(SUBJECT, ["dog"])
    assert b"a&#xA;b&#x9;c&#xD;" in packet.to_bytes()


def test_the_rest_of_a_longer_packet_goes() -> None:
    packet = Packet(LIGHTROOM.rstrip() + b"\n  </rdf:Description>\n </rdf:RDF>\n</x:xmpmeta>\n\0\0")
    assert packet.items(SUBJECT) == ("one", "two")
    assert packet.to_bytes().count(b"</x:xmpmeta>") == 1


LAUGHS = b'<!DOCTYPE r [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><r>&b;</r>'
FILE = b'<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]><r>&a;</r>'
OUTSIDE = b'<!DOCTYPE r SYSTEM "http://example.com/x.dtd"><r/>'


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (LAUGHS, "DTD"),
        (FILE, "DTD"),
        (OUTSIDE, "DTD"),
        (b"<a>" * (MOST_DEPTH + 1) + b"</a>" * (MOST_DEPTH + 1), "levels"),
        (b"<a>" + b"<b/>" * 200_001 + b"</a>", "elements"),
        (b"<a " + b" ".join(b'a%d=""' % n for n in range(3000)) + b"/>", "attributes"),
        (b"<a>" + b" " * MOST_BYTES + b"</a>", "bytes"),
        (b"<a>&nothing;</a>", "not XML"),
        (b"", "not XML"),
        (b"\xff\xd8\xff", "not XML"),
        (b"<a>\x00</a>", "not XML"),
        (b'<?xml version="1.0" encoding="no-such"?><a/>', "not XML"),
        (b"<a/>", "rdf:RDF"),
        (f'<a xmlns:r="{RDF}"><r:RDF/><r:RDF/></a>'.encode(), "2 rdf:RDF"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_is_hostile_or_no_xmp_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(Rejected, match=why):
        Packet(data)


TWICE = f"""<r:RDF xmlns:r="{RDF}" xmlns:dc="http://purl.org/dc/elements/1.1/">
<r:Description><dc:subject><r:Bag><r:li>one</r:li></r:Bag></dc:subject></r:Description>
<r:Description><dc:subject><r:Seq><r:li>two</r:li></r:Seq></dc:subject></r:Description></r:RDF>"""


def test_of_a_property_that_is_there_twice_nothing_is_lost() -> None:
    packet = Packet(TWICE.encode())
    assert packet.items(SUBJECT) == ("one", "two")
    packet.set_items(SUBJECT, ["one", "two", "dog"])
    assert Packet(packet.to_bytes()).items(SUBJECT) == ("one", "two", "dog")
    assert packet.to_bytes().count(b"<dc:subject>") == 1


def test_a_language_is_added_beside_what_is_there() -> None:
    title = Property("http://purl.org/dc/elements/1.1/", "title")
    packet = Packet(
        f'<r:RDF xmlns:r="{RDF}" xmlns:dc="{title.namespace}"><r:Description><dc:title><r:Seq><r:li>one</r:li>'
        "<r:li>two</r:li></r:Seq></dc:title></r:Description></r:RDF>".encode()
    )
    packet.set_alternatives(title, {"x-default": "one", "en": "A dog"})
    assert packet.items(title) == ("one", "two", "A dog")
    assert packet.alternatives(title) == {"x-default": "one", "en": "A dog"}
    packet.set_alternatives(title, {})
    assert b"dc:title" not in packet.to_bytes()


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("declared", ["", '<?xml version="1.0" encoding="UTF-16"?>'])
@pytest.mark.parametrize("padding", ["", " \n" * 20, "\0"])
def test_utf16_is_read_and_becomes_utf8(codec: str, declared: str, padding: str) -> None:
    packet = Packet()
    packet.set_items(SUBJECT, ["개", "dog"])
    data = (declared + packet.to_bytes().decode() + padding).encode(codec)
    assert Packet(data).items(SUBJECT) == ("개", "dog")
    assert Packet(Packet(data).to_bytes()).items(SUBJECT) == ("개", "dog")


def test_utf16_hides_no_entities() -> None:
    for codec in ("utf-16", "utf-16-le", "utf-16-be"):
        with pytest.raises(Rejected, match="DTD"):
            Packet(LAUGHS.decode().encode(codec))
