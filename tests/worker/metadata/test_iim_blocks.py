"""IIM as it is found and as it is written: UTF-8, limits in bytes, everything else as it was."""

import struct

import pytest

from worker.metadata.iim import Iim, UnknownIim, cut


def dataset(record: int, number: int, value: bytes) -> bytes:
    return bytes((0x1C, record, number)) + struct.pack(">H", len(value)) + value


VERSION = dataset(2, 0, b"\0\2")
CITY = dataset(2, 90, "Zürich".encode("cp1252"))
RASTER = dataset(2, 125, bytes(range(200, 250)))
UTF8 = dataset(1, 90, b"\x1b%G")


def test_values_are_replaced_where_they_were() -> None:
    block = UTF8 + VERSION + dataset(2, 5, b"Old") + dataset(2, 25, b"a") + dataset(2, 25, b"b") + dataset(2, 80, b"Me")
    iim = Iim(block)
    assert (iim.text("title"), iim.keywords(), iim.text("headline")) == ("Old", ("a", "b"), "")
    changed = iim.changed({"title": "새 제목", "headline": "H"}, ["개", "b", "b"])
    expected = UTF8 + VERSION + dataset(2, 5, "새 제목".encode()) + dataset(2, 25, "개".encode()) + dataset(2, 25, b"b")
    assert changed == expected + dataset(2, 80, b"Me") + dataset(2, 105, b"H")
    assert iim.changed({}, None) == block


def test_other_character_sets_become_utf8_and_bytes_stay_bytes() -> None:
    iim = Iim(VERSION + CITY + RASTER)
    changed = iim.changed({"title": "x"}, None)
    assert changed == UTF8 + VERSION + dataset(2, 90, "Zürich".encode()) + RASTER + dataset(2, 5, b"x")
    latin = Iim(dataset(1, 90, b"\x1b.A") + dataset(2, 5, b"Z\xfcrich"))
    assert latin.text("title") == "Zürich"


def test_utf8_that_does_not_say_so_is_known() -> None:
    assert Iim(dataset(2, 5, "호수".encode())).text("title") == "호수"


def test_values_are_cut_between_characters() -> None:
    assert cut("호" * 30, 64) == ("호" * 21).encode()
    assert cut("a" * 64, 64) == b"a" * 64
    assert cut("ab cd", 3) == b"ab"
    iim = Iim(Iim(VERSION).changed({"title": "é" * 40, "description": "d" * 3000}, ["k" * 70]))
    assert iim.text("title") == "é" * 32
    assert len(iim.text("description")) == 2000
    assert iim.keywords() == ("k" * 64,)


def test_long_values_have_a_long_length() -> None:
    long = b"\x1c\x02\xca\x80\x04" + struct.pack(">I", 40_000) + b"p" * 40_000
    iim = Iim(VERSION + long)
    assert iim.changed({}, None) == UTF8 + VERSION + long


@pytest.mark.parametrize(
    "block",
    [
        dataset(2, 5, b"abc")[:-1],
        b"\x1c\x02\x05\x80\x09" + b"x" * 20,
        VERSION + b"rubbish",
        dataset(1, 90, b"\x1b$B"),
    ],
)
def test_a_block_that_is_not_understood_is_left_alone(block: bytes) -> None:
    with pytest.raises(UnknownIim):
        Iim(block)


def test_zeros_at_the_end_mean_nothing() -> None:
    assert Iim(VERSION + b"\0\0").changed({}, None) == UTF8 + VERSION
