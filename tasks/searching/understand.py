"""What a query means: the concepts that its words name, in whatever language, and the words that name none.

The longest name wins, so that a hot dog is no dog. A name of several concepts stands for all of them. In English case,
plurals, hyphens and British spellings do not count (`taxonomy.truth.Lexicon`); Korean is in `tasks.searching.korean`.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from tasks.searching import english, korean
from taxonomy.concepts import Concept, Vocabulary
from taxonomy.score import PRIOR
from taxonomy.truth import Lexicon, folded

MOST_WORDS = 5
"""Of a name; as many as the longest labels have."""
LONGEST = 100
"""Words of a query; what follows is not read."""
SYNONYM = 0.7
"""How much a concept counts of which an ambiguous word is a synonym, beside one that is called so."""
BENEATH = 0.5
"""How much a kind of what was asked for counts: a picture with the keyword beagle, by one who asked for dogs."""
DOING = frozenset({"activity", "event", "person", "sport"})
"""Facets whose names tell what is seen: who eats pizza has a pizza. A hot dog is no dog."""
MOST_BENEATH = 100
"""Concepts beneath one that are searched as well: those that buyers type most often."""

_MINUS = re.compile(r"(?:(?<=\s)|^)[-\N{MINUS SIGN}](?=[^\W\d_])")
"""As search engines have it: what follows is not wanted. `-5` is a number."""
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words of a query that name concepts.

    Attributes:
        text: as it was understood, in lower case.
        concepts: the likeliest first, with how much each counts, above 0 up to 1; none of an unknown word not wanted.
        negated: "without" stood before it.
    """

    text: str
    concepts: tuple[tuple[Concept, float], ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Understood:
    """A query, understood.

    Attributes:
        text: as it was typed.
        language: two letters, of the words that are no concepts.
        phrases: what was understood, in the order of the text.
        rest: the words that are part of no concept's name.
        only_names: there is nothing in it but names of concepts, not even a preposition.
    """

    text: str
    language: str
    phrases: tuple[Phrase, ...] = ()
    rest: tuple[str, ...] = ()
    only_names: bool = False

    @property
    def wanted(self) -> tuple[Phrase, ...]:
        """The phrases without those that are not wanted."""
        return tuple(phrase for phrase in self.phrases if not phrase.negated)

    @property
    def negated(self) -> tuple[Phrase, ...]:
        """The phrases that are not wanted."""
        return tuple(phrase for phrase in self.phrases if phrase.negated)


class Understanding:
    """Understands queries by the names of a vocabulary."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._lexicon = Lexicon(vocabulary)

    def understand(self, text: str, language: str | None = None) -> Understood:
        """Find the concepts in a text.

        Args:
            text: what somebody typed.
            language: two letters; by default Korean where there is Hangul in it, else English.
        """
        language = language or ("ko" if korean.HANGUL.search(text) else "en")
        phrases: list[Phrase] = []
        rest: list[str] = []
        negated, only_names = False, True
        before: Phrase | str | None = None
        for part in self._parts(words(_MINUS.sub("without ", text))[:LONGEST]):
            only_names &= isinstance(part, Phrase)
            if isinstance(part, Phrase):
                phrases.append(replace(part, negated=negated))
                negated = False
            elif part in english.WITHOUT:
                negated = True
            elif part in korean.WITHOUT:
                if rest and before == rest[-1]:
                    phrases.append(Phrase(rest.pop(), ()))
                phrases[-1:] = [replace(phrase, negated=True) for phrase in phrases[-1:]]
            elif part not in english.STOP and part not in korean.STOP:
                if negated:
                    phrases.append(Phrase(part, (), negated=True))
                else:
                    rest.append(part)
                negated = False
            before = part
        return Understood(text, language, tuple(phrases), tuple(dict.fromkeys(rest)), only_names and bool(phrases))

    def widened(self, phrase: Phrase) -> Mapping[str, float]:
        """Ids of what a phrase means, and with less weight of the kinds of it and of the things in what is done."""
        found = {concept.id: weight for concept, weight in phrase.concepts}
        for thing, weight in self._things(phrase):
            found[thing.id] = max(found.get(thing.id, 0), BENEATH * weight)
        for concept, weight in phrase.concepts:
            for below in self._beneath(concept.id):
                found[below] = max(found.get(below, 0), BENEATH * weight)
        return found

    def _things(self, phrase: Phrase) -> Iterator[tuple[Concept, float]]:
        """What the words of a name mean by themselves, where it names something that is done."""
        parts = phrase.text.split()
        if len(parts) > 1 and any(concept.facet in DOING for concept, _ in phrase.concepts):
            for part in parts:
                if part not in english.STOP and (concepts := self._named(part)):
                    yield from self._weighted(part, concepts)

    def names(self, phrase: Phrase) -> tuple[str, ...]:
        """What a phrase is called, and in every language what it means with the most right."""
        best = [concept for concept, weight in phrase.concepts if weight == phrase.concepts[0][1]]
        labels = (self._vocabulary.labels(concept, self._vocabulary.languages) for concept in best)
        return tuple(dict.fromkeys([*(folded(label) for each in labels for label in each.values()), phrase.text]))

    def _parts(self, tokens: list[str]) -> Iterator[Phrase | str]:
        """Phrases, and between them the words that name nothing."""
        at = 0
        while at < len(tokens):
            found, taken = self._at_start(tokens[at:])
            yield from found or tokens[at : at + taken]
            at += taken

    def _at_start(self, tokens: list[str]) -> tuple[list[Phrase], int]:
        """The phrases that a query begins with, and how many of its words they are; at least one."""
        for count in range(min(MOST_WORDS, len(tokens)), 0, -1):
            text = " ".join(tokens[:count])
            if count == 1 and (text in english.STOP or text in korean.STOP or text in korean.WITHOUT):
                return [], 1
            if concepts := self._named(text) or self._named(text.removesuffix("'s")):
                return [Phrase(text, self._weighted(text, concepts))], count
        if korean.HANGUL.search(tokens[0]):
            names, taken = self._korean.at_start(tokens)
            return [Phrase(name, self._weighted(name, self._lexicon.find(name))) for name in names], taken
        return [], 1

    @cached_property
    def _spelt(self) -> dict[str, str]:
        """Names with signs that queries are read without: `st bernard` is `st. bernard`."""
        odd = (term for term in self._lexicon.terms if not term.replace(" ", "").isalnum())
        return {" ".join(words(term)): term for term in odd}

    def _named(self, text: str) -> tuple[Concept, ...]:
        return self._lexicon.find(self._spelt.get(text, text))

    @cached_property
    def _korean(self) -> korean.Names:
        return korean.Names(self._lexicon.terms, self._in_korean("activity", "sport"), self._in_korean("color"))

    def _in_korean(self, *facets: str) -> list[str]:
        labels = self._vocabulary.translations.get("ko", {})
        chosen = (labels.get(concept.id, ()) for concept in self._vocabulary.concepts if concept.facet in facets)
        return [label for names in chosen for label in names]

    def _weighted(self, text: str, concepts: tuple[Concept, ...]) -> tuple[tuple[Concept, float], ...]:
        """An ambiguous name's concepts, the likeliest first: what is called so, and what buyers type more often."""
        weights = {concept.id: math.exp(PRIOR[concept.tier]) * self._called(text, concept) for concept in concepts}
        most = max(weights.values())
        ordered = sorted(concepts, key=lambda concept: -weights[concept.id])
        return tuple((concept, round(weights[concept.id] / most, 3)) for concept in ordered)

    def _called(self, text: str, concept: Concept) -> float:
        names = [concept.label, concept.plural, self._vocabulary.shown(concept)]
        names += [table[concept.id][0] for table in self._vocabulary.translations.values() if concept.id in table]
        return 1 if text in map(folded, names) else SYNONYM

    def _beneath(self, id_: str) -> Iterator[str]:
        """Ids of what lies beneath a concept, those that buyers type most often first."""
        start = self._vocabulary.index[id_]
        below = self._vocabulary.concepts[start + 1 : self._vocabulary.end[start]]
        common = sorted(below, key=lambda concept: concept.tier)[:MOST_BENEATH]
        return (concept.id for concept in common)


def words(text: str) -> list[str]:
    """The words of a text, folded, without punctuation."""
    return _WORD.findall(folded(text))
