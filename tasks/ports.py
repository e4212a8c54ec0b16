"""What the work needs from the outside, as Protocols. `worker/` has the adapters, `worker.runtime` wires them."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tasks.listing.order import Order
from tasks.records import Candidate, Embedded, Visual
from taxonomy.choose import Chosen
from taxonomy.policy import Thresholds

Pixels = NDArray[np.uint8]
Embeddings = NDArray[np.float32]


class Stat(NamedTuple):
    """What a store tells of an object without sending it.

    `modified` is when it was written, in seconds since 1970 by the store's clock; `None` where it does not say. S3
    says whole seconds; in a folder it is the later of mtime and ctime, to the microsecond or so.
    """

    key: str
    etag: str
    size: int
    modified: float | None = None


class Fetched(NamedTuple):
    """An object's content: the bytes, or for a store on this machine the path to read them from."""

    stat: Stat
    body: bytes | Path


class Store(Protocol):
    """Objects under keys, S3's contract. One instance is one bucket.

    Attributes:
        bucket: its name.
        order: in which `list` gives keys.
    """

    bucket: str

    @property
    def order(self) -> Order:
        """In which order `list` and `walk` give keys. Raises `Unavailable` where the store has to be asked."""

    def stat(self, key: str, etag: str | None = None) -> Stat:
        """Look at an object, the one with `etag` if given. Raises `Vanished`, `Replaced`, `Unavailable`."""

    def fetch(self, key: str, etag: str | None = None, *, most: int | None = None) -> Fetched:
        """Get an object, the one with `etag` if given.

        Raises `Vanished`, `Replaced`, `Unavailable`; and `Rejected`, unread, where it has more than `most` bytes.
        """

    def read(self, key: str) -> tuple[bytes, str] | None:
        """Get a small object's bytes and ETag; `None` where there is none. Raises `Unavailable`."""

    def put(self, key: str, data: bytes, *, if_match: str | None) -> str:
        """Write atomically if the object's ETag is `if_match` (`None`: if there is no object); returns the new ETag.

        Raises `Conflict`, `Unavailable`, and `Rejected` for a key that the store cannot hold.
        """

    def rewrite(self, key: str, data: bytes, *, if_match: str) -> str:
        """Write an object anew as `put` does, and keep what is not content: permissions and owner, or S3's metadata.

        Raises `Conflict`, also where there is no object, and `Unavailable` where any of that cannot be kept.
        """

    def delete(self, key: str, *, if_match: str) -> None:
        """Remove an object if its ETag is `if_match`. Raises `Conflict`, `Vanished`, `Unavailable`."""

    def list(self, prefix: str = "", *, without: str = "") -> Iterator[Stat]:
        """Every object whose key begins with `prefix`, in this store's own order, with `modified`.

        `without` is empty, or ends with `/`: what lies below it is left out, and not read page by page for that.
        """

    def walk(self, prefix: str = "") -> Iterator[Stat | str]:
        """One level of `list`: objects, and for all whose keys have a `/` after `prefix`, what comes up to it, once.

        `prefix` is empty or ends with `/`; so do the strings. In this store's own order, as far as it goes: an object
        and a string compare as their keys do.
        """

    def fetch_start(self, key: str, length: int, *, etag: str) -> bytes:
        """At most `length` first bytes of the object with this ETag. Raises `Vanished`, `Replaced`, `Unavailable`."""


@dataclass(frozen=True, slots=True)
class Preprocess:
    """How a model wants its pixels.

    Attributes:
        size: height and width of the model's input, pixels.
        mode: `shortest` scales the shorter side to `size` and crops the centre; `squash` ignores the aspect ratio;
            `longest` fits the longer side and pads with `fill`.
        interpolation: as Pillow names it.
        fill: grey level of the padding.
    """

    size: int
    mode: Literal["shortest", "squash", "longest"] = "shortest"
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    fill: int = 0


class Start(NamedTuple):
    """How an original begins whose picture is read from a rendition: its first bytes, and the length of all of it."""

    data: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Header:
    """What an original's start says of it; `None` where it does not, or cannot be understood.

    Attributes:
        width: as `Decoded` has it, and so are all others.
    """

    width: int | None = None
    height: int | None = None
    stored_width: int | None = None
    stored_height: int | None = None
    format: str | None = None
    embedded: Embedded | None = None


