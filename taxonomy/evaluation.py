"""Keywords beside what people say is true: figures over many pictures, by facet, and what goes wrong most often."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from taxonomy.concepts import Vocabulary
from taxonomy.measure import EXACT, LENIENT, Answer, Bools, Figure, Reading, Values, figures, means, names_of
from taxonomy.truth import Meaning, Relation, Relations, relations

BY_FACET = ("precision", "recall", "F1", "mAP")
READINGS: tuple[Reading, ...] = (LENIENT, EXACT)


class Given(NamedTuple):
    """A keyword that a picture was given, and what it is beside the true terms."""

    label: str
    score: float
    relation: Relation


@dataclass(frozen=True, slots=True)
class Judged:
    """One picture: its true terms, whether each was found (read leniently), and its keywords in order."""

    key: str
    terms: tuple[str, ...]
    found: tuple[bool, ...]
    keywords: tuple[Given, ...]


class Often(NamedTuple):
    """A term that was missed, or a keyword that was wrong: so many times, of so many that it was there."""

    word: str
    times: int
    of: int


@dataclass(frozen=True, slots=True)
class FacetFigures:
    """Figures of one kind of concept, read leniently: its true terms against its keywords; `terms` counts the former.

    A picture that has neither counts in none of them; a kind of which there is no true term is left out, since nobody
    said what is right.
    """

    facet: str
    terms: int
    figures: dict[str, Figure]


@dataclass(frozen=True, slots=True)
class Results:
    """What an evaluation found; `readings` has the figures by reading and name."""

    readings: dict[str, dict[str, Figure]]
    facets: tuple[FacetFigures, ...]
    missed: tuple[Often, ...]
    wrong: tuple[Often, ...]


class Evaluation:
    """Takes pictures one by one and keeps what their figures need.

    Args:
        vocabulary: the m concepts that are scored.
        showable: (m,) whether each may be shown at all; the others are no part of rankings.
        ks: at which places precision and recall are taken.
    """

    def __init__(self, vocabulary: Vocabulary, showable: Bools, ks: Sequence[int]) -> None:
        self._vocabulary = vocabulary
        self._showable = np.flatnonzero(showable)
        self._facets = np.array([concept.facet for concept in vocabulary.concepts])
        self.ks = tuple(ks)
        self.judged: list[Judged] = []
        self._values: dict[Reading, list[Values]] = {reading: [] for reading in READINGS}
        self._by_facet: dict[str, dict[int, Values]] = {}
        self._facet_terms: Counter[str] = Counter()

    def add(self, key: str, meanings: Sequence[Meaning], shown: Sequence[tuple[int, float]], score: Values) -> None:
        """Take a picture.

        Args:
            key: what to call it.
            meanings: of its true terms, each once.
            shown: position and score of its keywords, in order.
            score: (m,) the value that ranks.
        """
        positions = np.array([position for position, _ in shown], np.intp)
        beside = relations(meanings, len(self._facets))
        ranking = self._showable[np.argsort(-score[self._showable], kind="stable")]
        answer = answer_of(meanings, beside, positions, ranking)
        for reading, rows in self._values.items():
            rows.append(figures(answer, self.ks, reading))
        for facet, part in self._parts(meanings, answer, positions, ranking):
            self._by_facet.setdefault(facet, {})[len(self.judged)] = figures(part, (), LENIENT)[FACET_COLUMNS]
            self._facet_terms[facet] += part.names.shape[1]
        found: Bools = np.any(answer.names | answer.kinds, axis=0)
        keywords = tuple(
            Given(self._vocabulary.concepts[position].name, value, Relation(beside[position]))
            for position, value in shown
        )
        self.judged.append(Judged(key, tuple(meaning.term for meaning in meanings), tuple(found.tolist()), keywords))

    def values(self, reading: Reading) -> Values:
        """(n, q) figures of each picture, columns as `names_of` says."""
        return np.array(self._values[reading]).reshape(len(self.judged), len(names_of(self.ks)))

    def results(self, seed: int) -> Results:
        """Means with intervals; `seed` is the resampling's."""
        names = names_of(self.ks)
        readings = {
            reading.name: dict(zip(names, means(self.values(reading), seed), strict=True)) for reading in READINGS
        }
        return Results(readings, tuple(self._facet_figures(seed)), self._missed(), self._wrong())

    def worst(self, most: int) -> list[tuple[Judged, float]]:
        """Pictures with the lowest F1, read leniently; of equals the one with the lower mAP."""
        names, values = names_of(self.ks), np.nan_to_num(self.values(LENIENT))
        f1, precision = values[:, names.index("F1")], values[:, names.index("mAP")]
        return [(self.judged[i], float(f1[i])) for i in np.lexsort((precision, f1))[:most]]

    def _parts(
        self, meanings: Sequence[Meaning], answer: Answer, positions: NDArray[np.intp], ranking: NDArray[np.intp]
    ) -> Iterator[tuple[str, Answer]]:
        """The picture as if there were one facet only, for each that it has terms or keywords of."""
        shown, ranked = self._facets[positions], self._facets[ranking]
        for facet in sorted({*map(str, shown), *(facet for meaning in meanings for facet in meaning.facets)}):
            rows = shown == facet
            columns = np.array([facet in meaning.facets for meaning in meanings], bool)
            tables = [table[rows][:, columns] for table in (answer.names, answer.kinds)]
            unfindable = _unfindable(meaning for meaning in meanings if facet in meaning.facets)
            yield facet, Answer(answer.shown[rows], tables[0], tables[1], answer.ranked[ranked == facet], unfindable)

    def _facet_figures(self, seed: int) -> Iterator[FacetFigures]:
        for facet, rows in sorted(self._by_facet.items()):
            if not self._facet_terms[facet]:
                continue
            found = means(np.array(list(rows.values())), seed)
            yield FacetFigures(facet, self._facet_terms[facet], dict(zip(BY_FACET, found, strict=True)))

    def _missed(self) -> tuple[Often, ...]:
        there: Counter[str] = Counter()
        missed: Counter[str] = Counter()
        for picture in self.judged:
            there.update(picture.terms)
            missed.update(term for term, found in zip(picture.terms, picture.found, strict=True) if not found)
        return _often(missed, there)

    def _wrong(self) -> tuple[Often, ...]:
        there: Counter[str] = Counter()
        wrong: Counter[str] = Counter()
        for picture in self.judged:
            there.update(word.label for word in picture.keywords)
            wrong.update(word.label for word in picture.keywords if word.relation is Relation.WRONG)
        return _often(wrong, there)


FACET_COLUMNS = [names_of(()).index(name) for name in BY_FACET]


def answer_of(
    meanings: Sequence[Meaning], beside: Relations, positions: NDArray[np.intp], ranking: NDArray[np.intp]
) -> Answer:
    """What `measure` compares, from positions of keywords and of the whole ranking."""
    names = np.zeros((len(positions), len(meanings)), bool)
    kinds = np.zeros_like(names)
    for column, meaning in enumerate(meanings):
        names[:, column] = np.isin(positions, meaning.exact)
        kinds[:, column] = np.isin(positions, meaning.beneath)
    return Answer(beside[positions], names, kinds, beside[ranking], _unfindable(meanings))


def _unfindable(meanings: Iterable[Meaning]) -> int:
    """How many terms no concept that is scored stands for."""
    return sum(not len(meaning.exact) for meaning in meanings)


def _often(times: Counter[str], of: Counter[str]) -> tuple[Often, ...]:
    return tuple(Often(word, count, of[word]) for word, count in sorted(times.items(), key=lambda c: (-c[1], c[0])))
