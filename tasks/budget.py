"""A bound on the bytes of files that are held in memory at once."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Budget:
    """Bytes that any number of threads share.

    64 files under way may be 64 times the largest file allowed; the usual ones should not have to wait for that.
    Whoever comes first goes first: a large one would otherwise wait for as long as there are small ones.

    Args:
        total: bytes; something larger than this passes alone.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._held = 0
        self._line: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Wait until there is room for `size` bytes, and keep it while the block runs."""
        size = min(size, self._total)
        ticket = object()
        with self._changed:
            self._line.append(ticket)
            self._changed.wait_for(lambda: self._line[0] is ticket and self._held + size <= self._total)
            self._line.popleft()
            self._held += size
            # The next in line may fit as well.
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._held -= size
                self._changed.notify_all()
