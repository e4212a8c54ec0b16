"""Whether there are people in a picture, and who says so."""

from functools import cache
from typing import Any

import pytest

from tasks.feeding.documents import Maker
from tasks.feeding.people import NOBODY, PERSON, PeopleRule, names_people
from tasks.published import Human
from tasks.records import Embedded, Flag, Keyword, Source
from taxonomy import files
from taxonomy.concepts import Concept, build
from tests.worker.libraries import record


@cache
def shipped() -> PeopleRule:
    return PeopleRule.of(files.load(None))


def people(*ids: str, human: Human | None = None, **changes: Any) -> bool | None:
    """What a document says of a picture with these keywords of ours."""
    keywords = [
        Keyword(rank, each, {"en": f"label {rank}"}, 0.5, 0.1, Source.VOCABULARY) for rank, each in enumerate(ids, 1)
    ]
    return Maker(shipped()).document(record(keywords=keywords, **changes), human, "t").people


def test_silence_is_no_answer() -> None:
    assert people("sm:animal") is None
    assert Maker().document(record(embedded=Embedded(keywords=("man",))), None, "t").people is None


@pytest.mark.parametrize(
    ("ids", "answer"),
    [([PERSON], True), (["sm:two-people"], True), (["wn30:09827683-n"], True), ([NOBODY], False)],
)
def test_a_generated_keyword_says_it(ids: list[str], answer: bool) -> None:
    assert people("sm:animal", *ids) is answer


def test_a_model_that_says_both_says_nothing() -> None:
    assert people(PERSON, NOBODY) is None


def test_a_recognisable_minor_is_a_person() -> None:
    assert people("sm:animal", flags=(Flag("minor", "yes", ""),)) is True
    assert people("sm:animal", flags=(Flag("minor", "no", ""), Flag("text", "yes", ""))) is None


@pytest.mark.parametrize(
    ("word", "answer"),
    [("Tourist", True), ("people", True), ("사람", True), ("no people", False), ("Nobody", False), ("lake", None)],
)
def test_a_word_in_the_file_says_it(word: str, answer: bool | None) -> None:
    assert people("sm:animal", embedded=Embedded(keywords=(word,))) is answer


def test_a_word_that_may_mean_a_thing_does_not_say_it() -> None:
    """A crane operator is a person; `model`, `pitcher` or `nut` may be anything."""
    assert people("sm:animal", embedded=Embedded(keywords=("pitcher", "jumper"))) is None


def test_the_file_is_asked_before_the_model_and_people_before_the_file() -> None:
    assert people(PERSON, embedded=Embedded(keywords=("no people",))) is False
    file = Embedded(keywords=("no people",))
    assert people(PERSON, embedded=file, human=Human(keywords=("dog", "woman"))) is True
    assert people("sm:animal", embedded=Embedded(keywords=("man",)), human=Human(keywords=("no people",))) is False
    assert people("sm:animal", embedded=Embedded(keywords=("man",)), human=Human(title="Two boys at a lake")) is True


def test_who_rejects_people_says_that_there_are_none() -> None:
    assert people("sm:animal", embedded=Embedded(description="A man"), human=Human(rejected=("People",))) is False
    assert people("sm:animal", embedded=Embedded(description="A man"), human=Human(rejected=("woman",))) is True
    assert people(NOBODY, human=Human(rejected=("no people",))) is True


@pytest.mark.parametrize(
    "text",
    [
        "Two people at a table",
        "A man riding a horse",
        "Woman, portrait",
        "Children!",
        "두 사람이 해변을 걷는다",
        "아이들이 웃는다",
        "여자아이와 남자친구",
        "여러사람에게는 좁은 방",
        "해변의 소녀입니다.",
        "There is no dog, and a man waits",
    ],
)
def test_a_caption_speaks_of_people(text: str) -> None:
    assert names_people(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A manhole in Manchester",
        "The child's umbrella is open",
        "A man-made lake",
        "An adult polar bear",
        "A beach with no people",
        "A street without any people on it",
        "사람이 없는 해변",
        "아이스크림을 파는 가게",
        "아이폰과 노트북",
        "여성용 가방",
        "소년원 건물",
        "관중석",
    ],
)
def test_a_caption_does_not_speak_of_people(text: str) -> None:
    assert not names_people(text)


def test_a_vocabulary_without_persons_leaves_it_to_texts() -> None:
    rule = PeopleRule.of(build([Concept("x", "lake"), Concept("y", "man")]))
    made = Maker(rule).document(record(embedded=Embedded(keywords=("man",), description="A lake")), None, "t")
    assert made.people is None
    made = Maker(rule).document(record(embedded=Embedded(description="A man at a lake")), None, "t")
    assert made.people is True
