"""The shipped vocabulary is data that people edit by hand: these tests say what an edit must keep true."""

import re
from collections import Counter

import pytest

from taxonomy.categories import check, load_schemes
from taxonomy.concepts import Concept, Vocabulary
from taxonomy.files import load

COCO = (
    "person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign, "
    "parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella, "
    "handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard, "
    "surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, "
    "broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv, laptop, "
    "mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors, "
    "teddy bear, hair drier, toothbrush"
)
"""The 80 kinds of object in COCO, under the names that it gives them."""

ABSTRACT = {"material", "symbol", "composition", "lighting", "color", "style", "emotion", "concept", "season", "event"}
"""Facets that say how a photograph is or what it stands for, rather than what there is to see in it."""


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return load()


def depth(vocabulary: Vocabulary, concept: Concept) -> int:
    return sum(1 for _ in vocabulary.ancestors(concept))


def test_names_are_unique_whatever_their_case(vocabulary: Vocabulary) -> None:
    names = Counter(concept.name.lower() for concept in vocabulary.concepts)
    assert not [name for name, times in names.items() if times > 1]


def test_a_label_that_two_concepts_share_has_a_hint_in_both(vocabulary: Vocabulary) -> None:
    labels = Counter(concept.label.lower() for concept in vocabulary.concepts)
    assert not [c.name for c in vocabulary.concepts if labels[c.label.lower()] > 1 and not c.hint]


def test_a_synonym_belongs_to_one_concept_and_is_nobody_s_label(vocabulary: Vocabulary) -> None:
    labels = {concept.label.lower() for concept in vocabulary.concepts}
    synonyms = Counter(synonym.lower() for concept in vocabulary.concepts for synonym in concept.synonyms)
    assert not [synonym for synonym, times in synonyms.items() if times > 1 or synonym in labels]


def test_words_are_clean(vocabulary: Vocabulary) -> None:
    for concept in vocabulary.concepts:
        for word in (concept.label, *concept.synonyms):
            assert re.fullmatch(r"[A-Za-z0-9é][A-Za-z0-9é '.,&/-]*", word), (concept.id, word)
            assert word == " ".join(word.split()), (concept.id, word)


def test_only_names_and_abbreviations_have_capitals(vocabulary: Vocabulary) -> None:
    """A proper noun is all capitals at its words; a common noun has none but those of a name inside it."""
    for concept in vocabulary.concepts:
        if concept.grammar == "proper":
            assert concept.label[0].isupper(), concept.name


def test_ids_are_wordnet_s_or_our_own(vocabulary: Vocabulary) -> None:
    for concept in vocabulary.concepts:
        assert re.fullmatch(r"wn30:\d{8}-n|sm:[a-z0-9]+(-[a-z0-9]+)*", concept.id), concept.name


def test_the_tree_is_shallow_and_has_few_roots(vocabulary: Vocabulary) -> None:
    assert max(depth(vocabulary, concept) for concept in vocabulary.concepts) <= 6
    assert sum(concept.parent is None for concept in vocabulary.concepts) <= 40


def test_a_concept_is_of_its_parent_s_facet(vocabulary: Vocabulary) -> None:
    """An encoder that cannot tell a facet drops it whole, never half a tree."""
    for concept in vocabulary.concepts:
        for parent in vocabulary.ancestors(concept):
            assert concept.facet == parent.facet, concept.name


def test_a_hidden_concept_has_something_beneath_it(vocabulary: Vocabulary) -> None:
    parents = {concept.parent for concept in vocabulary.concepts}
    assert not [c.name for c in vocabulary.concepts if "hidden" in c.flags and c.id not in parents]


def test_what_is_beneath_a_personal_attribute_is_personal(vocabulary: Vocabulary) -> None:
    for concept in vocabulary.concepts:
        if any(parent.personal for parent in vocabulary.ancestors(concept)):
            assert concept.personal, concept.name


def test_the_file_is_in_the_order_of_its_tree(vocabulary: Vocabulary) -> None:
    """Parents first, siblings by name: an insertion is one line of a diff, at a place that nobody has to choose."""
    siblings: dict[str | None, list[str]] = {}
    for concept in vocabulary.concepts:
        siblings.setdefault(concept.parent, []).append(concept.name.lower())
    for parent, names in siblings.items():
        assert parent is None or names == sorted(names), parent


@pytest.mark.parametrize("name", COCO.split(", "))
def test_everyday_objects_are_there(vocabulary: Vocabulary, name: str) -> None:
    words = {word.lower() for concept in vocabulary.concepts for word in (concept.label, *concept.synonyms)}
    assert name in words


@pytest.mark.parametrize("language", ["ko"])
def test_every_concept_has_a_label_in_every_language(vocabulary: Vocabulary, language: str) -> None:
    table = vocabulary.translations[language]
    assert set(table) == {concept.id for concept in vocabulary.concepts}


def test_korean_labels_are_hangul_or_an_abbreviation(vocabulary: Vocabulary) -> None:
    """Koreans type SUV, CCTV and DNA as they are; a longer word in Latin letters was forgotten."""
    for identifier, words in vocabulary.translations["ko"].items():
        assert len(words) == len(set(words)), (identifier, words)
        for word in words:
            assert re.search("[가-힣]", word) or re.fullmatch("[A-Z]{2,4}", word), (identifier, word)
            assert re.fullmatch(r"[가-힣A-Za-z0-9 /]+", word), (identifier, word)


@pytest.mark.parametrize(("scheme", "rows"), [("shutterstock", 26), ("adobe", 21), ("iptc", 17)])
def test_category_files_are_whole(vocabulary: Vocabulary, scheme: str, rows: int) -> None:
    (found,) = (each for each in load_schemes() if each.name == scheme)
    check([found], vocabulary)
    assert len({row.id for row in found.rows}) == len(found.rows) == rows
    for row in found.rows:
        assert len(row.concepts) == len(set(row.concepts)), row.label


@pytest.mark.parametrize("scheme", ["shutterstock", "adobe"])
def test_whatever_a_photograph_shows_has_a_category(vocabulary: Vocabulary, scheme: str) -> None:
    (found,) = (each for each in load_schemes() if each.name == scheme)
    mapped = {name for row in found.rows for name in row.concepts}
    for concept in vocabulary.concepts:
        above = {concept.name, *(parent.name for parent in vocabulary.ancestors(concept))}
        # A hidden root is not a thing that a photograph shows.
        assert above & mapped or "hidden" in concept.flags or concept.facet in ABSTRACT, concept.name
