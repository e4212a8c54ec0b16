"""What travels through the queue: JSON, versioned, never a URL. And the queue, as a Protocol."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, Self

from tasks.feeding.changes import Change
from tasks.records import ImageRef
from tasks.redo import Redo

VERSION = 1
TASK = "stockmeta.tag"
SUSPECT_TASK = "stockmeta.suspect"

SENT = "stockmeta_sent"
"""Header of a message with the time at which it was entered in the ledger, by the broker's clock."""

UPLOADS, BACKFILL, SUSPECTS = "uploads", "backfill", "suspects"
QUEUES = (UPLOADS, BACKFILL, SUSPECTS)


def new_id() -> str:
    """A name for a message, unlike any other's."""
    return uuid.uuid4().hex


class NewerMessage(ValueError):
    """A message of a later version: for a worker that knows it."""


@dataclass(frozen=True, slots=True)
class TagMessage:
    """A list of images to bring up to date: tagged if they are there, their sidecars removed if they are gone.

    Attributes:
        refs: without an ETag, whatever is there when they are worked on.
        generation: the one to write, which the worker that takes it has to make; `None`: whatever that one makes.
        id: its entry in the ledger.
        tries: how often it has been put off.
        again: published a second time, because nobody knows what became of the first: treated like a redelivery.
        run: the backfill that it belongs to, whose count its outcomes are added to.
        stored: the generation whose records' embeddings are scored again, where they are of the same content, instead
            of reading pixels.
        redo: what of it is to be done again although it is committed.
        new: a listing showed no record of these images in `generation`, so that none is looked for before the work. For
            the first delivery only.
    """

    refs: tuple[ImageRef, ...]
    generation: str | None = None
    id: str = field(default_factory=new_id)
    tries: int = 0
    again: bool = False
    run: str | None = None
    stored: str | None = None
    redo: Redo | None = None
    new: bool = False

    def to_dict(self) -> dict[str, Any]:
        """JSON types only; about 150 bytes an image."""
        return {
            "v": VERSION,
            "id": self.id,
            "generation": self.generation,
            "tries": self.tries,
            "again": self.again,
            "run": self.run,
            "stored": self.stored,
            "redo": self.redo and self.redo.to_dict(),
            "new": self.new,
            "refs": [{"bucket": ref.bucket, "key": ref.key, "etag": ref.etag} for ref in self.refs],
        }

    @classmethod
    def from_dict(cls, data: object) -> Self:
        """Inverse of `to_dict`; all but `v` and `refs` may be absent, as in a message written by hand.

        Raises `ValueError` for anything else, saying what is wrong with it; `NewerMessage` for a later version.
        """
        version = data.get("v") if isinstance(data, dict) else None
        if isinstance(version, int) and version > VERSION:
            raise NewerMessage(f"expected a message of version {VERSION}, found one of version {version}")
        if not isinstance(data, dict) or version != VERSION:
            raise ValueError(f"expected a message of version {VERSION}")
        refs = data.get("refs")
        if not isinstance(refs, list):
            raise ValueError("expected a list of refs")
        generation, name = data.get("generation"), data.get("id", "")
        tries, again = data.get("tries", 0), data.get("again", False)
        if not (generation is None or isinstance(generation, str)) or not isinstance(name, str):
            raise ValueError("expected a generation or none, and an id")
        if not isinstance(tries, int) or not isinstance(again, bool):
            raise ValueError("expected a number of tries, and whether it comes again")
        run, stored = data.get("run"), data.get("stored")
        if not (run is None or isinstance(run, str)) or not (stored is None or isinstance(stored, str)):
            raise ValueError("expected names of a run and of a generation, or none")
        redo = None if data.get("redo") is None else Redo.from_dict(data["redo"])
        new = data.get("new", False)
        if not isinstance(new, bool):
            raise ValueError("expected whether a listing showed no record")
        return cls(tuple(map(_ref, refs)), generation, name or new_id(), tries, again, run, stored, redo, new)


class Send(NamedTuple):
    """A message to publish, at once or so many seconds from now."""

    message: TagMessage
    queue: str
    delay: float = 0.0


class Queue(Protocol):
    """Where messages wait. Every message has an entry in the ledger from before it is published until it is done."""

    def send(self, message: TagMessage, queue: str) -> None:
        """Enter a message in the ledger and publish it. Raises `Unavailable`, within seconds, and may be repeated."""

    def put_off(self, message: TagMessage, queue: str, seconds: float) -> None:
        """Enter a message in the ledger, to be published so many seconds from now. Raises `Unavailable`."""

    def done(
        self, message: TagMessage, counts: Mapping[str, int] | None = None, changes: Sequence[Change] = ()
    ) -> None:
        """Strike a message from the ledger: all its images ended, or are in another message.

        Args:
            message: which.
            counts: what became of those that ended, added to the message's run unless it was struck before.
            changes: those that ended, announced in the same step, and always: whoever struck the message before may
                not have known.

        Raises:
            Unavailable: the queue does not answer.
        """

    def succeed(
        self, message: TagMessage, sends: Sequence[Send], counts: Mapping[str, int], changes: Sequence[Change] = ()
    ) -> None:
        """Enter other messages in a message's place and strike it, in one step, then publish them.

        If it was struck before, nothing happens but announcing: whoever did that has passed on what was left. So of a
        run's images each is counted once, however often a message is delivered.

        Args:
            message: which; one of a run.
            sends: what is still to be done of it.
            counts: what became of those that ended.
            changes: as of `done`.

        Raises:
            Unavailable: the queue does not answer; may be repeated.
        """

    def count_failure(self, ref: ImageRef, generation: str) -> int:
        """Count a failure that this content caused (`ref` has its ETag); returns how many there are now.

        Counts are kept for a week. Raises `Unavailable`.
        """

    def forget_failures(self, ref: ImageRef, generation: str) -> None:
        """Begin to count anew. Raises `Unavailable`."""


def _ref(data: object) -> ImageRef:
    if not isinstance(data, dict):
        raise ValueError("expected an object for each image")
    bucket, key, etag = data.get("bucket"), data.get("key"), data.get("etag")
    if not isinstance(bucket, str) or not isinstance(key, str) or not (etag is None or isinstance(etag, str)):
        raise ValueError("expected bucket, key and an ETag or none")
    return ImageRef(bucket, key, etag)
