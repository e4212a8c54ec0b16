"""Exif, and the texts of a PNG: from an opened image to texts. Pillow reads, what it cannot is left out."""

import re
from collections.abc import Mapping
from typing import Any

from PIL import ExifTags, Image

from worker.images.embedded_text import charset, decoded

_TEXTS = {
    "ImageDescription": ExifTags.Base.ImageDescription,
    "Artist": ExifTags.Base.Artist,
    "Copyright": ExifTags.Base.Copyright,
}
_WINDOWS = {
    "XPTitle": ExifTags.Base.XPTitle,
    "XPComment": ExifTags.Base.XPComment,
    "XPAuthor": ExifTags.Base.XPAuthor,
    "XPKeywords": ExifTags.Base.XPKeywords,
    "XPSubject": ExifTags.Base.XPSubject,
}
_DATE = {"DateTimeOriginal": 0x9003, "OffsetTimeOriginal": 0x9011}
_LONGEST = 64 << 10
_PNG = ("Title", "Description", "Author", "Copyright")
# A name with semicolons in it stands in quotes, which are doubled inside: the Metadata Working Group's way.
_NAMES = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^;]*))(?:;|$)')


def exif(image: Image.Image) -> dict[str, str]:
    """Texts by Exif's own names; those that are there."""
    tags = image.getexif()
    if not tags:
        return {}
    raw = {name: _bytes(tags.get(tag)) for name, tag in _TEXTS.items()}
    # Two copyrights stand in one tag, the photographer's and the editor's, with a zero between.
    texts = {name: _joined(value) for name, value in raw.items()}
    windows = {name: _bytes(tags.get(tag)).decode("utf-16-le", "ignore") for name, tag in _WINDOWS.items()}
    texts |= {name: value.split("\0")[0] for name, value in windows.items()}
    inner = tags.get_ifd(ExifTags.IFD.Exif) if ExifTags.IFD.Exif in tags else {}
    texts |= {name: _joined(_bytes(inner.get(tag))) for name, tag in _DATE.items()}
    return {name: text for name, text in texts.items() if text.strip()}


def _bytes(value: Any) -> bytes:
    """A tag's bytes: Pillow takes texts for Latin-1, which loses nothing, and gives bytes in a tuple of one."""
    if isinstance(value, tuple):
        value = value[0] if len(value) == 1 else bytes(value) if all(_is_byte(one) for one in value) else b""
    if isinstance(value, str):
        return value.encode("latin-1", "ignore")[:_LONGEST]
    return value[:_LONGEST] if isinstance(value, bytes) else b""


def _is_byte(value: object) -> bool:
    return isinstance(value, int) and 0 <= value < 256


def _joined(value: bytes) -> str:
    parts = [part.strip() for part in decoded(value, charset([value])).split("\0")]
    return "; ".join(part for part in parts[:2] if part)


def names(text: str) -> list[str]:
    """The names in Exif's Artist, which is one text with semicolons between."""
    found = (quoted.replace('""', '"') or plain for quoted, plain in _NAMES.findall(text))
    return [name for name in found if name.strip()]


def png_texts(image: Image.Image) -> Mapping[str, str]:
    """The texts that a PNG has of its own."""
    texts = getattr(image, "text", None) if image.format == "PNG" else None
    return {name: _png_text(texts[name]) for name in _PNG if name in texts} if texts else {}


def _png_text(text: str) -> str:
    try:
        value = text[:_LONGEST].encode("latin-1")
    except UnicodeEncodeError:
        return text  # of a chunk in UTF-8
    return decoded(value, charset([value]))
