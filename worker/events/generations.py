"""Which generations uploads are written to, read from the library's pointer at most every few seconds."""

import logging
import threading
import time
from collections.abc import Callable

from tasks.errors import ConfigurationError, Unavailable
from tasks.generations.pointer import Current

logger = logging.getLogger(__name__)

FRESH_SECONDS = 5.0


class RecentCurrent:
    """The pointer, as it was a few seconds ago.

    While the store is silent the last known one holds: nobody else can move the pointer then either, and the queue
    keeps an event that its sender may not send again.

    Args:
        read: reads the pointer.
        seconds: how long what was read is good.
        now: a clock that only goes forward.
    """

    def __init__(
        self, read: Callable[[], Current], seconds: float = FRESH_SECONDS, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read
        self._seconds = seconds
        self._now = now
        self._lock = threading.Lock()
        self._known: Current | None = None
        self._until = float("-inf")

    def __call__(self) -> Current:
        """The pointer. Raises `Unavailable` if it could never be read."""
        with self._lock:
            if self._known is None or self._now() >= self._until:
                self._known = self._again()
                self._until = self._now() + self._seconds
            return self._known

    def _again(self) -> Current:
        try:
            return self._read()
        except (Unavailable, ConfigurationError) as error:
            if self._known is None:
                raise Unavailable(f"the generations that uploads are written to cannot be read: {error}") from error
            logger.warning("the last known generations hold, because they cannot be read: %s", error)
            return self._known
