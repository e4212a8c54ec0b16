"""What an image file says of its picture: Exif, IPTC IIM and XMP, put together as the Metadata Working Group asks.

Guidelines 2.0, "Reconciliation": Exif first where it has a field at all, then XMP, unless the digest of the IIM shows
that a program that knows no XMP changed it since; then IIM. Broken and hostile metadata never loses a picture.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from PIL import Image

from tasks.own_words import without_ours
from tasks.records import Embedded
from worker.c2pa import has_manifest
from worker.containers import Part, packets_of, parts
from worker.images.embedded_exif import exif, names, png_texts
from worker.images.embedded_iim import Iim, iim
from worker.images.embedded_text import LONGEST_TEXT, LONGEST_WORD, is_remnant, line, said, words
from worker.images.embedded_xmp import MARKS, Xmp, properties

VERSION = 2
"""Raised when the same file would be read otherwise, which a line in `camera_texts.tsv` does, too."""

_MOST_CREATORS = 20
_DATE = re.compile(r"(\d{4})(?:[-:]?(\d{2})(?:[-:]?(\d{2}))?)?(?:[T ]+(\d{2}):?(\d{2})(?::?(\d{2}))?)?(?:\.\d+)?")
_OFFSET = re.compile(r"([+-])(\d{1,2}):?(\d{2})$")
_SOURCE_TYPE = re.compile(r"https?://cv\.iptc\.org/newscodes/digitalsourcetype/\w{1,80}")
_PLACE = {
    "location": ("Sub-location", "Sublocation", "Iptc4xmpCore:Location"),
    "city": ("City", "City", "photoshop:City"),
    "state": ("Province-State", "ProvinceState", "photoshop:State"),
    "country": ("Country", "CountryName", "photoshop:Country"),
    "country_code": ("CountryCode", "CountryCode", "Iptc4xmpCore:CountryCode"),
}
"""Fields of a place: the IIM dataset, the field of IPTC's structure, and the property from before there were any."""
_COUNTRY_CODE = re.compile("[A-Z]{2,3}")


@dataclass(slots=True)
class _Parts:
    """What was read, each as far as it could be."""

    exif: dict[str, str] = field(default_factory=dict)
    iim: Iim = field(default_factory=Iim)
    xmp: Xmp = field(default_factory=dict)
    png: dict[str, str] = field(default_factory=dict)
    signed: bool = False

    def synchronised(self, dataset: str, *names: str, longest: int = LONGEST_WORD) -> str:
        """A text that stands in XMP and IIM: XMP's, unless IIM was changed since."""
        newer = [said(text, longest) for text in self.iim.values.get(dataset, ())[:1]]
        older = [said(text, longest) for name in names for text in self.xmp.get(name, ())[:1]]
        if not self.iim.changed:
            return next(filter(None, (*older, *newer)), "")
        whole = next(filter(None, older), "")
        text = next(filter(None, newer), "")
        cut = any(said(one, longest) == text for one in self.iim.cut)
        return whole if cut and whole.startswith(text) else text or whole

    def listed(self, dataset: str, name: str) -> Sequence[str]:
        """Values of a list that stands in XMP and IIM."""
        newer, older = self.iim.values.get(dataset, []), self.xmp.get(name, [])
        if not self.iim.changed:
            return older or newer
        whole = {text: next((one for one in older if one.startswith(text)), text) for text in self.iim.cut}
        return [whole.get(text, text) for text in newer] or older

    def first(self, tag: str, other: str, longest: int = LONGEST_WORD) -> str:
        """Exif's text if it has one, else the other; and the other if Exif's is what a program left of it."""
        text = said(self.exif.get(tag, ""), longest)
        return other if not text or is_remnant(text, other) else text


def read(data: bytes, image: Image.Image) -> Embedded | None:
    """What people and cameras say in the file; `None` where that is nothing. What we wrote there is left out.

    Args:
        data: the file.
        image: the same, opened and loaded.
    """
    found = _Parts()
    pieces: list[Part] = []
    # Each of them may be broken in its own way, and Pillow raises ten kinds.
    _attempt(lambda: pieces.extend(parts(data)))
    _attempt(lambda: setattr(found, "exif", exif(image)))
    _attempt(lambda: setattr(found, "iim", iim(pieces)))
    _attempt(lambda: setattr(found, "xmp", _xmp(pieces, image)))
    _attempt(lambda: setattr(found, "png", png_texts(image)))
    _attempt(lambda: setattr(found, "signed", has_manifest(data, pieces)))
    if found == _Parts():
        return None
    embedded = without_ours(_reconciled(found), found.xmp.get(MARKS, []))
    return None if embedded == Embedded() else embedded


def _attempt(step: Callable[[], object]) -> None:
    with suppress(Exception):
        step()


def _xmp(pieces: Sequence[Part], image: Image.Image) -> Xmp:
    """The properties of the first packet that has any; AVIF and HEIF keep theirs where only their decoders look."""
    other = image.info.get("xmp")
    packets = [*packets_of(pieces)] or ([other] if isinstance(other, bytes) else [])
    return next(filter(None, map(properties, packets)), {})


