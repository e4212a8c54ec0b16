"""From embeddings to scores, the same whether the picture was just encoded or its embedding read back.

1. The cosine of image and concept, standardised against hubs: some concepts are near everything, so each is measured
   against its own mean and deviation over reference contents (Dinu et al. 2015, "Improving zero-shot learning by
   mitigating the hubness problem", arXiv 1412.6568).
2. A softmax over the vocabulary, summed up the tree, times the information content of each concept (Deng et al. 2012,
   "Hedging your bets", CVPR): evidence for moped, scooter and motorcycle adds up to motor vehicle, without the widest
   concept winning everything.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from taxonomy.concepts import Vocabulary

Floats = NDArray[np.float32]

VERSION = 1
"""Of the arithmetic here, in `policy` and in `categories`: raised when the same embedding would get other words."""

BLOCK = 16
"""Rows scored at once, short blocks padded: a matrix product's last bits may depend on its shape, a record must not."""


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


class Scorer:
    """Scores embeddings against a vocabulary.

    Args:
        vocabulary: m concepts.
        embeddings: theirs, (m, d), unit length.
        references: embeddings of typical image contents, (r, d), unit length; `None` leaves cosines as they are.
        logit_scale: inverse temperature of the softmax.
    """

    def __init__(
        self, vocabulary: Vocabulary, embeddings: Floats, references: Floats | None, logit_scale: float
    ) -> None:
        if len(embeddings) != len(vocabulary.concepts):
            raise ValueError(f"{len(embeddings)} embeddings for {len(vocabulary.concepts)} concepts")
        self.vocabulary = vocabulary
        self._embeddings = embeddings
        self._mean, self._gain = _hubs(embeddings, references)
        self._logit_scale = logit_scale
        self._start = np.arange(len(embeddings))
        self._end = np.array(vocabulary.end)
        self._information = _information(self._end - self._start)

    def score(self, embeddings: Floats) -> Scores:
        """Score unit vectors (n, d). A row's values do not depend on the other rows."""
        n, _ = embeddings.shape
        parts = [self._block(embeddings[i : i + BLOCK]) for i in range(0, n, BLOCK)]
        return Scores(*(np.concatenate(values)[:n] for values in zip(*parts, strict=True)))

    def _block(self, rows: Floats) -> Scores:
        padded = np.zeros((BLOCK, rows.shape[1]), np.float32)
        padded[: len(rows)] = rows
        raw = (padded @ self._embeddings.T - self._mean) * self._gain
        chance = softmax(raw * self._logit_scale)
        score = raw if self.vocabulary.flat else self._up(chance) * self._information
        return Scores(raw[: len(rows)], chance[: len(rows)], score[: len(rows)].astype(np.float32))

    def _up(self, chance: Floats) -> NDArray[np.float64]:
        """Each concept's chance and all that is beneath it: a subtree is a run, so a difference of running sums."""
        running = np.zeros((len(chance), chance.shape[1] + 1))
        np.cumsum(chance, axis=1, dtype=np.float64, out=running[:, 1:])
        total: NDArray[np.float64] = running[:, self._end] - running[:, self._start]
        return total


def softmax(logits: Floats) -> Floats:
    """Rows to distributions."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _hubs(embeddings: Floats, references: Floats | None) -> tuple[Floats, Floats]:
    """Each concept's mean cosine (m,), and the factor (m,) that brings its deviation to the vocabulary's average."""
    if references is None:
        return np.zeros(len(embeddings), np.float32), np.ones(len(embeddings), np.float32)
    cosines = np.asarray(references) @ np.asarray(embeddings).T
    deviation = cosines.std(axis=0)
    # A concept that no reference tells apart (deviation 0) must not become infinitely sure.
    gain: Floats = deviation.mean() / np.maximum(deviation, deviation.mean() / 4)
    return cosines.mean(axis=0), gain


def _information(size: NDArray[np.int64]) -> Floats:
    """Information content (m,) of subtrees of these sizes: 1 for a leaf, 0 for a concept that contains everything."""
    total = len(size)
    if total == 1:
        return np.ones(1, np.float32)
    content: Floats = (1 - np.log(size) / np.log(total)).astype(np.float32)
    return content
