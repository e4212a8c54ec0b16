"""The shipped vocabulary is data that people edit by hand: it passes its validation, and has what everybody expects."""

import pytest

from taxonomy import tables
from taxonomy.categories import load_schemes
from taxonomy.choose import said
from taxonomy.concepts import Vocabulary
from taxonomy.files import load
from taxonomy.overview import shared_words, statistics
from taxonomy.validate import problems
from taxonomy.words import load_screen

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


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return load()


def test_it_is_sound(vocabulary: Vocabulary) -> None:
    found = problems(tables.read(), load_screen(vocabulary))
    assert [str(problem) for problem in found if problem.level == "error"] == []


def test_validation_and_use_read_the_same_vocabulary(vocabulary: Vocabulary) -> None:
    rows = tables.read().concepts.rows
    assert [row["id"] for row in rows] == [concept.id for concept in vocabulary.concepts]


def test_it_is_large(vocabulary: Vocabulary) -> None:
    figures = statistics(vocabulary, load_schemes())
    assert figures.concepts >= 8000
    assert figures.languages["ko"].concepts >= 5000
    assert figures.languages["ko"].tiers["A"] == figures.tiers["A"]
    assert figures.roots <= 40
    assert max(figures.depths) <= 6


def test_shared_words_have_hints_and_fold(vocabulary: Vocabulary) -> None:
    cranes = [concept for concept in vocabulary.concepts if concept.label == "crane"]
    assert len(cranes) > 1
    assert all(concept.hint for concept in cranes)
    assert shared_words(vocabulary)["en", said("crane")] == tuple(cranes)


@pytest.mark.parametrize(("american", "british"), [("color", "colour"), ("gray", "grey"), ("tire", "tyre")])
def test_both_spellings_lead_to_the_concept(vocabulary: Vocabulary, american: str, british: str) -> None:
    found = vocabulary.by_word
    assert found[american]
    assert {concept.id for concept in found[american]} == {concept.id for concept in found[british]}


@pytest.mark.parametrize("name", COCO.split(", "))
def test_everyday_objects_are_there(vocabulary: Vocabulary, name: str) -> None:
    assert name in vocabulary.by_word


@pytest.mark.parametrize(("scheme", "levels"), [("shutterstock", [26]), ("adobe", [21]), ("iptc", [17, 103])])
def test_category_files_are_whole(scheme: str, levels: list[int]) -> None:
    (found,) = (each for each in load_schemes() if each.name == scheme)
    tops = sum(not row.parent for row in found.rows)
    assert [count for count in (tops, len(found.rows) - tops) if count] == levels


def test_iptc_s_scene_codes_are_whole() -> None:
    (found,) = (each for each in load_schemes() if each.name == "iptc_scene")
    assert len(found.rows) == 24
    assert found.needs_concepts
