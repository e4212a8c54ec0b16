"""From scores to keywords: what is shown, how much of it, and in which order.

1. What reaches its threshold and a share of the best score.
2. Where that is less than a policy's least number: the parents of those, which are as true as they are.
3. Where it still is: what comes nearest, down to four fifths of what was asked for. No picture supports more than that.

Then all of it by score, of words that say the same or exclude each other only the surest, and no more than a policy
wants.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from taxonomy.concepts import TIERS, Concept, Vocabulary
from taxonomy.policy import Policy, withheld

DECIMALS = 4
"""Scores are rounded before they are compared, so that a last bit decides nothing."""
SUPPORT = 0.8
"""Of threshold and margin: what has less is not shown, however few words there are."""

Values = NDArray[np.float32]


class Why(StrEnum):
    """What brought a keyword in."""

    PASSED = "passed"
    """It reached its threshold and the margin."""
    IMPLIED = "implied"
    """It is a parent of one that did."""
    NEAREST = "nearest"
    """It came near enough, where there were few."""


class Chosen(NamedTuple):
    """A concept chosen for one image; `position` is its place in the vocabulary."""

    concept: Concept
    position: int
    score: float
    raw: float
    source: Literal["vocabulary", "hierarchy"]
    why: Why = Why.PASSED


class Chooser:
    """Applies a policy to a vocabulary.

    A word list taken literally is ranked and cut, nothing more: no evidence asked for, nothing hidden or folded.

    Args:
        vocabulary: m concepts.
        policy: what a customer wants.
        thresholds: by concept id, the least score, where it is not the policy's.

    Attributes:
        withheld: positions of the concepts that are never shown, each with the reason.
        showable: (m,) whether each concept may be shown at all, whatever its score.
        floors: (m,) the least score of each.
    """

    def __init__(self, vocabulary: Vocabulary, policy: Policy, thresholds: Mapping[str, float] | None = None) -> None:
        self.vocabulary = vocabulary
        self.policy = policy
        self.withheld = withheld(policy, vocabulary)
        self.floors = np.full(len(vocabulary.concepts), policy.thresholds.score)
        for identifier, threshold in (thresholds or {}).items():
            if identifier in vocabulary.index:
                self.floors[vocabulary.index[identifier]] = threshold
        self.showable = np.ones(len(vocabulary.concepts), bool)
        self.showable[list(self.withheld)] = False
        self._rank = _order(vocabulary)
        self._same = {} if vocabulary.flat else _same(vocabulary, policy.languages)
        self._contrary = [[vocabulary.index[identifier] for identifier in group] for group in vocabulary.contrary]
        # So many pass at most, before those that say the same or exclude each other go.
        self._most = policy.max_keywords + len(self._same) + sum(map(len, self._contrary))

    def choose(self, raw: Values, chance: Values, score: Values) -> list[Chosen]:
        """One image's keywords from its values for every concept, (m,) each; the most useful first."""
        why = self._agreeing(self._folded(self._selected(raw, score), score), chance)
        ranked = self._ranked(why, score)[: self.policy.max_keywords]
        scores, raws = (_rounded(values[ranked]).tolist() for values in (score, raw))
        return [
            Chosen(
                self.vocabulary.concepts[i],
                i,
                scores[place],
                raws[place],
                "hierarchy" if self._inherited(i, chance) else "vocabulary",
                why[i],
            )
            for place, i in enumerate(ranked)
        ]

    def needed(self, score: Values, share: float = 1.0) -> NDArray[np.float64]:
        """The least score (m,) at which each concept is shown in this picture, or `share` of it."""
        if self.vocabulary.flat:
            return self.floors
        best = np.max(score, where=self.showable, initial=0)
        needed: NDArray[np.float64] = share * np.maximum(self.floors, self.policy.thresholds.margin * best)
        return needed

    def _selected(self, raw: Values, score: Values) -> dict[int, Why]:
        """Positions of what is shown, and why; folding and cutting come after."""
        if not self.vocabulary.flat and raw.max() < self.policy.thresholds.raw:
            return {}
        passed = self._ranked(self._at_least(self.needed(score), score), score)
        why = dict.fromkeys(passed[: self._most], Why.PASSED)
        if self.vocabulary.flat or not why:
            return why
        for position in passed:
            if len(why) >= self.policy.min_keywords:
                return why
            above = (self.vocabulary.index[c.id] for c in self.vocabulary.ancestors(self._concept(position)))
            why |= {i: Why.IMPLIED for i in above if self.showable[i] and i not in why}
        if (missing := self.policy.min_keywords - len(why)) > 0:
            near = [i for i in self._at_least(self.needed(score, SUPPORT), score) if i not in why]
            why |= dict.fromkeys(self._ranked(near, score)[:missing], Why.NEAREST)
        return why

    def _at_least(self, needed: NDArray[np.float64], score: Values) -> list[int]:
        # Rounded only where it may matter: of thousands of concepts a picture has a few dozen that come near.
        near = np.flatnonzero(self.showable & (score >= needed - 10.0**-DECIMALS))
        enough = _rounded(score[near]) >= _rounded(needed[near])
        return list(map(int, near[enough]))

    def _ranked(self, positions: Iterable[int], score: Values) -> list[int]:
        """The highest score first; of equals, what buyers type more often, then by id."""
        places = np.fromiter(positions, np.intp)
        order = np.lexsort((self._rank[places], -_rounded(score[places])))
        return list(map(int, places[order]))

    def _folded(self, why: dict[int, Why], score: Values) -> dict[int, Why]:
        """Without words that say what a surer one says already."""
        first: dict[int, int] = {}
        for i in self._ranked((i for i in why if i in self._same), score):
            first.setdefault(self._same[i], i)
        return {i: reason for i, reason in why.items() if first.get(self._same.get(i, -1), i) == i}

    def _agreeing(self, why: dict[int, Why], chance: Values) -> dict[int, Why]:
        """Without words that a surer one excludes."""
        for group in self._contrary:
            said = [i for i in group if i in why]
            if len(said) > 1:
                for loser in sorted(said, key=lambda i: (-self.evidence(i, chance), self._rank[i]))[1:]:
                    del why[loser]
        return why

    def _inherited(self, position: int, chance: Values) -> bool:
        """Whether most of the evidence lies beneath the concept rather than in itself."""
        if self.vocabulary.flat or self.vocabulary.runs(position) == ((position, position + 1),):
            return False
        return float(chance[position]) < self.evidence(position, chance) / 2

    def evidence(self, position: int, chance: Values) -> float:
        """The chance of the concept, of everything beneath it and of what implies it."""
        add = np.add.reduce  # as `sum` does, with half of its overhead
        return sum(float(add(chance[start:end])) for start, end in self.vocabulary.runs(position))

    def excluded(self, position: int, chosen: Iterable[int]) -> int | None:
        """Which of the chosen ones excludes this concept."""
        groups = [group for group in self._contrary if position in group]
        return next((i for i in chosen if any(i in group for group in groups)), None)

    def twin(self, position: int, chosen: Iterable[int]) -> int | None:
        """Which of the chosen ones says the same as this concept."""
        group = self._same.get(position)
        return next((i for i in chosen if i != position and group is not None and self._same.get(i) == group), None)

    def _concept(self, position: int) -> Concept:
        return self.vocabulary.concepts[position]


