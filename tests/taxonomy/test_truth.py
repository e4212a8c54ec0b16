import numpy as np
import pytest

from taxonomy.concepts import Concept, Vocabulary, build, literal
from taxonomy.truth import Lexicon, Meanings, Relation, relations

ZOO = build(
    [
        Concept("organism", "organism", facet="concept"),
        Concept("animal", "animal", parent="organism", facet="animal"),
        Concept("dog", "dog", parent="animal", facet="animal", synonyms=("canine",)),
        Concept("beagle", "beagle", parent="dog", facet="animal"),
        Concept("crane1", "crane", hint="bird", parent="animal", facet="animal"),
        Concept("crane2", "crane", hint="machine", facet="object"),
        Concept("woman", "woman", facet="person", plural="women"),
        Concept("t", "T-shirt", facet="clothing"),
        Concept("color", "color", facet="color", british=("tint",)),
        Concept("jewelry", "jewelry", british=("jewellery",)),
        Concept("skis", "skis", facet="object"),
        Concept("glasses", "glasses"),
        Concept("glass", "glass"),
    ],
    translations={"ko": {"dog": ("개", "강아지"), "gone": ("없음",)}},
)


def ids(term: str, vocabulary: Vocabulary = ZOO) -> list[str]:
    return [concept.id for concept in Lexicon(vocabulary).find(term)]


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("dog", ["dog"]),
        ("DOGS", ["dog"]),
        ("canines", ["dog"]),
        ("강아지", ["dog"]),
        ("women", ["woman"]),
        ("t shirts", ["t"]),
        ("T_Shirt", ["t"]),
        ("colours", ["color"]),
        ("tint", ["color"]),
        ("jewellery", ["jewelry"]),
        ("ski", ["skis"]),
        ("glasses", ["glasses"]),
        ("glass", ["glass"]),
        ("crane", ["crane1", "crane2"]),
        ("crane (machine)", ["crane2"]),
        ("unicorn", []),
        ("없음", []),
        ("", []),
    ],
)
def test_every_form_finds_its_concepts(term: str, expected: list[str]) -> None:
    assert ids(term) == expected


def test_a_word_list_has_words_too() -> None:
    assert ids("red  apples", literal(["red apple"])) == ["term:red apple"]


def judged(terms: list[str], facets: frozenset[str] | None = None) -> dict[str, Relation]:
    scored = ZOO if facets is None else ZOO.only(facets)
    found, _ = Meanings(ZOO, scored).all(terms)
    values = relations(found, len(scored.concepts))
    return {concept.id: Relation(value) for concept, value in zip(scored.concepts, values, strict=True) if value}


def test_itself_what_is_above_and_what_is_beneath() -> None:
    expected = {
        "organism": Relation.ABOVE,
        "animal": Relation.ABOVE,
        "dog": Relation.EXACT,
        "beagle": Relation.BENEATH,
    }
    assert judged(["dog"]) == expected


def test_what_a_true_term_implies_is_as_true_as_its_ancestors() -> None:
    rooms = build(
        [
            Concept("place", "place"),
            Concept("indoors", "indoors", parent="place"),
            Concept("furniture", "furniture"),
            Concept("bed", "bed", parent="furniture"),
        ],
        implied={"indoors": ("furniture",)},
    )
    found, _ = Meanings(rooms, rooms).all(["bed"])
    beside = dict(zip((c.id for c in rooms.concepts), relations(found, 4), strict=True))
    assert beside == {
        "place": Relation.ABOVE,
        "indoors": Relation.ABOVE,
        "furniture": Relation.ABOVE,
        "bed": Relation.EXACT,
    }
    found, _ = Meanings(rooms, rooms).all(["indoors"])
    assert relations(found, 4).tolist() == [Relation.ABOVE, Relation.EXACT, Relation.WRONG, Relation.WRONG]


def test_of_several_terms_the_best_counts() -> None:
    assert judged(["animal", "beagle", "crane"]) == {
        "organism": Relation.ABOVE,
        "animal": Relation.EXACT,
        "dog": Relation.ABOVE,
        "beagle": Relation.EXACT,
        "crane1": Relation.EXACT,
        "crane2": Relation.EXACT,
    }


def test_what_the_encoder_cannot_tell_still_has_ancestors_that_it_can() -> None:
    only_objects = judged(["woman", "dog"], frozenset({"concept", "object"}))
    assert only_objects == {"organism": Relation.ABOVE}
    (meaning,), _ = Meanings(ZOO, ZOO.only(frozenset({"object"}))).all(["woman"])
    assert len(meaning.exact) == 0
    assert meaning.facets == {"person"}


def test_terms_that_mean_the_same_count_once_and_unknown_ones_are_told() -> None:
    found, unknown = Meanings(ZOO, ZOO).all(["dog", "Dogs", "개", "unicorn", "animal"])
    assert [[concept.id for concept in meaning.concepts] for meaning in found] == [["dog"], ["animal"]]
    assert unknown == ["unicorn"]


def test_nothing_true_makes_everything_wrong() -> None:
    np.testing.assert_array_equal(relations([], 3), [0, 0, 0])
