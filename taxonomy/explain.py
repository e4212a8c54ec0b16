"""Why a keyword is there, or is not."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from taxonomy.choose import DECIMALS, SUPPORT, Chooser, Chosen, Why
from taxonomy.concepts import Concept


class Explanation(NamedTuple):
    """What became of one concept in one image.

    Attributes:
        rank: among the keywords; `None` where it is none.
        score: the value that ranks.
        raw: the cosine, corrected for hubs.
        evidence: the chance of the concept and everything beneath it, 0 to 1.
        needed: the least score that it would have been shown with.
        reason: in words.
    """

    concept: Concept
    rank: int | None
    score: float
    raw: float
    evidence: float
    needed: float
    reason: str


def explain(
    chooser: Chooser,
    raw: NDArray[np.float32],
    chance: NDArray[np.float32],
    score: NDArray[np.float32],
    *,
    most: int = 30,
    about: Collection[Concept] = (),
) -> list[Explanation]:
    """The keywords, then what came nearest to being one, then whatever else is asked about.

    Args:
        chooser: which chose.
        raw: one image's values for every concept, (m,).
        chance: likewise.
        score: likewise.
        most: so many concepts that are not shown.
        about: concepts to explain whatever their score.
    """
    chosen = chooser.choose(raw, chance, score)
    needed = chooser.needed(score)
    shown = {word.position: word for word in chosen}
    best = np.argsort(-score, kind="stable")[: most + len(shown)]
    others = [int(i) for i in best if int(i) not in shown][:most]
    asked = [chooser.vocabulary.index[concept.id] for concept in about]
    rest = [i for i in dict.fromkeys([*others, *asked]) if i not in shown]
    ranks = {word.position: rank for rank, word in enumerate(chosen, 1)}
    return [
        Explanation(
            chooser.vocabulary.concepts[i],
            ranks.get(i),
            round(float(score[i]), DECIMALS),
            round(float(raw[i]), DECIMALS),
            round(chooser.evidence(i, chance), DECIMALS),
            round(float(needed[i]), DECIMALS),
            _present(chooser, shown[i], chosen) if i in shown else _absent(chooser, i, raw, score, chosen),
        )
        for i in [*shown, *rest]
    ]


def _present(chooser: Chooser, word: Chosen, chosen: Sequence[Chosen]) -> str:
    if word.why is Why.IMPLIED:
        below = [
            other.concept.label
            for other in chosen
            if other.why is Why.PASSED and word.position < other.position < chooser.vocabulary.end[word.position]
        ]
        return f"true where {', '.join(below)} is, and fewer than {chooser.policy.min_keywords} words passed"
    if word.why is Why.NEAREST:
        return f"near its threshold, and fewer than {chooser.policy.min_keywords} words passed"
    if word.source == "hierarchy":
        return "passed: the evidence for what is beneath it adds up"
    return "passed"


def _absent(
    chooser: Chooser, i: int, raw: NDArray[np.float32], score: NDArray[np.float32], chosen: Sequence[Chosen]
) -> str:
    if i in chooser.withheld:
        return chooser.withheld[i]
    if not chooser.vocabulary.flat and raw.max() < chooser.policy.thresholds.raw:
        return f"nothing in the vocabulary is certain enough: the best raw value is {raw.max():.{DECIMALS}f}"
    twin = chooser.twin(i, [word.position for word in chosen])
    if twin is not None and score[i] <= score[twin]:
        return f"says the same as {chooser.vocabulary.concepts[twin].name}"
    excluding = chooser.excluded(i, [word.position for word in chosen])
    if excluding is not None:
        return f"excluded by {chooser.vocabulary.concepts[excluding].name}, for which there is more evidence"
    needed = float(chooser.needed(score)[i])
    if round(float(score[i]), DECIMALS) < round(needed, DECIMALS):
        floor = float(chooser.floors[i])
        if needed > floor:
            return f"below {chooser.policy.thresholds.margin:g} of the picture's best score"
        enough = len(chosen) >= chooser.policy.min_keywords > 0
        return f"below its threshold, {floor:g}" + _short(chooser, float(score[i]), needed, enough=enough)
    return f"beyond the first {chooser.policy.max_keywords}"


def _short(chooser: Chooser, score: float, needed: float, *, enough: bool) -> str:
    near = not chooser.vocabulary.flat and score >= SUPPORT * needed
    return ", and there were enough without it" if near and enough else ""
