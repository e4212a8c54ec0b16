"""Finds the vocabulary's words in a text: the longest at each place, in singular and plural."""

import re
from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import NamedTuple

from taxonomy.concepts import Vocabulary
from taxonomy.files import read_table
from taxonomy.words import tokens

FUNCTION = frozenset(
    (word,)
    for word in (
        *("can", "well", "back", "top", "like", "may", "second", "fall"),
        *("it", "led", "saw", "march", "lent", "does", "kind", "number", "shot"),
    )
)
"""Names of concepts that a sentence uses for something else."""


class Span(NamedTuple):
    """Where a text names concepts: tokens from `start` to `stop`, and the positions of all that they may mean."""

    start: int
    stop: int
    positions: tuple[int, ...]


def load_capitals() -> tuple[str, ...]:
    """Words that always have a capital, the longest first. Raises `TaxonomyError` with file and line."""
    path = files("taxonomy") / "data" / "words" / "capitals.tsv"
    words = [row["word"] for _, row in read_table(path, ("word",), ("word",))]
    return tuple(sorted(words, key=lambda word: (-len(word), word)))


class Phrases:
    """The words of a vocabulary, by their tokens as `taxonomy.words.tokens` makes them.

    Args:
        vocabulary: whose words.

    Attributes:
        vocabulary: as given.
        capitals: words that always have a capital.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.capitals = load_capitals()
        self._proper = {word.casefold(): word for word in self.capitals}
        self._any = re.compile(rf"\b(?:{'|'.join(map(re.escape, self.capitals))})\b", re.IGNORECASE)
        self._index: dict[tuple[str, ...], list[int]] = {}
        self._longest: dict[str, int] = {}
        self._spellings: dict[str, set[str]] = {}
        for position, concept in enumerate(vocabulary.concepts):
            for form in {form for word in concept.words for form in _forms(tokens(word))} - FUNCTION:
                self._index.setdefault(form, []).append(position)
                self._longest[form[0]] = max(self._longest.get(form[0], 0), len(form))
            for word in concept.words:
                self._spellings.setdefault(word.casefold(), set()).add(word)

    def find(self, text: Sequence[str]) -> list[Span]:
        """The words in a text's tokens, from left to right, none within another."""
        found: list[Span] = []
        at = 0
        while at < len(text):
            span = self.at(text, at)
            if span is not None:
                found.append(span)
            at = at + 1 if span is None else span.stop
        return found

    def spelt(self, text: str) -> str:
        """The text with capitals where the vocabulary's words have them, or English does: Christmas tree, Chinese."""
        words = tokens(text)
        for span in self.find(words):
            plain = " ".join(words[span.start : span.stop])
            if len(found := self._spellings.get(plain, set())) == 1:
                text = re.sub(rf"\b{re.escape(plain)}\b", next(iter(found)), text, flags=re.IGNORECASE)
        return self._any.sub(lambda match: self._proper[match[0].casefold()], text)

    def at(self, text: Sequence[str], start: int) -> Span | None:
        """The longest word that begins there, if any."""
        for size in range(min(self._longest.get(text[start], 0), len(text) - start), 0, -1):
            if positions := self._index.get(tuple(text[start : start + size])):
                return Span(start, start + size, tuple(positions))
        return None


def _forms(words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """A word as it stands, and with a plural's s, where the vocabulary has another plural or none."""
    if words:
        yield words
        if len(words[-1]) > 1 and not words[-1].endswith("s"):
            yield (*words[:-1], f"{words[-1]}s")
