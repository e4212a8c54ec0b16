"""Makes a calibration from labelled images: reference statistics, and thresholds with a back-off.

What was tried to choose the constants is in `docs/commands/calibrate.md`.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from taxonomy.concepts import TaxonomyError, Vocabulary
from taxonomy.exact import Floats
from taxonomy.measure import Bools, Values
from taxonomy.score import Statistics
from taxonomy.truth import Relation, Relations

IMAGES = 100
"""Fewer labelled images are refused."""
CONCEPT_POSITIVES = 10
"""A concept that is true of fewer images has no threshold of its own; so many count as much as its facet's."""
FACET_POSITIVES = 100
"""Likewise for all concepts of a facet together, against all."""
REFERENCE_IMAGES = 200
"""The encoder's own statistics count as much as so many of the customer's images."""


@dataclass(frozen=True)
class Thresholds:
    """Least scores: by concept id, by facet where there is one, and for all others; `own` is true of enough images."""

    concepts: dict[str, float]
    facets: dict[str, float]
    fallback: float
    own: tuple[str, ...]


def held_out(keys: Sequence[str], share: float, seed: int) -> Bools:
    """(n,) which images are kept from the fit, by a hash of the key: whatever else is in the set, and its order."""
    hashes = [hashlib.sha256(f"{seed}:{key}".encode()).digest() for key in keys]
    return np.array([int.from_bytes(digest[:8]) < share * 2**64 for digest in hashes], bool)


class StatisticsFit:
    """Means and deviations of cosines, over the images of which a concept is not true.

    Over all images a frequent concept would pass for a hub, and lose by being right. Mixed with the encoder's own
    statistics, which weigh as much as `REFERENCE_IMAGES` images.
    """

    def __init__(self, concepts: Floats, encoders: Statistics | None) -> None:
        self._concepts = np.asarray(concepts, np.float32)
        self._encoders = encoders
        self._count, self._sum, self._squares = (np.zeros(len(concepts)) for _ in range(3))

    def add(self, vector: Floats, beside: Relations) -> None:
        """Take an image: its unit vector (d,), and what each concept is beside its true terms."""
        cosines = (self._concepts @ vector).astype(np.float64)
        wrong = beside == Relation.WRONG
        self._count += wrong
        self._sum += np.where(wrong, cosines, 0)
        self._squares += np.where(wrong, cosines**2, 0)

    def result(self) -> Statistics:
        """Statistics (m,)."""
        count = np.maximum(self._count, 1)
        mean = self._sum / count
        variance = np.maximum(self._squares / count - mean**2, 0)
        if self._encoders is not None:
            weight = REFERENCE_IMAGES / (self._count + REFERENCE_IMAGES)
            mean = (1 - weight) * mean + weight * self._encoders.mean
            variance = (1 - weight) * variance + weight * self._encoders.deviation.astype(np.float64) ** 2
        return Statistics(mean.astype(np.float32), np.sqrt(variance).astype(np.float32))


