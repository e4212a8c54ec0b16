"""The older IPTC metadata: IIM 4.2 records 1 and 2, read and written as the block of bytes that files hold.

Written only where a file has one already (MWG Guidelines 2.0, section 3.2.1), in UTF-8, each value cut at its limit
in bytes between two characters.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from worker.metadata.tree import clean

TEXTS: Mapping[str, tuple[int, int]] = {"title": (5, 64), "headline": (105, 256), "description": (120, 2000)}
"""By field, its dataset in record 2 and the most bytes it may have."""
KEYWORDS, KEYWORD_BYTES = 25, 64

_TAG = 0x1C
_CHARSET = (1, 90)
_UTF8 = b"\x1b%G"
_CODECS = {_UTF8: "utf-8", b"\x1b.A": "latin-1", b"\x1b-A": "latin-1", b"\x1b(B": "ascii"}
_BINARY = frozenset((0, 125, 200, 201, 202))
"""Datasets of record 2 that hold no text: version, rasterised caption, preview."""


class UnknownIim(ValueError):
    """A block that is broken, or in a character set that is not known: it is left as it is."""


@dataclass(frozen=True, slots=True)
class _Dataset:
    record: int
    number: int
    value: bytes


class Iim:
    """A block of IIM. Raises `UnknownIim` where it cannot be read whole."""

    def __init__(self, block: bytes) -> None:
        self._sets = list(_read(block))
        self._codec = self._find_codec()

    def text(self, field: str) -> str:
        """One of `TEXTS`, empty if it is not there."""
        number = TEXTS[field][0]
        return next((self._decoded(one) for one in self._sets if (one.record, one.number) == (2, number)), "").strip()

    def keywords(self) -> tuple[str, ...]:
        """In their order."""
        found = (self._decoded(one).strip() for one in self._sets if (one.record, one.number) == (2, KEYWORDS))
        return tuple(word for word in found if word)

    def changed(self, texts: Mapping[str, str], keywords: Sequence[str] | None) -> bytes:
        """The block with other texts, and other keywords unless `None`; in UTF-8, everything else as it was.

        An empty text, and empty keywords, take away what there is.
        """
        sets = [one for one in self._sets if (one.record, one.number) != _CHARSET]
        if self._codec != "utf-8":
            sets = [self._recoded(one) for one in sets]
        for field, text in texts.items():
            number, most = TEXTS[field]
            sets = _put(sets, number, [cut(text, most)] if text else [])
        if keywords is not None:
            sets = _put(sets, KEYWORDS, list(dict.fromkeys(cut(word, KEYWORD_BYTES) for word in keywords)))
        first = next((i for i, one in enumerate(sets) if (one.record, one.number) > _CHARSET), len(sets))
        sets.insert(first, _Dataset(*_CHARSET, _UTF8))
        return b"".join(map(_packed, sets))

    def _find_codec(self) -> str:
        declared = next((one.value for one in self._sets if (one.record, one.number) == _CHARSET), None)
        if declared:
            if declared not in _CODECS:
                raise UnknownIim(f"its character set {declared!r} is not known")
            return _CODECS[declared]
        texts = [one.value for one in self._sets if _is_text(one)]
        try:
            b"".join(texts).decode()
        except UnicodeDecodeError:
            # What programs of the time wrote without saying so.
            return "cp1252"
        return "utf-8"

    def _decoded(self, one: _Dataset) -> str:
        return clean(one.value.decode(self._codec, "replace"))

    def _recoded(self, one: _Dataset) -> _Dataset:
        if not _is_text(one):
            return one
        return _Dataset(one.record, one.number, one.value.decode(self._codec, "replace").encode())


def cut(text: str, most: int) -> bytes:
    """A text in at most so many bytes of UTF-8, without half a character at its end."""
    data = text.encode()
    return data if len(data) <= most else data[:most].decode(errors="ignore").rstrip().encode()


def fitting(field: str, value: str) -> str:
    """A value as far as it fits into the field's dataset."""
    most = KEYWORD_BYTES if field == "keywords" else TEXTS[field][1] if field in TEXTS else None
    return value if most is None else cut(value, most).decode()


def _is_text(one: _Dataset) -> bool:
    return one.record == 2 and one.number not in _BINARY


def _put(sets: Sequence[_Dataset], number: int, values: Sequence[bytes]) -> list[_Dataset]:
    """With these values of a dataset, where it was before or else at the end of its record."""
    new = [_Dataset(2, number, value) for value in values]
    places = [i for i, one in enumerate(sets) if (one.record, one.number) == (2, number)]
    others = [one for one in sets if (one.record, one.number) != (2, number)]
    at = places[0] if places else sum(1 for one in others if one.record <= 2)
    return [*others[:at], *new, *others[at:]]


def _read(block: bytes) -> Iterator[_Dataset]:
    at = 0
    while at + 5 <= len(block) and block[at] == _TAG:
        record, number, length = struct.unpack_from(">BBH", block, at + 1)
        at += 5
        if length & 0x8000:  # an extended dataset: the length of the length
            count = length & 0x7FFF
            if count > 4:
                raise UnknownIim("its IIM is broken")
            length = int.from_bytes(block[at : at + count], "big")
            at += count
        if at + length > len(block):
            raise UnknownIim("its IIM is cut off")
        yield _Dataset(record, number, block[at : at + length])
        at += length
    if block[at:].strip(b"\0"):
        raise UnknownIim("its IIM is broken")


def _packed(one: _Dataset) -> bytes:
    length = len(one.value)
    size = struct.pack(">H", length) if length < 0x8000 else struct.pack(">HI", 0x8004, length)
    return bytes((_TAG, one.record, one.number)) + size + one.value
