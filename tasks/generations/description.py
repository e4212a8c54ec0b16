"""What a generation was made with, in a document beside its records: `<output>/<generation>/generation.json`.

A generation's name is a hash, which says nothing. This says it to people, and to a re-score: `Sight` is everything that
an embedding depends on, with what is stored beside it.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, Self

import msgspec

from tasks.errors import Conflict
from tasks.layout import Layout
from tasks.ports import Store
from tasks.records import decoded

SCHEMA: Literal["stockmeta-generation/1"] = "stockmeta-generation/1"


@dataclass(frozen=True, slots=True)
class Sight:
    """Fingerprints of what a record takes from the image itself, which a re-score carries over.

    Attributes:
        encoder: the encoder's: weights, preprocessing, precision.
        decoding: of how pixels are made, and what is measured on them.
        reading: of how a file's own metadata are read.
        generator: of what generates captions; empty without one.
        rendition: the template of what is read instead of originals; empty for the originals.
    """

    encoder: str
    decoding: str
    reading: str
    generator: str = ""
    rendition: str = ""


def reusable(new: Sight, old: Sight) -> bool:
    """Whether a fresh look at the same image would find what `old` has stored.

    A generation that generates no captions may take the embeddings of one that does, and drops the candidates.
    """
    same = (new.encoder, new.decoding, new.reading, new.rendition) == (
        old.encoder,
        old.decoding,
        old.reading,
        old.rendition,
    )
    return same and new.generator in ("", old.generator)


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """How a generation is made.

    Attributes:
        opened_at: when it was opened, ISO 8601; for one that an earlier version opened, when it was described.
        taxonomy: the vocabulary's fingerprint.
        captioner: as the setting names it.
        languages: of the keywords' labels.
        parts: fingerprints of what its name is a hash of; two generations differ in those parts that differ.
        settings: what the operator decided of all this, in words; files by name, without their folders.
    """

    schema: Literal["stockmeta-generation/1"] = SCHEMA
    generation: str
    opened_at: str
    model: str
    engine: str
    taxonomy: str
    captioner: str
    languages: tuple[str, ...]
    sight: Sight
    parts: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> bytes:
        """Indented, since people read it."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Inverse of `to_json`. Raises `ValueError`, saying where, if it is nothing such."""
        return decoded(data, cls)


def describe(store: Store, layout: Layout, description: Description) -> None:
    """Write a generation's description, unless it has one: the first stays. Raises `Unavailable`."""
    with suppress(Conflict):
        store.put(layout.description(description.generation), description.to_json(), if_match=None)


def read_description(store: Store, layout: Layout, generation: str) -> Description | None:
    """A generation's description; `None` if it has none that this version understands, as from before there were any.

    Raises:
        Unavailable: the store does not answer.
    """
    found = store.read(layout.description(generation))
    if found is None:
        return None
    try:
        description = Description.from_json(found[0])
    except ValueError:
        return None
    return description if description.generation == generation else None
