import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from taxonomy.concepts import PERSONAL, Concept, literal
from taxonomy.policy import Policy, apply, withheld
from taxonomy.rules import Finder
from taxonomy.truth import Lexicon
from tests.taxonomy.small import small


def reasons(policy: Policy) -> dict[str, str]:
    vocabulary = small()
    return {vocabulary.concepts[i].id: reason for i, reason in withheld(policy, vocabulary).items()}


def test_without_a_policy_only_groups_and_personal_attributes_are_withheld() -> None:
    assert reasons(Policy()) == {
        "w:life": "it groups others and means nothing to a buyer",
        "w:woman": "it names a personal attribute (gender) that the policy does not ask for",
        "w:nun": "it names a personal attribute (gender) that the policy does not ask for",
    }


def test_personal_attributes_are_asked_for_by_kind() -> None:
    assert "w:woman" not in reasons(Policy(personal=frozenset({"gender"})))
    assert "w:woman" in reasons(Policy(personal=PERSONAL - {"gender"}))


def test_deny_wins_over_allow_and_both_over_asking_for_personal_attributes() -> None:
    policy = Policy(denied={"w:dog": "dog*"}, allowed=frozenset({"w:dog", "w:cat", "w:life"}), personal=PERSONAL)
    found = reasons(policy)
    assert found["w:dog"] == "the policy denies 'dog*'"
    assert found["w:woman"] == "it is not among what the policy allows"
    assert found["w:life"].startswith("it groups others")
    assert "w:cat" not in found


def test_tiers() -> None:
    found = reasons(Policy(tiers=frozenset("AB")))
    assert found["w:cat"] == "it is of tier C, and the policy shows A, B"
    assert "w:dog" not in found


def test_a_word_list_is_taken_literally() -> None:
    flat = literal(["dog", "cat"])
    policy = Policy(denied={"term:dog": "dog"}, spelling="british", allowed=frozenset())
    assert withheld(policy, flat) == {}
    assert apply(policy, flat) is flat


def test_a_neutral_policy_leaves_the_vocabulary_as_it_is() -> None:
    vocabulary = small()
    assert apply(Policy(max_keywords=3, denied={"w:dog": "dog"}), vocabulary) is vocabulary


def test_a_preferred_label_is_shown_and_the_old_one_stays_a_synonym() -> None:
    policy = Policy(preferred={"en": {"w:dog": "hound"}, "ko": {"w:dog": "멍멍이", "w:gun": "총"}})
    vocabulary = apply(policy, small())
    dog, gun = vocabulary.by_name["dog"], vocabulary.by_name["gun"]
    assert vocabulary.labels(dog, ("en", "ko")) == {"en": "hound", "ko": "멍멍이"}
    assert vocabulary.labels(dog, ()) == {"en": "hound"}
    assert vocabulary.shown(dog) == "hound"
    assert vocabulary.translations["ko"]["w:dog"] == ("멍멍이", "개", "강아지")
    assert vocabulary.labels(gun, ("ko",))["ko"] == "총"
    assert vocabulary.by_word["hound"] == vocabulary.by_word["dog"] == (dog,)
    assert vocabulary.languages == ("en", "ko")


def test_a_preferred_label_changes_nothing_that_is_scored() -> None:
    policy = Policy(preferred={"en": {"w:dog": "hound"}}, synonyms={"en": {"w:cat": ("tabby",)}})
    vocabulary = apply(policy, small())
    assert vocabulary.by_name["dog"] == small().by_name["dog"]
    assert [concept.id for concept in vocabulary.by_word["hound"]] == ["w:dog"]
    assert Finder(vocabulary).one("Hound").id == "w:dog"
    assert Lexicon(vocabulary).find("hounds") == (vocabulary.by_name["dog"],)


def test_british_spelling_is_shown_where_there_is_one_and_nothing_is_preferred() -> None:
    vocabulary = apply(Policy(spelling="british"), small())
    assert vocabulary.shown(vocabulary.by_name["color"]) == "colour"
    assert vocabulary.shown(vocabulary.by_name["dog"]) == "dog"
    preferred = apply(Policy(spelling="british", preferred={"en": {"w:color": "hue"}}), small())
    assert preferred.shown(preferred.by_name["color"]) == "hue"


def test_synonyms_are_added_once() -> None:
    vocabulary = apply(
        Policy(synonyms={"en": {"w:dog": ("Doggy", "mutt", "mutt")}, "ko": {"w:dog": ("개", "견")}}), small()
    )
    assert vocabulary.by_name["dog"].synonyms == ("doggy", "mutt")
    assert vocabulary.translations["ko"]["w:dog"] == ("개", "강아지", "견")


def test_own_concepts_and_label_files_join_the_shipped_ones() -> None:
    own = Concept("acme:pug", "pug", parent="w:dog", facet="animal")
    policy = Policy(concepts=(own,), labels={"fr": {"acme:pug": ("carlin",)}, "ko": {"w:dog": ("견공",)}})
    vocabulary = apply(policy, small())
    assert [above.id for above in vocabulary.ancestors(own)] == ["w:dog", "w:animal", "w:life"]
    assert vocabulary.labels(own, ("fr", "ko")) == {"en": "pug", "fr": "carlin"}
    assert vocabulary.translations["ko"]["w:dog"] == ("견공", "개", "강아지")
    assert vocabulary.translations["ko"]["w:cat"] == ("고양이",)


@pytest.mark.parametrize(
    "changed",
    [
        {"max_keywords": 3},
        {"min_keywords": 3},
        {"denied": {"w:dog": "dog"}},
        {"allowed": frozenset({"w:dog"})},
        {"tiers": frozenset("A")},
        {"personal": frozenset({"age"})},
        {"review": {"text": None}},
        {"review": {"text": 0.7}},
        {"spelling": "british"},
        {"concepts": (Concept("a:b", "b"),)},
        {"preferred": {"en": {"w:dog": "hound"}}},
        {"blocked": ("x",)},
    ],
)
def test_what_changes_the_metadata_changes_the_fingerprint(changed: dict[str, object]) -> None:
    assert replace(Policy(), **changed).fingerprint != Policy().fingerprint  # type: ignore[arg-type]


def test_what_changes_no_metadata_does_not() -> None:
    policy = Policy(agencies={"adobe": {"max_keywords": 3}}, calibration=Path("x"), warnings=("look",))
    assert policy.fingerprint == Policy().fingerprint


def test_the_fingerprint_is_the_same_in_every_process() -> None:
    policy = "Policy(personal=frozenset('abcdef'), allowed=frozenset('xyz'))"
    code = f"from taxonomy.policy import Policy; print({policy}.fingerprint)"
    found = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(found) == 1
