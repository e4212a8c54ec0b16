"""A person's keywords beside ours, with a small vocabulary in two languages."""

import numpy as np
import pytest

from tasks.embedded_words import FLAG, FileWords, words_of
from tasks.records import Embedded, Keyword, Source
from taxonomy.concepts import Concept, build
from taxonomy.policy import Policy

VOCABULARY = build(
    [
        Concept("w:animal", "animal"),
        Concept("w:dog", "dog", parent="w:animal", plural="dogs", synonyms=("doggy",)),
        Concept("w:crane", "crane", "bird", parent="w:animal"),
        Concept("w:lift", "crane", "machine"),
        Concept("w:color", "color", british=("colour",)),
        Concept("w:gun", "gun"),
    ],
    translations={"ko": {"w:dog": ("개", "강아지"), "w:crane": ("두루미",), "w:lift": ("크레인",)}},
)
RAW = np.zeros(len(VOCABULARY.concepts), np.float32)
RAW[VOCABULARY.index["w:lift"]] = 0.123456
RAW[VOCABULARY.index["w:dog"]] = 0.05


def ours(*names: str) -> list[Keyword]:
    """Keywords that the picture shows, by their concepts' ids."""
    concepts = [VOCABULARY.concepts[VOCABULARY.index[f"w:{name}"]] for name in names]
    return [
        Keyword(rank, concept.id, VOCABULARY.labels(concept, ("ko",)), 0.5, 0.1, Source.VOCABULARY)
        for rank, concept in enumerate(concepts, 1)
    ]


def merged(*words: str, beside: tuple[str, ...] = (), **policy: object) -> list[Keyword]:
    made = FileWords(VOCABULARY, Policy(**{"languages": ("en", "ko"), **policy}))  # type: ignore[arg-type]  one of many
    return list(made.merged(words, ours(*beside), RAW))


def test_without_any_ours_stay_as_they_are() -> None:
    assert merged(beside=("dog", "gun")) == ours("dog", "gun")


def test_theirs_come_first_in_their_order() -> None:
    found = merged("zebra", "gun", beside=("dog",))
    assert [(word.rank, word.labels["en"], word.source) for word in found] == [
        (1, "zebra", Source.EMBEDDED),
        (2, "gun", Source.EMBEDDED),
        (3, "dog", Source.VOCABULARY),
    ]
    assert (found[0].id, found[0].score, found[0].raw) == ("embedded:zebra", 1.0, 0.0)


@pytest.mark.parametrize(
    ("word", "id_", "labels"),
    [
        ("dog", "w:dog", {"en": "dog", "ko": "개"}),
        ("Dogs", "w:dog", {"en": "Dogs", "ko": "개"}),
        ("doggy", "w:dog", {"en": "doggy", "ko": "개"}),
        ("강아지", "w:dog", {"en": "dog", "ko": "강아지"}),
        ("colour", "w:color", {"en": "colour"}),
        ("COLOR", "w:color", {"en": "COLOR"}),
        ("세종대왕", "embedded:세종대왕", {"en": "세종대왕", "ko": "세종대왕"}),
        ("Gyeongbok-gung", "embedded:gyeongbok gung", {"en": "Gyeongbok-gung"}),
    ],
)
def test_a_word_that_names_a_concept_takes_its_id_and_labels(word: str, id_: str, labels: dict[str, str]) -> None:
    (found,) = merged(word)
    assert (found.id, found.labels) == (id_, labels)


def test_our_word_for_the_same_folds_into_theirs() -> None:
    for word in ("dog", "dogs", "doggy", "강아지"):
        assert [found.id for found in merged(word, beside=("dog", "animal"))] == ["w:dog", "w:animal"]


def test_of_several_concepts_it_is_what_the_picture_shows() -> None:
    (found,) = merged("crane", beside=())
    assert (found.id, found.raw, found.labels["ko"]) == ("w:lift", 0.1235, "크레인")
    assert [word.id for word in merged("crane", beside=("crane",))] == ["w:lift"], "two cranes read the same"


def test_none_of_theirs_is_dropped_but_for_repetitions() -> None:
    found = merged("dog", "dogs", "강아지", "DOG", "dog-s")
    assert [word.id for word in found] == ["w:dog", "embedded:dogs", "embedded:강아지", "embedded:dog s"]
    assert len({word.id for word in found}) == len(found)


def test_a_policy_denies_nothing_of_theirs_and_its_number_holds() -> None:
    denied = {"w:gun": "gun"}
    assert [word.id for word in merged("gun", denied=denied)] == ["w:gun"]
    assert [word.id for word in merged("a1", "a2", beside=("dog", "gun"), max_keywords=3)] == [
        "embedded:a1",
        "embedded:a2",
        "w:dog",
    ]
    assert len(merged(*(f"word {i}" for i in range(60)), beside=("dog",), max_keywords=49)) == 49


def test_what_the_encoder_cannot_tell_has_its_labels_all_the_same() -> None:
    told = build([concept for concept in VOCABULARY.concepts if concept.id == "w:gun"])
    (found,) = FileWords(told, Policy(languages=("en", "ko")), VOCABULARY).merged(["개"], [], np.zeros(1, np.float32))
    assert (found.id, found.labels, found.raw) == ("w:dog", {"en": "dog", "ko": "개"}, 0.0)


def test_brands_and_offensive_words_are_flagged() -> None:
    made = FileWords(VOCABULARY, Policy(blocked=("my rival",)))
    assert made.flags(["dog", "cockpit", "Scunthorpe"]) == ()
    (flag,) = made.flags(["dog", "Coca-Cola", "fuck", "my rival"])
    assert (flag.name, flag.verdict) == (FLAG, "yes")
    assert all(part in flag.reason for part in ("coca cola", "fuck", "my rival"))


def test_texts_of_a_picture_of_which_only_its_file_says_anything() -> None:
    assert words_of(Embedded(keywords=("a", "b"))) == ("a, b", "a, b", "a, b")
    assert words_of(Embedded(title="t", description="d", alt_text="a")) == ("t", "d", "a")
    long = words_of(Embedded(description="word " * 100))
    assert (len(long.title), len(long.alt_text)) == (199, 249)
    assert len(words_of(Embedded(title="x" * 300)).title) == 200
