"""From embeddings to scores, the same whether the picture was just encoded or its embedding read back.

1. The cosine of image and concept, standardised against hubs: some concepts are near everything, so each is measured
   against its own mean and deviation over reference contents (Dinu et al. 2015, "Improving zero-shot learning by
   mitigating the hubness problem", arXiv 1412.6568).
2. A softmax over the vocabulary, summed up the tree, times the information content of each concept (Deng et al. 2012,
   "Hedging your bets", CVPR): evidence for moped, scooter and motorcycle adds up to motor vehicle, without the widest
   concept winning everything. What implies a concept from elsewhere in the tree adds up likewise.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from taxonomy import exact
from taxonomy.concepts import Vocabulary
from taxonomy.exact import Floats

VERSION = 3
"""Of the arithmetic here, in `choose` and in `categories`: raised when the same embedding would get other words."""

PRIOR = {"A": 0.0, "B": -0.5, "C": -1.0}
"""By tier, added to a concept's logit: what buyers type more often is also more often in their pictures."""

BLOCK = 16
"""Rows scored at once: what is worked out of them on the way stays in the processor's cache."""


class Scores(NamedTuple):
    """Three values for n images and m concepts, float32 (n, m).

    Attributes:
        raw: cosine less the concept's mean, scaled to equal deviations; plain cosine where there is no reference.
        chance: probability of the concept itself, a row sums to 1.
        score: the value that ranks, 0 to 1; for a flat vocabulary it is `raw`.
    """

    raw: Floats
    chance: Floats
    score: Floats


class Statistics(NamedTuple):
    """What cosines with each concept are usually like: mean and deviation, (m,) each."""

    mean: Floats
    deviation: Floats


class Scorer:
    """Scores embeddings against a vocabulary.

    Args:
        vocabulary: m concepts.
        embeddings: theirs, (m, d), unit length; copied.
        usual: against hubs; `None` leaves cosines as they are.
        logit_scale: inverse temperature of the softmax.
    """

    def __init__(
        self, vocabulary: Vocabulary, embeddings: Floats, usual: Statistics | None, logit_scale: float
    ) -> None:
        if len(embeddings) != len(vocabulary.concepts):
            raise ValueError(f"{len(embeddings)} embeddings for {len(vocabulary.concepts)} concepts")
        self.vocabulary = vocabulary
        gain = np.ones(len(embeddings), np.float32) if usual is None else _gain(usual.deviation)
        self._offset = np.zeros(len(embeddings), np.float32) if usual is None else usual.mean * gain
        self._gain = gain * np.float32(exact.SCALE)
        # One concept a column: a quarter faster than the rows as they are stored.
        self._concepts = np.ascontiguousarray(exact.directions(embeddings).T)
        self._logit_scale = logit_scale
        self._prior = np.array([PRIOR[concept.tier] for concept in vocabulary.concepts], np.float32)
        runs = [vocabulary.runs(position) for position in range(len(embeddings))]
        size = np.array([sum(end - start for start, end in concept) for concept in runs])
        self._information = information(size)
        self._wide = np.flatnonzero(size > 1)
        self._runs = np.array([bounds for wide in self._wide for run in runs[wide] for bounds in run], np.intp)
        self._first = np.cumsum([0, *(len(runs[wide]) for wide in self._wide[:-1])])

    def score(self, embeddings: Floats) -> Scores:
        """Score unit vectors (n, d). A row's values do not depend on the other rows."""
        parts = [self.block(block) for block in blocks(embeddings)]
        return Scores(*(np.concatenate(values) for values in zip(*parts, strict=True)))

    def block(self, rows: Floats) -> Scores:
        """Score as many as `blocks` gives."""
        raw: Floats = exact.directions(rows) @ self._concepts
        # To cosines and to equal deviations in one pass.
        raw *= self._gain
        raw -= self._offset
        # One column more than there are concepts, so that every subtree ends before the end.
        powers = np.zeros((len(raw), raw.shape[1] + 1), np.float32)
        chance = powers[:, :-1]
        np.multiply(raw, self._logit_scale, out=chance)
        chance += self._prior
        chance -= chance.max(axis=1, keepdims=True)
        np.exp(chance, out=chance)
        chance /= chance.sum(axis=1, keepdims=True)
        if self.vocabulary.flat:
            return Scores(raw, chance, raw)
        score = chance * self._information
        if len(self._wide):
            # A subtree is a run of neighbours; what lies between two runs is summed too, and dropped.
            sums = np.add.reduceat(powers, self._runs, axis=1)[:, ::2]
            total = np.add.reduceat(sums, self._first, axis=1)
            score[:, self._wide] = total * self._information[self._wide]
        return Scores(raw, chance, score)


def blocks(rows: Floats) -> Iterator[Floats]:
    """Rows (n, d), `BLOCK` at a time."""
    return (rows[start : start + BLOCK] for start in range(0, max(len(rows), 1), BLOCK))


def softmax(logits: Floats) -> Floats:
    """Rows to distributions."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares


def statistics(embeddings: Floats, references: Floats) -> Statistics:
    """Statistics of concepts (m, d) over the embeddings of typical image contents, (r, d), unit length."""
    cosines = exact.cosines(exact.directions(references), exact.directions(embeddings).T)
    return Statistics(cosines.mean(axis=0), cosines.std(axis=0))


def _gain(deviation: Floats) -> Floats:
    """The factor (m,) that brings each concept's deviation to the vocabulary's average."""
    # A concept that nothing tells apart (deviation 0) must not become infinitely sure.
    gain: Floats = deviation.mean() / np.maximum(deviation, deviation.mean() / 4)
    return gain


def information(size: NDArray[np.int64]) -> Floats:
    """Information content (m,) of concepts by how many make up their evidence: 1 for a leaf, 0 for all there are."""
    total = len(size)
    if total == 1:
        return np.ones(1, np.float32)
    content: Floats = (1 - np.log(size) / np.log(total)).astype(np.float32)
    return content
