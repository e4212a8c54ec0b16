"""XMP in all the ways in which it may be written, and what is made to do harm."""

import time

import hypothesis
import hypothesis.strategies as st
import pytest
from metadata_files import NAMESPACES, packet, picture, said_by

from worker.images.embedded_xmp import properties

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
CITY = "<photoshop:City>Bern</photoshop:City>"


@pytest.mark.parametrize(
    "data",
    [
        packet(CITY),
        packet("", "photoshop:City='Bern'"),
        packet("<photoshop:City rdf:parseType='Resource'><rdf:value>Bern</rdf:value><xmp:x>1</xmp:x></photoshop:City>"),
        packet("<photoshop:City><rdf:Description><rdf:value>Bern</rdf:value></rdf:Description></photoshop:City>"),
        packet("<photoshop:City><![CDATA[Bern]]></photoshop:City>"),
        packet("<photoshop:City> B&#101;rn </photoshop:City>"),
        packet(CITY).replace(b"photoshop:", b"ps:").replace(b":photoshop", b":ps"),
        packet(CITY).replace(b"rdf:", b"r:").replace(b"xmlns:rdf", b"xmlns:r"),
        packet("<photoshop:City/>" + CITY),
        packet(CITY).decode().encode("utf-16"),
        packet(CITY).decode().lstrip("\ufeff").encode("utf-16-be"),
        b"\xef\xbb\xbf  \n" + packet(CITY),
        b"<?xml version='1.0' encoding='ISO-8859-1'?>" + packet(CITY),
        packet(CITY) + b"\0" * 100,
        packet(CITY) + b"<trailing",
        f"<rdf:RDF xmlns:rdf='{RDF}'><rdf:Description {NAMESPACES}>{CITY}</rdf:Description></rdf:RDF>".encode(),
        f"<rdf:RDF xmlns:rdf='{RDF}'><rdf:Description/><rdf:Description {NAMESPACES}>{CITY}</rdf:Description>"
        "</rdf:RDF>".encode(),
        packet(CITY + "<dc:title><never closed"),
        packet(CITY + "\x07<dc:title>\x00</dc:title>"),
        packet(CITY + "<dc:title>&unknown;</dc:title>"),
    ],
)
def test_one_value_in_many_ways(data: bytes) -> None:
    assert [value.strip() for value in properties(data)["photoshop:City"]] == ["Bern"]


def test_places_as_structures() -> None:
    first, second = (f"<Iptc4xmpExt:City>{city}</Iptc4xmpExt:City>" for city in ("Bern", "Basel"))
    name = "<rdf:Alt><rdf:li xml:lang='x-default'>Schweiz</rdf:li></rdf:Alt>"
    country = f"<Iptc4xmpExt:CountryName>{name}</Iptc4xmpExt:CountryName>"
    shown = (
        f"<Iptc4xmpExt:LocationShown><rdf:Bag><rdf:li rdf:parseType='Resource'>{first}{country}</rdf:li>"
        f"<rdf:li><rdf:Description>{second}</rdf:Description></rdf:li></rdf:Bag></Iptc4xmpExt:LocationShown>"
    )
    made = (
        "<Iptc4xmpExt:LocationCreated><rdf:Bag><rdf:li><rdf:Description Iptc4xmpExt:City='Genf'/></rdf:li></rdf:Bag>"
        "</Iptc4xmpExt:LocationCreated>"
    )
    said = said_by(picture(xmp=packet(shown + made + "<photoshop:City>Zug</photoshop:City>")))
    assert (said.city, said.country) == ("Bern", "Schweiz")
    assert said_by(picture(xmp=packet(made))).city == "Genf"
    assert said_by(picture(xmp=packet(made + "<photoshop:Country>Schweiz</photoshop:Country>"))).city is None


