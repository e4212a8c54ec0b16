"""How a feed waits for what does not answer: with growing pauses, and one line in the log each time."""

import logging
from collections.abc import Callable

from tasks.errors import StockmetaError
from tasks.feeding.watch import Away, Watcher

logger = logging.getLogger(__name__)

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 30.0
REMIND_SECONDS = 600.0
"""After so long it is said again that it is still away."""


class Patience:
    """The state of one thing that may not answer.

    Args:
        what: it is.
        watcher: told of the pauses.
        clock: seconds, from any beginning, that only go forward.
        first: seconds of the first pause; each is twice as long as the one before.

    Attributes:
        trouble: what it said when it was asked last; `None` while all is well.
    """

    def __init__(self, what: Away, watcher: Watcher, clock: Callable[[], float], first: float = FIRST_SECONDS) -> None:
        self.trouble: str | None = None
        self._what, self._watcher, self._clock, self._first = what, watcher, clock, first
        self._pause = first
        self._since = self._said = 0.0
        self._until = float("-inf")

    @property
    def left(self) -> float:
        """Seconds until it is to be asked again; 0 if it may be asked now."""
        return max(0.0, self._until - self._clock())

    def failed(self, error: StockmetaError) -> float:
        """It did not answer; returns how many seconds to wait before it is asked again."""
        now = self._clock()
        if self.trouble is None:
            self._since = self._said = now
            logger.warning("waiting for what does not answer: %s", error)
        elif now - self._said >= REMIND_SECONDS:
            self._said = now
            logger.warning("still waiting, for %.0f s now: %s", now - self._since, error)
        self.trouble = str(error)
        pause, self._pause = self._pause, min(2 * self._pause, LONGEST_SECONDS)
        self._until = now + pause
        self._watcher.away(self._what, pause)
        return pause

    def answered(self) -> None:
        """All is well."""
        if self.trouble is not None:
            logger.info("it answers again, after %.0f s", self._clock() - self._since)
            self.trouble, self._pause, self._until = None, self._first, float("-inf")
