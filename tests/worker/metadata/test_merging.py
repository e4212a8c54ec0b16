"""A person's words and ours in one packet, by each policy; what we wrote earlier is ours still."""

import unicodedata
from dataclasses import replace

import pytest

from tasks.own_words import mark
from worker.metadata.fields import BY_LANGUAGE, CHANGED, LISTS, MARKS, PLAIN, Values
from worker.metadata.merge import Elsewhere, Merge, merge
from worker.metadata.xmp import Packet

OURS = Values(
    texts={
        "title": {"x-default": "A dog", "en": "A dog"},
        "headline": {"x-default": "A dog"},
        "description": {"x-default": "A dog on a beach."},
        "alt_text": {"x-default": "A dog"},
    },
    lists={"keywords": ("dog", "beach"), "hierarchy": ("animal|dog", "place|beach"), "scene": ("011000",)},
)


def theirs() -> Packet:
    packet = Packet()
    packet.set_alternatives(BY_LANGUAGE["title"], {"x-default": "Bella", "ko": "벨라"})
    packet.set_items(LISTS["keywords"], ["Bella", "Dog"])
    return packet


def test_an_empty_packet_is_filled() -> None:
    packet = Packet()
    merged = merge(packet, OURS, Merge.KEEP)
    assert merged.changed == ("title", "description", "alt_text", "headline", "keywords", "hierarchy", "scene")
    assert packet.items(LISTS["keywords"]) == ("dog", "beach")
    assert packet.alternatives(BY_LANGUAGE["title"]) == OURS.texts["title"]
    assert packet.alternatives(PLAIN["headline"]) == {"x-default": "A dog"}
    assert set(packet.items(MARKS)) == merged.marks
    assert {mark("keywords", "dog"), mark("title", "A dog")} <= merged.marks
    assert packet.alternatives(CHANGED)


def test_a_second_time_nothing_changes() -> None:
    packet = theirs()
    merge(packet, OURS, Merge.ADD)
    before = packet.to_bytes()
    assert merge(packet, OURS, Merge.ADD).changed == ()
    assert packet.to_bytes() == before


def test_keep_leaves_fields_that_a_person_filled() -> None:
    packet = theirs()
    merged = merge(packet, OURS, Merge.KEEP)
    assert packet.alternatives(BY_LANGUAGE["title"]) == {"x-default": "Bella", "ko": "벨라"}
    assert packet.items(LISTS["keywords"]) == ("Bella", "Dog")
    # Of our keywords that are not given no path is written; of theirs that we know it is.
    assert packet.items(LISTS["hierarchy"]) == ("animal|dog",)
    assert "description" in merged.changed
    assert mark("keywords", "Dog") not in merged.marks


def test_add_puts_ours_after_theirs() -> None:
    packet = theirs()
    merged = merge(packet, OURS, Merge.ADD)
    assert packet.alternatives(BY_LANGUAGE["title"]) == {"x-default": "Bella", "ko": "벨라", "en": "A dog"}
    assert packet.items(LISTS["keywords"]) == ("Bella", "Dog", "beach")
    assert mark("keywords", "beach") in merged.marks
    assert not {mark("keywords", "Bella"), mark("title", "Bella")} & merged.marks


def test_replace_writes_ours_instead() -> None:
    packet = theirs()
    packet.set_items(LISTS["subject_code"], ["01000000"])
    merge(packet, OURS, Merge.REPLACE, Elsewhere({"title": "Bella"}, ("Bella",)))
    assert packet.alternatives(BY_LANGUAGE["title"]) == OURS.texts["title"]
    assert packet.items(LISTS["keywords"]) == ("dog", "beach")
    # Where we have nothing to say there is nothing to replace it with.
    assert packet.items(LISTS["subject_code"]) == ("01000000",)


@pytest.mark.parametrize("policy", [Merge.KEEP, Merge.ADD])
def test_what_we_wrote_earlier_follows_the_record(policy: Merge) -> None:
    packet = theirs()
    merge(packet, OURS, Merge.ADD)
    newer = Values(
        {**OURS.texts, "description": {"x-default": "Two dogs."}}, {**OURS.lists, "keywords": ("two animals",)}
    )
    merge(packet, newer, policy)
    assert packet.alternatives(BY_LANGUAGE["description"]) == {"x-default": "Two dogs."}
    added = ("Bella", "Dog", "two animals") if policy is Merge.ADD else ("Bella", "Dog")
    assert packet.items(LISTS["keywords"]) == added


