from collections.abc import Sequence

import numpy as np
import pytest

from taxonomy.choose import Chooser, Chosen, Why, said
from taxonomy.concepts import Concept, Vocabulary, build, literal
from taxonomy.explain import explain
from taxonomy.policy import Policy, Thresholds

HIDDEN = frozenset({"hidden"})
ZOO = build(
    [
        Concept("organism", "organism", flags=HIDDEN),
        Concept("animal", "animal", parent="organism", tier="A"),
        Concept("elephant", "elephant", parent="animal"),
        Concept("camel", "camel", parent="animal"),
        Concept("woman", "woman", flags=frozenset({"personal:gender"})),
    ]
)
CHANCE, SCORE = [0.0, 0.05, 0.6, 0.15, 0.2], [0.2, 0.4, 0.6, 0.15, 0.2]


def choose(
    policy: Policy,
    score: Sequence[float] = SCORE,
    *,
    chance: Sequence[float] | None = None,
    raw: float = 0.5,
    vocabulary: Vocabulary = ZOO,
    thresholds: dict[str, float] | None = None,
) -> list[Chosen]:
    values = [np.array(row, np.float32) for row in ([raw] * len(score), chance or score, score)]
    return Chooser(vocabulary, policy, thresholds).choose(*values)


def ids(chosen: list[Chosen]) -> list[str]:
    return [word.concept.id for word in chosen]


def only(score: float = 0.0, margin: float = 0.0, raw: float = -1.0) -> Policy:
    """A policy that asks for no least number of keywords."""
    return Policy(thresholds=Thresholds(score, margin, raw), min_keywords=0)


def test_keywords_are_ranked_and_say_where_they_come_from() -> None:
    chosen = choose(Policy(), chance=CHANCE)
    assert [(word.concept.id, word.source) for word in chosen] == [
        ("elephant", "vocabulary"),
        ("animal", "hierarchy"),
        ("camel", "vocabulary"),
    ]


def test_personal_attributes_are_shown_when_asked_for() -> None:
    assert "woman" in ids(choose(Policy(personal=frozenset({"gender"}))))
    assert "woman" not in ids(choose(Policy(personal=frozenset({"age"}))))


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (Policy(max_keywords=1), ["elephant"]),
        (only(score=0.3), ["elephant", "animal"]),
        (only(margin=0.9), ["elephant"]),
        (only(raw=0.6), []),
    ],
)
def test_thresholds(policy: Policy, expected: list[str]) -> None:
    assert ids(choose(policy)) == expected


def test_a_concept_may_have_a_threshold_of_its_own() -> None:
    assert ids(choose(only(score=0.3), thresholds={"camel": 0.1, "animal": 0.5})) == ["elephant", "camel"]


def test_equals_go_by_how_often_buyers_type_them_then_by_id() -> None:
    assert ids(choose(Policy(), [0.0, 0.3, 0.3, 0.3, 0.0])) == ["animal", "camel", "elephant"]


def test_where_few_words_pass_their_parents_are_as_true() -> None:
    policy = Policy(thresholds=Thresholds(score=0.5), min_keywords=2)
    chosen = choose(policy, [0.1, 0.2, 0.6, 0.1, 0.0])
    assert [(word.concept.id, word.why) for word in chosen] == [("elephant", Why.PASSED), ("animal", Why.IMPLIED)]


def test_then_what_comes_near_but_not_what_is_far() -> None:
    policy = Policy(thresholds=Thresholds(score=0.5), min_keywords=7)
    chosen = choose(policy, [0.1, 0.2, 0.6, 0.41, 0.0])
    assert [(word.concept.id, word.why) for word in chosen] == [
        ("elephant", Why.PASSED),
        ("camel", Why.NEAREST),
        ("animal", Why.IMPLIED),
    ]


def test_a_picture_of_nothing_that_is_known_gets_no_words_to_make_up_the_number() -> None:
    assert choose(Policy(thresholds=Thresholds(score=0.7), min_keywords=7)) == []


def test_of_words_that_read_the_same_the_surest_is_shown() -> None:
    vocabulary = build(
        [
            Concept("bird", "crane", hint="bird"),
            Concept("cup", "coffee cup"),
            Concept("machine", "crane", hint="machine"),
            Concept("of", "cup of coffee"),
        ]
    )
    assert ids(choose(Policy(), [0.2, 0.4, 0.3, 0.1], vocabulary=vocabulary)) == ["cup", "machine"]


