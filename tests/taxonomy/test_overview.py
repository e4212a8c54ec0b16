import pytest

from taxonomy.categories import CategoryRow, Scheme
from taxonomy.concepts import Concept, Vocabulary, build
from taxonomy.overview import entry, shared_words, statistics


@pytest.fixture
def vocabulary() -> Vocabulary:
    return build(
        [
            Concept("sm:animal", "animal", flags=frozenset({"hidden"}), tier="A"),
            Concept("wn30:1-n", "crane", "bird", parent="sm:animal", synonyms=("stork",)),
            Concept("wn30:2-n", "boat", tier="C"),
            Concept("sm:crane", "crane", "machine", flags=frozenset({"personal:age"})),
        ],
        translations={"ko": {"wn30:1-n": ("두루미", "학"), "wn30:2-n": ("배",), "sm:crane": ("크레인",)}},
        implied={"sm:animal": ("wn30:2-n",)},
    )


SCHEME = Scheme(
    "test",
    1,
    (
        CategoryRow("1", "Nature", (), "nature"),
        CategoryRow("2", "Animals", ("animal",), "animals", parent="1"),
    ),
)


def test_statistics(vocabulary: Vocabulary) -> None:
    found = statistics(vocabulary, [SCHEME])
    assert (found.concepts, found.shown, found.hidden, found.words) == (4, 3, 1, 5)
    assert (found.roots, found.parents, found.depths) == (3, 1, {0: 3, 1: 1})
    assert found.tiers == {"A": 1, "B": 2, "C": 1}
    assert found.sources == {"sm": 2, "wn30": 2}
    assert found.personal == {"age": 1}
    assert found.shared == 1
    assert (found.languages["ko"].concepts, found.languages["ko"].words) == (3, 4)
    assert found.languages["ko"].tiers == {"B": 2, "C": 1}
    assert found.categories == {"test": (2, 2)}


def test_shared_words_are_those_of_several_labels(vocabulary: Vocabulary) -> None:
    several = {word: [c.id for c in owners] for word, owners in shared_words(vocabulary).items() if len(owners) > 1}
    assert several == {("en", "crane"): ["wn30:1-n", "sm:crane"]}


def test_an_entry(vocabulary: Vocabulary) -> None:
    found = entry(vocabulary, [SCHEME], vocabulary.by_name["crane (bird)"])
    assert found.path == ("animal", "crane (bird)")
    assert found.labels == {"ko": ("두루미", "학")}
    assert found.categories == {"test": (("1", "Nature"), ("2", "Animals"))}
    assert found.shared == {"en: crane": ("crane (machine)",)}
    above = entry(vocabulary, [SCHEME], vocabulary.by_name["animal"])
    assert (above.children, above.beneath, above.implied_by) == (("crane (bird)",), 1, ("boat",))
