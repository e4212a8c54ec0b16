"""An iterator that is read ahead on a thread of its own, so that a listing's requests overlap with the work on it."""

from collections.abc import Callable, Iterator
from queue import Empty, Full, Queue
from threading import Event, Thread
from types import TracebackType
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")

CHUNK = 1000
"""Items handed over at once: a page of a listing."""
CHUNKS = 8
WAIT_SECONDS = 0.2


class Prefetched(Generic[Item]):
    """Gives what `items` gives, in its order, and raises what it raises; a context manager, which ends the thread.

    Args:
        items: makes the iterator, on the thread. What it is given says whether nobody wants more: to be asked where
            much is read before the first item comes.
    """

    def __init__(self, items: Callable[[Callable[[], bool]], Iterator[Item]]) -> None:
        self._items = items
        self._queue: Queue[list[Item] | BaseException | None] = Queue(CHUNKS)
        self._closed = Event()
        self._thread = Thread(target=self._run, name="prefetch", daemon=True)
        self._chunk: list[Item] = []
        self._began = False

    def begin(self) -> None:
        """Begin to read, unless that has begun."""
        if not self._began:
            self._began = True
            self._thread.start()

    def ready(self, wait: float = 0.0) -> bool:
        """Whether the first items are there, after so many seconds at most; from then on they come at once."""
        self.begin()
        if self._chunk or self._closed.is_set():
            return True
        try:
            self._chunk = self._next(wait)
        except Empty:
            return False
        return True

    def __iter__(self) -> Iterator[Item]:
        """All items. Waits for them."""
        self.begin()
        while self._chunk or not self._closed.is_set():
            yield from self._chunk
            self._chunk = self._next(None)

    def __enter__(self) -> Self:
        self.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the thread; a request under way ends by itself."""
        self._closed.set()

    def _next(self, wait: float | None) -> list[Item]:
        got = self._queue.get(timeout=wait) if wait != 0.0 else self._queue.get_nowait()
        if got is None:
            self._closed.set()
            return []
        if isinstance(got, BaseException):
            self._closed.set()
            raise got
        return got

    def _run(self) -> None:
        try:
            chunk: list[Item] = []
            for item in self._items(self._closed.is_set):
                chunk.append(item)
                if len(chunk) >= CHUNK:
                    if not self._put(chunk):
                        return
                    chunk = []
            if not chunk or self._put(chunk):
                self._put(None)
        except BaseException as error:  # noqa: BLE001 - raised again, where the items are wanted
            self._put(error)

    def _put(self, what: list[Item] | BaseException | None) -> bool:
        """Hand over; false when nobody wants it."""
        while not self._closed.is_set():
            try:
                self._queue.put(what, timeout=WAIT_SECONDS)
            except Full:
                continue
            return True
        return False
