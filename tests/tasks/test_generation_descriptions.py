"""Descriptions of generations, and what may be taken over from one into another."""

from dataclasses import replace

import pytest

from tasks.generations.description import Description, Sight, describe, read_description, reusable
from tasks.layout import Layout
from worker.storage.memory import MemoryStore

LAYOUT = Layout()
A = "aaaaaaaaaaaa"
SIGHT = Sight("encoder", "1", "1")
MADE = Description(
    generation=A,
    opened_at="2026-01-02T03:04:05.678+00:00",
    model="starter",
    engine="openvino bf16",
    taxonomy="0123",
    captioner="composed",
    languages=("en", "ko"),
    sight=SIGHT,
    parts={"encoder": "encoder"},
    settings={"model": "starter"},
)


def test_a_description_is_read_as_it_was_written() -> None:
    store = MemoryStore("library")
    assert read_description(store, LAYOUT, A) is None
    describe(store, LAYOUT, MADE)
    assert read_description(store, LAYOUT, A) == MADE
    assert [stat.key for stat in store.list()] == [f".stockmeta/{A}/generation.json"]
    assert LAYOUT.parse(LAYOUT.description(A)) is None


def test_the_first_description_stays() -> None:
    store = MemoryStore("library")
    describe(store, LAYOUT, MADE)
    describe(store, LAYOUT, replace(MADE, opened_at="2027-01-01T00:00:00.000+00:00"))
    assert read_description(store, LAYOUT, A) == MADE


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"schema": "stockmeta-generation/2"}', b"[" * 100_000])
def test_what_is_no_description_counts_as_none(data: bytes) -> None:
    store = MemoryStore("library")
    store.put(LAYOUT.description(A), data, if_match=None)
    assert read_description(store, LAYOUT, A) is None


def test_a_description_of_another_generation_counts_as_none() -> None:
    store = MemoryStore("library")
    store.put(LAYOUT.description(A), replace(MADE, generation="b" * 12).to_json(), if_match=None)
    assert read_description(store, LAYOUT, A) is None


@pytest.mark.parametrize("part", ["encoder", "decoding", "reading", "generator", "rendition"])
def test_another_sight_is_not_reusable(part: str) -> None:
    assert reusable(SIGHT, SIGHT)
    assert not reusable(replace(SIGHT, **{part: "other"}), SIGHT)


def test_generated_captions_may_be_dropped_but_not_made_up() -> None:
    generating = replace(SIGHT, generator="coca")
    assert reusable(generating, generating)
    assert reusable(SIGHT, generating)
    assert not reusable(generating, SIGHT)
