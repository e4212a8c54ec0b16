"""What a feed needs of a search engine, as Protocols. `worker/feeds/` has the adapters."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from tasks.feeding.document import Document


class Indexed(NamedTuple):
    """What an index says of one document.

    Attributes:
        tag: what the document was made of (`Document.tag`).
        version: as it was delivered, or what the index counted up to since.
    """

    key: str
    tag: str
    version: int


@dataclass(frozen=True, slots=True)
class Put:
    """Write a document, unless the index has a version of it that is as new or newer.

    Attributes:
        forced: write it whatever the index has; the sidecar was read again, and this is what it says.
    """

    document: Document
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove the document of an image, unless the index has a version of it that is as new or newer.

    Attributes:
        version: more than what the index had when the sidecar was found to be gone.
    """

    key: str
    version: int


Operation = Put | Remove


class Refused(NamedTuple):
    """A document that the index will never take as it is, and why; only it, and not its neighbours."""

    key: str
    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of some operations.

    Attributes:
        put: documents written.
        removed: documents removed that were there.
        outrun: keys of which the index has a version as new or newer; nothing was done.
        refused: dead letters; the index keeps them where an operator finds them, until the document is taken.
    """

    put: int = 0
    removed: int = 0
    outrun: tuple[str, ...] = ()
    refused: tuple[Refused, ...] = ()


class Index(Protocol):
    """The documents of one library in one generation. One thread at a time.

    Attributes:
        generation: which.
        name: tells it from others of its generation, such as the one that replaces it.
        complete: false from when it was made until `completed` was called, also across processes.
    """

    generation: str
    name: str

    @property
    def complete(self) -> bool:
        """Whether it has held all of the library's documents at some time. Raises `Unavailable`."""

    def completed(self) -> None:
        """Say that it was compared with the listing of sidecars and put right. Raises `Unavailable`."""

    def indexed(self, keys: Sequence[str]) -> Mapping[str, Indexed]:
        """What there is of these images, as of now and not of the last refresh. Raises `Unavailable`."""

    def deliver(self, operations: Sequence[Operation]) -> Delivered:
        """Write and remove documents, each key at most once. Whatever passes by itself is tried again inside.

        Raises:
            Unavailable: the engine is down, overloaded, slow or out of disk space, for longer than retries help. Some
                may have been done; deliver all of them again.
            ConfigurationError: the engine refuses all of them: credentials, a read-only index.
        """

    def listed(self) -> Iterator[Indexed]:
        """Every document, by key in the order of its bytes (UTF-8), in constant memory. Raises `Unavailable`."""

    def commit(self) -> None:
        """Make all that was delivered durable and visible to searches. Raises `Unavailable`."""


class Sink(Protocol):
    """A search engine, or files for one. What it holds belongs to one library: one bucket, one prefix.

    Attributes:
        name: identifies the index among all feeds of the library on this machine: `opensearch:stockmeta-photos`. Begins
            the name of the consumer group of the change stream.
    """

    name: str

    def open(self, generation: str, *, anew: bool = False) -> Index:
        """The index of a generation, made where it is missing.

        Args:
            generation: which.
            anew: begin with an empty one, beside the one that searches use until `serve`.

        Raises:
            ConfigurationError: it cannot be made, or cannot be written to; what to do about it.
            Unavailable: the engine does not answer.
        """

    def serving(self) -> str | None:
        """The generation that searches use. Raises `Unavailable`."""

    def serve(self, index: Index) -> None:
        """Let searches use this index from now on, in one step; one that `anew` replaced is removed then."""

    def close(self) -> None:
        """Let go of files and connections; what was not committed may be lost."""