@pytest.mark.parametrize("policy", list(Merge))
def test_what_we_wrote_goes_where_there_is_nothing_to_say_now(policy: Merge) -> None:
    packet = Packet()
    packet.set_items(LISTS["subject_code"], ["01000000"])
    merge(packet, OURS, policy)
    merged = merge(packet, Values(), policy)
    assert merged.changed == ("title", "description", "alt_text", "headline", "keywords", "hierarchy", "scene")
    assert merged.marks == frozenset()
    assert not any(packet.alternatives(which) for which in (*BY_LANGUAGE.values(), *PLAIN.values()))
    assert [name for name, which in LISTS.items() if packet.items(which)] == ["subject_code"]
    assert packet.items(MARKS) == ()
    assert merge(packet, Values(), policy).changed == ()


def test_our_text_follows_the_record_beside_a_persons_in_another_language() -> None:
    packet = Packet()
    merge(packet, OURS, Merge.KEEP)
    packet.set_alternatives(BY_LANGUAGE["title"], {**OURS.texts["title"], "ko": "벨라"})
    merge(packet, replace(OURS, texts={**OURS.texts, "title": {"x-default": "A wolf"}}), Merge.KEEP)
    assert packet.alternatives(BY_LANGUAGE["title"]) == {"x-default": "A wolf", "ko": "벨라"}


def test_what_stays_because_we_have_nothing_instead_is_not_marked_as_ours() -> None:
    packet = theirs()
    packet.set_items(LISTS["subject_code"], ["01000000"])
    for _ in range(2):
        merged = merge(packet, OURS, Merge.REPLACE)
        assert packet.items(LISTS["subject_code"]) == ("01000000",)
        assert mark("subject_code", "01000000") not in merged.marks
    assert merged.changed == ()


def test_a_persons_spellings_stay_and_ours_of_the_same_word_is_not_added() -> None:
    packet = Packet()
    decomposed = unicodedata.normalize("NFD", "강아지")
    packet.set_items(LISTS["keywords"], ["Polish", "polish", decomposed, "new  york"])
    ours = Values(lists={"keywords": ("강아지", "New York", "dog")})
    merge(packet, ours, Merge.ADD)
    assert packet.items(LISTS["keywords"]) == ("Polish", "polish", decomposed, "new  york", "dog")


def test_what_a_person_changed_is_theirs() -> None:
    packet = Packet()
    merge(packet, OURS, Merge.KEEP)
    packet.set_alternatives(BY_LANGUAGE["description"], {"x-default": "Bella on a beach."})
    newer = replace(OURS, texts={**OURS.texts, "description": {"x-default": "Two dogs."}})
    assert merge(packet, newer, Merge.KEEP).changed == ()
    assert packet.alternatives(BY_LANGUAGE["description"]) == {"x-default": "Bella on a beach."}


def test_what_a_person_wrote_elsewhere_comes_first() -> None:
    packet = Packet()
    elsewhere = Elsewhere({"title": "Bella", "description": "OLYMPUS DIGITAL CAMERA"}, ("Bella",))
    merged = merge(packet, OURS, Merge.KEEP, elsewhere)
    assert packet.alternatives(BY_LANGUAGE["title"]) == {"x-default": "Bella"}
    assert packet.items(LISTS["keywords"]) == ("Bella",)
    # A camera is nobody.
    assert packet.alternatives(BY_LANGUAGE["description"]) == OURS.texts["description"]
    assert mark("title", "Bella") not in merged.marks


def test_words_of_the_file_are_not_marked_as_ours() -> None:
    values = replace(OURS, theirs={"keywords": frozenset({"beach"}), "title": frozenset({"A dog"})})
    for policy in Merge:
        merged = merge(Packet(), values, policy)
        assert mark("keywords", "dog") in merged.marks
        assert not {mark("keywords", "beach"), mark("title", "A dog")} & merged.marks


def test_what_is_cut_for_iim_has_its_mark() -> None:
    long = "호" * 40
    merged = merge(Packet(), Values(texts={"title": {"x-default": long}}), Merge.KEEP)
    assert {mark("title", long), mark("title", "호" * 21)} <= merged.marks
