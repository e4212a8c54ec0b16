"""IPTC IIM: where it lies, in which encodings, and what is broken of it."""

import hypothesis
import hypothesis.strategies as st
import pytest
from metadata_files import dataset, digest, jpeg_with_iim, photoshop, picture, said_by, with_segments

from worker.containers import Part
from worker.images.embedded_iim import iim

UTF8 = dataset(90, b"\x1b%G", record=1)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("광화문".encode(), "광화문"),
        ("광화문".encode("cp949"), "광화문"),
        ("서울 Seoul 2024".encode("cp949"), "서울 Seoul 2024"),
        ("Zürich, café – “ÄÖÜ”".encode("cp1252"), "Zürich, café – “ÄÖÜ”"),
        (b"\xa9 Peter Bemmann", "© Peter Bemmann"),
        ("ÀÉÎÕÜ".encode("cp1252"), "ÀÉÎÕÜ"),
        ("ÉTÉ À LA PLAGE".encode("cp1252"), "ÉTÉ À LA PLAGE"),
        ("광화문".encode()[:-1], "광화"),
    ],
)
def test_texts_without_a_charset_are_told(raw: bytes, expected: str) -> None:
    assert said_by(jpeg_with_iim(dataset(5, raw))).title == expected


def test_the_charset_that_is_said_counts() -> None:
    assert said_by(jpeg_with_iim(UTF8 + dataset(5, "é".encode()))).title == "é"
    assert said_by(jpeg_with_iim(UTF8 + dataset(5, b"\xe9") + dataset(105, b"H"))).title is None


def test_all_fields() -> None:
    numbers = {5: "a title", 25: "word", 80: "name", 90: "city", 92: "place", 95: "state", 100: "che", 101: "land"}
    block = b"".join(dataset(number, text.encode()) for number, text in numbers.items())
    said = said_by(jpeg_with_iim(block + dataset(105, b"head") + dataset(116, b"(c)") + dataset(120, b"text")))
    assert (said.title, said.keywords, said.creators, said.city) == ("a title", ("word",), ("name",), "city")
    assert (said.location, said.state, said.country_code, said.country) == ("place", "state", "CHE", "land")
    assert (said.headline, said.copyright, said.description) == ("head", "(c)", "text")


def test_a_block_over_several_segments() -> None:
    whole = photoshop(dataset(120, b"x" * 30_000) + dataset(5, b"a title"))
    pieces = [(0xED, b"Photoshop 3.0\0" + whole[at : at + 20_000]) for at in range(0, len(whole), 20_000)]
    assert said_by(with_segments(picture(), *pieces)).title == "a title"


def test_tiff_has_a_tag_for_it() -> None:
    assert said_by(picture("TIFF", tiffinfo={33723: dataset(5, b"a title")})).title == "a title"
    assert said_by(picture("TIFF", tiffinfo={34377: photoshop(dataset(5, b"a title"))})).title == "a title"


def test_padding_is_no_change() -> None:
    block = dataset(5, b"a title")
    for padded in (block, block + b"\0", block + b"\0\0\0"):
        parts = (Part(33723, padded), Part(34377, photoshop(block, digest(block))))
        assert not iim(parts).changed
    assert iim((Part(34377, photoshop(block, digest(b"other"))),)).changed


def test_extended_datasets_are_passed_over() -> None:
    extended = b"\x1c\x02\xca\x80\x04\0\1\0\0" + bytes(65536)
    parts = (Part(33723, dataset(5, b"a") + extended + dataset(105, b"b")),)
    assert iim(parts).values == {"ObjectName": ["a"], "Headline": ["b"]}


@hypothesis.given(st.binary(max_size=200), st.integers(0, 60))
@hypothesis.settings(max_examples=150)
def test_broken_blocks_raise_nothing(noise: bytes, at: int) -> None:
    block = dataset(5, b"a title") + UTF8 + dataset(25, b"word")
    iim((Part(33723, block[:at] + noise + block[at:]), Part(0xED, b"Photoshop 3.0\0" + photoshop(block)[:at] + noise)))


def test_a_block_that_is_no_metadata_is_not_read() -> None:
    assert iim((Part(33723, dataset(5, b"a") * (1 << 20)),)).values == {}
