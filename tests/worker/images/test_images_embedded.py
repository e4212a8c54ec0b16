"""What a file says of itself, of files that are made here; `integration/test_embedded_exiftool.py` has real ones."""

import struct
import time
from io import BytesIO

import pytest
from metadata_files import dataset, digest, exif_of, jpeg_with_iim, packet, picture, png, said_by
from PIL import Image

from tasks import own_words
from tasks.ports import Preprocess
from tasks.records import Embedded
from worker.images.decode import decode
from worker.images.embedded import iso_date, read

KOREAN = packet(
    "<dc:title><rdf:Alt><rdf:li xml:lang='en'>Gate</rdf:li><rdf:li xml:lang='x-default'>광화문</rdf:li></rdf:Alt>"
    "</dc:title><dc:description><rdf:Alt><rdf:li xml:lang='x-default'>서울의 &lt;궁&gt; &amp; 문</rdf:li></rdf:Alt>"
    "</dc:description>"
    "<dc:subject><rdf:Bag><rdf:li>궁궐</rdf:li><rdf:li>서울</rdf:li><rdf:li>궁궐</rdf:li></rdf:Bag></dc:subject>"
    "<dc:creator><rdf:Seq><rdf:li>김철수</rdf:li><rdf:li>이영희</rdf:li></rdf:Seq></dc:creator>"
    "<dc:rights><rdf:Alt><rdf:li xml:lang='x-default'>© 김철수</rdf:li></rdf:Alt></dc:rights>"
    "<Iptc4xmpCore:AltTextAccessibility><rdf:Alt><rdf:li xml:lang='x-default'>문 앞</rdf:li></rdf:Alt>"
    "</Iptc4xmpCore:AltTextAccessibility>"
    "<Iptc4xmpExt:DigitalSourceType rdf:resource='http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture'/>",
    "photoshop:Headline='문이 열리다' photoshop:City='서울' photoshop:Country='대한민국' "
    "Iptc4xmpCore:CountryCode='kor' Iptc4xmpCore:Location='종로구' photoshop:DateCreated='2024-05-01T09:30'",
)
SAID = Embedded(
    title="광화문",
    headline="문이 열리다",
    description="서울의 <궁> & 문",
    alt_text="문 앞",
    keywords=("궁궐", "서울"),
    creators=("김철수", "이영희"),
    copyright="© 김철수",
    location="종로구",
    city="서울",
    country="대한민국",
    country_code="KOR",
    created="2024-05-01T09:30",
    digital_source_type="http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture",
)
FILES = {
    "JPEG": picture("JPEG", xmp=KOREAN),
    "PNG": png((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + KOREAN)),
    "WebP": picture("WEBP", xmp=KOREAN),
    "TIFF": picture("TIFF", tiffinfo={700: KOREAN}),
    "AVIF": picture("AVIF", xmp=KOREAN),
}


@pytest.mark.parametrize("kind", FILES)
def test_xmp_is_read_in_every_format(kind: str) -> None:
    assert said_by(FILES[kind]) == SAID


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "GIF"])
def test_a_file_that_says_nothing(kind: str) -> None:
    data = picture(kind)
    with Image.open(BytesIO(data)) as image:
        image.load()
        assert read(data, image) is None


def test_the_decoder_reads_it_or_leaves_it() -> None:
    assert decode(FILES["JPEG"], Preprocess(64)).embedded == SAID
    assert decode(FILES["JPEG"], Preprocess(64), metadata=False).embedded is None


UTF16 = "utf-16-le"
WINDOWS = {0x9C9B: "제목".encode(UTF16), 0x9C9E: "궁궐;서울\0".encode(UTF16), 0x9C9D: "김".encode(UTF16)}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])  # of a TIFF Pillow writes ASCII only
def test_exif_is_read_in_every_format(kind: str) -> None:
    tags = {0x010E: "A gate", 0x013B: '김철수; "Lee; Co"', 0x8298: "© Kim\0© Editor"}
    inner = {0x9003: "2024:05:01 09:30:12", 0x9011: "+09:00"}
    encoded = {tag: text.encode() for tag, text in tags.items()}
    said = said_by(picture(kind, exif=exif_of(encoded, inner).tobytes()))
    assert (said.description, said.creators, said.copyright) == ("A gate", ("김철수", "Lee; Co"), "© Kim; © Editor")
    assert said.created == "2024-05-01T09:30:12+09:00"


def test_windows_own_fields_come_last() -> None:
    said = said_by(picture(exif=exif_of(WINDOWS)))
    assert (said.title, said.keywords, said.creators) == ("제목", ("궁궐", "서울"), ("김",))
    assert said_by(picture(exif=exif_of(WINDOWS), xmp=KOREAN)) == SAID


def test_exif_comes_before_xmp() -> None:
    said = said_by(picture(exif=exif_of({0x010E: "From the camera's owner"}), xmp=KOREAN))
    assert said.description == "From the camera's owner"
    assert said.title == SAID.title


@pytest.mark.parametrize("text", ["OLYMPUS DIGITAL CAMERA", "   ", "SONY DSC", "IMG_1234.JPG", "???", "???? <?> & ?"])
def test_what_nobody_wrote_does_not_hide_what_somebody_did(text: str) -> None:
    assert said_by(picture(exif=exif_of({0x010E: text}), xmp=KOREAN)).description == SAID.description


def test_what_a_program_left_of_a_korean_text_does_not_hide_it() -> None:
    remnant = "".join(c if c.isascii() else "?" for c in SAID.description or "")
    assert said_by(picture(exif=exif_of({0x010E: remnant}), xmp=KOREAN)).description == SAID.description


