"""What is announced of outcomes; and announcing beside work that neither waits for it nor fails because of it."""

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from tasks.errors import StockmetaError
from tasks.feeding.changes import Announcer, Change
from tasks.records import Outcome

logger = logging.getLogger(__name__)

BATCH = 128
BATCH_SECONDS = 1.0


def changes_of(outcomes: Iterable[Outcome]) -> tuple[Change, ...]:
    """Images whose records were written, found written, or removed.

    Whoever finds a record may have it from a worker that wrote it, and died before it could announce it.
    """
    return tuple(
        Change(outcome.record.generation, outcome.ref.bucket, outcome.ref.key)
        for outcome in outcomes
        if outcome.committed or outcome.record.reason == "vanished"
    )


class Aside:
    """Announces for commands, in batches; a context manager, whose end announces the rest. Any thread may add.

    After the first failure nothing more is tried, and a warning says so: feeds find what it was when they compare
    listings, and a Redis that does not answer would hold the command up again and again.

    Args:
        announcer: `None`: nothing is announced.
    """

    def __init__(self, announcer: Announcer | None = None) -> None:
        self._announcer = announcer
        self._lock = threading.Lock()
        # An image is often changed twice in a row.
        self._waiting: dict[Change, None] = {}
        self._since = 0.0

    def add(self, changes: Sequence[Change]) -> None:
        """Announce these, within about a second if more come."""
        with self._lock:
            if self._announcer is None or not changes:
                return
            if not self._waiting:
                self._since = time.monotonic()
            self._waiting |= dict.fromkeys(changes)
            if len(self._waiting) >= BATCH or time.monotonic() - self._since > BATCH_SECONDS:
                self._flush()

    def close(self) -> None:
        """Announce what waits."""
        with self._lock:
            self._flush()

    def _flush(self) -> None:
        waiting, self._waiting = tuple(self._waiting), {}
        if self._announcer is None or not waiting:
            return
        try:
            self._announcer.announce(waiting)
        except StockmetaError as error:
            self._announcer = None
            logger.warning("%s; indexes follow when their feeds compare listings next", error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
