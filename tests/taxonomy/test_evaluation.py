import math

import numpy as np
import pytest

from taxonomy.concepts import Concept, build
from taxonomy.evaluation import Evaluation, Often
from taxonomy.measure import EXACT, LENIENT, names_of
from taxonomy.truth import Meaning, Meanings, Relation

HOME = build(
    [
        Concept("animal", "animal", facet="animal"),
        Concept("dog", "dog", parent="animal", facet="animal"),
        Concept("beagle", "beagle", parent="dog", facet="animal"),
        Concept("cup", "cup", facet="object"),
        Concept("thing", "thing", facet="object", flags=frozenset({"hidden"})),
    ]
)
SHOWABLE = np.array([True, True, True, True, False])
SCORE = np.array([0.4, 0.5, 0.3, 0.1, 0.9])


def evaluation() -> Evaluation:
    """Dog and cup are true of the first picture, dog of the second; shown are dog, beagle and animal, then cup."""
    found, meanings = Evaluation(HOME, SHOWABLE, (1, 5)), Meanings(HOME, HOME)
    found.add("a", meanings.all(["dog", "cup"])[0], [(1, 0.5), (0, 0.4), (2, 0.3)], SCORE)
    found.add("b", meanings.all(["dogs"])[0], [(3, 0.1)], SCORE)
    return found


def test_figures_are_means_over_pictures() -> None:
    results = evaluation().results(seed=0)
    lenient, exact = results.readings["lenient"], results.readings["exact"]
    assert list(lenient) == list(names_of((1, 5)))
    assert (lenient["P@5"].value, exact["P@5"].value) == (0.5, pytest.approx(1 / 6))
    assert lenient["R@5"].value == exact["R@5"].value == 0.25
    # The hidden concept is not in the ranking, and the beagle is passed over.
    assert lenient["mAP"].value == pytest.approx((1 + 1) / 2)
    assert exact["mAP"].value == pytest.approx(((1 + 2 / 4) / 2 + 1) / 2)


def test_each_facet_alone() -> None:
    animal, thing = evaluation().results(seed=0).facets
    assert (animal.facet, animal.terms, thing.facet, thing.terms) == ("animal", 2, "object", 1)
    # Of the second picture's keywords none is an animal: a miss.
    assert animal.figures["precision"].value == 0.5
    assert animal.figures["recall"].value == 0.5
    # The first picture's cup is missed, and the second one's is wrong.
    assert (thing.figures["precision"].value, thing.figures["precision"].images) == (0, 2)
    assert (thing.figures["recall"].value, thing.figures["recall"].images) == (0, 1)


def test_terms_that_count_as_missed_count_in_the_ranking_too() -> None:
    scored = HOME.only(frozenset({"animal"}))
    meanings = [*Meanings(HOME, scored).all(["dog", "cup"])[0], Meaning("unicorn")]
    found = Evaluation(scored, np.ones(3, bool), (1,))
    found.add("a", meanings, [(1, 0.5)], SCORE[:3])
    results = found.results(seed=0)
    exact = results.readings["exact"]
    assert exact["recall"].value == exact["mAP"].value == pytest.approx(1 / 3)
    assert exact["nDCG@10"].value == pytest.approx(1 / (1 + 1 / math.log2(3) + 1 / 2))
    # Nobody knows of which facet a unicorn is.
    by_facet = {facet.facet: (facet.terms, facet.figures["mAP"].value) for facet in results.facets}
    assert by_facet == {"animal": (1, 1), "object": (1, 0)}


def test_a_facet_of_which_nothing_is_true_is_left_out() -> None:
    found = Evaluation(HOME, SHOWABLE, (1,))
    found.add("a", Meanings(HOME, HOME).all(["dog"])[0], [(3, 0.1)], SCORE)
    assert [facet.facet for facet in found.results(seed=0).facets] == ["animal"]


def test_what_goes_wrong_most_often() -> None:
    results = evaluation().results(seed=0)
    assert results.missed == (Often("cup", 1, 1), Often("dogs", 1, 1))
    assert results.wrong == (Often("cup", 1, 1),)


def test_the_worst_come_first_with_what_they_were_given() -> None:
    (worst, f1), (other, _) = evaluation().worst(5)
    assert (worst.key, f1, other.key) == ("b", 0, "a")
    assert (other.terms, other.found) == (("dog", "cup"), (True, False))
    assert [(word.label, word.relation) for word in other.keywords] == [
        ("dog", Relation.EXACT),
        ("animal", Relation.ABOVE),
        ("beagle", Relation.BENEATH),
    ]
    assert len(evaluation().worst(1)) == 1


def test_values_are_a_row_a_picture() -> None:
    found = evaluation()
    assert found.values(LENIENT).shape == found.values(EXACT).shape == (2, len(names_of((1, 5))))
    assert Evaluation(HOME, SHOWABLE, (1,)).values(LENIENT).shape == (0, len(names_of((1,))))
