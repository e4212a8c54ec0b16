"""Work that divides as it goes, on several threads, as one stream of results."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import islice
from queue import Empty, Queue
from threading import Condition, Thread
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

BATCH = 256
"""Results that pass from thread to thread at once."""
AHEAD = 4
"""Batches a lane that may wait for the reader."""

Work = Callable[[T, bool], tuple[Iterable[T], Iterator[R]]]
"""From a piece, and whether lanes stand idle, to the pieces that it was divided into, and the results of the rest."""


def in_lanes(first: T, work: Work[T, R], lanes: int) -> Generator[R, None, None]:
    """What `work` finds in a piece and in all the pieces that come of it, in no particular order.

    Ends when everything is done, and raises what any piece raised: then, as when it is closed early, no thread goes on.

    Args:
        first: the piece to begin with.
        work: is called on the threads.
        lanes: how many threads; with one, everything happens on the caller's.
    """
    if lanes == 1:
        pieces = deque([first])
        while pieces:
            more, results = work(pieces.popleft(), False)
            pieces.extend(more)
            yield from results
        return
    yield from _Lanes(first, work, lanes).results()


class _Lanes(Generic[T, R]):
    def __init__(self, first: T, work: Work[T, R], lanes: int) -> None:
        self._work = work
        self._changed = Condition()
        self._waiting = deque([first])
        self._busy = 0
        self._stopped = False
        self._results: Queue[list[R] | BaseException | None] = Queue(AHEAD * lanes)
        # Should the process end without closing us, no listing keeps it.
        self._threads = [Thread(target=self._run, name=f"lane-{number}", daemon=True) for number in range(lanes)]

    def results(self) -> Iterator[R]:
        try:
            for thread in self._threads:
                thread.start()
            ended = 0
            while ended < len(self._threads):
                match self._results.get():
                    case None:
                        ended += 1
                    case list() as batch:
                        yield from batch
                    case BaseException() as error:
                        raise error
        finally:
            self._stop()

    def _stop(self) -> None:
        """Have the threads end, also those that wait for room."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            while thread.ident is not None and thread.is_alive():
                try:
                    self._results.get(timeout=0.05)
                except Empty:
                    thread.join(0.05)

    def _run(self) -> None:
        try:
            while (taken := self._take()) is not None:
                more, results = self._work(*taken)
                self._add(more)
                while (batch := list(islice(results, BATCH))) and not self._stopped:
                    self._results.put(batch)
                self._ended()
            self._results.put(None)
        except BaseException as error:  # noqa: BLE001 - raised again where the results are read
            self._results.put(error)

    def _take(self) -> tuple[T, bool] | None:
        """The next piece, and whether fewer wait than there are lanes; `None` when none will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._waiting or not self._busy)
            if self._stopped or not self._waiting:
                return None
            self._busy += 1
            return self._waiting.popleft(), len(self._waiting) < len(self._threads)

    def _add(self, pieces: Iterable[T]) -> None:
        with self._changed:
            self._waiting.extend(pieces)
            self._changed.notify_all()

    def _ended(self) -> None:
        with self._changed:
            self._busy -= 1
            self._changed.notify_all()