def _rounded(values: Any) -> NDArray[np.float64]:
    """Numbers, or arrays of them."""
    return np.asarray(values, np.float64).round(DECIMALS)


def _order(vocabulary: Vocabulary) -> NDArray[np.intp]:
    """A place for each concept, by tier and id: ids compared one by one for every image would cost more time."""
    order = sorted(
        range(len(vocabulary.concepts)),
        key=lambda i: (TIERS.index(vocabulary.concepts[i].tier), vocabulary.concepts[i].id),
    )
    place = np.empty(len(order), np.intp)
    place[order] = np.arange(len(order))
    return place


def _same(vocabulary: Vocabulary, languages: Iterable[str]) -> dict[int, int]:
    """Groups of concepts that read the same as keywords, in English or a language shown: position to a group's number.

    Such as the two cranes, tea leaf and tea leaves, or falcon and hawk, which are both 매.
    """
    group = list(range(len(vocabulary.concepts)))

    def root(position: int) -> int:
        while group[position] != position:
            position = group[position]
        return position

    first: dict[tuple[str, str], int] = {}
    for position, concept in enumerate(vocabulary.concepts):
        labels = vocabulary.labels(concept, languages)
        words = [("en", said(word)) for word in (labels["en"], concept.plural) if word]
        words += [(language, label.casefold()) for language, label in labels.items() if language != "en"]
        for word in words:
            group[root(position)] = root(first.setdefault(word, position))
    roots = [root(position) for position in group]
    shared = {number for number, times in Counter(roots).items() if times > 1}
    return {position: number for position, number in enumerate(roots) if number in shared}


def said(label: str) -> str:
    """What a label says, whatever its spelling: case, hyphens, a plural, `cup of coffee` for `coffee cup`."""
    words = label.casefold().replace("-", " ").split()
    if "of" in words[1:-1]:
        middle = words.index("of", 1)
        words = words[middle + 1 :] + words[:middle]
    text = "".join(words)
    return text[:-1] if len(text) > 3 and text.endswith("s") and not text.endswith("ss") else text
