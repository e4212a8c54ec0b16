"""One index that a feed follows: what has to be done before it can be relied on, and the comparison that does it."""

from collections.abc import Callable

from tasks.feeding.ports import Index
from tasks.feeding.reconcile import Reconciliation


class Followed:
    """An index that is kept equal, and is due to be compared from the beginning.

    Args:
        index: of one generation.
        clock: seconds, from any beginning, that only go forward.

    Attributes:
        run: the comparison that goes on.
        missed: since when changes may have been missed; only a comparison that began later makes up for that.
        serve: since when searches should use it and do not, likewise.
        dirty: something was delivered and not committed.
        compared: a comparison has ended.
    """

    def __init__(self, index: Index, clock: Callable[[], float]) -> None:
        self.index = index
        self.run: Reconciliation | None = None
        self.missed: float | None = None
        self.serve: float | None = None
        self.dirty = self.compared = False
        self._clock = clock
        self._began = 0.0
        self._due = clock()

    def is_due(self) -> bool:
        """Whether it is to be compared now, or is."""
        return self.run is not None or self._clock() >= self._due

    def need_to_catch_up(self) -> None:
        """Changes may have been missed."""
        self.missed = self._due = self._clock()

    def need_to_serve(self, *, needed: bool = True) -> None:
        """Searches are to use it, once it was compared; or not any more, as after a rollback."""
        if not needed:
            self.serve = None
        elif self.serve is None:
            self.serve = self._due = self._clock()

    def may_serve(self) -> bool:
        """Whether the comparison that ended now is one that searches waited for."""
        return self.serve is not None and self.serve <= self._began

    def begin(self, run: Reconciliation) -> None:
        """A comparison begins."""
        self.run, self._began = run, self._clock()

    def end(self, interval: float) -> float:
        """It has ended, and the next one is due after so many seconds; returns how many it took."""
        self.close()
        self.compared = True
        now = self._clock()
        if self.missed is not None and self.missed <= self._began:
            self.missed = None
        if self.serve is not None and self.serve <= self._began:
            self.serve = None
        waiting = self.missed is not None or self.serve is not None
        self._due = now if waiting else now + interval
        self.dirty = False
        return now - self._began

    def close(self) -> None:
        """Give a comparison up."""
        if self.run is not None:
            self.run.close()
            self.run = None