def test_png_has_texts_of_its_own() -> None:
    said = said_by(
        png(Title="광화문", Description="A gate", Author="Müller", Copyright="Kim", Comment="Created with GIMP")
    )
    assert said == Embedded(title="광화문", description="A gate", creators=("Müller",), copyright="Kim")


IIM = (
    dataset(5, b"Newer")
    + dataset(25, b"one")
    + dataset(25, b"two")
    + dataset(120, b"Newer text")
    + dataset(55, b"20200102")
    + dataset(60, b"101112+0100")
)
XMP = packet(
    "<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>Older</rdf:li></rdf:Alt></dc:title>"
    "<dc:subject><rdf:Bag><rdf:li>three</rdf:li></rdf:Bag></dc:subject><photoshop:City>Bern</photoshop:City>"
    "<photoshop:DateCreated>2019-01-02</photoshop:DateCreated>"
)


@pytest.mark.parametrize(("kept", "newer"), [(None, False), (digest(IIM), False), (digest(b"another"), True)])
def test_iim_wins_where_its_digest_says_that_it_changed(kept: bytes | None, newer: bool) -> None:
    said = said_by(jpeg_with_iim(IIM, kept, xmp=XMP))
    assert said.title == ("Newer" if newer else "Older")
    assert said.keywords == (("one", "two") if newer else ("three",))
    assert said.created == ("2020-01-02T10:11:12+01:00" if newer else "2019-01-02")
    assert (said.description, said.city) == ("Newer text", "Bern")


def test_what_the_limits_of_iim_cut_off_comes_from_xmp() -> None:
    whole = "A title that is longer than the sixty-four bytes that the IIM has for one of these"
    xmp = packet(f"<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>{whole}</rdf:li></rdf:Alt></dc:title>")
    iim = dataset(5, whole.encode()[:64])
    assert said_by(jpeg_with_iim(iim, digest(b"another"), xmp=xmp)).title == whole


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024:05:01 09:30:12", "2024-05-01T09:30:12"),
        ("2024:05:01 09:30:12.345+09:00", "2024-05-01T09:30:12+09:00"),
        ("2008:05:25 19:31:26.0+1:00", "2008-05-25T19:31:26+01:00"),
        ("2024-05-01T09:30Z", "2024-05-01T09:30Z"),
        ("2024-05-01", "2024-05-01"),
        ("20240501T093012-0500", "2024-05-01T09:30:12-05:00"),
        ("20240501", "2024-05-01"),
        ("2024-05", "2024-05"),
        ("2024", "2024"),
        ("20100000", "2010"),
        ("2010:05:00", "2010-05"),
        ("0000:00:00 00:00:00", None),
        ("    :  :     :  :  ", None),
        ("2024:13:01 00:00:00", None),
        ("2023:02:30", None),
        ("2024:05:01 25:00:00", None),
        ("2024-05-01T09:30:12+99:00", "2024-05-01T09:30:12"),
        ("yesterday", None),
        ("", None),
    ],
)
def test_dates(text: str, expected: str | None) -> None:
    assert iso_date(text) == expected


def test_what_we_wrote_is_nobodys() -> None:
    marks = "".join(
        f"<rdf:li>{own_words.mark(field, value)}</rdf:li>"
        for field, value in (("title", "Ours"), ("keywords", "ours"), ("description", "Changed since"))
    )
    elements = (
        "<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>Ours</rdf:li></rdf:Alt></dc:title>"
        "<dc:description><rdf:Alt><rdf:li xml:lang='x-default'>By a person</rdf:li></rdf:Alt></dc:description>"
        "<dc:subject><rdf:Bag><rdf:li>theirs</rdf:li><rdf:li>ours</rdf:li></rdf:Bag></dc:subject>"
    )
    generated = f"<s:Generated xmlns:s='{own_words.NAMESPACE}'><rdf:Bag>{marks}</rdf:Bag></s:Generated>"
    said = said_by(picture(xmp=packet(elements + generated)))
    assert said == Embedded(description="By a person", keywords=("theirs",))
    assert said_by(picture(xmp=packet(elements))).title == "Ours"


def test_exif_whose_tags_all_point_at_everything_costs_only_itself() -> None:
    count, size = 8000, 1 << 20
    head = b"II*\0" + struct.pack("<IHHHIIHHIII", 8, 2, 0x010E, 2, 4, 0x676F64, 0x8769, 4, 1, 38, 0)
    tags = b"".join(struct.pack("<HHII", tag, 7, size - 10, 10) for tag in range(1, count + 1))
    exif = (head + struct.pack("<H", count) + tags).ljust(size, b"\0")
    start = time.process_time()
    assert decode(picture("PNG", exif=exif), Preprocess(64)).embedded == Embedded(description="dog")
    assert time.process_time() - start < 2.0


@pytest.mark.parametrize(("older", "state"), [("서울", "경기도"), ("부산", None)])
def test_places_are_filled_up_from_older_fields_and_two_places_are_not_made_one(older: str, state: str | None) -> None:
    shown = (
        "<Iptc4xmpExt:LocationShown><rdf:Bag><rdf:li Iptc4xmpExt:City='서울'/></rdf:Bag></Iptc4xmpExt:LocationShown>"
    )
    found = said_by(picture("JPEG", xmp=packet(shown, f"photoshop:City='{older}' photoshop:State='경기도'")))
    assert found is not None
    assert (found.city, found.state) == ("서울", state)
