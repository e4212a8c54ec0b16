"""What a file is, by its first bytes, and what it announces: no decoder has seen it yet."""

import re
from typing import NamedTuple

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "AVIF")
"""Read unless told otherwise; MPO comes with JPEG and APNG with PNG."""
OPTIONAL = ("HEIF", "JPEG2000")
"""Read by choice: HEIF needs `pillow-heif`, and the decoder of JPEG 2000 has the longest record of holes."""

HEAD = 64
"""Bytes of a file that `sniff` looks at."""

_SIGNATURES = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"GIF87a", "GIF"),
    (0, b"GIF89a", "GIF"),
    (8, b"CR\x02", "Canon raw photograph"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "TIFF"),
    (0, b"MM\0+", "TIFF"),
    (0, b"\0\0\0\x0cjP  ", "JPEG2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG2000"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL image"),
    (0, b"\xff\x0a", "JPEG XL image"),
    (0, b"BM", "BMP image"),
    (0, b"8BPS", "Photoshop document"),
    (0, b"%PDF", "PDF document"),
    (0, b"%!PS", "PostScript document"),
    (0, b"\xc5\xd0\xd3\xc6", "EPS document"),
    (0, b"PK\x03\x04", "zip archive or office document"),
    (0, b"\x1f\x8b", "gzip archive"),
    (0, b"<svg", "SVG drawing"),
    (0, b"<?xml", "XML document, perhaps an SVG drawing"),
    (0, b"<!DOCTYPE html", "HTML page"),
    (0, b"<html", "HTML page"),
)
_AVIF = frozenset({b"avif", b"avis"})
_HEIF = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"})
_VIDEO = "video (MP4 or QuickTime)"
_SEGMENT = re.compile(rb"\xff+([\xc0-\xfe])(..)", re.DOTALL)


class Kind(NamedTuple):
    """What a file looks like.

    Attributes:
        format: Pillow's name, or `None` for what this project has no decoder for.
        name: in words, or `None` for what is unknown.
    """

    format: str | None
    name: str | None


def sniff(head: bytes) -> Kind:
    """Tell a file by its first `HEAD` bytes. A file that only pretends is found out by the decoder."""
    if head[4:8] == b"ftyp":
        return _iso_media(head)
    if head[:4] == b"RIFF":
        return Kind("WEBP", "WEBP") if head[8:12] == b"WEBP" else Kind(None, "sound or video (RIFF)")
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    for offset, magic, name in _SIGNATURES:
        if head.startswith(magic, offset) or (magic[:1] == b"<" and text.lower().startswith(magic.lower())):
            return Kind(name if name in FORMATS + OPTIONAL else None, name)
    return Kind(None, "text" if text and all(byte >= 32 or byte in b"\t\r\n" for byte in head) else None)


def _iso_media(head: bytes) -> Kind:
    """AVIF, HEIF and videos share a container; the brands tell them apart, and `mif1` alone says nothing of AVIF."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, end, 4))}
    if brands & _AVIF:
        return Kind("AVIF", "AVIF")
    if brands & _HEIF:
        return Kind("HEIF", "HEIF")
    return Kind(None, _VIDEO)


def jpeg_scans(data: bytes) -> int:
    """Number of scans in a progressive JPEG; about ten are usual.

    Each costs the decoder a pass over all the pixels, whatever its length, so a small file with thousands keeps it
    busy for minutes. Counted from the end of the headers to the first end-of-image marker: an Exif thumbnail and
    the film that some phones append hold such bytes, too.
    """
    start = 2
    while (segment := _SEGMENT.match(data, start)) and segment[1] != b"\xda":
        start = segment.end() - 2 + int.from_bytes(segment[2], "big")
    end = data.find(b"\xff\xd9", start)
    return data.count(b"\xff\xda", start, end if end >= 0 else len(data))


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Width and height that a WebP announces, pixels, or `None` where it cannot be told.

    Pillow reserves two canvases of that size while opening, before anybody can say no.
    """
    kind, at = data[12:16], 20
    if kind == b"VP8X":
        return _uint24(data, at + 4) + 1, _uint24(data, at + 7) + 1
    if kind == b"VP8L":
        bits = int.from_bytes(data[at + 1 : at + 5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = data[at + 6 : at + 8], data[at + 8 : at + 10]
        return int.from_bytes(width, "little") & 0x3FFF, int.from_bytes(height, "little") & 0x3FFF
    return None


def _uint24(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 3], "little")
