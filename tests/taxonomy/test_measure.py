"""Figures against values worked out by hand, and against code that follows the definitions literally."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonomy.measure import (
    EXACT,
    LENIENT,
    Answer,
    Reading,
    average_precision,
    dcg,
    f1,
    figures,
    means,
    names_of,
    ndcg_at,
    precision_at,
    recall_at,
)
from taxonomy.truth import Relation

WRONG, BENEATH, ABOVE, TRUE = Relation.WRONG, Relation.BENEATH, Relation.ABOVE, Relation.EXACT


def bools(text: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.array([character == "1" for character in text], bool)


def answer(
    shown: Sequence[int], names: Sequence[Sequence[int]], kinds: Sequence[Sequence[int]], ranked: Sequence[int]
) -> Answer:
    def table(rows: Sequence[Sequence[int]]) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
        return np.array(rows, bool).reshape(len(shown), -1)

    return Answer(np.array(shown, np.int8), table(names), table(kinds), np.array(ranked, np.int8))


def named(given: Answer, reading: Reading, ks: Sequence[int] = (1, 5)) -> dict[str, float]:
    return dict(zip(names_of(ks), figures(given, ks, reading).tolist(), strict=True))


def test_precision_by_hand() -> None:
    assert precision_at(bools("10110"), 1) == 1
    assert precision_at(bools("10110"), 5) == 0.6
    assert precision_at(bools("10"), 5) == 0.5
    assert math.isnan(precision_at(bools(""), 5))


def test_recall_by_hand() -> None:
    finds = np.array([[1, 0, 0], [1, 0, 0], [0, 0, 1]], bool)
    assert recall_at(finds, 2) == pytest.approx(1 / 3)
    assert recall_at(finds, 3) == pytest.approx(2 / 3)
    assert recall_at(finds[:0], 3) == 0
    assert math.isnan(recall_at(finds[:, :0], 3))


def test_average_precision_by_hand() -> None:
    # Manning, Raghavan and Schütze 2008, chapter 8: right ones at places 1, 3 and 6 of a ranking.
    assert average_precision(bools("101001")) == pytest.approx((1 / 1 + 2 / 3 + 3 / 6) / 3)
    assert average_precision(bools("0001")) == 0.25
    assert math.isnan(average_precision(bools("000")))
    assert average_precision(bools("101"), unfindable=2) == pytest.approx((1 + 2 / 3) / 4)
    assert average_precision(bools("000"), unfindable=1) == 0


def test_ndcg_by_hand() -> None:
    gains = np.array([2.0, 0.0, 1.0])
    assert dcg(gains) == pytest.approx(2 / 1 + 1 / 2)
    assert ndcg_at(gains, gains, 3) == pytest.approx(2.5 / (2 + 1 / math.log2(3)))
    assert ndcg_at(gains, gains, 1) == 1
    assert ndcg_at(gains[:0], gains, 3) == 0
    assert math.isnan(ndcg_at(gains, np.zeros(3), 3))


def test_f1_by_hand() -> None:
    assert f1(0.5, 1) == pytest.approx(2 / 3)
    assert f1(0, 0) == 0


# True are a dog and a cup. Shown: dog, animal (above dog), beagle (beneath dog), car; the ranking goes on with cup.
PICTURE = answer(
    [TRUE, ABOVE, BENEATH, WRONG],
    [[1, 0], [0, 0], [0, 0], [0, 0]],
    [[0, 0], [0, 0], [1, 0], [0, 0]],
    [TRUE, ABOVE, BENEATH, WRONG, TRUE],
)


def test_one_picture_read_leniently() -> None:
    got = named(PICTURE, LENIENT)
    best = 2 + 2 / math.log2(3) + 1 / 2
    assert got == {
        "P@1": 1,
        "P@5": 0.75,
        "R@1": 0.5,
        "R@5": 0.5,
        "precision": 0.75,
        "recall": 0.5,
        "F1": pytest.approx(0.6),
        # Without the beagle: right at 1, 2 and 4.
        "mAP": pytest.approx((1 + 1 + 3 / 4) / 3),
        "nDCG@10": pytest.approx((2 + 1 / math.log2(3)) / best),
        "right in 5": 1,
        "nothing shown": 0,
    }


def test_one_picture_read_exactly() -> None:
    got = named(PICTURE, EXACT)
    assert (got["P@5"], got["R@5"], got["F1"]) == (0.25, 0.5, pytest.approx(1 / 3))
    assert got["mAP"] == pytest.approx((1 + 2 / 5) / 2)
    assert got["nDCG@10"] == pytest.approx(2 / (2 + 2 / math.log2(3)))


def test_a_kind_finds_the_term_only_leniently_and_an_ancestor_never() -> None:
    kind = answer([BENEATH], [[0]], [[1]], [BENEATH, TRUE])
    assert named(kind, LENIENT)["recall"] == 1
    assert named(kind, EXACT)["recall"] == 0
    above = answer([ABOVE], [[0]], [[0]], [ABOVE, TRUE])
    assert named(above, LENIENT)["precision"] == 1
    assert named(above, LENIENT)["recall"] == 0


def test_nothing_shown_is_a_miss() -> None:
    nothing = Answer(np.zeros(0, np.int8), np.zeros((0, 2), bool), np.zeros((0, 2), bool), np.array([TRUE], np.int8))
    got = named(nothing, LENIENT)
    assert (got["P@1"], got["R@5"], got["F1"], got["right in 5"], got["nothing shown"]) == (0, 0, 0, 0, 1)
    assert got["nDCG@10"] == 0


def test_keywords_without_a_true_term_have_a_precision_and_no_recall() -> None:
    empty = np.zeros((2, 0), bool)
    got = named(Answer(np.array([WRONG, WRONG], np.int8), empty, empty, np.zeros(3, np.int8)), LENIENT)
    assert got["precision"] == got["F1"] == 0
    assert all(math.isnan(got[name]) for name in ("R@1", "recall", "mAP", "nDCG@10", "right in 5", "nothing shown"))


def test_a_term_that_cannot_be_found_counts_in_every_figure() -> None:
    found = answer([TRUE], [[1, 0]], [[0, 0]], [TRUE, WRONG])
    for reading in (LENIENT, EXACT):
        got = named(found._replace(unfindable=1), reading)
        assert (got["recall"], got["mAP"]) == (0.5, 0.5)
        assert got["nDCG@10"] == pytest.approx(2 / (2 + 2 / math.log2(3)))
    nothing = answer([WRONG], [[0]], [[0]], [WRONG])._replace(unfindable=1)
    assert (named(nothing, EXACT)["mAP"], named(nothing, EXACT)["nDCG@10"]) == (0, 0)


def naive(given: Answer, ks: Sequence[int], *, exact: bool) -> list[float]:
    """The definitions, word for word, with lists; for pictures that have terms."""
    shown, ranked, terms = given.shown.tolist(), given.ranked.tolist(), range(given.names.shape[1])
    ok = {TRUE} if exact else {TRUE, ABOVE, BENEATH}

    def precision(k: int) -> float:
        first = shown[:k]
        return sum(x in ok for x in first) / len(first) if first else 0.0

    def recall(k: int) -> float:
        found = 0
        for t in terms:
            found += any(given.names[s][t] or (not exact and given.kinds[s][t]) for s in range(min(k, len(shown))))
        return found / len(terms)

    def gain(x: int) -> int:
        return 2 if x == TRUE else 1 if x == ABOVE and not exact else 0

    listed = [gain(x) for x in shown if exact or x != BENEATH]
    order = [gain(x) for x in ranked if exact or x != BENEATH]
    best = sorted([*order, *[2] * given.unfindable], reverse=True)[:10]
    ideal = sum(g / math.log2(i + 2) for i, g in enumerate(best))
    ndcg = sum(g / math.log2(i + 2) for i, g in enumerate(listed[:10])) / ideal if ideal else math.nan
    precisions = [sum(g > 0 for g in order[: i + 1]) / (i + 1) for i, g in enumerate(order) if g]
    relevant = len(precisions) + given.unfindable
    p, r = precision(len(shown)), recall(len(shown))
    return [
        *(precision(k) for k in ks),
        *(recall(k) for k in ks),
        p,
        r,
        2 * p * r / (p + r) if p + r else 0.0,
        sum(precisions) / relevant if relevant else math.nan,
        ndcg,
        float(any(x in ok for x in shown[:5])),
        float(not shown),
    ]


@given(st.integers(0, 2**32 - 1), st.integers(0, 15), st.integers(1, 4), st.booleans())
def test_figures_are_what_their_definitions_say(seed: int, shown: int, terms: int, exact: bool) -> None:
    rng = np.random.default_rng(seed)
    given = Answer(
        rng.integers(0, 4, shown).astype(np.int8),
        rng.random((shown, terms)) < 0.2,
        rng.random((shown, terms)) < 0.2,
        rng.integers(0, 4, shown + 5).astype(np.int8),
        int(rng.integers(0, terms + 1)),
    )
    got = figures(given, (1, 5, 10), EXACT if exact else LENIENT)
    np.testing.assert_allclose(got, naive(given, (1, 5, 10), exact=exact), rtol=1e-12)


def test_means_leave_out_what_has_no_value() -> None:
    values = np.array([[1.0, np.nan, np.nan], [0.0, 0.5, np.nan]])
    first, second, third = means(values, seed=0)
    assert (first.value, first.images) == (0.5, 2)
    assert (second.value, second.low, second.high, second.images) == (0.5, 0.5, 0.5, 1)
    assert math.isnan(third.value)
    assert third.images == 0
    assert means(np.zeros((0, 1)), seed=0)[0].images == 0


def test_the_interval_is_the_bootstraps() -> None:
    values = np.random.default_rng(5).random((60, 1))
    (figure,) = means(values, seed=7)
    assert figure == means(values, seed=7)[0]
    assert figure != means(values, seed=8)[0]
    # Drawn one by one, as the definition says: the ends agree but for the randomness of the resampling.
    rng = np.random.default_rng(1)
    naive_means = sorted(float(values[rng.integers(0, 60, 60), 0].mean()) for _ in range(4000))
    assert figure.value == pytest.approx(values.mean())
    assert figure.low == pytest.approx(naive_means[100], abs=0.01)
    assert figure.high == pytest.approx(naive_means[3900], abs=0.01)


def test_the_interval_covers_the_truth_about_95_times_in_100() -> None:
    rng = np.random.default_rng(11)
    covered = 0
    for trial in range(200):
        (figure,) = means((rng.random((80, 1)) < 0.4).astype(float), seed=trial, resamples=400)
        covered += figure.low <= 0.4 <= figure.high
    assert 0.90 <= covered / 200 <= 0.99
