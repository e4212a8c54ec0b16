"""What leaves the system: whose words win, and which keywords come first."""

import unicodedata

import pytest

from tasks.published import Human, Text, published
from tasks.records import UNTITLED, Embedded, Record, Source
from tests.worker.libraries import keyword, record


def words(record: Record, human: Human | None = None) -> list[str]:
    return [next(iter(word.labels.values())) for word in published(record, human).keywords]


def test_each_text_comes_from_the_strongest_source_that_has_one() -> None:
    made = record(
        title="Ours",
        caption="Ours.",
        alt_text="Ours",
        embedded=Embedded(title=" The file's ", description="   ", headline="Not this"),
    )
    found = published(made, Human(alt_text="Hers"))
    assert found.title == Text("The file's", "embedded")
    assert found.caption == Text("Ours.", "generated")
    assert found.alt_text == Text("Hers", "human")


def test_a_headline_stands_in_for_a_title_and_nothing_for_nothing() -> None:
    found = published(record(caption=None, embedded=Embedded(headline="At the lake")))
    assert found.title == Text("At the lake", "embedded")
    assert found.caption is None


def test_what_stands_for_nothing_sure_does_not_leave() -> None:
    made = record(title=UNTITLED, caption="A picture taken in Busan.", alt_text="A picture.")
    found = published(made)
    assert (found.title, found.caption, found.alt_text) == (None, None, None)
    assert published(made, Human(title="Harbor at dusk")).title == Text("Harbor at dusk", "human")


def test_the_files_own_words_come_first_and_each_word_once() -> None:
    made = record(
        keywords=[
            keyword(1, "lake"),
            keyword(2, "boat", Source.EMBEDDED),
            keyword(3, "dog"),
            keyword(4, "sky", ko="하늘"),
        ],
        embedded=Embedded(keywords=("Ammersee", "DOG", "하늘", "ammersee")),
    )
    assert words(made) == ["boat", "dog", "sky", "Ammersee", "lake"]
    found = {word.labels.get("en"): (word.concept, word.source) for word in published(made).keywords}
    assert found["Ammersee"] == (None, "embedded")
    assert found["dog"] == ("c-dog", "embedded")
    assert found["lake"] == ("c-lake", "generated")


def test_a_persons_keywords_replace_all_others() -> None:
    made = record(keywords=["lake", "dog"], embedded=Embedded(keywords=("Ammersee",)))
    found = published(made, Human(keywords=("Dog", "wet  fur", "", "dog"))).keywords
    assert [(word.labels, word.concept, word.source) for word in found] == [
        ({"en": "dog"}, "c-dog", "human"),
        ({"en": "wet fur"}, None, "human"),
    ]
    assert published(made, Human(keywords=())).keywords == ()


def test_rejected_words_are_left_out_whatever_language_they_are_in() -> None:
    made = record(keywords=[keyword(1, "sky", ko="하늘"), keyword(2, "lake")], embedded=Embedded(keywords=("Trip",)))
    assert words(made, Human(rejected=("하늘", "TRIP"))) == ["lake"]


def test_a_persons_word_is_of_the_language_that_its_letters_tell() -> None:
    made = record(keywords=[], embedded=Embedded(keywords=("호수", "café", "озеро")))
    assert [list(word.labels) for word in published(made).keywords] == [["ko"], ["en"], ["und"]]


def test_a_document_of_decisions_is_read_leniently_and_written_exactly() -> None:
    human = Human(title="T", keywords=("a",), rejected=("b",))
    assert Human.from_json(human.to_json()) == human
    assert Human.from_json('{"title": "T", "editor": "kim"}') == Human(title="T")
    for broken in ('{"schema": "stockmeta-human/2"}', '{"title": 3}', "[]", "", b"\xff"):
        with pytest.raises(ValueError):
            Human.from_json(broken)


def test_composed_and_decomposed_letters_are_the_same_word() -> None:
    made = record(keywords=[keyword(1, "bridge", ko="다리"), keyword(2, "river", ko="강")])
    apart = unicodedata.normalize("NFD", "다리")
    assert words(made, Human(rejected=(apart,))) == ["river"]
    assert words(made, Human(keywords=(apart,))) == ["bridge"]
