"""What the work tells of itself while it goes on, as a Protocol. `worker/metrics.py` counts it, `Silent` does not."""

from typing import Protocol

from tasks.records import Outcome


class Observer(Protocol):
    """Told of everything that an operator counts. Called from many threads; returns at once and never raises."""

    def taken(self, queue: str, images: int, waited: float | None = None, *, again: bool = False) -> None:
        """A message was taken from a queue.

        Args:
            queue: where it waited.
            images: how many references it has.
            waited: seconds since it was published, if it says when.
            again: it was delivered or published before, and nobody knows what became of it.
        """

    def began(self) -> None:
        """Work on one image begins; `outcome` says that it ended."""

    def outcome(self, outcome: Outcome, queue: str, seconds: float) -> None:
        """Work on one image ended, after so many seconds."""

    def stage(self, name: str, seconds: float) -> None:
        """One stage of one image took so long. For what is not in `Record.timings_ms`: `commit` comes after it."""

    def rendition(self, result: str) -> None:
        """A rendition was looked for: `used`, or else `missing`, `older` than the original, or `unfit`."""

    def put_off(self, queue: str, images: int) -> None:
        """So many images could not end now and are to be tried later."""

    def batch(self, images: int, seconds: float) -> None:
        """The inference thread encoded and scored a batch."""

    def batch_failed(self, images: int) -> None:
        """The encoder failed on a batch of so many images; above one they are tried again in halves."""

    def suspect_failed(self, reason: str) -> None:
        """An image failed in a process of its own, by its own fault."""


class Silent:
    """An `Observer` that nobody listens to."""

    def taken(self, queue: str, images: int, waited: float | None = None, *, again: bool = False) -> None:
        """Nothing."""

    def began(self) -> None:
        """Nothing."""

    def outcome(self, outcome: Outcome, queue: str, seconds: float) -> None:
        """Nothing."""

    def stage(self, name: str, seconds: float) -> None:
        """Nothing."""

    def rendition(self, result: str) -> None:
        """Nothing."""

    def put_off(self, queue: str, images: int) -> None:
        """Nothing."""

    def batch(self, images: int, seconds: float) -> None:
        """Nothing."""

    def batch_failed(self, images: int) -> None:
        """Nothing."""

    def suspect_failed(self, reason: str) -> None:
        """Nothing."""
