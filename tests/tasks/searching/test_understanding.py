"""Queries in English and Korean, understood by the shipped vocabulary."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.searching.matching import Parts
from tasks.searching.understand import BENEATH, LONGEST, MOST_BENEATH, Understanding, Understood
from taxonomy import files
from taxonomy.concepts import Concept, build


@pytest.fixture(scope="module")
def understanding() -> Understanding:
    return Understanding(files.shipped())


def names(understood: Understood) -> list[list[str]]:
    """Names of what is wanted, a list for each phrase."""
    return [[concept.name for concept, _ in phrase.concepts] for phrase in understood.wanted]


@pytest.mark.parametrize(
    ("text", "wanted", "rest"),
    [
        ("dog", [["dog"]], ()),
        ("Hot dogs on a beach", [["hot dog"], ["beach"]], ()),
        ("two DOGS, running!", [["dog"], ["running"]], ()),
        ("St. Bernard's", [["Saint Bernard"]], ()),
        ("Jack-O'-Lanterns", [["jack-o'-lantern"]], ()),
        ("t-shirt", [["t-shirt"]], ()),
        ("colour", [["color"]], ()),
        ("women", [["woman"]], ()),
        ("crane", [["crane (bird)", "crane (machine)"]], ()),
        ("zorgblatt dog", [["dog"]], ("zorgblatt",)),
        ("no people", [["no people"]], ()),
        ("does it is", [], ()),
        ("", [], ()),
        (" ?! ", [], ()),
    ],
)
def test_english(understanding: Understanding, text: str, wanted: list[list[str]], rest: tuple[str, ...]) -> None:
    found = understanding.understand(text)
    assert names(found) == wanted
    assert found.rest == rest
    assert found.language == "en"


@pytest.mark.parametrize(
    ("text", "wanted", "rest"),
    [
        ("개", [["dog"]], ()),
        ("강아지와", [["puppy"]], ()),
        ("해변의 일몰", [["beach"], ["sunset"]], ()),
        ("새끼고양이들이", [["kitten"]], ()),
        ("새끼 고양이", [["kitten"]], ()),
        ("노트북으로 일하는 남자", [["laptop"], ["working"], ["man"]], ()),
        ("빨간 자동차", [["red"], ["car"]], ()),
        ("눈사람", [["snowman"]], ()),
        ("강아지풀", [["foxtail grass"]], ()),
        ("해변산책", [["walking on beach"]], ()),
        ("사과나무숲고양이", [], ("사과나무숲고양이",)),
        ("사람 없음", [["no people"]], ()),
        ("red car 해변에서", [["red"], ["car"], ["beach"]], ()),
        ("쾅쾅이 강아지", [["puppy"]], ("쾅쾅이",)),
    ],
)
def test_korean(understanding: Understanding, text: str, wanted: list[list[str]], rest: tuple[str, ...]) -> None:
    found = understanding.understand(text)
    assert names(found) == wanted
    assert found.rest == rest
    assert found.language == "ko"


def test_a_compound_is_taken_apart(understanding: Understanding) -> None:
    assert names(understanding.understand("바닷가고양이를")) == [["coast"], ["cat"]]


@pytest.mark.parametrize(
    ("text", "left_out", "wanted"),
    [
        ("beach without dogs", ["dogs"], [["beach"]]),
        ("강아지 없는 해변", ["강아지"], [["beach"]]),
        ("without zorgblatt dogs", ["zorgblatt"], [["dog"]]),
        ("beach -dogs", ["dogs"], [["beach"]]),
        ("강아지 쾅쾅쾅 없는 해변", ["쾅쾅쾅"], [["puppy"], ["beach"]]),
        ("-강아지 해변", ["강아지"], [["beach"]]),
        ("beach \N{MINUS SIGN}zorgblatt", ["zorgblatt"], [["beach"]]),
        ("beach - dogs", [], [["beach"], ["dog"]]),
        ("T-shirt", [], [["t-shirt"]]),
    ],
)
def test_what_is_not_wanted_is_not_searched_for(
    understanding: Understanding, text: str, left_out: list[str], wanted: list[list[str]]
) -> None:
    found = understanding.understand(text)
    assert [phrase.text for phrase in found.negated] == left_out
    assert names(found) == wanted
    assert found.rest == ()


def test_of_an_ambiguous_name_what_is_called_so_counts_most(understanding: Understanding) -> None:
    (phrase,) = understanding.understand("배").phrases
    weights = {concept.name: weight for concept, weight in phrase.concepts}
    assert weights["pear"] == weights["boat"] == 1
    assert 0 < weights["belly"] < 1


def test_a_language_that_is_given_is_that_of_the_rest(understanding: Understanding) -> None:
    assert understanding.understand("Strand dog", "de").language == "de"


def test_a_sentence_says_more_than_its_names(understanding: Understanding) -> None:
    assert understanding.understand("dog, beach").only_names
    assert not understanding.understand("dog on a beach").only_names
    assert not understanding.understand("zorgblatt").only_names


def test_what_lies_beneath_is_asked_for_with_less_weight(understanding: Understanding) -> None:
    vocabulary = files.shipped()
    understood = understanding.understand("dogs")
    query = Parts.of(understood, understanding).query(understood)
    dog, beagle = vocabulary.by_name["dog"].id, vocabulary.by_name["beagle"].id
    assert query.concepts[dog] == 1
    assert query.concepts[beagle] == BENEATH
    assert len(query.concepts) <= MOST_BENEATH + 1
    assert vocabulary.by_name["animal"].id not in query.concepts


@pytest.mark.parametrize(
    ("text", "things", "other"),
    [("eating pizza", {"pizza"}, "hot dog"), ("dog walking", {"dog"}, "cat"), ("피자 먹기", {"pizza"}, "hot dog")],
)
def test_what_is_done_has_things_in_it(understanding: Understanding, text: str, things: set[str], other: str) -> None:
    vocabulary = files.shipped()
    understood = understanding.understand(text)
    query = Parts.of(understood, understanding).query(understood)
    for thing in things:
        assert query.concepts[vocabulary.by_name[thing].id] == BENEATH
    assert vocabulary.by_name[other].id not in query.concepts


def test_a_hot_dog_has_no_dog_in_it(understanding: Understanding) -> None:
    understood = understanding.understand("hot dog")
    query = Parts.of(understood, understanding).query(understood)
    assert files.shipped().by_name["dog"].id not in query.concepts


def test_twins_in_two_languages_ask_for_the_same(understanding: Understanding) -> None:
    english, korean = understanding.understand("dog beach"), understanding.understand("개와 해변에서")
    queries = [Parts.of(each, understanding).query(each) for each in (english, korean)]
    assert queries[0].concepts == queries[1].concepts
    assert queries[0].text == queries[1].text == "dog 개 beach 해변"


def test_a_customers_language_is_understood() -> None:
    vocabulary = build([Concept("acme:1", "lamp")], translations={"de": {"acme:1": ("Stehlampe",)}})
    assert names(Understanding(vocabulary).understand("eine stehlampe")) == [["lamp"]]


@given(st.text(max_size=40))
def test_any_text_is_understood_somehow(text: str) -> None:
    understanding = _SMALL
    found = understanding.understand(text)
    known = {word for phrase in found.phrases for word in phrase.text.split()}
    assert len(set(found.rest)) == len(found.rest)
    assert not known & set(found.rest)
    query = Parts.of(found, understanding).query(found)
    assert all(0 < weight <= 1 for weight in query.concepts.values())


_SMALL = Understanding(
    build(
        [Concept("a", "animal"), Concept("d", "dog", parent="a"), Concept("h", "hot dog")],
        translations={"ko": {"d": ("개",), "a": ("동물",)}},
    )
)


@given(st.lists(st.sampled_from(["dog", "hot dog", "animals", "개", "동물이", "zorg"]), max_size=6))
def test_every_name_in_a_row_of_names_is_found(parts: list[str]) -> None:
    found = _SMALL.understand(", ".join(parts))
    meant = {"dog": "d", "hot dog": "h", "animals": "a", "개": "d", "동물이": "a"}
    # A "hot" that ends one part and a "dog" that begins the next would be one name; there is none here.
    assert [phrase.concepts[0][0].id for phrase in found.phrases] == [meant[part] for part in parts if part != "zorg"]
    assert found.rest == (("zorg",) if "zorg" in parts else ())


def test_a_query_is_read_so_far() -> None:
    found = _SMALL.understand("zorg " * (LONGEST - 1) + "dog hot dog")
    assert [phrase.text for phrase in found.phrases] == ["dog"]
