"""How good keywords are: figures for one picture, their means over pictures, and how far chance may move those.

Every figure is a mean over pictures, so one bootstrap serves all (percentile intervals: Efron and Tibshirani 1993, "An
Introduction to the Bootstrap", chapter 13). A figure that a picture cannot have, such as recall without a true term,
is NaN there and left out of the mean.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from taxonomy.truth import Relation, Relations

Bools = NDArray[np.bool_]
Values = NDArray[np.float64]

RESAMPLES = 1000
LEVEL = 0.95
RIGHT_IN = 5
"""A picture is well served when one of the first five keywords is right."""
NDCG_AT = 10
TERM_GAIN = 2.0
"""What a true term is worth in nDCG."""
ROWS = 100
"""Resamples at once: weights for more than that of a large set would fill the memory."""


class Answer(NamedTuple):
    """What is compared, of one picture.

    Attributes:
        shown: (s,) what each keyword that is shown is beside the true terms, in order.
        names: (s, t) whether each of them is the concept of each of the t true terms.
        kinds: (s, t) whether each of them is a kind of it.
        ranked: (r,) what each concept that could be shown is, by descending score, whatever is shown in the end.
        unfindable: how many of the t true terms have no concept that is scored, and so no place in any ranking.
    """

    shown: Relations
    names: Bools
    kinds: Bools
    ranked: Relations
    unfindable: int = 0


class Figure(NamedTuple):
    """A mean over `images` pictures, and the interval in which it would lie 95 times in 100."""

    value: float
    low: float
    high: float
    images: int


NO_FIGURE = Figure(np.nan, np.nan, np.nan, 0)


@dataclass(frozen=True, slots=True)
class Reading:
    """How a keyword is judged that is not a true term's own concept.

    `lenient`: an ancestor is right, and so is a kind of it for precision and recall; where right ones are counted
    against all that there are (nDCG, mAP), kinds are passed over, since nobody said whether they are true (condensed
    lists: Sakai 2007, "Alternatives to Bpref"). `exact`: only the concept itself is right.
    """

    name: str
    exact: bool


LENIENT, EXACT = Reading("lenient", exact=False), Reading("exact", exact=True)


def precision_at(right: Bools, k: int) -> float:
    """Share of right ones among the first k, or among all where there are fewer; NaN where there is none."""
    return float(right[:k].mean()) if len(right) else np.nan


def recall_at(finds: Bools, k: int) -> float:
    """Share of the t terms that one of the first k keywords finds; `finds` is (s, t). NaN without terms."""
    return float(finds[:k].any(axis=0).mean()) if finds.shape[1] else np.nan


def average_precision(right: Bools, unfindable: int = 0) -> float:
    """Mean of the precisions at the place of each right one in a ranking of everything; NaN without a right one.

    Right ones that are nowhere in the ranking, `unfindable` of them, have a precision of 0 (Manning, Raghavan and
    Schütze 2008, chapter 8).
    """
    places = np.flatnonzero(right)
    there = len(places) + unfindable
    return float((np.arange(1, len(places) + 1) / (places + 1)).sum()) / there if there else np.nan


def dcg(gains: Values) -> float:
    """Discounted cumulated gain: gain over the binary logarithm of the place plus one."""
    return float((gains / np.log2(np.arange(2, len(gains) + 2))).sum())


def ndcg_at(gains: Values, possible: Values, k: int) -> float:
    """DCG of the first k over that of the best order possible (Järvelin and Kekäläinen 2002); NaN if that is 0."""
    best = dcg(np.sort(possible)[::-1][:k])
    return dcg(gains[:k]) / best if best > 0 else np.nan


def f1(precision: float, recall: float) -> float:
    """Harmonic mean; 0 where both are."""
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


def names_of(ks: Sequence[int]) -> tuple[str, ...]:
    """What the values of `figures` are, in order."""
    first = (f"P@{k}" for k in ks), (f"R@{k}" for k in ks)
    whole = ("precision", "recall", "F1", "mAP", f"nDCG@{NDCG_AT}", f"right in {RIGHT_IN}", "nothing shown")
    return (*first[0], *first[1], *whole)


def figures(answer: Answer, ks: Sequence[int], reading: Reading) -> Values:
    """One picture's values, in the order of `names_of`.

    A picture with true terms for which nothing is shown has no right keyword and none found: precision, recall and
    F1 are 0.
    """
    shown, names, kinds, ranked, unfindable = answer
    terms = names.shape[1]
    right = shown == Relation.EXACT if reading.exact else shown != Relation.WRONG
    finds = names if reading.exact else names | kinds
    if not reading.exact:
        ranked = ranked[ranked != Relation.BENEATH]
        shown = shown[shown != Relation.BENEATH]

    def missing(value: float) -> float:
        return 0.0 if np.isnan(value) and terms else value

    precisions = [missing(precision_at(right, k)) for k in (*ks, len(right) or 1)]
    recalls = [recall_at(finds, k) for k in (*ks, len(right))]
    possible = np.append(_gains(ranked, reading), np.full(unfindable, TERM_GAIN))
    harmonic = f1(precisions[-1], recalls[-1]) if terms else 0.0 if len(right) else np.nan
    return np.array(
        [
            *precisions[:-1],
            *recalls[:-1],
            precisions[-1],
            recalls[-1],
            harmonic,
            average_precision(ranked == Relation.EXACT if reading.exact else ranked >= Relation.ABOVE, unfindable),
            ndcg_at(_gains(shown, reading), possible, NDCG_AT),
            float(right[:RIGHT_IN].any()) if terms else np.nan,
            float(not len(right)) if terms else np.nan,
        ]
    )


def _gains(found: Relations, reading: Reading) -> Values:
    """2 for a true term's own concept and, read leniently, 1 for an ancestor."""
    return np.where(
        found == Relation.EXACT, TERM_GAIN, np.where((found == Relation.ABOVE) & (not reading.exact), 1.0, 0.0)
    )


def means(values: Values, seed: int, resamples: int = RESAMPLES) -> list[Figure]:
    """Means over pictures with bootstrap intervals.

    Args:
        values: (n, q), a row for each picture; NaN where it has no such value.
        seed: of the resampling; the same gives the same.
        resamples: how many.

    Returns:
        q figures; NaN where no picture has a value.
    """
    n, _ = values.shape
    has = ~np.isnan(values)
    if not n:
        return [NO_FIGURE] * values.shape[1]
    filled, there = np.where(has, values, 0.0), has.astype(np.float64)
    drawn = np.concatenate(
        [_ratio(rows @ filled, rows @ there) for rows in _weights(n, resamples, np.random.default_rng(seed))]
    )
    value, images = _ratio(filled.sum(axis=0), there.sum(axis=0)), has.sum(axis=0)
    return [
        Figure(float(value[j]), *_interval(drawn[:, j]), int(images[j])) if images[j] else NO_FIGURE
        for j in range(values.shape[1])
    ]


def _weights(n: int, resamples: int, rng: np.random.Generator) -> Iterator[Values]:
    """How often each of n pictures is drawn in each resample, (at most `ROWS`, n) each."""
    for start in range(0, resamples, ROWS):
        yield rng.multinomial(n, np.full(n, 1 / n), size=min(ROWS, resamples - start)).astype(np.float64)


def _ratio(total: Values, count: Values) -> Values:
    ratio: Values = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return ratio


def _interval(drawn: Values) -> tuple[float, float]:
    """Percentiles of the resamples that have a value."""
    low, high = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
