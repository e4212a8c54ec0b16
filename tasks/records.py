"""The records: what is asked for (`ImageRef`), what is written (`Record`, schema `stockmeta/1`), what became of it.

Frozen, plain, and independent of any model or store. `Record.to_json` and `Record.from_json` are exact inverses;
`tasks/data/stockmeta-1.schema.json` is the published form.
"""

import base64
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Self, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

SCHEMA: Literal["stockmeta/1"] = "stockmeta/1"

Kind = TypeVar("Kind")


UNTITLED = "Untitled picture"
"""The title of a picture of which nothing is sure enough to be said; its texts never leave the system."""


class Status(StrEnum):
    """What became of one image."""

    TAGGED = "tagged"
    """It has keywords."""
    EMPTY = "empty"
    """It was read, and nothing passed the threshold."""
    REJECTED = "rejected"
    """The image is at fault; terminal until somebody asks for a retry."""
    FAILED = "failed"
    """It brought the worker down too often; terminal likewise."""

    @property
    def done(self) -> bool:
        """Whether there is metadata, rather than a reason why there is none."""
        return self in (Status.TAGGED, Status.EMPTY)


class Source(StrEnum):
    """Where a keyword comes from."""

    VOCABULARY = "vocabulary"
    HIERARCHY = "hierarchy"
    EMBEDDED = "embedded"
    HUMAN = "human"


@dataclass(frozen=True, slots=True)
class ImageRef:
    """An image to work on: never a URL. Without an ETag, whatever is there now."""

    bucket: str
    key: str
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """The object that the record speaks of. All but the first three are `None` where it could not be read.

    Attributes:
        width: pixels as displayed, after orientation; `stored_width` is before.
        bytes: length of the file.
        sha256: of the file, hex.
        rendition: key of the smaller version that was read instead, if any.
    """

    bucket: str
    key: str
    etag: str | None
    version: str | None = None
    bytes: int | None = None
    width: int | None = None
    height: int | None = None
    stored_width: int | None = None
    stored_height: int | None = None
    format: str | None = None
    sha256: str | None = None
    rendition: str | None = None


@dataclass(frozen=True, slots=True)
class Color:
    """A dominant colour: sRGB as `#rrggbb`, and the share of the picture that it covers, 0 to 1."""

    hex: str
    share: float