def test_only_known_codes_are_read() -> None:
    said = said_by(
        picture(
            xmp=packet(
                "<Iptc4xmpExt:DigitalSourceType>http://example.com/x</Iptc4xmpExt:DigitalSourceType>",
                "Iptc4xmpCore:CountryCode='Schweiz'",
            )
        )
    )
    assert (said.digital_source_type, said.country_code) == (None, None)


LAUGHS = "<!DOCTYPE x [<!ENTITY a 'ha'>" + "".join(
    f"<!ENTITY {name} '{f'&{before};' * 10}'>" for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)
LONG = packet(f"<dc:title><rdf:Alt><rdf:li>{'long ' * 20_000}</rdf:li></rdf:Alt></dc:title>")
HOSTILE = {
    "a billion laughs": packet("<photoshop:City>&j;</photoshop:City>", before=LAUGHS + "]>"),
    "an external entity": packet(
        "<photoshop:City>&e;</photoshop:City>", before="<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>"
    ),
    "an external document type": packet(CITY, before="<!DOCTYPE x SYSTEM 'http://127.0.0.1:9/x.dtd'>"),
    "50 MB": packet("<photoshop:City>" + "x" * (50 << 20) + "</photoshop:City>"),
    "deep": packet("<dc:title>" + "<a>" * 100_000),
    "deep, elsewhere": packet("<a>" * 100_000),
    "many elements": packet("<dc:subject><rdf:Bag>" + "<rdf:li/>" * 400_000 + "</rdf:Bag></dc:subject>"),
    "many attributes": packet("", " ".join(f"photoshop:a{i}='1'" for i in range(150_000))),
    "broken UTF-8": packet("<photoshop:City>x</photoshop:City>").replace(b">x<", b">B\xff\xfern<"),
    "nothing": b"",
    "zeros": bytes(100_000),
    "no XML": b"\x89PNG\r\n" * 1000,
    "half a packet": packet(CITY)[:300],
    "one long attribute": packet("", "dc:format='" + "x" * 4_000_000 + "'"),
    "one long comment": packet("<!--" + "x" * 4_000_000 + "-->"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_packets_end_fast_with_nothing(name: str) -> None:
    start = time.process_time()
    assert properties(HOSTILE[name]).get("photoshop:City", [""])[0].replace("\ufffd", "") in ("", "Brn")
    assert time.process_time() - start < 2.0


def test_a_hostile_packet_costs_only_itself() -> None:
    said = said_by(picture("TIFF", tiffinfo={700: HOSTILE["a billion laughs"], 0x010E: "A gate"}))
    assert said.description == "A gate"
    assert said.city is None


def test_texts_and_lists_have_an_end() -> None:
    words = "".join(f"<rdf:li>word {i} {'x' * 300}</rdf:li>" for i in range(2000))
    said = said_by(picture("TIFF", tiffinfo={700: packet(f"<dc:subject><rdf:Bag>{words}</rdf:Bag></dc:subject>")}))
    assert len(said.keywords) == 500
    assert said.keywords[0] == "word 0"
    assert len(said_by(picture("TIFF", tiffinfo={700: LONG})).title or "") == 199


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("two\nlines\tand  more", "two lines and more"),
        ("e\u0301te\u0301", "été"),
        ("가", "가"),
        ("left\u202eright\u200b", "leftright"),
        ("a\x85b\u2028c", "a b c"),
        ("👩‍👧 and 🐈", "👩‍👧 and 🐈"),
        ("broken \ufffd text", None),
        ("IMG_0001.JPG", None),
        ("...", None),
    ],
)
def test_texts_are_one_clean_line(written: str, read: str | None) -> None:
    assert said_by(picture(xmp=packet("", f"photoshop:City='{written}'"))).city == (read and " ".join(read.split()))


@hypothesis.given(st.data())
@hypothesis.settings(max_examples=150)
def test_damaged_packets_raise_nothing(data: st.DataObject) -> None:
    whole = bytearray(packet(CITY + "<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>a</rdf:li></rdf:Alt></dc:title>"))
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, 900))] = data.draw(st.integers(0, 255))
    properties(bytes(whole))