def fit_thresholds(
    scores: Iterable[Floats],
    beside: Iterable[Relations],
    vocabulary: Vocabulary,
    showable: Bools,
    margin: float,
    target_precision: float | None = None,
) -> Thresholds:
    """Least scores that give the best F1, or the target precision with most keywords, over pairs of image and concept.

    Only concepts that are true of some image count: of the others nobody said that they are not. A kind of a true
    term counts neither way. What the margin leaves out has no threshold to pass.

    Args:
        scores: (m,) of each image.
        beside: (m,) of each image.
        vocabulary: m concepts.
        showable: (m,) whether each may be shown at all.
        margin: share of the image's best score that a keyword needs.
        target_precision: share of right ones that is asked for; `None` for the best F1.

    Raises:
        TaxonomyError: too little is true, or no threshold gives the precision.
    """
    relations = np.stack(list(beside))
    spoken = np.flatnonzero((relations >= Relation.ABOVE).any(axis=0) & showable)
    relations = relations[:, spoken]
    table = np.stack([_passed(score, showable, margin)[spoken] for score in scores]).astype(np.float64)
    pairs = _Pairs(table, relations >= Relation.ABOVE, relations != Relation.BENEATH, target_precision)
    _check_positives(pairs.positives, [vocabulary.concepts[i].label for i in spoken], len(table))
    fallback = pairs.best(np.arange(len(spoken)))
    if fallback is None:
        raise TaxonomyError(f"no threshold gives a precision of {target_precision} on these images: ask for less")
    facets = np.array([concept.facet for concept in vocabulary.concepts])
    by_facet = {
        facet: threshold
        for facet in sorted(set(facets[spoken].tolist()))
        if (threshold := pairs.backed(np.flatnonzero(facets[spoken] == facet), FACET_POSITIVES, fallback)) is not None
    }
    concepts = {c.id: by_facet[c.facet] for c in vocabulary.concepts if c.facet in by_facet}
    own = []
    for column, position in enumerate(spoken):
        concept = vocabulary.concepts[position]
        base = by_facet.get(concept.facet, fallback)
        if (threshold := pairs.backed(np.array([column]), CONCEPT_POSITIVES, base)) is not None:
            concepts[concept.id] = threshold
            own.append(concept.id)
    return Thresholds(concepts, by_facet, fallback, tuple(own))


def _passed(score: Floats, showable: Bools, margin: float) -> Floats:
    """Scores of what the margin leaves; minus infinity for the rest."""
    best = np.max(score, where=showable, initial=0.0)
    passed: Floats = np.where(score >= margin * best, score, -np.inf) if margin else score
    return passed


def _check_positives(positives: NDArray[np.int_], labels: Sequence[str], images: int) -> None:
    most = int(positives.max(initial=0))
    if not most:
        raise TaxonomyError(f"nothing that may be shown is true of any of the {images} images to fit on")
    if most < CONCEPT_POSITIVES:
        more = -(-images * CONCEPT_POSITIVES // most) - images
        raise TaxonomyError(
            f"no concept is true of {CONCEPT_POSITIVES} of the {images} images to fit on; the most frequent, "
            f"{labels[int(positives.argmax())]!r}, is true of {most}: fit on about {more} more images"
        )


@dataclass(frozen=True)
class _Pairs:
    """Pairs of n images and c concepts: score, whether it is right, whether it counts."""

    scores: Values
    right: Bools
    counts: Bools
    target: float | None

    @property
    def positives(self) -> NDArray[np.int_]:
        """(c,) of how many images each concept is true."""
        counts: NDArray[np.int_] = self.right.sum(axis=0)
        return counts

    def backed(self, columns: NDArray[np.intp], enough: int, base: float) -> float | None:
        """The best threshold of some concepts, drawn towards `base` as if that came from `enough` positives."""
        positives = int(self.positives[columns].sum())
        if positives < enough or (best := self.best(columns)) is None:
            return None
        return (positives * best + enough * base) / (positives + enough)

    def best(self, columns: NDArray[np.intp]) -> float | None:
        """The best threshold of some concepts together; `None` where none gives the precision that is asked for."""
        counts = self.counts[:, columns]
        scores, right = self.scores[:, columns][counts], self.right[:, columns][counts]
        order = np.argsort(-scores, kind="stable")
        scores, right = scores[order], right[order]
        shown = np.isfinite(scores)
        if not shown.any():
            return None
        hits = np.cumsum(right)
        places = np.arange(1, len(scores) + 1)
        # Equal scores are shown together: only the last of them is a place to cut.
        cuts = np.flatnonzero(shown & np.append(scores[1:] != scores[:-1], True))
        if self.target is None:
            cut = int(cuts[np.argmax(2 * hits[cuts] / (places[cuts] + right.sum()))])
        else:
            enough = cuts[hits[cuts] >= self.target * places[cuts]]
            if not len(enough):
                return None
            cut = int(enough[-1])
        below = scores[cut + 1] if cut + 1 < len(scores) and shown[cut + 1] else scores[cut]
        return float(scores[cut] + below) / 2
