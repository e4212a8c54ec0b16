"""Captions of editorial pictures, with a dateline, in Shutterstock's form.

    CITY, STATE/COUNTRY – MONTH DAY: Factual description on [date] in [location].

Of a date that is not known to the day, and of a place whose city is not known, the dateline says CIRCA. Nothing is
guessed: without a year or a place there is no such caption.
"""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

from tasks.records import Embedded
from worker.exports.refusal import Refusal, refusal
from worker.exports.texts import cut, one_line

MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
FIRST_YEAR = 1826
"""Of the oldest photograph that is left."""
LEAST_WORDS = 3
"""A description of fewer says nothing."""

_CREATED = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2})(?:[T ].*)?)?)?", re.ASCII)
_MONTHS_IN_CAPITALS = tuple(month.upper() for month in MONTHS)
_DASH = re.compile(r"\s[–—-]\s")
_WORD = re.compile(r"[^\W_]+")
_UNITED_STATES = frozenset({"us", "usa", "u.s.", "u.s.a.", "united states", "united states of america"})


class Taken(NamedTuple):
    """When a picture was taken, as far as it is known."""

    year: int
    month: int | None = None
    day: int | None = None

    @property
    def dateline(self) -> str:
        """As the dateline has it."""
        if self.month is None:
            return f"CIRCA {self.year}"
        month = MONTHS[self.month - 1].upper()
        return f"CIRCA {month}" if self.day is None else f"{month} {self.day}"

    @property
    def phrase(self) -> str:
        """As a sentence has it."""
        if self.month is None:
            return f"circa {self.year}"
        month = MONTHS[self.month - 1]
        return f"circa {month} {self.year}" if self.day is None else f"on {month} {self.day}, {self.year}"


@dataclass(frozen=True, slots=True)
class Where:
    """Where a picture was taken: the city, if it is known, and the state (in the United States) or country."""

    city: str
    region: str

    @property
    def dateline(self) -> str:
        """As the dateline has it."""
        known = ", ".join(part for part in (self.city, self.region) if part).upper()
        return known if self.city else f"CIRCA {known}"

    @property
    def phrase(self) -> str:
        """As a sentence has it."""
        return ", ".join(part for part in (self.city, self.region) if part)


def editorial(description: str, embedded: Embedded | None, limit: int | None, today: date) -> str | Refusal:
    """The caption of an editorial picture, or why there can be none.

    Args:
        description: what the picture shows, a sentence.
        embedded: what the file says of its date and place.
        limit: characters of the whole caption.
        today: pictures are not from the future.
    """
    file = embedded or Embedded()
    when = taken(file.created, today)
    if isinstance(when, Refusal):
        return when
    where = place(file)
    if isinstance(where, Refusal):
        return where
    text = _without_dateline(one_line(description)).rstrip(". ")
    head = f"{where.dateline} – {when.dateline}: "
    factual, tail = _sentence(text, when, where, None if limit is None else limit - len(head) - 1)
    if len(factual.split()) < min(LEAST_WORDS, len(text.split())) or not factual:
        return refusal(
            *("editorial_length", "caption", description),
            f"with its date and place the caption would have more than {limit} characters",
            "shorten the caption, or what the file says of its place",
        )
    return f"{head}{factual}{tail}."


def _without_dateline(text: str) -> str:
    """Without the dateline that a person gave it already."""
    head, colon, rest = text.partition(": ")
    dated = any(word in (*_MONTHS_IN_CAPITALS, "CIRCA") for word in _WORD.findall(head))
    return rest if colon and dated and head.isupper() and _DASH.search(head) else text


def _sentence(text: str, when: Taken, where: Where, limit: int | None) -> tuple[str, str]:
    """As much of the text as there is room for, and what it does not say of date and place."""
    factual, tail = text, _unsaid(text, when, where)
    while limit is not None:
        factual = cut(text, max(limit - len(tail), 0))
        # What was cut off may have been what said the date or the place.
        needed = _unsaid(factual, when, where)
        if needed == tail:
            break
        tail = needed
    return factual, tail


def _unsaid(text: str, when: Taken, where: Where) -> str:
    said = _spaced(text)
    date_ = "" if f" {when.year} " in said else f" {when.phrase}"
    return date_ if _spaced(where.city or where.region) in said else f"{date_} in {where.phrase}"


def _spaced(text: str) -> str:
    """The words of a text with a space on either side of each, so that whole words are found."""
    return f" {' '.join(_WORD.findall(text.casefold()))} "


def taken(created: str | None, today: date) -> Taken | Refusal:
    """When a picture was taken, of what its file says in ISO 8601."""
    remedy = "set the date in the file (Exif DateTimeOriginal, photoshop:DateCreated) and tag it again"
    if not created or not created.strip():
        return refusal("editorial_date", "created", "", "an editorial caption says when, and the file does not", remedy)
    match = _CREATED.fullmatch(created.strip())
    year, month, day = (None if part is None else int(part) for part in match.groups()) if match else (0, None, None)
    try:
        earliest = date(year or 0, 1 if month is None else month, 1 if day is None else day)
    except ValueError:
        return refusal("editorial_date", "created", created, "there is no such date", remedy)
    # A day's grace: cameras write their own time zone.
    if earliest > today + timedelta(days=1) or earliest.year < FIRST_YEAR:
        return refusal("editorial_date", "created", created, "no photograph is of that date", remedy)
    return Taken(earliest.year, month, day)


def place(file: Embedded) -> Where | Refusal:
    """Where a picture was taken, of what its file says."""
    city, state, country = (one_line(text or "") for text in (file.city, file.state, file.country or file.country_code))
    american = country.casefold() in _UNITED_STATES or (file.country_code or "").upper() in ("US", "USA")
    region = state if american and state else country or state
    if not region:
        return refusal(
            *("editorial_place", "place", city),
            "an editorial caption says where, and the file does not"
            if not city
            else "an editorial caption says in which country or state, and the file does not",
            "set city and country in the file (photoshop:City, photoshop:Country) and tag it again",
        )
    return Where(city, region)
