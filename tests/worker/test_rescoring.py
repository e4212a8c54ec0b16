"""From which generation a library may be scored again, and what is said where it may not."""

from dataclasses import replace

import pytest

from tasks.generations.description import Description, Sight, describe
from tasks.generations.pointer import open_generation
from tests.worker.libraries import GENERATION, library
from worker.library import Library
from worker.rescoring import NotReusable, require_stored, stored_for

NEW = "fedcba987654"
SIGHT = Sight("encoder", "decoding", "reading")


def described(place: Library, generation: str, sight: Sight) -> None:
    made = Description(
        generation=generation,
        opened_at="2026-11-22T00:00:00+00:00",
        model="fake",
        engine="fake",
        taxonomy="test",
        captioner="composed",
        languages=("en",),
        sight=sight,
    )
    describe(place.sidecars, place.layout, made)


def made(new: Sight | None = SIGHT, old: Sight | None = SIGHT) -> Library:
    """A library that is served in one generation, with another being filled."""
    place = library()
    open_generation(place.sidecars, place.layout, NEW)
    for generation, sight in ((NEW, new), (GENERATION, old)):
        if sight is not None:
            described(place, generation, sight)
    return place


def test_the_serving_generation_is_taken_where_it_was_seen_the_same() -> None:
    assert stored_for(made(), NEW) == GENERATION
    assert require_stored(made(), NEW, None) == GENERATION
    assert require_stored(made(), NEW, GENERATION) == GENERATION


def test_what_is_not_described_yet_may_be_told() -> None:
    assert stored_for(made(new=None), NEW, SIGHT) == GENERATION
    assert require_stored(made(new=None), NEW, None, SIGHT) == GENERATION


def test_nothing_is_taken_from_itself() -> None:
    assert stored_for(made(), GENERATION) is None
    assert require_stored(made(), GENERATION, None) is None


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("encoder", "another model, engine or precision"),
        ("decoding", "making pixels"),
        ("reading", "files say themselves"),
        ("generator", "generates captions"),
        ("rendition", "renditions"),
    ],
)
def test_what_was_seen_otherwise_is_refused_with_the_reason(field: str, said: str) -> None:
    place = made(new=replace(SIGHT, **{field: "another"}))
    assert stored_for(place, NEW) is None
    with pytest.raises(NotReusable, match=said) as refusal:
        require_stored(place, NEW, None)
    assert refusal.value.generation == NEW
    assert "stockmeta backfill" in str(refusal.value)


def test_captions_may_be_dropped_and_not_invented() -> None:
    with_captions = replace(SIGHT, generator="coca")
    assert require_stored(made(old=with_captions), NEW, None) == GENERATION
    with pytest.raises(NotReusable):
        require_stored(made(new=with_captions), NEW, None)


def test_a_generation_that_does_not_say_what_made_it_is_refused() -> None:
    with pytest.raises(NotReusable, match=f"{GENERATION} does not say"):
        require_stored(made(old=None), NEW, None)
    with pytest.raises(NotReusable, match=f"{NEW} does not say"):
        require_stored(made(new=None), NEW, None)
    assert stored_for(made(old=None), NEW) is None