@dataclass(frozen=True, slots=True)
class Decoded:
    """One image, safe to look at.

    Attributes:
        pixels: uint8 (size, size, 3), RGB, as `Preprocess` asks.
        width: as displayed, after orientation, pixels; `height` likewise.
        stored_width: as stored in the file, before orientation; `stored_height` likewise.
        format: Pillow's name of the format, such as `JPEG`.
        file_size: length of the file, bytes.
        sha256: of the file, hex.
        embedded: what the file's own metadata says; `None` where it has none of what we read.
        thumbnail: a small JPEG as displayed, longest side 320 pixels, if one was asked for.
        original: what the start of the original says, where this is a rendition.
    """

    pixels: Pixels
    width: int
    height: int
    stored_width: int
    stored_height: int
    format: str
    file_size: int
    sha256: str
    visual: Visual
    embedded: Embedded | None = None
    thumbnail: bytes | None = None
    original: Header | None = None


class Decoder(Protocol):
    """Turns files into pixels, somewhere where a hostile file can do no harm."""

    def submit(self, body: bytes | Path, original: Start | None = None) -> "Future[Decoded]":
        """Start decoding.

        Args:
            body: the file, or where it lies.
            original: how the original begins, where `body` is a rendition. `Rejected` is then said of the rendition:
                it is too small, of another shape, or the original has to be read for what else it says.

        The future gives `Decoded`, or raises `Rejected`, or `Unavailable` when the decoder itself failed. It always
        ends, within the decoder's own time limit.
        """

    def close(self) -> None:
        """Stop the processes."""


class Encoded(NamedTuple):
    """Embeddings float32 (n, d) of unit length; tokens for a captioner that can use them, or `None`."""

    embeddings: Embeddings
    tokens: NDArray[np.float32] | None


class Encoder(Protocol):
    """Images and texts in one space. n in, n out, in order.

    Attributes:
        model: the name given by the user, such as `starter` or `ViT-B-32/laion2b_s34b_b79k`.
        engine: what runs it, such as `openvino bf16`.
        preprocess: how it wants its pixels.
        prompts: templates with one `{}`; a term's embedding is the mean over them, of unit length again.
        concept_prompts: the same for a vocabulary of thousands, whose first embedding should not take long.
        logit_scale: inverse temperature of the softmax over cosines.
        fingerprint: changes when the weights, the architecture, the preprocessing or the engine's precision do; hex.
        text_fingerprint: changes when texts would get other embeddings; hex.
        facets: kinds of concept it can tell; others are not scored.
        flags: the review flags that it can tell, of `taxonomy.review.FLAGS`; others read `not assessed`.
        thresholds: what counts as evidence in its scores.
        literal_score: no word of a plain list whose `raw` is lower.
        batch: the number of images at which it is fastest.
    """

    model: str
    engine: str
    preprocess: Preprocess
    prompts: tuple[str, ...]
    concept_prompts: tuple[str, ...]
    logit_scale: float
    fingerprint: str
    text_fingerprint: str
    facets: frozenset[str]
    flags: frozenset[str]
    thresholds: Thresholds
    literal_score: float
    batch: int

    def encode(self, pixels: Pixels) -> Encoded:
        """uint8 (n, size, size, 3) to embeddings (n, d)."""

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """N texts to embeddings (n, d)."""

    def references(self) -> Embeddings | None:
        """Embeddings (r, d) of typical image contents, whose mean cosine is each concept's own popularity; or none."""


class Words(NamedTuple):
    """English texts for one image, plain, one line each, within the agencies' limits."""

    title: str
    caption: str
    alt_text: str


class Generator(Protocol):
    """Generates captions, a batch at a time. `fingerprint` changes when the same pixels would get others."""

    fingerprint: str

    def generate(self, pixels: Pixels, encoded: Encoded) -> Sequence[Sequence[Candidate]]:
        """Candidates for each of n images, the best first; maybe none for some.

        Args:
            pixels: uint8 (n, size, size, 3), as the encoder wants them.
            encoded: what the encoder made of them.
        """


@dataclass(frozen=True, slots=True)
class Picture:
    """What a captioner knows of a picture beside its keywords.

    Attributes:
        vector: its embedding, (d,), unit length.
        raw: corrected cosine with each concept of the vocabulary, (m,).
        candidates: generated captions, the best first.
        embedded: what the file itself says.
    """

    vector: NDArray[np.float32]
    raw: NDArray[np.float32]
    candidates: Sequence[Candidate] = ()
    embedded: Embedded | None = None


class Captioner(Protocol):
    """Finds the words for a picture. `fingerprint` changes when the same picture would get other words."""

    fingerprint: str

    def caption(self, picture: Picture, keywords: Sequence[Chosen]) -> Words | None:
        """Title, caption and alt text; `None` without keywords and without a usable candidate."""
