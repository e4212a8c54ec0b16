"""The change stream, as Protocols: that something became of an image's records, at least once, in no certain order.

A change is a hint, as an event is. Whoever reads one looks at what is there now, so that changes may come twice, late
and out of order; what was never announced is found by comparing listings (`tasks.feeding.compare`).
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Change(NamedTuple):
    """An image whose records in a generation were written, replaced or removed."""

    generation: str
    bucket: str
    key: str


class Announced(NamedTuple):
    """A change as it was read.

    Attributes:
        id: its place in the stream, for `ChangeStream.done`.
        at: when it was announced, seconds since 1970 by the stream's own clock.
    """

    id: str
    at: float
    change: Change


class Announcer(Protocol):
    """Where changes are announced that do not end with a message of the queue (`tasks.messages.Queue` has its own)."""

    def announce(self, changes: Sequence[Change]) -> None:
        """Announce changes; where nobody ever read the stream nothing is kept. Raises `Unavailable`."""


class Backlog(NamedTuple):
    """What a reader of the stream has not delivered yet.

    Attributes:
        changes: how many; `None` where the stream cannot say.
        oldest: seconds since the oldest of them was announced, 0 if there is none.
    """

    changes: int | None
    oldest: float


class ChangeStream(Protocol):
    """The reading side, for one index. Several processes may read for one index together: each change goes to one."""

    def missed(self) -> str | None:
        """Why changes may have been missed, in words; `None` if all were, or will be, read.

        Asked before the first `read` and now and then. The answer stays until `caught_up`, across processes: the first
        reader of all, a stream that was wiped, a server that began anew, changes that were trimmed before they were
        read. What is announced from this call on will be read. Raises `Unavailable`.
        """

    def caught_up(self) -> None:
        """Say that listings were compared, and the index put right, since `missed` first gave an answer.

        Nothing, where more was missed since. Raises `Unavailable`.
        """

    def read(self, most: int, wait: float) -> Sequence[Announced]:
        """Changes that were not read, or that a reader took who died before `done`; at most `most`.

        Waits up to `wait` seconds for the first. Raises `Unavailable`.
        """

    def done(self, announced: Sequence[Announced]) -> None:
        """Say that these were delivered; else they are given again. Raises `Unavailable`."""

    def backlog(self) -> Backlog:
        """What is not delivered yet. Raises `Unavailable`."""