def _reconciled(found: _Parts) -> Embedded:
    description = found.synchronised("Caption", "dc:description", longest=LONGEST_TEXT)
    copyright_ = found.synchronised("CopyrightNotice", "dc:rights", longest=LONGEST_TEXT)
    return Embedded(
        title=_any(
            found.synchronised("ObjectName", "dc:title"),
            found.exif.get("XPTitle"),
            found.png.get("Title"),
            longest=LONGEST_WORD,
        ),
        headline=found.synchronised("Headline", "photoshop:Headline", longest=LONGEST_TEXT) or None,
        description=_any(
            found.first("ImageDescription", description, LONGEST_TEXT),
            found.exif.get("XPComment"),
            found.exif.get("XPSubject"),
            found.png.get("Description"),
        ),
        alt_text=_any(*found.xmp.get("Iptc4xmpCore:AltTextAccessibility", [])[:1]),
        keywords=words(found.listed("Keywords", "dc:subject")) or words(found.exif.get("XPKeywords", "").split(";")),
        creators=_creators(found),
        copyright=_any(found.first("Copyright", copyright_, LONGEST_TEXT), found.png.get("Copyright")),
        **_place(found),
        created=_created(found),
        digital_source_type=_source_type(found.xmp),
        signed=found.signed,
    )


def _any(*texts: str | None, longest: int = LONGEST_TEXT) -> str | None:
    """The first that says something."""
    return next((text for one in texts if one and (text := said(one, longest))), None)


def _creators(found: _Parts) -> tuple[str, ...]:
    listed = [text for one in found.listed("By-line", "dc:creator") if (text := said(one))]
    artists = [text for one in names(found.exif.get("Artist", "")) if (text := said(one))]
    if artists and not (len(artists) == len(listed) and any(map(is_remnant, artists, listed))):
        # One name of several is what Exif often keeps.
        listed = listed if set(artists) < set(listed) else artists
    fallback = _any(found.exif.get("XPAuthor"), found.png.get("Author"), longest=LONGEST_WORD)
    return tuple(dict.fromkeys(listed))[:_MOST_CREATORS] or ((fallback,) if fallback else ())


def _place(found: _Parts) -> dict[str, str | None]:
    """What the picture shows: the newer structure first, then what it replaces; else where it was made, all of that."""
    made = {name.replace("Created/", "Shown/"): found.xmp[name] for name in found.xmp if "LocationCreated/" in name}
    for parts_ in (found, _Parts(xmp=made)):
        texts = _one_place(
            {
                name: parts_.synchronised("", f"Iptc4xmpExt:LocationShown/{part}")
                for name, (_, part, _) in _PLACE.items()
            },
            {name: parts_.synchronised(dataset, older) for name, (dataset, _, older) in _PLACE.items()},
        )
        if any(texts.values()):
            break
    return texts | {"country_code": _country_code(texts["country_code"])}


def _one_place(newer: dict[str, str], older: dict[str, str]) -> dict[str, str | None]:
    """The newer fields, filled up with the older ones, unless these speak of another place."""
    differ = any(newer[name] and older[name] and newer[name].casefold() != older[name].casefold() for name in newer)
    return {name: newer[name] or (None if differ else older[name]) or None for name in newer}


def _country_code(text: str | None) -> str | None:
    code = (text or "").upper()
    return code if _COUNTRY_CODE.fullmatch(code) else None


def _source_type(xmp: Xmp) -> str | None:
    values = map(line, xmp.get("Iptc4xmpExt:DigitalSourceType", []))
    return next(filter(_SOURCE_TYPE.fullmatch, values), None)


def _created(found: _Parts) -> str | None:
    """The camera's date, then people's, then whatever XMP has."""
    original = found.exif.get("DateTimeOriginal", ""), found.exif.get("OffsetTimeOriginal", "")
    day = next(iter(found.iim.values.get("DateCreated", ())), "")
    clock = next(iter(found.iim.values.get("TimeCreated", ())), "")
    newer = f"{day}T{clock}" if clock else day
    older = next(iter(found.xmp.get("photoshop:DateCreated", ())), "")
    people = (newer, older) if found.iim.changed else (older, newer)
    rest = (text for name in ("exif:DateTimeOriginal", "xmp:CreateDate") for text in found.xmp.get(name, ())[:1])
    return next((date for text in ("".join(original), *people, *rest) if (date := iso_date(text))), None)


def iso_date(text: str) -> str | None:
    """A date of Exif, IIM or XMP as ISO 8601, as much of it as there is; `None` where there is no such day."""
    text = text.strip(" \0")
    if (match := _DATE.match(text)) is None:
        return None
    year, month, day, hour, minute, second = match.groups()
    try:
        if month in (None, "00"):
            return datetime(int(year), 1, 1).strftime("%Y").zfill(4)
        if day in (None, "00"):
            return f"{year}-{datetime(int(year), int(month), 1).month:02}"
        moment = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0))
    except ValueError:
        return None
    if hour is None:
        return moment.date().isoformat()
    return moment.isoformat(timespec="minutes" if second is None else "seconds") + _offset(text[match.end() :])


def _offset(text: str) -> str:
    text = text.strip()
    if text == "Z":
        return text
    match = _OFFSET.fullmatch(text)
    return f"{match[1]}{int(match[2]):02}:{match[3]}" if match and int(match[2]) < 15 and int(match[3]) < 60 else ""
