"""Whether a word for a person stands for one: a baby elephant is no baby, and an elephant's baby is none either."""

from collections.abc import Collection, Sequence

from worker.captioners.cleaning import DETERMINERS, FUNCTION
from worker.captioners.phrases import Phrases, Span

ALIVE = frozenset({"animal"})
THINGS = frozenset({"animal", "object", "clothing", "food", "vehicle"})
HOMES = THINGS | {"place", "event"}
"""A family photo, twin beds."""
OF_ANIMALS = frozenset(
    {"adult", "adults", "baby", "babies", "male", "males", "female", "females", "mother", "mothers", "father", "mom"}
    | {"mama", "dad", "parent", "parents", "newborn", "young"}
)
"""Said of animals as of persons."""
POSSESSIVES = frozenset({"its", "her", "his", "their"})
LINKS = POSSESSIVES | {"a", "an", "the", "one", "two", "little", "small", "tiny", "and", "with", ","}
PETS = frozenset({"dog", "dogs", "puppy", "cat", "cats", "kitten", "horse", "horses", "pony"})
"""Beside these a baby is a child."""
GENERAL = frozenset({"person", "people", "persons", "group", "crowd", "team", "couple"})
SINGLE = frozenset({"a", "an", "one", "another"})


class Nouns:
    """Tells uses of nouns apart by what stands around them.

    Args:
        phrases: the words of the vocabulary.
        persons: words for persons that a rule knows.
    """

    def __init__(self, phrases: Phrases, persons: Collection[str]) -> None:
        self._phrases, self._persons = phrases, GENERAL | frozenset(persons)

    def person(self, words: Sequence[str], at: int) -> int:
        """Where the person that begins there ends; 0 where none does."""
        if (span := self._found(words, at, {"person"}, every=True)) is not None:
            return span.stop
        return at + 1 if at < len(words) and words[at] in self._persons else 0

    def thing(self, words: Sequence[str], start: int, stop: int, facets: Collection[str] = THINGS) -> bool:
        """Whether words for a person say what kind of thing comes behind them: a baby bottle."""
        span = self._found(words, stop, facets)
        return span is not None and not self._verb(words, start, span.start, span.stop)

    def animals(self, words: Sequence[str], start: int, stop: int) -> bool:
        """Whether they stand for an animal: an elephant family, a mother and baby giraffe."""
        if words[start] in ("family", "families", "couple") and start:
            return any(span.stop == start and self._is(span, ALIVE) for span in self._phrases.find(words[:start]))
        return words[start] in OF_ANIMALS and (self._young(words, stop) or self._kin(words, start))

    def attribute(self, words: Sequence[str], start: int, stop: int) -> bool:
        """Whether another word for the same person follows: a woman doctor, twin girls."""
        end = self.person(words, stop)
        if not end or words[stop] in ("group", "crowd", "team", "couple"):
            return False
        if plural(words[stop - 1]):
            return plural(words[end - 1])
        return words[stop] in self._persons or not self._verb(words, start, stop, end, strict=True)

    def counted(self, words: Sequence[str], stop: int) -> bool:
        """Whether a plural follows that `a couple` counts: a couple cows."""
        span = self._found(words, stop, THINGS)
        if span is not None:
            return plural(words[span.stop - 1]) and not self._verb(words, 0, span.start, span.stop)
        return (
            stop < len(words) and (words[stop] in self._persons or words[stop].endswith("ers")) and plural(words[stop])
        )

    def _young(self, words: Sequence[str], at: int) -> bool:
        """Whether it goes on with `and baby giraffe`."""
        young = False
        if words[at : at + 1] not in (["and"], ["or"]):
            return False
        at += 1
        while at < len(words) and words[at] in LINKS | OF_ANIMALS:
            young |= words[at] in OF_ANIMALS
            at += 1
        return young and self._found(words, at, ALIVE) is not None

    def _kin(self, words: Sequence[str], start: int) -> bool:
        """Whether it is that of an animal before it, and not of a person."""
        found = [span for span in self._phrases.find(words[:start]) if self._is(span, ALIVE)]
        if not found or any(self.person(words, at) for at in range(start) if words[at] not in OF_ANIMALS):
            return False
        between = words[found[-1].stop : start]
        if words[start - 1] in POSSESSIVES:
            return True
        near = bool(between) and between[0] in ("and", "with", ",") and (LINKS | OF_ANIMALS).issuperset(between)
        return near and words[found[-1].stop - 1] not in PETS

    def _found(self, words: Sequence[str], at: int, facets: Collection[str], *, every: bool = False) -> Span | None:
        """The phrase of these kinds that begins there, if any does: in one of its meanings, or in every one."""
        span = self._phrases.at(words, at) if at < len(words) else None
        return span if span is not None and self._is(span, facets, every=every) else None

    def _is(self, span: Span, facets: Collection[str], *, every: bool = False) -> bool:
        concepts = self._phrases.vocabulary.concepts
        return (all if every else any)(concepts[position].facet in facets for position in span.positions)

    def _verb(self, words: Sequence[str], start: int, at: int, stop: int, *, strict: bool = False) -> bool:
        """Whether what looks like a noun says what somebody does: a child watches TV, a man models a suit."""
        if stop < len(words) and words[stop] in DETERMINERS:
            return True
        if stop - at > 1 or not words[at].endswith("s"):
            return False
        alone = start > 0 and words[start - 1] in SINGLE
        return alone or (strict and stop < len(words) and words[stop] not in FUNCTION)


def plural(word: str) -> bool:
    """Whether it is a plural, as far as its end tells."""
    return word.endswith(("s", "men", "children", "people", "sheep", "fish")) and not word.endswith("ss")
