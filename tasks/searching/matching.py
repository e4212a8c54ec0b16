"""What a document has of a query: how much of it, and what."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple, Self

from tasks.feeding.document import Document
from tasks.searching.ports import WordQuery
from tasks.searching.understand import Understanding, Understood, words

IN_A_TEXT = 0.3
"""How much it counts that a concept's name stands in a text: a hot dog's title has a dog in it."""


class Part(NamedTuple):
    """One thing that a query asks for: a phrase, with the ids that it may mean and what those are called, or a word."""

    text: str
    concepts: Mapping[str, float]
    names: tuple[str, ...]


class Match(NamedTuple):
    """How much of a query a document has, 0 to 1, and by what, in words."""

    share: float
    why: tuple[str, ...]


class Parts(tuple[Part, ...]):
    """All that a query asks for."""

    __slots__ = ()

    @classmethod
    def of(cls, understood: Understood, understanding: Understanding) -> Self:
        """The parts of an understood query."""
        phrases = [
            Part(phrase.text, understanding.widened(phrase), understanding.names(phrase))
            for phrase in understood.wanted
        ]
        return cls((*phrases, *(Part(word, {}, (word,)) for word in understood.rest)))

    def query(self, understood: Understood) -> WordQuery:
        """What an index is asked for: all that is meant, the kinds of it with less weight, and all other words."""
        concepts: dict[str, float] = {}
        for part in self:
            for id_, weight in part.concepts.items():
                concepts[id_] = max(weight, concepts.get(id_, 0))
        names = dict.fromkeys(name for part in self for name in part.names)
        return WordQuery(" ".join(names), understood.language, concepts, understood.rest)

    @property
    def least(self) -> float:
        """The share of what an engine found by its own idea of which words are the same."""
        return IN_A_TEXT / max(len(self), 1)

    def match(self, document: Document) -> Match:
        """What a document has of them."""
        if not self:
            return Match(0, ())
        known = _Known(document)
        found = [known.match(part) for part in self]
        share = sum(weight for weight, _ in found) / len(self)
        return Match(share, tuple(dict.fromkeys(why for _, why in found if why)))


class _Known:
    """What is known of a document, made to be looked up."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._terms = {term.concept: term for term in document.keywords if term.concept is not None}

    @cached_property
    def _labels(self) -> set[tuple[str, ...]]:
        return {tuple(words(label)) for term in self._document.keywords for label in term.labels.values()}

    @cached_property
    def _texts(self) -> set[str]:
        return set(words(" ".join(_texts(self._document))))

    def match(self, part: Part) -> tuple[float, str]:
        """How much of a part there is, 0 to 1, and what it is."""
        best = max((id_ for id_ in part.concepts if id_ in self._terms), key=part.concepts.__getitem__, default=None)
        if best is not None:
            term = self._terms[best]
            return part.concepts[best], f"keyword: {term.labels.get('en') or next(iter(term.labels.values()), best)}"
        for name in part.names:
            asked = words(name)
            if tuple(asked) in self._labels:
                return 1.0, f"keyword: {name}"
            if self._texts.issuperset(asked) or self._texts.issuperset(map(_singular, asked)):
                return IN_A_TEXT if part.concepts else 1.0, f"text: {name}"
        return 0.0, ""


def _texts(document: Document) -> Iterator[str]:
    """Everything that a word may stand in."""
    given: Sequence[str | None] = (
        *(document.title, document.caption, document.alt_text, *document.creators),
        *(document.location, document.city, document.state, document.country),
    )
    yield from filter(None, given)
    yield from (label for term in document.keywords for label in term.labels.values())


def _singular(word: str) -> str:
    return word.removesuffix("s")
