"""What a search index gets of one image: a document, schema `stockmeta-document/1`, made of its sidecar alone.

A pure function of the record and of what people decided, so that an index can be compared with the sidecars by what
the document was made of (`Document.tag`) and without reading either.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self

import msgspec

from tasks.records import Category, Color, Embedding, decoded

SCHEMA: Literal["stockmeta-document/1"] = "stockmeta-document/1"

VERSION = 1
"""Of how documents are made; raised when the same sidecar would give another one."""


@dataclass(frozen=True, slots=True)
class Term:
    """A keyword of a document.

    Attributes:
        rank: 1 is the most useful.
        concept: id in the vocabulary, if it is one of ours.
        labels: by language.
        weight: how much it says of the picture, above 0 up to 1; of a person's word 1.
        source: `human`, `embedded` or `generated`.
    """

    rank: int
    concept: str | None
    labels: Mapping[str, str]
    weight: float
    source: Literal["human", "embedded", "generated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """All that a stock search needs of one image. Fields are absent or `None` where nothing is known.

    Attributes:
        id: stable: SHA-256 of bucket and key, hex, since ids of OpenSearch hold 512 bytes and keys of S3 1,024.
        tag: what it was made of: ETags of the sidecar and of what people decided, and `VERSION`.
        version: grows with each change of the sidecar (its `revision`), for conditional writes.
        etag: the image's own.
        megapixels: two decimals; `file_size` is in bytes.
        color_names: names of the dominant colours, of `tasks.feeding.colors.NAMES`.
        people: whether there are people in it; `None` where the model cannot tell.
        flags: names of the review flags that say yes.
        taken: when, ISO 8601, as much of it as is known.
        embedding: as stored in the sidecar, of unit length.
    """

    schema: Literal["stockmeta-document/1"] = SCHEMA
    id: str
    tag: str
    version: int
    bucket: str
    key: str
    etag: str | None
    generation: str
    status: Literal["tagged", "empty"]
    title: str | None = None
    caption: str | None = None
    alt_text: str | None = None
    keywords: tuple[Term, ...] = ()
    categories: Mapping[str, tuple[Category, ...]]
    width: int | None = None
    height: int | None = None
    megapixels: float | None = None
    file_size: int | None = None
    format: str | None = None
    orientation: Literal["landscape", "portrait", "square"] | None = None
    colors: tuple[Color, ...] = ()
    color_names: tuple[str, ...] = ()
    phash: str | None = None
    sha256: str | None = None
    people: bool | None = None
    flags: tuple[str, ...] = ()
    creators: tuple[str, ...] = ()
    copyright: str | None = None
    location: str | None = None
    city: str | None = None
    state: str | None = None
    country: str | None = None
    country_code: str | None = None
    taken: str | None = None
    model: str | None = None
    taxonomy: str | None = None
    created_at: str
    updated_at: str
    embedding: Embedding | None = None

    def to_json(self) -> str:
        """One line, UTF-8, `schema` first."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Inverse of `to_json`. Raises `ValueError`, saying where, if the text is no document of this schema."""
        return decoded(text, cls)


def document_id(bucket: str, key: str) -> str:
    """Stable id of an image's document, 64 hex digits."""
    return hashlib.sha256(f"{bucket}\0{key}".encode("utf-8", "surrogatepass")).hexdigest()


def document_tag(sidecar: str, human: str | None) -> str:
    """What a document is made of, from the ETags of the sidecar and of the human document beside it, if any."""
    return f"{VERSION}:{sidecar}" + (f"+{human}" if human else "")