def test_of_words_that_exclude_each_other_the_one_with_more_evidence_is_shown() -> None:
    concepts = [Concept("in", "indoors"), Concept("room", "room", parent="in"), Concept("out", "outdoors")]
    vocabulary = build(concepts, contrary=[("in", "out")])
    score, chance = [0.2, 0.3, 0.4], [0.1, 0.5, 0.4]
    assert ids(choose(Policy(), score, chance=chance, vocabulary=vocabulary)) == ["room", "in"]
    values = [np.array(row, np.float32) for row in ([0.5] * 3, chance, score)]
    found = {each.concept.id: each.reason for each in explain(Chooser(vocabulary, Policy()), *values)}
    assert found["out"] == "excluded by indoors, for which there is more evidence"


def test_words_that_read_the_same_in_a_language_that_is_shown_are_shown_once() -> None:
    concepts = [Concept("falcon", "falcon"), Concept("hawk", "hawk"), Concept("leaf", "leaf", plural="leaves")]
    concepts.append(Concept("leaves", "leaves"))
    vocabulary = build(concepts, translations={"ko": {"falcon": ("매",), "hawk": ("매", "새매")}})
    score = [0.4, 0.3, 0.2, 0.1]
    assert ids(choose(Policy(), score, vocabulary=vocabulary)) == ["falcon", "hawk", "leaf"]
    assert ids(choose(Policy(languages=("en", "ko")), score, vocabulary=vocabulary)) == ["falcon", "leaf"]


@pytest.mark.parametrize(
    ("one", "other"),
    [("Coffee cup", "cup of coffee"), ("base-ball", "baseball"), ("stop signs", "stop sign"), ("t-shirt", "T shirt")],
)
def test_spellings_of_the_same(one: str, other: str) -> None:
    assert said(one) == said(other)


@pytest.mark.parametrize(("one", "other"), [("glass", "glas"), ("boathouse", "houseboat"), ("bus", "bu"), ("of", "o")])
def test_what_only_looks_alike(one: str, other: str) -> None:
    assert said(one) != said(other)


def test_a_word_list_is_ranked_and_cut_and_nothing_more() -> None:
    words = literal(["crane", "cranes", "cup"])
    policy = Policy(max_keywords=2, thresholds=Thresholds(score=-1, margin=0.9, raw=9))
    assert ids(choose(policy, [-0.2, 0.1, 0.3], vocabulary=words)) == ["term:cup", "term:cranes"]


def reasons(policy: Policy, score: Sequence[float] = SCORE, raw: float = 0.5) -> dict[str, str]:
    values = [np.array(row, np.float32) for row in ([raw] * 5, CHANCE, score)]
    return {each.concept.id: each.reason for each in explain(Chooser(ZOO, policy), *values)}


def test_every_keyword_and_every_near_miss_has_its_reason() -> None:
    found = reasons(Policy(thresholds=Thresholds(score=0.5, margin=0.1), min_keywords=2), [0.2, 0.4, 0.6, 0.05, 0.2])
    assert found == {
        "elephant": "passed",
        "animal": "true where elephant is, and fewer than 2 words passed",
        "organism": "it groups others and means nothing to a buyer",
        "woman": "it names a personal attribute (gender) that the policy does not ask for",
        "camel": "below its threshold, 0.5",
    }


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (only(margin=0.5), "below 0.5 of the picture's best score"),
        (Policy(max_keywords=2), "beyond the first 2"),
        (only(raw=0.6), "nothing in the vocabulary is certain enough: the best raw value is 0.5000"),
    ],
)
def test_reasons_for_a_word_that_is_not_there(policy: Policy, reason: str) -> None:
    assert reasons(policy)["camel"] == reason


def test_a_concept_can_be_asked_about_however_low_its_score() -> None:
    values = [np.array(row, np.float32) for row in ([0.5] * 5, CHANCE, SCORE)]
    camel = ZOO.by_name["camel"]
    assert camel not in [each.concept for each in explain(Chooser(ZOO, Policy(max_keywords=1)), *values, most=1)]
    asked = explain(Chooser(ZOO, Policy(max_keywords=1)), *values, most=1, about=[camel])
    assert asked[-1].concept == camel
    assert asked[-1].rank is None
    assert (asked[0].concept.id, asked[0].rank) == ("elephant", 1)
