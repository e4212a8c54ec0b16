"""What stores are asked for, counted as S3 bills it.

`S3Store` counts on the wire, retries and all. For stores without one, `CountedStore` counts what their calls would be
as requests to S3.
"""

import threading
from collections.abc import Iterator
from dataclasses import fields
from typing import TypeVar

from tasks.listing.order import Order
from tasks.ports import Fetched, Stat, Store
from tasks.traffic import Operation, Traffic

PAGE = 1000
"""Keys in a page of a listing (Amazon S3 API reference, "ListObjectsV2")."""

T = TypeVar("T")

_PLACES = {field.name: place for place, field in enumerate(fields(Traffic))}
_READ, _WRITTEN = _PLACES["read"], _PLACES["written"]
_METHODS: dict[str, Operation] = {"HEAD": "head", "PUT": "put", "DELETE": "delete"}


class Meter:
    """Sums of requests and bytes, of this process and of each of its threads. May be used from any number of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._total = [0] * len(_PLACES)
        self._local = threading.local()

    def add(self, traffic: Traffic) -> None:
        """Count something."""
        for name, place in _PLACES.items():
            self._count(place, getattr(traffic, name))

    def request(self, operation: Operation, *, read: int = 0, written: int = 0) -> None:
        """Count one request, and the bytes with it."""
        self._count(_PLACES[operation], 1)
        self._count(_READ, read)
        self._count(_WRITTEN, written)

    def sent(self, method: str, url: str, written: int = 0) -> None:
        """Count a request that goes on the wire."""
        self.request(operation(method, url), written=written)

    def received(self, size: int) -> None:
        """Count bytes that came."""
        self._count(_READ, size)

    @property
    def total(self) -> Traffic:
        """Of all threads."""
        with self._lock:
            return Traffic(*self._total)

    def mine(self) -> Traffic:
        """Of the calling thread."""
        return Traffic(*self._own())

    def _count(self, place: int, number: int) -> None:
        # Lists and not sums of `Traffic`: it happens at every request.
        if number:
            self._own()[place] += number
            with self._lock:
                self._total[place] += number

    def _own(self) -> list[int]:
        own: list[int] | None = getattr(self._local, "counts", None)
        if own is None:
            own = self._local.counts = [0] * len(_PLACES)
        return own


def operation(method: str, url: str) -> Operation:
    """As what S3 bills a request. Anything else that it knows costs what a GET does."""
    if method == "GET" and "list-type=2" in url.partition("?")[2].split("&"):
        return "list"
    return _METHODS.get(method, "get")


class CountedStore:
    """A store whose calls are counted as `S3Store` would send them, where nothing goes wrong.

    Args:
        store: does the work.
        meter: counts; default: one of its own.
    """

    def __init__(self, store: Store, meter: Meter | None = None) -> None:
        self.bucket = store.bucket
        self.meter = meter or Meter()
        self._store = store

    @property
    def order(self) -> Order:
        """See `Store`."""
        return self._store.order

    def stat(self, key: str, etag: str | None = None) -> Stat:
        """See `Store`."""
        self.meter.request("head")
        return self._store.stat(key, etag)

    def fetch(self, key: str, etag: str | None = None, *, most: int | None = None) -> Fetched:
        """See `Store`."""
        self.meter.request("get")
        fetched = self._store.fetch(key, etag, most=most)
        self.meter.received(fetched.stat.size)
        return fetched

    def read(self, key: str) -> tuple[bytes, str] | None:
        """See `Store`."""
        self.meter.request("get")
        found = self._store.read(key)
        self.meter.received(len(found[0]) if found else 0)
        return found

    def put(self, key: str, data: bytes, *, if_match: str | None) -> str:
        """See `Store`."""
        self.meter.request("put", written=len(data))
        return self._store.put(key, data, if_match=if_match)

    def rewrite(self, key: str, data: bytes, *, if_match: str) -> str:
        """See `Store`: what has to be kept is asked for first, its tags with a GET."""
        self.meter.add(Traffic(head=1, get=1, put=1, written=len(data)))
        return self._store.rewrite(key, data, if_match=if_match)

    def delete(self, key: str, *, if_match: str) -> None:
        """See `Store`: the ETag is looked at first."""
        self.meter.request("head")
        self._store.delete(key, if_match=if_match)
        self.meter.request("delete")

    def list(self, prefix: str = "", *, without: str = "") -> Iterator[Stat]:
        """See `Store`. The bytes of pages are not known here."""
        return self._pages(self._store.list(prefix, without=without))

    def walk(self, prefix: str = "") -> Iterator[Stat | str]:
        """See `Store`."""
        return self._pages(self._store.walk(prefix))

    def fetch_start(self, key: str, length: int, *, etag: str) -> bytes:
        """See `Store`."""
        self.meter.request("get")
        start = self._store.fetch_start(key, length, etag=etag)
        self.meter.received(len(start))
        return start

    def _pages(self, found: Iterator[T]) -> Iterator[T]:
        """A request for each page, and one for an empty listing: a full page says itself whether it is the last."""
        self.meter.request("list")
        for number, item in enumerate(found):
            if number and number % PAGE == 0:
                self.meter.request("list")
            yield item
