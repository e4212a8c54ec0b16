"""What people said is in a picture, as concepts, and what each keyword is beside it."""

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from taxonomy.concepts import Concept, Vocabulary

Positions = NDArray[np.intp]
Relations = NDArray[np.int8]


class Relation(IntEnum):
    """What a keyword is beside the true terms of its picture, the best that holds of any term."""

    WRONG = 0
    """None of the following."""
    BENEATH = 1
    """A kind of a true term: the picture is labelled dog, and the keyword is beagle. Nobody said whether it is one."""
    ABOVE = 2
    """An ancestor of a true term, or implied by one: a dog is an animal, and a bed is indoors."""
    EXACT = 3
    """A true term's own concept."""


_PLURALS = (("ies", "y"), ("ves", "f"), ("ves", "fe"), ("men", "man"), ("es", ""), ("s", ""))
"""English endings, and what the singular has instead; what comes of it counts only where the vocabulary has it."""
_AMERICAN = (
    ("our", "or"),
    ("grey", "gray"),
    (r"tre(?=s?\b)", "ter"),
    (r"is(?=(e|ed|er|ing|ation)s?\b)", "iz"),
    (r"ll(?=(ed|er|ing)s?\b)", "l"),
    (r"ogue\b", "og"),
    ("yre", "ire"),
    ("ae", "e"),
    (r"ence\b", "ense"),
)
"""British spellings and the American ones, as far as they follow a rule; `british` in the vocabulary has the rest."""

_HYPHENS = str.maketrans(dict.fromkeys("-_‐‑", " "))


class Lexicon:
    """Finds concepts by what people call them: every English form and every other language's labels.

    Case, hyphens and underscores do not count; neither do an English plural and a British spelling, where the
    vocabulary has no word that is written just so.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._words: dict[str, dict[str, Concept]] = {}
        for concept in vocabulary.concepts:
            for word in (concept.name, *concept.words):
                self._words.setdefault(folded(word), {})[concept.id] = concept
        for table in vocabulary.translations.values():
            for identifier, labels in table.items():
                if identifier in vocabulary.index:
                    concept = vocabulary.concepts[vocabulary.index[identifier]]
                    for label in labels:
                        self._words.setdefault(folded(label), {})[identifier] = concept

    @property
    def terms(self) -> Collection[str]:
        """All that is known, in every language, `folded`."""
        return self._words.keys()

    def find(self, term: str) -> tuple[Concept, ...]:
        """All concepts that the term may mean; none where no form of it is known."""
        for form in _forms(folded(term)):
            if found := self._words.get(form):
                return tuple(found.values())
        return ()


def folded(term: str) -> str:
    """A term without what makes no difference: case, width, hyphens, underscores, double spaces."""
    text = unicodedata.normalize("NFKC", term).casefold()
    return " ".join(text.translate(_HYPHENS).split())


def _forms(term: str) -> Iterator[str]:
    """The term as it is, then with American spelling, then each of them in the singular and in the plural.

    No form has to be English: only what the vocabulary knows counts, and what comes first counts before.
    """
    written = [term, *(re.sub(british, ours, term) for british, ours in _AMERICAN)]
    yield from dict.fromkeys(written)
    for text in dict.fromkeys(written):
        for ending, instead in _PLURALS:
            if text.endswith(ending) and len(text) - len(ending) > 1:
                yield text.removesuffix(ending) + instead
        yield f"{text}s"
        yield f"{text}es"


def _nowhere() -> Positions:
    return np.zeros(0, np.intp)


@dataclass(frozen=True)
class Meaning:
    """What a true term stands for among the m concepts that are scored; any of them, where it is ambiguous.

    Attributes:
        term: as somebody wrote it.
        concepts: the term's, of the whole vocabulary; none where it has no such word.
        exact: positions of those that are scored; none where the encoder cannot tell them.
        above: positions of their ancestors, and of what they imply.
        beneath: positions of everything below them.
    """

    term: str
    concepts: tuple[Concept, ...] = ()
    exact: Positions = field(default_factory=_nowhere)
    above: Positions = field(default_factory=_nowhere)
    beneath: Positions = field(default_factory=_nowhere)

    @cached_property
    def facets(self) -> frozenset[str]:
        """The kinds of thing that the term may be."""
        return frozenset(concept.facet for concept in self.concepts)


class Meanings:
    """Gives terms their meanings.

    Args:
        whole: the vocabulary that knows the words.
        scored: the part of it that the encoder can tell.
    """

    def __init__(self, whole: Vocabulary, scored: Vocabulary) -> None:
        self._whole = whole
        self._scored = scored
        self._lexicon = Lexicon(whole)
        self._known: dict[str, Meaning | None] = {}
        self._implied: dict[str, list[str]] = {}
        for implied, sources in whole.implied.items():
            for source in sources:
                self._implied.setdefault(source, []).append(implied)

    def find(self, term: str) -> Meaning | None:
        """A term's meaning; `None` where the vocabulary has no such word."""
        if term not in self._known:
            concepts = self._lexicon.find(term)
            self._known[term] = self._meaning(term, concepts) if concepts else None
        return self._known[term]

    def all(self, terms: Iterable[str]) -> tuple[list[Meaning], list[str]]:
        """The meanings of a picture's terms, each once, and the terms that have none."""
        found: dict[tuple[str, ...], Meaning] = {}
        unknown = []
        for term in terms:
            if (meaning := self.find(term)) is None:
                unknown.append(term)
            else:
                found[tuple(sorted(concept.id for concept in meaning.concepts))] = meaning
        return list(found.values()), unknown

    def _meaning(self, term: str, concepts: tuple[Concept, ...]) -> Meaning:
        whole = self._whole
        above = {up.id for concept in concepts for up in self._above(concept)}
        beneath = set()
        for concept in concepts:
            start = whole.index[concept.id]
            beneath |= {below.id for below in whole.concepts[start + 1 : whole.end[start]]}
        exact = {concept.id for concept in concepts}
        parts = map(self._positions, (exact, above - exact, beneath - exact - above))
        return Meaning(term, concepts, *parts)

    def _above(self, concept: Concept) -> Iterator[Concept]:
        """Everything that is true where the concept is: its ancestors, what any of them implies, and so on."""
        waiting, seen = [concept], {concept.id}
        while waiting:
            one = waiting.pop()
            parent = () if one.parent is None else (one.parent,)
            for identifier in (*parent, *self._implied.get(one.id, ())):
                if identifier not in seen:
                    seen.add(identifier)
                    waiting.append(self._whole.concepts[self._whole.index[identifier]])
                    yield waiting[-1]

    def _positions(self, ids: set[str]) -> Positions:
        return np.array(sorted(self._scored.index[i] for i in ids if i in self._scored.index), np.intp)


def relations(meanings: Iterable[Meaning], concepts: int) -> Relations:
    """What each of so many scored concepts is beside a picture's true terms: values of `Relation`, int8 (m,)."""
    found = np.zeros(concepts, np.int8)
    for meaning in meanings:
        for positions, relation in (
            (meaning.beneath, Relation.BENEATH),
            (meaning.above, Relation.ABOVE),
            (meaning.exact, Relation.EXACT),
        ):
            found[positions] = np.maximum(found[positions], relation)
    return found
