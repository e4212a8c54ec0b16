"""IPTC IIM: from Photoshop's image resources to datasets (IIM specification 4.2, Photoshop's file format)."""

import hashlib
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from worker.containers import IIM_TAG, PHOTOSHOP_SIGNATURE, PHOTOSHOP_TAG, Part
from worker.images.embedded_text import charset, decoded

_APP13 = 0xED
_PLACES = frozenset({_APP13, IIM_TAG, PHOTOSHOP_TAG})
_IIM, _DIGEST = 0x0404, 0x0425
_MOST_DATASETS = 5000
_LONGEST_BLOCK = 4 << 20
_LONGEST_VALUE = 64 << 10
_CHARSET = (1, 90)
_UTF8 = b"\x1b%G"

NAMES = {
    5: "ObjectName",
    25: "Keywords",
    55: "DateCreated",
    60: "TimeCreated",
    80: "By-line",
    90: "City",
    92: "Sub-location",
    95: "Province-State",
    100: "CountryCode",
    101: "Country",
    105: "Headline",
    116: "CopyrightNotice",
    120: "Caption",
}
"""Datasets of record 2 that are read."""
LIMITS = {
    "ObjectName": 64,
    "Keywords": 64,
    "By-line": 32,
    "City": 32,
    "Sub-location": 32,
    "Province-State": 32,
    "Country": 64,
    "Headline": 256,
    "CopyrightNotice": 128,
    "Caption": 2000,
}
"""Bytes that the standard allows; a value of that length may be the beginning of a longer one."""


@dataclass(frozen=True, slots=True)
class Iim:
    """The datasets by name.

    Attributes:
        values: texts by dataset.
        cut: those of them that are as long as the standard allows.
        changed: whether IIM was changed after the XMP beside it, by the digest that was kept.
    """

    values: dict[str, list[str]] = field(default_factory=dict)
    cut: frozenset[str] = frozenset()
    changed: bool = False


def iim(found: Iterable[Part]) -> Iim:
    """Read the IIM out of a JPEG's or TIFF's parts."""
    found = [part for part in found if part.name in _PLACES]
    if not found:
        return Iim()
    segments = (part.content for part in found if part.name == _APP13)
    photoshop = b"".join(one[len(PHOTOSHOP_SIGNATURE) :] for one in segments if one.startswith(PHOTOSHOP_SIGNATURE))
    photoshop += b"".join(part.content for part in found if part.name == PHOTOSHOP_TAG)
    resources = dict(reversed(list(islice(_resources(photoshop), _MOST_DATASETS))))
    block = next((part.content for part in found if part.name == IIM_TAG), b"") or resources.get(_IIM, b"")
    if len(block) > _LONGEST_BLOCK:
        return Iim()
    raw = list(islice(_datasets(block), _MOST_DATASETS))
    texts = [(NAMES[number], value) for record, number, value in raw if record == 2 and number in NAMES]
    marked = any((record, number) == _CHARSET and value == _UTF8 for record, number, value in raw)
    encoding = "utf-8" if marked else charset(value for _, value in texts)
    values: dict[str, list[str]] = {}
    for name, value in texts:
        values.setdefault(name, []).append(decoded(value, encoding))
    cut = (decoded(value, encoding) for name, value in texts if len(value) >= LIMITS.get(name, _LONGEST_VALUE) - 3)
    return Iim(values, frozenset(cut), _changed(resources.get(_DIGEST), block))


def _changed(digest: bytes | None, block: bytes) -> bool:
    """In a TIFF the block may be filled up with zeros, which count for some programs and not for others."""
    if digest is None or not block:
        return False
    unpadded = block.rstrip(b"\0")
    blocks = (block, *(unpadded + bytes(count) for count in range(4)))
    return digest not in {hashlib.md5(one, usedforsecurity=False).digest() for one in blocks}


def _resources(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Image resources: id and content."""
    at = 0
    while at + 12 <= len(data) and data[at : at + 4] == b"8BIM":
        (number,) = struct.unpack_from(">H", data, at + 4)
        at += 6 + (data[at + 6] + 2) // 2 * 2
        if at + 4 > len(data):
            return
        (length,) = struct.unpack_from(">I", data, at)
        yield number, data[at + 4 : at + 4 + length]
        at += 4 + length + length % 2


def _datasets(block: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Record, dataset and value; extended ones, which are for pictures, are passed over."""
    at = 0
    while at + 5 <= len(block) and block[at] == 0x1C:
        record, number, length = struct.unpack_from(">BBH", block, at + 1)
        at += 5
        if length & 0x8000:
            size = length & 0x7FFF
            length = int.from_bytes(block[at : at + size], "big")
            at += size
        yield record, number, block[at : at + min(length, _LONGEST_VALUE)]
        at += length
