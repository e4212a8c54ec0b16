"""A store that tells when somebody waits for it: in the process for suspect images that is not the image's time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tasks.listing.order import Order
from tasks.ports import Fetched, Stat, Store


class TellingStore:
    """A `Store` that calls `tell` with true before each request, and with false after. For one thread.

    Args:
        store: does the work.
        tell: is told.
    """

    def __init__(self, store: Store, tell: Callable[[bool], None]) -> None:
        self.bucket = store.bucket
        self._store = store
        self._tell = tell

    def stat(self, key: str, etag: str | None = None) -> Stat:
        """See `Store`, as all that follow."""
        with self._waiting():
            return self._store.stat(key, etag)

    def fetch(self, key: str, etag: str | None = None, *, most: int | None = None) -> Fetched:
        """See `Store`."""
        with self._waiting():
            return self._store.fetch(key, etag, most=most)

    def read(self, key: str) -> tuple[bytes, str] | None:
        """See `Store`."""
        with self._waiting():
            return self._store.read(key)

    def put(self, key: str, data: bytes, *, if_match: str | None) -> str:
        """See `Store`."""
        with self._waiting():
            return self._store.put(key, data, if_match=if_match)

    def rewrite(self, key: str, data: bytes, *, if_match: str) -> str:
        """See `Store`."""
        with self._waiting():
            return self._store.rewrite(key, data, if_match=if_match)

    def delete(self, key: str, *, if_match: str) -> None:
        """See `Store`."""
        with self._waiting():
            self._store.delete(key, if_match=if_match)

    def list(self, prefix: str = "", *, without: str = "") -> Iterator[Stat]:
        """See `Store`; tells nothing, since no image needs a listing."""
        return self._store.list(prefix, without=without)

    def walk(self, prefix: str = "") -> Iterator[Stat | str]:
        """See `Store`; tells nothing either."""
        return self._store.walk(prefix)

    def fetch_start(self, key: str, length: int, *, etag: str) -> bytes:
        """See `Store`."""
        with self._waiting():
            return self._store.fetch_start(key, length, etag=etag)

    @property
    def order(self) -> Order:
        """See `Store`."""
        return self._store.order

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        self._tell(True)
        try:
            yield
        finally:
            self._tell(False)
