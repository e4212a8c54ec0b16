"""What the file says of place and date, as the end of a caption: ` in Edinburgh, Scotland, in May 2024`.

The words are other people's, so they are taken only where they read as a name: one line, short, in Latin letters, no
address of a page and no markup. What does not is left out, never cut: half a place is another place. A date is given
only beside a place, as captions of travel and news have it; alone it would only date the picture. Nothing here looks at
the clock, so a re-score says the same.
"""

import re
import unicodedata
from collections.abc import Iterator

from tasks.records import Embedded
from worker.captioners import english

LONGEST = 60
"""Characters of one name; the longest official name of a country has 56."""
NAME = re.compile(r"[\w\s'’.,()&/\-–]+")
ADDRESS = re.compile(r"www\.|https?\b|//|\.(com|net|org|io)\b", re.IGNORECASE)
LEADING = re.compile(
    r"(at|in|on|near|by|off|along|outside|inside|above|below|behind|between|from|the)\b", re.IGNORECASE
)
"""A place that begins so is no name; of these, prepositions are said as they stand."""
ARTICLE = re.compile(
    r"(united|republic|democratic|kingdom|commonwealth|federated|people's)\b"
    r"|.*\b(republic|kingdom|states|emirates|islands|isles|netherlands|philippines|maldives|bahamas|gambia|comoros"
    r"|seychelles|us|usa|uk|uae)$",
    re.IGNORECASE,
)
"""Names that take `the` after a preposition: the United Kingdom, the Faroe Islands."""
FIRST, LAST = 1839, 2100
"""Years of photography; before is a mistake, and after is a clock that was never set."""
UNSET = ("1904-01", "1970-01", "1980-01", "2000-01-01", "2001-01-01")
"""What cameras and programs say that do not know the date."""
DATE = re.compile(r"(\d{4})(?:-(\d{2}))?(?!\d)")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def endings(embedded: Embedded | None) -> Iterator[str]:
    """What may end a caption, the fullest first and nothing at all last."""
    if embedded is not None:
        wide = _names(embedded.city, embedded.state, embedded.country)
        spot = name(embedded.location)
        when = date(embedded.created)
        shorter = [wide, [wide[0], wide[-1]], wide[-1:]] if len(wide) > 1 else [wide]
        for where in [place(spot, wide), *(place(None, names) for names in shorter)]:
            if where:
                yield from dict.fromkeys((f"{where}{_dated(where, when)}", where))
    yield ""


def place(spot: str | None, names: list[str]) -> str:
    """Where it is, with its preposition and a space before it; empty where nothing is known."""
    if spot and spot.casefold() in {each.casefold() for each in names}:
        spot = None
    if not spot:
        return f" in {_article(names[0])}{', '.join(names)}" if names else ""
    if leading := LEADING.match(spot):
        spot = f"{spot[:1].lower()}{spot[1:]}" if leading[1].casefold() != "the" else f"at t{spot[1:]}"
        return f" {', '.join([spot, *names])}"
    return f" at {', '.join([spot, *names])}"


def name(text: str | None) -> str | None:
    """A place's name as one clean line; none where it does not read as one."""
    cleaned = english.clean(text or "").strip(" .,;:–-/&")
    if not cleaned or len(cleaned) > LONGEST or not NAME.fullmatch(cleaned) or ADDRESS.search(cleaned):
        return None
    letters = [character for character in cleaned if character.isalpha()]
    latin = all(unicodedata.name(letter, "").startswith("LATIN") for letter in letters)
    return cleaned if len(letters) > 1 and latin else None


def date(created: str | None) -> str | None:
    """`May 2024` or `2024`, of a date that can be true; none otherwise."""
    found = DATE.match(created or "")
    if not found or (created or "").startswith(UNSET) or not FIRST <= int(found[1]) <= LAST:
        return None
    month = int(found[2] or 0)
    return f"{MONTHS[month - 1]} {found[1]}" if 1 <= month <= len(MONTHS) else found[1]


def _names(*texts: str | None) -> list[str]:
    """Names of places, the smallest first, each once: Singapore is city and country."""
    found: dict[str, str] = {}
    for each in map(name, texts):
        if each is not None:
            found.setdefault(each.casefold(), each)
    return list(found.values())


def _article(first: str) -> str:
    return "the " if ARTICLE.match(first) else ""


def _dated(where: str, when: str | None) -> str:
    if when is None:
        return ""
    return f", in {when}" if "," in where else f" in {when}"
