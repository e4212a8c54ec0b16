"""From scores to keywords: what is shown, how much of it, and in which order."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from taxonomy.concepts import Concept, Vocabulary
from taxonomy.policy import Policy

DECIMALS = 4
"""Scores are rounded before they are compared, so that a last bit decides nothing."""


class Chosen(NamedTuple):
    """A concept chosen for one image; `position` is its place in the vocabulary."""

    concept: Concept
    position: int
    score: float
    raw: float
    source: Literal["vocabulary", "hierarchy"]


class Chooser:
    """Applies a policy to a vocabulary.

    A word list taken literally is ranked and cut, nothing more: no evidence asked for, nothing hidden.
    """

    def __init__(self, vocabulary: Vocabulary, policy: Policy) -> None:
        self.vocabulary = vocabulary
        self.policy = policy
        self._shown = np.array([vocabulary.flat or _shown(concept, policy) for concept in vocabulary.concepts])
        # Where scores are equal the id decides, as a number: thousands of ids compared one by one would cost more time
        # than all the rest of an image's words.
        ids = [concept.id for concept in vocabulary.concepts]
        self._rank = np.argsort(np.argsort(np.array(ids), kind="stable"), kind="stable")

    def choose(self, raw: NDArray[np.float32], chance: NDArray[np.float32], score: NDArray[np.float32]) -> list[Chosen]:
        """One image's keywords from its values for every concept, (m,) each; the most useful first."""
        rounded = np.where(self._shown, np.round(score.astype(np.float64), DECIMALS), -np.inf)
        floor, margin, evidence = self.policy.thresholds
        if not self.vocabulary.flat:
            if raw.max() < evidence:
                return []
            floor = max(floor, margin * float(rounded.max()))
        passed = np.flatnonzero(rounded >= floor)
        order = passed[np.lexsort((self._rank[passed], -rounded[passed]))]
        return [
            Chosen(
                self.vocabulary.concepts[i],
                i,
                float(rounded[i]),
                round(float(raw[i]), DECIMALS),
                "hierarchy" if self._inherited(i, chance) else "vocabulary",
            )
            for i in map(int, order[: self.policy.max_keywords])
        ]

    def _inherited(self, position: int, chance: NDArray[np.float32]) -> bool:
        """Whether most of the evidence lies beneath the concept rather than in itself."""
        total = float(chance[position : self.vocabulary.end[position]].sum())
        return not self.vocabulary.flat and float(chance[position]) < total / 2


def _shown(concept: Concept, policy: Policy) -> bool:
    return "hidden" not in concept.flags and (policy.personal or not concept.personal)
