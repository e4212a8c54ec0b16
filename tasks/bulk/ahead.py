"""How many images there are, counted ahead of a listing that waits for workers: so its end can be foretold."""

import logging
import threading
from collections.abc import Callable, Iterator

from tasks.errors import StockmetaError

logger = logging.getLogger(__name__)


class Ahead:
    """Counts once, on a thread of its own, which begins when it is first asked to and ends with the process.

    Costs one listing of the images. A listing that fails leaves the number unknown.

    Args:
        images: lists them.

    Attributes:
        images: how many there are; `None` while that is not known.
    """

    def __init__(self, images: Callable[[], Iterator[object]]) -> None:
        self.images: int | None = None
        self._list = images
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Begin to count, unless it has begun."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._count, name="ahead", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop counting, and wait until that has happened."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _count(self) -> None:
        count = 0
        try:
            for _ in self._list():
                if self._stopped.is_set():
                    return
                count += 1
        except StockmetaError as error:
            logger.warning("how many images there are is not known: %s", error)
            return
        self.images = count
