"""A bound on the bytes of files that are held in memory at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Budget:
    """Bytes that any number of threads share.

    64 files under way may be 64 times the largest file allowed; the usual ones should not have to wait for that.

    Args:
        total: bytes; something larger than this passes alone.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._held = 0
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Wait until there is room for `size` bytes, and keep it while the block runs."""
        size = min(size, self._total)
        with self._changed:
            self._changed.wait_for(lambda: self._held + size <= self._total)
            self._held += size
        try:
            yield
        finally:
            with self._changed:
                self._held -= size
                self._changed.notify_all()
