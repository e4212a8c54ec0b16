from pathlib import Path

import numpy as np
import pytest

from taxonomy.categories import Categorizer, CategoryRow, Scheme, check, load_schemes
from taxonomy.concepts import Concept, TaxonomyError, build, literal
from taxonomy.files import load
from tests.taxonomy.test_score import directions

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


TWO_LEVELS = Scheme(
    "news",
    1,
    (
        CategoryRow("1", "Nature", ("animal",), "nature"),
        CategoryRow("11", "Pets", ("pet",), "pets", parent="1"),
        CategoryRow("2", "Home", ("cup",), "home"),
    ),
)


def chosen(scheme: Scheme, chance: list[float], picture: np.ndarray = NOWHERE) -> list[str]:
    categorizer = Categorizer(scheme, ZOO, PROMPTS[: len(scheme.rows)], None, 20.0)
    return [row.id for row, _ in categorizer.choose(categorizer.score(np.array([chance], np.float32), picture)[0])]


def test_a_category_of_the_second_level_brings_its_parent_and_adds_to_it() -> None:
    assert chosen(TWO_LEVELS, [0, 0, 0.8, 0.2]) == ["1", "11"]
    assert chosen(TWO_LEVELS, [0.8, 0, 0, 0.2]) == ["1"]
    # Together they are more than the cup, of which there is more than of each.
    assert chosen(TWO_LEVELS, [0.3, 0, 0.3, 0.4])[0] == "1"


def test_what_is_beneath_another_category_is_not_given() -> None:
    assert chosen(TWO_LEVELS, [0, 0, 0.3, 0.7]) == ["2"]


def test_a_category_that_no_concept_leads_to_is_not_guessed_from_its_prompt() -> None:
    scheme = Scheme("test", 2, ROWS)
    assert chosen(scheme, [0.5, 0, 0, 0], PROMPTS[2:3]) == ["1"]


def test_facets_that_an_encoder_cannot_tell_take_their_categories_with_them() -> None:
    rows = (
        CategoryRow("1", "Close-up", (), "x", needs=("composition",)),
        CategoryRow("11", "Macro", (), "x", parent="1"),
        CategoryRow("2", "Indoors", (), "x"),
    )
    scheme = Scheme("scene", 3, rows)
    assert [row.id for row in scheme.only(frozenset({"object"})).rows] == ["2"]
    assert scheme.only(frozenset({"object", "composition"})).rows == rows


def test_evidence_is_counted_among_the_facets_that_a_category_needs() -> None:
    looks = build(
        [
            Concept("dog", "dog", facet="animal"),
            Concept("close-up", "close-up", facet="composition"),
            Concept("wide shot", "wide shot", facet="composition"),
        ]
    )
    row = CategoryRow("1", "Close-up", ("close-up",), "x", needs=("composition",))
    categorizer = Categorizer(Scheme("scene", 1, (row,), needs_concepts=True), looks, PROMPTS[:1], None, 20.0)
    chances = np.array([[0.9, 0.08, 0.02], [0.9, 0.01, 0.09]], np.float32)
    scores = categorizer.score(chances, np.repeat(NOWHERE, 2, axis=0))
    assert [bool(categorizer.choose(row)) for row in scores] == [True, False]


def test_where_concepts_are_needed_a_prompt_alone_decides_nothing() -> None:
    scheme = Scheme("scene", 2, ROWS[:2], needs_concepts=True)
    assert chosen(scheme, [0.1, 0, 0, 0.1], PROMPTS[:1]) == []
    categorizer = Categorizer(scheme, literal(["dog"]), PROMPTS[:2], None, 20.0)
    assert categorizer.choose(categorizer.score(np.ones((1, 1), np.float32), PROMPTS[:1])[0]) == []


def test_a_customer_s_scheme_is_one_file(tmp_path: Path) -> None:
    path = tmp_path / "agency.tsv"
    path.write_text(
        "# title: An Agency\n# most: 2\nid\tlabel\tconcepts\tprompt\n7\tAnimals\tanimal\tanimals\n", "utf-8"
    )
    scheme = load_schemes((path,))[-1]
    assert (scheme.name, scheme.title, scheme.most, scheme.rows[0].concepts) == ("agency", "An Agency", 2, ("animal",))
    with pytest.raises(TaxonomyError, match="two category schemes called 'agency'"):
        load_schemes((path, path))


def test_a_scheme_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(TaxonomyError, match=r"none\.tsv: No such file"):
        load_schemes((tmp_path / "none.tsv",))


def test_categories_do_not_depend_on_the_batch() -> None:
    rng = np.random.default_rng(2)
    scheme = next(scheme for scheme in load_schemes() if scheme.name == "shutterstock")
    vocabulary = load()
    prompts, references = directions(rng, len(scheme.rows), 64), directions(rng, 30, 64)
    categorizer = Categorizer(scheme, vocabulary, prompts, references, 20.0)
    chances = rng.dirichlet(np.full(len(vocabulary.concepts), 0.01), 19).astype(np.float32)
    images, order = directions(rng, 19, 64), rng.permutation(19)
    together = categorizer.score(chances, images)
    np.testing.assert_array_equal(categorizer.score(chances[order], images[order]), together[order])
    np.testing.assert_array_equal(categorizer.score(chances[:1], images[:1]), together[:1])