@dataclass(frozen=True, slots=True)
class Visual:
    """What the pixels say without a model.

    Attributes:
        phash: 64-bit DCT perceptual hash of the picture as displayed, 16 hex digits; near-duplicates differ in few
            bits (Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash Functions").
        colors: at most five dominant colours, the largest first.
        orientation: of the picture as displayed.
    """

    phash: str
    colors: tuple[Color, ...]
    orientation: Literal["landscape", "portrait", "square"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """What the file itself says of the picture, in its Exif, IPTC and XMP: people's words, and the camera's date.

    Texts are as they stand there, plain; `None` or empty where there is none.

    Attributes:
        title: `dc:title`, IIM ObjectName; `headline` is photoshop:Headline, IIM Headline.
        description: `dc:description`, IIM Caption-Abstract, Exif ImageDescription.
        keywords: `dc:subject`, IIM Keywords, in their order, each once.
        location: the place within the city, `Iptc4xmpCore:Location`.
        state: state or province; `country_code` is as ISO 3166-1 has it, upper case.
        created: when the picture was taken, ISO 8601, as much of it as is known, such as `2024-05`.
        digital_source_type: a URI of cv.iptc.org/newscodes/digitalsourcetype.
        signed: whether the file has a C2PA manifest, which any change of its metadata would break.
    """

    title: str | None = None
    headline: str | None = None
    description: str | None = None
    alt_text: str | None = None
    keywords: tuple[str, ...] = ()
    creators: tuple[str, ...] = ()
    copyright: str | None = None
    location: str | None = None
    city: str | None = None
    state: str | None = None
    country: str | None = None
    country_code: str | None = None
    created: str | None = None
    digital_source_type: str | None = None
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """A generated caption, kept so that a re-score can choose again: its text, and its cosine with the picture."""

    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Keyword:
    """A concept given to an image.

    Attributes:
        rank: 1 is the most useful.
        id: the concept's, stable across versions of the taxonomy.
        labels: by language, always with `en`.
        score: the value that ranked, four decimals.
        raw: cosine of image and concept less the concept's own mean, four decimals.
    """

    rank: int
    id: str
    labels: Mapping[str, str]
    score: float
    raw: float
    source: Source


@dataclass(frozen=True, slots=True)
class Category:
    """An agency's or IPTC's category: its code there, its name there, and how sure we are, 0 to 1."""

    id: str
    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Flag:
    """Something a person should look at before the image is sold."""

    name: str
    verdict: Literal["yes", "no", "not assessed"]
    reason: str


@dataclass(frozen=True, slots=True)
class Embedding:
    """A unit vector as it is stored: float16, little-endian, base64. Scores are always computed from this form."""

    dimensions: int
    float16: str

    @classmethod
    def pack(cls, vector: NDArray[np.float32]) -> Self:
        """(d,) float32 to its stored form."""
        return cls(len(vector), base64.b64encode(vector.astype("<f2").tobytes()).decode("ascii"))

    def unpack(self) -> NDArray[np.float32]:
        """The stored form to (d,) float32."""
        return np.frombuffer(base64.b64decode(self.float16), dtype="<f2").astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A sidecar: everything that is known of one image. A terminal record holds the reason and little else.

    `written` is the SHA-256 of the file as `stockmeta write --in-place` leaves it: an image of that content is not a
    new one.
    """

    schema: Literal["stockmeta/1"] = SCHEMA
    status: Status
    image: Image
    generation: str
    revision: int
    created_at: str
    updated_at: str
    reason: str | None = None
    detail: str | None = None
    title: str | None = None
    caption: str | None = None
    alt_text: str | None = None
    keywords: tuple[Keyword, ...] = ()
    categories: Mapping[str, tuple[Category, ...]] = field(default_factory=dict)
    flags: tuple[Flag, ...] = ()
    visual: Visual | None = None
    embedded: Embedded | None = None
    written: str | None = None
    candidates: tuple[Candidate, ...] = ()
    embedding: Embedding | None = None
    model: str | None = None
    engine: str | None = None
    taxonomy: str | None = None
    timings_ms: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> str:
        """One line, UTF-8, `schema` first, so that a reader sees what it has."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Inverse of `to_json`. Raises `ValueError`, saying where, if the text is not a record of this schema."""
        return decoded(text, cls)


_building = threading.Lock()
_decoders: dict[type[Any], msgspec.json.Decoder[Any]] = {}


def decoded(text: str | bytes, kind: type[Kind]) -> Kind:
    """JSON as a dataclass. Raises `ValueError`, saying where, if it is nothing such."""
    decoder: msgspec.json.Decoder[Kind] | None = _decoders.get(kind)
    if decoder is None:
        # msgspec learns a class, and those in it, at its first use: two threads that do so at once crash the process.
        with _building:
            decoder = _decoders.setdefault(kind, msgspec.json.Decoder(kind))
    try:
        return decoder.decode(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def outcome_name(status: str, reason: str | None) -> str:
    """What an outcome is counted under: its status, with the reason after a slash where there is one."""
    return f"{status}/{reason}" if reason else status


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one reference in one run.

    Attributes:
        record: the sidecar's content, or the trouble in the same form.
        cached: committed by an earlier run for the same content, and only read now.
        committed: false where the trouble is not the image's, and another run may well succeed.
    """

    ref: ImageRef
    record: Record
    cached: bool = False
    committed: bool = True

    @property
    def name(self) -> str:
        """What it is counted under."""
        return outcome_name(self.record.status.value, self.record.reason)
