"""Questions whose answer may never come: asked in a thread of their own, once at a time, and not for every asker."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from tasks.errors import Unavailable

T = TypeVar("T")

Check = Callable[[], str]
"""Says in a few words what it found, or raises. It may hang: `Probe` bounds it."""


class Probe(Generic[T]):
    """The answer to a question, at most `fresh` seconds old.

    A question that hangs costs one thread, however often it is asked for, and every asker gets an error in time.

    Args:
        ask: the question. May raise, and may hang for ever.
        fresh: seconds for which an answer, or an error, is given again without asking.
        patience: seconds that an answer may take.
    """

    def __init__(self, ask: Callable[[], T], fresh: float, patience: float) -> None:
        self._ask = ask
        self._fresh = fresh
        self._patience = patience
        self._changed = threading.Condition()
        self._asked: float | None = None
        self._answered = float("-inf")
        self._answer: T | None = None
        self._error: Exception | None = None

    def begin(self) -> None:
        """Ask, unless somebody is asking or the last answer is fresh; does not wait."""
        with self._changed:
            if self._asked is not None or time.monotonic() - self._answered < self._fresh:
                return
            self._asked = time.monotonic()
        # Not of a pool: those are joined when the process ends, and one that hangs would hold it up.
        threading.Thread(target=self._run, name="probe", daemon=True).start()

    def get(self) -> T:
        """The answer. Raises what the question raised, or `Unavailable` when there is none in time."""
        self.begin()
        with self._changed:
            if self._asked is not None:
                left = self._asked + self._patience - time.monotonic()
                if left <= 0 or not self._changed.wait_for(lambda: self._asked is None, left):
                    waited = time.monotonic() - (self._asked or time.monotonic())
                    raise Unavailable(f"no answer for {waited:.0f} s")
            if self._error is not None:
                raise self._error
            return self._answer  # type: ignore[return-value]  # there is one: `begin` asked, and no error came

    def _run(self) -> None:
        answer, error = None, None
        try:
            answer = self._ask()
        except Exception as trouble:  # noqa: BLE001 - it is the answer, and raised to whoever asks
            error = trouble.with_traceback(None)
        with self._changed:
            self._answer, self._error = answer, error
            self._asked, self._answered = None, time.monotonic()
            self._changed.notify_all()


class Pulse:
    """Whether a loop still turns: it has to beat at least every `limit` seconds, unless it has an excuse.

    Args:
        limit: seconds.
        excused: whether the loop may stand still now, as a consumer may while its broker is away. After the excuse it
            has `limit` seconds again.
        clock: seconds, from any beginning.
    """

    def __init__(
        self, limit: float, excused: Callable[[], bool] = lambda: False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = limit
        self._excused = excused
        self._clock = clock
        self._last = clock()

    def beat(self) -> None:
        """The loop turned."""
        self._last = self._clock()

    def check(self) -> str:
        """A `Check`. Raises `Unavailable` when the loop stands still."""
        still = self._clock() - self._last
        if still <= self._limit:
            return f"turned {still:.0f} s ago"
        if self._excused():
            self._last = self._clock()
            return "stands still, as long as the broker is away"
        raise Unavailable(f"has not turned for {still:.0f} s")
