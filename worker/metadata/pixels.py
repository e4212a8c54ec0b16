"""What of a file makes its picture, as bytes: the same before and after metadata were written, or they are thrown away.

Compared is what is stored, not what a decoder makes of it: that is quick, and equal bytes give equal pixels.
"""

import hashlib
import struct
from collections.abc import Callable, Iterator

METADATA_CHUNKS = frozenset({b"iTXt", b"tEXt", b"zTXt", b"eXIf", b"zxIf", b"tIME"})
"""PNG's chunks that say nothing about the pixels."""
PICTURE_CHUNKS = frozenset({b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"ICCP"})
"""WebP's chunks that do. `VP8X`, which lists what else there is, may be new."""
PICTURE_TAGS = frozenset(
    {254, 256, 257, 258, 259, 262, 266, 274, 277, 278, 282, 283, 284, 292, 293, 296, 301, 317, 318, 319, 320, 322, 323}
    | {332, 338, 339, 347, 512, 515, 519, 520, 521, 529, 530, 531, 532, 33421, 33422, 34675}
)
"""TIFF's tags that decide what the strips or tiles mean (TIFF 6.0; ICC profile, colour filter array)."""
MOST_IFDS = 1000

_SUB_IFDS = 330
_DATA = ((273, 279), (324, 325), (513, 514))
"""Tags with the places and the lengths of strips, of tiles and of a JPEG's stream."""
_TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_NUMBERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}


class Unreadable(ValueError):
    """A file in which the picture cannot be found."""


def fingerprint(data: bytes, kind: str) -> str:
    """A hash of the picture in a file of a kind as Pillow names it: JPEG, PNG, WEBP or TIFF. Raises `Unreadable`."""
    digest = hashlib.sha256()
    try:
        for piece in _PIECES[kind](data):
            digest.update(len(piece).to_bytes(8, "big"))
            digest.update(piece)
    except (struct.error, IndexError, OverflowError, MemoryError) as error:
        raise Unreadable(f"the picture in it cannot be found ({error})") from error
    return digest.hexdigest()


def _jpeg(data: bytes) -> Iterator[bytes]:
    """Everything but segments of metadata; of those the profile and Adobe's transform, which colours depend on."""
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == 0xDA:
            # To the end of the file: after the picture there may be another, or a film.
            yield data[at:]
            return
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        content = data[at + 4 : end]
        says_nothing = 0xE0 <= marker <= 0xEF or marker == 0xFE
        if not says_nothing or marker == 0xEE or (marker == 0xE2 and content.startswith(b"ICC_PROFILE\0")):
            yield data[at:end]
        at = end
    raise Unreadable("the picture in it cannot be found")


def _png(data: bytes) -> Iterator[bytes]:
    at = 8
    while at + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        if name not in METADATA_CHUNKS:
            yield data[at : at + 12 + length]
        at += 12 + length


def _webp(data: bytes) -> Iterator[bytes]:
    at = 12
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        if name in PICTURE_CHUNKS:
            yield data[at : at + 8 + length]
        at += 8 + length + length % 2


class _Tiff:
    """Offsets and entries of a TIFF or BigTIFF."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.order = "<" if data[:2] == b"II" else ">"
        big = 43 in data[2:4]
        self.offset = struct.Struct(self.order + ("Q" if big else "I"))
        self.count = struct.Struct(self.order + ("Q" if big else "H"))
        self.entry = struct.Struct(self.order + ("HHQ" if big else "HHI"))
        (self.first,) = self.offset.unpack_from(data, 8 if big else 4)

    def ifd(self, at: int) -> tuple[dict[int, tuple[int, bytes]], int]:
        """The tags of an IFD, each with type and value, and where the next IFD lies, 0 for nowhere."""
        (entries,) = self.count.unpack_from(self.data, at)
        at += self.count.size
        tags: dict[int, tuple[int, bytes]] = {}
        for _ in range(entries):
            tag, kind, number = self.entry.unpack_from(self.data, at)
            size = number * _TYPE_SIZES.get(kind, 0)
            place = at + self.entry.size
            if size > self.offset.size:
                (place,) = self.offset.unpack_from(self.data, place)
            if tag in PICTURE_TAGS or tag == _SUB_IFDS or any(tag in pair for pair in _DATA):
                tags.setdefault(tag, (kind, self.data[place : place + size]))
            at += self.entry.size + self.offset.size
        return tags, self.offset.unpack_from(self.data, at)[0]

    def numbers(self, tags: dict[int, tuple[int, bytes]], tag: int) -> list[int]:
        kind, value = tags.get(tag, (4, b""))
        one = struct.Struct(self.order + _NUMBERS.get(kind, "I"))
        return [number for (number,) in one.iter_unpack(value[: len(value) // one.size * one.size])]


def _tiff(data: bytes) -> Iterator[bytes]:
    """Of every page, and of what lies beneath pages: the tags that decide, and the strips or tiles."""
    tiff = _Tiff(data)
    pending, seen = [tiff.first], set[int]()
    while pending:
        at = pending.pop(0)
        if at == 0 or at in seen:
            continue
        seen.add(at)
        if len(seen) > MOST_IFDS:
            raise Unreadable(f"it has more than {MOST_IFDS} pages")
        tags, following = tiff.ifd(at)
        pending += [following, *tiff.numbers(tags, _SUB_IFDS)]
        for tag in sorted(PICTURE_TAGS & tags.keys()):
            yield b"%d %d" % (tag, tags[tag][0])
            yield tags[tag][1]
        for places, lengths in _DATA:
            for place, length in zip(tiff.numbers(tags, places), tiff.numbers(tags, lengths), strict=False):
                yield data[place : place + length]


_PIECES: dict[str, Callable[[bytes], Iterator[bytes]]] = {"JPEG": _jpeg, "PNG": _png, "WEBP": _webp, "TIFF": _tiff}
KINDS = frozenset(_PIECES)
