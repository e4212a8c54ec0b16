import numpy as np
import pytest

from taxonomy.concepts import Concept, Vocabulary, build, literal
from worker.captioners.claims import FEWEST, Claims
from worker.captioners.phrases import Phrases

NAMED = [
    Concept("animal", "animal", facet="animal"),
    Concept("dog", "dog", parent="animal", facet="animal", synonyms=("hound",)),
    Concept("poodle", "poodle", parent="dog", facet="animal"),
    Concept("hot dog", "hot dog", facet="food", plural="hot dogs"),
    Concept("crane-bird", "crane", "bird", parent="animal", facet="animal"),
    Concept("crane-machine", "crane", "machine"),
    Concept("box", "box", plural="boxes"),
    Concept("can", "can"),
    Concept("tree", "Christmas tree", facet="plant"),
]


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return build([*NAMED, *(Concept(f"filler-{i}", f"filler{i}") for i in range(2 * FEWEST))])


def raw_of(vocabulary: Vocabulary, **seen: float) -> np.ndarray:
    """Fillers are spread from 0 to 1, all that is named is at 0 unless said otherwise."""
    raw = np.linspace(0, 1, len(vocabulary.concepts)).astype(np.float32)
    for concept in NAMED:
        raw[vocabulary.index[concept.id]] = seen.get(concept.id.replace("-", "_").replace(" ", "_"), 0.0)
    return raw


@pytest.mark.parametrize(
    ("text", "seen", "rejected"),
    [
        ("a dog on a mat", {}, "dog"),
        ("a dog on a mat", {"dog": 0.9}, None),
        ("a dog on a mat", {"poodle": 0.9}, None),
        ("a poodle on a mat", {"dog": 0.9}, "poodle"),
        ("an animal on a mat", {"poodle": 0.9}, None),
        ("two hounds on a mat", {}, "hounds"),
        ("two hounds on a mat", {"dog": 0.9}, None),
        ("a dog with a hot dog", {"dog": 0.9}, "hot dog"),
        ("two hot dogs", {"hot_dog": 0.9}, None),
        ("a crane by a river", {"crane_machine": 0.9}, None),
        ("a crane by a river", {}, "crane"),
        ("Boxes in a room", {}, "boxes"),
        ("a mat that one can roll", {}, None),
        ("somebody on a mat", {}, None),
    ],
)
def test_what_the_encoder_rejects_is_found(
    vocabulary: Vocabulary, text: str, seen: dict[str, float], rejected: str | None
) -> None:
    assert Claims(vocabulary).rejected(text, raw_of(vocabulary, **seen)) == rejected


def test_ranks_among_few_concepts_or_a_word_list_say_nothing() -> None:
    few = build(NAMED)
    assert Claims(few).rejected("a dog", np.zeros(len(few.concepts), np.float32)) is None
    words = literal(f"word{i}" for i in range(2 * FEWEST))
    assert Claims(words).rejected("a word1", -np.arange(2 * FEWEST, dtype=np.float32)) is None


def test_capitals_are_the_vocabularys(vocabulary: Vocabulary) -> None:
    assert Phrases(vocabulary).spelt("a dog by a christmas tree") == "a dog by a Christmas tree"
