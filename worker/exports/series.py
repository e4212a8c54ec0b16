"""Distinct titles in one export: the pictures of a series often show the same, and agencies want to tell them apart."""

from collections.abc import Iterator

from worker.exports.entry import Entry
from worker.exports.texts import cut

KEYWORDS = 12
"""So many keywords are tried before the place, and then a number."""

LEAST_KEPT = 12
"""Characters of a title that stay: an addition that leaves no room for them is none."""


class Titles:
    """The titles of one export, as hashes, so that a million of them fit in memory.

    The first picture of a title keeps it. Each further one is given what tells it apart: another of its keywords, the
    most useful first, then its place, then a number. One more picture at the end of an export changes no title before.
    """

    def __init__(self) -> None:
        self._taken: set[int] = set()
        self._numbers: dict[int, int] = {}

    def distinct(self, entry: Entry, title: str, limit: int | None, forbidden: str = "") -> str:
        """A title that none before has: the given one, if possible, else one made of it.

        Args:
            entry: the picture whose title it is.
            title: its title so far.
            limit: characters of a title.
            forbidden: characters that no title may have.
        """
        if not title or not self._is_taken(title):
            return title
        joint = " - " if "," in forbidden else ", "
        for addition in _additions(entry, title, forbidden):
            room = len(title) if limit is None else limit - len(joint) - len(addition)
            if room < min(len(title), LEAST_KEPT):
                continue
            longer = f"{cut(title, room)}{joint}{addition}"
            if not self._is_taken(longer):
                return longer
        return self._numbered(title, limit)

    def take(self, title: str) -> None:
        """Say that a title was written."""
        self._taken.add(_hash(title))

    def _numbered(self, title: str, limit: int | None) -> str:
        number = self._numbers.get(_hash(title), 1)
        while True:
            number += 1
            numbered = f"{cut(title, None if limit is None else limit - len(str(number)) - 1)} {number}"
            if not self._is_taken(numbered):
                self._numbers[_hash(title)] = number
                return numbered

    def _is_taken(self, title: str) -> bool:
        return _hash(title) in self._taken


def _additions(entry: Entry, title: str, forbidden: str) -> Iterator[str]:
    """What may tell a picture from others of its title."""
    title = title.casefold()
    # "Outdoor scene, outdoors" tells nothing apart.
    said = title.split()
    folded = ((word, word.casefold()) for word in entry.keywords)
    fresh = (word for word, plain in folded if plain not in title and plain.removesuffix("s") not in said)
    for _, word in zip(range(KEYWORDS), fresh, strict=False):
        if not any(character in forbidden for character in word):
            yield word
    places = (entry.embedded.location, entry.embedded.city, entry.embedded.country) if entry.embedded else ()
    for place in places:
        if place and place.casefold() not in title and not any(character in forbidden for character in place):
            yield place


def _hash(title: str) -> int:
    return hash(title.casefold())
