"""The parts of which image files are made: segments, chunks, boxes and tags, from bytes alone.

For metadata only: nothing here looks at a picture. Cut and broken files end early, none raises, and no file has more
than `MOST` parts looked at.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

MOST = 100_000
"""Parts of one file; a PNG of 100 MB in pieces of 8 kB, as many programs write it, has 12,000."""
LONGEST_PACKET = 4 << 20
"""Bytes of XMP that are read, unpacked. Photoshop's own reach a megabyte when it keeps an image's history there."""
MOST_PACKETS = 2
"""Packets of XMP in one file: one is right, and unpacking each may take a while."""

XMP_SIGNATURE = b"http://ns.adobe.com/xap/1.0/\0"
PHOTOSHOP_SIGNATURE = b"Photoshop 3.0\0"
XMP_TAG, IIM_TAG, PHOTOSHOP_TAG, C2PA_TAG = TAGS = (700, 33723, 34377, 52545)
"""Tags of a TIFF whose values are looked at; the others come empty."""
_XMP_KEYWORD = b"XML:com.adobe.xmp\0"
_STANDALONE = frozenset((0x01, *range(0xD0, 0xD9)))
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}


class Part(NamedTuple):
    """A piece of a file: its name as bytes, or a JPEG marker's or TIFF tag's number; and its content."""

    name: bytes | int
    content: bytes


def parts(data: bytes) -> Iterator[Part]:
    """The parts of a JPEG (up to the picture), PNG, WebP, TIFF (first page), AVIF or HEIF; none for other files."""
    return islice(_parts(data), MOST)


def _parts(data: bytes) -> Iterator[Part]:
    if data[:2] == b"\xff\xd8":
        return _jpeg(data)
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return _png(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _riff(data)
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return _tiff(data)
    if data[4:8] == b"ftyp":
        return _boxes(data)
    return iter(())


def xmp_packets(data: bytes) -> Iterator[bytes]:
    """The XMP of a JPEG, PNG, WebP or TIFF as it stands there, normally one packet; what is too long comes empty."""
    return packets_of(parts(data))


def packets_of(found: Iterable[Part]) -> Iterator[bytes]:
    """`xmp_packets` of a file whose parts are at hand."""
    return islice(_packets_of(found), MOST_PACKETS)


def _packets_of(found: Iterable[Part]) -> Iterator[bytes]:
    for name, content in found:
        packet = b""
        if name == 0xE1 and content.startswith(XMP_SIGNATURE):
            packet = content[len(XMP_SIGNATURE) :]
        elif name == b"iTXt" and content.startswith(_XMP_KEYWORD):
            packet = _international_text(content[len(_XMP_KEYWORD) :])
        elif name in (b"XMP ", XMP_TAG):
            packet = content
        if packet:
            yield packet if len(packet) <= LONGEST_PACKET else b""


def _jpeg(data: bytes) -> Iterator[Part]:
    """Segments by marker, 0xE1 for APP1, up to the first scan."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF or marker in _STANDALONE:
            at += 1 if marker == 0xFF else 2
            continue
        if marker in (_START_OF_SCAN, _END_OF_IMAGE):
            return
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        yield Part(marker, data[at + 4 : at + 2 + length])
        at += 2 + max(length, 2)


def _png(data: bytes) -> Iterator[Part]:
    """Chunks by type, without the picture's own, of which there may be thousands."""
    at, read = 8, struct.Struct(">I4s").unpack_from
    for _ in range(MOST):
        if at + 12 > len(data):
            return
        length, name = read(data, at)
        if name != b"IDAT":
            yield Part(name, data[at + 8 : at + 8 + length])
        at += 12 + length


def _riff(data: bytes) -> Iterator[Part]:
    """Chunks by name; the picture's own come empty."""
    at = 12
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        yield Part(name, b"" if name in (b"VP8 ", b"VP8L", b"ALPH", b"ANMF") else data[at + 8 : at + 8 + length])
        at += 8 + length + length % 2


def _boxes(data: bytes) -> Iterator[Part]:
    """The outer boxes of an ISO media file by type; the picture's own come empty."""
    at = 0
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        head = 8
        if length == 1 and at + 16 <= len(data):
            length, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        if length == 0:
            length = len(data) - at
        if length < head:
            return
        yield Part(name, b"" if name == b"mdat" else data[at + head : at + length])
        at += length


def _tiff(data: bytes) -> Iterator[Part]:
    """The tags of the first page by number, each once, with their values as bytes; BigTIFF, too."""
    order = "<" if data[:2] == b"II" else ">"
    big = 43 in data[2:4]
    offset, count, entry = (
        (struct.Struct(order + "Q"), struct.Struct(order + "Q"), struct.Struct(order + "HHQ"))
        if big
        else (struct.Struct(order + "I"), struct.Struct(order + "H"), struct.Struct(order + "HHI"))
    )
    try:
        (at,) = offset.unpack_from(data, 8 if big else 4)
        (entries,) = count.unpack_from(data, at)
        at += count.size
        seen: set[int] = set()
        for _ in range(entries):
            tag, kind, number = entry.unpack_from(data, at)
            size = number * _TYPE_SIZES.get(kind, 0)
            place = at + entry.size
            if size > offset.size:
                (place,) = offset.unpack_from(data, place)
            if tag not in seen:  # many tags may share one long value, and copying it for each would take long
                seen.add(tag)
                yield Part(tag, data[place : place + size] if tag in TAGS else b"")
            at += entry.size + offset.size
    except (struct.error, OverflowError):
        return


def _international_text(content: bytes) -> bytes:
    """The text of a PNG's iTXt chunk after its keyword; empty where it is broken or too long unpacked."""
    compressed = content[:1] == b"\1"
    fields = content[2:].split(b"\0", 2)
    if len(fields) < 3:
        return b""
    if not compressed:
        return fields[2]
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(fields[2], LONGEST_PACKET)
    except zlib.error:
        return b""
    return b"" if unpacker.unconsumed_tail else text
