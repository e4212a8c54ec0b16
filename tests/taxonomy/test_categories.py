import numpy as np
import pytest

from taxonomy.categories import Categorizer, CategoryRow, Scheme, check, load_schemes
from taxonomy.concepts import Concept, TaxonomyError, build, literal
from taxonomy.files import load

ZOO = build(
    [
        Concept("animal", "animal"),
        Concept("pet", "pet", parent="animal"),
        Concept("dog", "dog", parent="pet"),
        Concept("cup", "cup"),
    ]
)
ROWS = (
    CategoryRow("1", "Animals", ("animal",), "animals"),
    CategoryRow("2", "Home", ("pet", "cup"), "at home"),
    CategoryRow("3", "Other", (), "anything"),
)
PROMPTS = np.eye(3, 4, dtype=np.float32)
NOWHERE = np.array([[0, 0, 0, 1]], np.float32)  # as far from every prompt


def scores(chance: list[float], most: int = 2) -> list[tuple[str, float]]:
    categorizer = Categorizer(Scheme("test", most, ROWS), ZOO, PROMPTS, None, 20.0)
    values = categorizer.score(np.array([chance], np.float32), NOWHERE)
    return [(row.id, score) for row, score in categorizer.choose(values[0])]


def test_the_nearest_mapped_concept_above_decides() -> None:
    assert scores([1, 0, 0, 0])[0][0] == "1"
    assert scores([0, 0, 1, 0])[0][0] == "2"


def test_the_second_category_needs_half_of_the_first_ones_score() -> None:
    assert [category for category, _ in scores([0.5, 0, 0, 0.5])] == ["1", "2"]
    assert [category for category, _ in scores([0.9, 0, 0, 0.1])] == ["1"]
    assert [category for category, _ in scores([0.5, 0, 0, 0.5], most=1)] == ["1"]


def test_no_evidence_no_category() -> None:
    assert scores([0, 0, 0, 0]) == []


def test_a_word_list_has_the_pictures_own_evidence_only() -> None:
    words = literal(["dog"])
    categorizer = Categorizer(Scheme("test", 1, ROWS), words, PROMPTS, None, 20.0)
    values = categorizer.score(np.ones((1, 1), np.float32), PROMPTS[1:2])
    assert [row.label for row, _ in categorizer.choose(values[0])] == ["Home"]


def test_the_shipped_schemes_name_concepts_that_exist() -> None:
    schemes = load_schemes()
    check(schemes, load())
    assert {scheme.name for scheme in schemes} >= {"shutterstock", "adobe", "iptc"}


def test_a_mapping_to_nothing_is_an_error() -> None:
    with pytest.raises(TaxonomyError, match="'Animals' names 'unicorn'"):
        check([Scheme("test", 1, (CategoryRow("1", "Animals", ("unicorn",), "x"),))], ZOO)
