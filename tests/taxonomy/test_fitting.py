"""Calibrations are fitted to made data whose best answers are known."""

import numpy as np
import pytest

from taxonomy.concepts import Concept, TaxonomyError, build
from taxonomy.fitting import CONCEPT_POSITIVES, REFERENCE_IMAGES, StatisticsFit, fit_thresholds, held_out
from taxonomy.score import Statistics
from taxonomy.truth import Relation

FARM = build(
    [
        Concept("animal", "animal", facet="animal"),
        Concept("cow", "cow", parent="animal", facet="animal"),
        Concept("dog", "dog", parent="animal", facet="animal"),
        Concept("cart", "cart", facet="vehicle"),
    ]
)
ANIMAL, COW, DOG, CART = range(4)
ALL = np.ones(4, bool)


def floats(rows: list[list[float]]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.array(rows, np.float32)


def test_the_split_is_by_key_alone() -> None:
    keys = [f"{i}.jpg" for i in range(2000)]
    first = dict(zip(keys, held_out(keys, 0.3, 0), strict=True))
    backwards = dict(zip(keys[::-1], held_out(keys[::-1], 0.3, 0), strict=True))
    assert first == backwards
    assert 0.27 < np.mean(list(first.values())) < 0.33
    assert first != dict(zip(keys, held_out(keys, 0.3, 1), strict=True))
    more = held_out(keys, 0.5, 0)
    assert all(kept for kept, before in zip(more, first.values(), strict=True) if before)


def test_statistics_are_of_images_without_the_concept() -> None:
    concepts = floats([[1, 0], [0, 1]])
    fit = StatisticsFit(concepts, None)
    for vector, relation in (([0.6, 0.8], Relation.WRONG), ([0.8, 0.6], Relation.WRONG), ([1, 0], Relation.EXACT)):
        fit.add(np.array(vector, np.float32), np.array([relation, Relation.WRONG], np.int8))
    mean, deviation = fit.result()
    np.testing.assert_allclose(mean, [0.7, (0.8 + 0.6 + 0) / 3], rtol=1e-5)
    np.testing.assert_allclose(deviation, [0.1, np.std([0.8, 0.6, 0])], rtol=1e-5)


def test_few_images_leave_the_encoders_statistics_as_they_are() -> None:
    usual = Statistics(floats([[0.5, 0.25]])[0], floats([[0.1, 0.2]])[0])
    fit = StatisticsFit(floats([[1, 0], [0, 1]]), usual)
    np.testing.assert_allclose(fit.result().mean, usual.mean)
    for _ in range(REFERENCE_IMAGES):
        fit.add(np.array([1, 0], np.float32), np.zeros(2, np.int8))
    mean, deviation = fit.result()
    np.testing.assert_allclose(mean, [0.75, 0.125])
    np.testing.assert_allclose(deviation, [0.1 / 2**0.5, 0.2 / 2**0.5], rtol=1e-5)


def farm(n: int) -> tuple[list[np.ndarray[tuple[int], np.dtype[np.float32]]], list[np.ndarray]]:  # type: ignore[type-arg]
    """Half of the images have a cow, at 0.6 against 0.2; a cart is in none, and always at 0.9."""
    scores, beside = [], []
    for i in range(n):
        cow = i % 2 == 0
        scores.append(np.array([0.1, 0.6 if cow else 0.2, 0.05, 0.9], np.float32))
        beside.append(np.array([2, 3, 1, 0] if cow else [0, 0, 0, 0], np.int8))
    return scores, beside


def test_a_concept_with_enough_positives_has_its_own_threshold() -> None:
    scores, beside = farm(2000)
    found = fit_thresholds(scores, beside, FARM, ALL, 0.0)
    assert found.own == ("animal", "cow")
    assert 0.2 < found.concepts["cow"] < 0.6
    assert found.concepts["animal"] <= 0.2
    assert found.concepts["dog"] == found.facets["animal"]
    assert "cart" not in found.concepts
    assert "vehicle" not in found.facets


def test_few_positives_leave_a_concept_with_its_facets_threshold() -> None:
    scores, beside = farm(2 * CONCEPT_POSITIVES)
    for row in beside[2:]:
        row[row == Relation.EXACT] = Relation.WRONG
    found = fit_thresholds(scores, beside, FARM, ALL, 0.0)
    assert found.own == ("animal",)
    assert "cow" not in found.concepts


def test_what_is_never_shown_takes_no_part() -> None:
    scores, beside = farm(100)
    found = fit_thresholds(scores, beside, FARM, np.array([False, True, True, True]), 0.0)
    assert found.own == ("cow",)


def test_the_margin_leaves_pairs_out() -> None:
    scores, beside = farm(100)
    # 0.2 is below half of 0.9, and 0.6 is not: no threshold is needed any more, so it lies at the lowest that passes.
    found = fit_thresholds(scores, beside, FARM, ALL, 0.5)
    assert found.fallback == pytest.approx(0.6)


def test_a_target_precision_is_reached() -> None:
    rng = np.random.default_rng(4)
    scores, beside = [], []
    for _ in range(3000):
        cow = rng.random() < 0.3
        value = np.clip(rng.normal(0.6 if cow else 0.4, 0.1), 0, 1)
        scores.append(np.array([0, value, 0, 0], np.float32))
        beside.append(np.array([0, 3 if cow else 0, 0, 0], np.int8))
    found = fit_thresholds(scores, beside, FARM, ALL, 0.0, 0.9)
    shown = [b[COW] == 3 for s, b in zip(scores, beside, strict=True) if s[COW] >= found.concepts["cow"]]
    assert 0.89 <= np.mean(shown) <= 0.92
    with pytest.raises(TaxonomyError, match=r"no threshold gives a precision of 0\.99"):
        fit_thresholds([np.array([0, 0.5, 0, 0], np.float32)] * 3000, beside, FARM, ALL, 0.0, 0.99)


def test_too_little_is_refused_with_how_much_is_missing() -> None:
    scores, beside = farm(8)
    with pytest.raises(TaxonomyError, match=r"'animal', is true of 4: fit on about 12 more images"):
        fit_thresholds(scores, beside, FARM, ALL, 0.0)
    with pytest.raises(TaxonomyError, match="nothing that may be shown is true"):
        fit_thresholds(scores, [np.zeros(4, np.int8)] * 8, FARM, ALL, 0.0)
