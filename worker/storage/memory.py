"""A bucket in memory: the fake that ships, under the same contract tests as the real ones."""

import time
from collections.abc import Iterator
from itertools import count
from threading import Lock

from tasks.errors import Conflict, Reason, Rejected, Replaced, Vanished
from tasks.listing.order import Order, sortable
from tasks.ports import Fetched, Stat

MAX_KEY = 1024
"""Bytes of UTF-8 in a key, S3's limit."""


class MemoryStore:
    """Objects in a dictionary. Like S3 it takes any key of 1 to 1,024 bytes, `..` included.

    Args:
        bucket: its name.
        order: in which to list; S3's by default.
    """

    def __init__(self, bucket: str, order: Order = "bytes") -> None:
        self.bucket = bucket
        self.order: Order = order
        self._objects: dict[str, tuple[bytes, str]] = {}
        self._modified: dict[str, float] = {}
        self._lock = Lock()
        self._versions = count(1)

    def stat(self, key: str, etag: str | None = None) -> Stat:
        """Look at an object, the one with `etag` if given. Raises `Vanished`, `Replaced`."""
        return self.fetch(key, etag).stat

    def fetch(self, key: str, etag: str | None = None, *, most: int | None = None) -> Fetched:
        """Get an object's bytes. Raises `Vanished`, `Replaced`, `Rejected`."""
        found = self.read(key)
        if found is None:
            raise Vanished(f"{self.bucket}: {key!r} is gone")
        if etag not in (None, found[1]):
            raise Replaced(f"{self.bucket}: {key!r} was replaced")
        data, current = found
        if most is not None and len(data) > most:
            raise Rejected(Reason.TOO_MANY_BYTES, f"it has {len(data)} bytes, and {most} are allowed")
        return Fetched(Stat(key, current, len(data), self._modified.get(key)), data)

    def read(self, key: str) -> tuple[bytes, str] | None:
        """An object's bytes and ETag, or `None`."""
        return self._objects.get(key)

    def put(self, key: str, data: bytes, *, if_match: str | None) -> str:
        """Write if the ETag is `if_match`; returns the new one. Raises `Conflict`, `Rejected`."""
        if not key or len(key.encode("utf-8", "surrogatepass")) > MAX_KEY:
            raise Rejected(Reason.KEY_TOO_LONG if key else Reason.KEY_INVALID, f"a key has 1 to {MAX_KEY} bytes")
        with self._lock:
            if self._etag(key) != if_match:
                raise Conflict(f"{self.bucket}: {key!r} was written by somebody else")
            etag = f'"{next(self._versions):016x}"'
            self._objects[key] = (bytes(data), etag)
            self._modified[key] = time.time()
            return etag

    def rewrite(self, key: str, data: bytes, *, if_match: str) -> str:
        """Write as `put` does: there is nothing but content here. Raises `Conflict`."""
        return self.put(key, data, if_match=if_match)

    def delete(self, key: str, *, if_match: str) -> None:
        """Remove an object if its ETag is `if_match`. Raises `Conflict`, `Vanished`."""
        with self._lock:
            etag = self._etag(key)
            if etag is None:
                raise Vanished(f"{self.bucket}: {key!r} is gone")
            if etag != if_match:
                raise Conflict(f"{self.bucket}: {key!r} was written by somebody else")
            del self._objects[key]

    def list(self, prefix: str = "", *, without: str = "") -> Iterator[Stat]:
        """Objects under a prefix as they were at the call, in this store's order, less those below `without`."""
        with self._lock:
            found = [
                Stat(key, etag, len(data), self._modified[key])
                for key, (data, etag) in self._objects.items()
                if key.startswith(prefix) and not (without and key.startswith(without))
            ]
        return iter(sorted(found, key=lambda stat: sortable(stat.key, self.order)))

    def walk(self, prefix: str = "") -> Iterator[Stat | str]:
        """One level of `list`, with what lies deeper as prefixes that end with `/`."""
        before = ""
        for stat in self.list(prefix):
            folder, slash, _ = stat.key[len(prefix) :].partition("/")
            if not slash:
                yield stat
            elif (below := f"{prefix}{folder}/") != before:
                yield (before := below)

    def fetch_start(self, key: str, length: int, *, etag: str) -> bytes:
        """The first bytes of the object with this ETag. Raises `Vanished`, `Replaced`."""
        body = self.fetch(key, etag).body
        assert isinstance(body, bytes)
        return body[:length]

    def _etag(self, key: str) -> str | None:
        found = self._objects.get(key)
        return found and found[1]
