from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tasks.ports import Captioner, Picture, Words
from tasks.records import Candidate, Embedded
from taxonomy.choose import Chosen
from taxonomy.files import shipped
from taxonomy.limits import load_limits
from taxonomy.policy import Policy
from taxonomy.words import tokens
from worker.captioners.generated import Checks, GeneratedCaptioner, make_checks
from worker.captioners.phrases import Phrases

VOCABULARY = shipped()
PHRASES = Phrases(VOCABULARY)
COMPOSED = Words("Composed title", "A composed caption.", "A composed text.")


class Composed:
    fingerprint = "composed"

    def caption(self, picture: Picture, keywords: Sequence[Chosen]) -> Words | None:
        return COMPOSED


@pytest.fixture(scope="module")
def checks() -> Checks:
    return make_checks(VOCABULARY, VOCABULARY, Policy())


def picture(*texts: str, unseen: Sequence[str] = ()) -> Picture:
    """What the texts name is in it, but for what is unseen, with all beneath."""
    raw = np.zeros(len(VOCABULARY.concepts), np.float32)
    for text in texts:
        for span in PHRASES.find(tokens(text)):
            raw[list(span.positions)] = 1.0
    for word in unseen:
        for concept in VOCABULARY.by_word[word]:
            position = VOCABULARY.index[concept.id]
            raw[position : VOCABULARY.end[position]] = 0.0
    return Picture(np.ones(4, np.float32), raw, [Candidate(text, 0.3) for text in texts])


def captioner(checks: Checks) -> Captioner:
    return GeneratedCaptioner(Composed(), checks, load_limits(), "generator")


def test_the_first_candidate_that_passes_is_used(checks: Checks) -> None:
    words = captioner(checks).caption(
        picture("a cat and a cat", "an elephant on a couch", "a young man with his dog .", unseen=["elephant"]), []
    )
    assert words == Words("Person with their dog", "A person with their dog.", "A person with their dog.")


@pytest.mark.parametrize(
    "text",
    [
        "an elephant on a couch",
        "a cup of coca-cola on a table",
        "a shit on a street",
        "barack obama with a dog",
        "a dog",
    ],
)
def test_where_none_passes_the_composed_one_is_used(checks: Checks, text: str) -> None:
    assert captioner(checks).caption(picture(text, unseen=["elephant"]), []) == COMPOSED


def test_without_candidates_the_composed_one_is_used(checks: Checks) -> None:
    assert captioner(checks).caption(picture(), []) == COMPOSED


@pytest.mark.parametrize("text", ["a shell on a beach", "an orange next to an apple"])
def test_ordinary_words_that_may_be_something_else_pass(checks: Checks, text: str) -> None:
    assert captioner(checks).caption(picture(text), []) != COMPOSED


def test_what_a_policy_blocks_or_denies_is_not_said(checks: Checks) -> None:
    dog = VOCABULARY.by_name["dog"]
    denied = replace(checks, policy=Policy(denied={dog.id: "dog"}))
    assert captioner(denied).caption(picture("a dog on a couch"), []) == COMPOSED
    assert captioner(denied).caption(picture("a cat on a couch"), []) != COMPOSED
    blocked = make_checks(VOCABULARY, VOCABULARY, Policy(blocked=("couch",)))
    assert captioner(blocked).caption(picture("a cat on a couch"), []) == COMPOSED


def test_capitals_are_those_of_english(checks: Checks) -> None:
    words = captioner(checks).caption(picture("a chinese lantern by a new york street with the number 7 on it"), [])
    assert words is not None
    assert words.caption == "A Chinese lantern by a New York street with the number 7 on it."


@pytest.mark.parametrize("text", ["a dog " + "and a cat with a ball " * 90, "x" * 2000, "a " * 1000, "é" * 2000])
def test_no_text_is_too_strange(checks: Checks, text: str) -> None:
    words = captioner(checks).caption(picture(text), [])
    assert words is not None
    assert len(words.title) <= load_limits().title


def test_texts_keep_the_limits(checks: Checks) -> None:
    text = (
        "a person standing on a wooden bridge over a river with a bicycle, a backpack and a red umbrella in the rain "
    )
    text += "while two dogs are looking at a boat with white sails that is passing under it near some old houses"
    words = captioner(checks).caption(picture(text), [])
    assert words is not None
    limits = load_limits()
    assert len(words.title) <= limits.title
    assert "," not in words.title
    assert len(words.caption) <= limits.caption
    assert len(words.alt_text) <= limits.alt_text


def test_a_caption_ends_with_what_the_file_says_of_place_and_date(checks: Checks) -> None:
    told = replace(picture("a dog on a couch"), embedded=Embedded(city="Paris", country="France", created="2024-05"))
    words = captioner(checks).caption(told, [])
    assert words == Words("Dog on a couch", "A dog on a couch in Paris, France, in May 2024.", "A dog on a couch.")


def test_the_fingerprint_knows_generator_fallback_and_policy(checks: Checks) -> None:
    other = Composed()
    other.fingerprint = "other"
    limits = load_limits()
    fingerprints = {
        GeneratedCaptioner(Composed(), checks, limits, "generator").fingerprint,
        GeneratedCaptioner(Composed(), checks, limits, "another").fingerprint,
        GeneratedCaptioner(other, checks, limits, "generator").fingerprint,
        GeneratedCaptioner(Composed(), checks, limits._replace(title=50), "generator").fingerprint,
        GeneratedCaptioner(Composed(), replace(checks, policy=Policy(blocked=("x",))), limits, "generator").fingerprint,
    }
    assert len(fingerprints) == 5
