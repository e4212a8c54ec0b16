"""Requests are counted as they go on the wire: seen by a proxy between the store's client and its server."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Thread

import pytest

from tasks.errors import Conflict, Unavailable, Vanished
from tasks.ports import Store
from tasks.traffic import Traffic
from tests.faults.proxy import CutAfter, Passing, Proxy, answer_all
from tests.servers import Server
from tests.worker.storage.s3_stores import opened
from worker.storage.counted import PAGE, CountedStore, Meter, operation
from worker.storage.memory import MemoryStore
from worker.storage.s3 import S3Store
from worker.storage.s3_body import PART


@dataclass
class Wire:
    """A rule of the proxy that counts requests by kind, from their first lines."""

    seen: Counter[str] = field(default_factory=Counter)

    def __call__(self, passing: Passing) -> None:
        if passing.asks(""):
            method, url, _ = passing.request.split(b"\r\n", 1)[0].decode().split(" ")
            self.seen[operation(method, url)] += 1


def requests(traffic: Traffic) -> dict[str, int]:
    return {name.removeprefix("requests:"): count for name, count in traffic.to_counts().items() if "requests" in name}


@pytest.fixture
def between(seaweed: Server) -> Iterator[Proxy]:
    with Proxy(("127.0.0.1", seaweed.ports[0])) as proxy:
        yield proxy


@pytest.fixture
def s3(seaweed: Server, between: Proxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Store]:
    with opened(seaweed, monkeypatch, endpoint=f"http://127.0.0.1:{between.port}") as store:
        yield store


def everything(store: Store) -> None:
    """Each method, with and without success."""
    etag = store.put("a.jpg", b"one", if_match=None)
    etag = store.put("a.jpg", b"two", if_match=etag)
    with suppress(Conflict):
        store.put("a.jpg", b"three", if_match=None)
    store.put("b/c.jpg", b"other", if_match=None)
    store.stat("a.jpg", etag)
    store.fetch("a.jpg", etag)
    store.fetch_start("a.jpg", 2, etag=etag)
    assert store.read("a.jpg") == (b"two", etag)
    assert store.read("gone.jpg") is None
    assert len(list(store.list())) == 2
    assert len(list(store.list("nothing/"))) == 0
    assert len(list(store.walk())) == 2
    etag = store.rewrite("a.jpg", b"three", if_match=etag)
    with suppress(Conflict):
        store.delete("a.jpg", if_match='"0"')
    store.delete("a.jpg", if_match=etag)


def test_calls_are_counted_as_requests_to_s3() -> None:
    store = CountedStore(MemoryStore("photos"))
    everything(store)
    assert store.meter.total == Traffic(
        list=3, get=5, head=4, put=5, delete=1, read=3 + 2 + 3, written=3 + 3 + 5 + 5 + 5
    )


@pytest.mark.parametrize(("keys", "pages"), [(0, 1), (1, 1), (PAGE, 1), (PAGE + 1, 2), (2 * PAGE, 2)])
def test_a_page_of_a_listing_has_a_thousand_keys(keys: int, pages: int) -> None:
    store = CountedStore(MemoryStore("photos"))
    for number in range(keys):
        store.put(f"{number:05}.jpg", b"", if_match=None)
    before = store.meter.total
    assert len(list(store.list())) == keys
    assert requests(store.meter.total - before) == {"list": pages}


def test_a_thread_knows_what_it_caused_itself() -> None:
    meter = Meter()
    mine: list[Traffic] = []

    def work(times: int) -> None:
        for _ in range(times):
            meter.request("get", read=10)
        mine.append(meter.mine())

    threads = [Thread(target=work, args=(times,)) for times in (100, 200, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each.get for each in mine) == [100, 200, 300]
    assert meter.total == Traffic(get=600, read=6000)
    assert meter.mine() == Traffic()


@pytest.mark.integration
def test_what_is_counted_is_what_was_on_the_wire(s3: S3Store, between: Proxy) -> None:
    wire = Wire()
    with between.rule(wire):
        everything(s3)
    assert requests(s3.meter.total) == dict(wire.seen)


@pytest.mark.integration
def test_the_stub_counts_as_the_real_store_does(s3: S3Store) -> None:
    stub = CountedStore(MemoryStore("photos"))
    assert s3.order
    before = s3.meter.total
    for store in (stub, s3):
        everything(store)
    real = s3.meter.total - before
    # boto3 asks once more where a plain answer would not say why it refuses.
    assert requests(real) == requests(stub.meter.total)
    assert real.written == stub.meter.total.written


@pytest.mark.integration
def test_pages_of_a_listing_are_counted_with_their_bytes(s3: S3Store, between: Proxy) -> None:
    for number in range(PAGE + 1):
        s3.put(f"{number:05}.jpg", b"", if_match=None)
    wire, before = Wire(), s3.meter.total
    with between.rule(wire):
        assert len(list(s3.list())) == PAGE + 1
    listing = s3.meter.total - before
    assert requests(listing) == dict(wire.seen) == {"list": 2}
    assert listing.read > 100 * PAGE, "some hundred bytes a key"


@pytest.mark.integration
def test_tries_are_counted_each(s3: S3Store, between: Proxy) -> None:
    etag = s3.put("a.jpg", b"x" * 300_000, if_match=None)
    wire, before = Wire(), s3.meter.total
    with between.rule(wire, CutAfter(100_000, "GET", times=2)):
        assert s3.fetch("a.jpg", etag).stat.size == 300_000
    assert requests(s3.meter.total - before) == dict(wire.seen)
    assert wire.seen["get"] == 3
    wire, before = Wire(), s3.meter.total
    with between.rule(wire, answer_all("503 Slow Down", "SlowDown")), pytest.raises(Unavailable):
        s3.stat("a.jpg")
    assert requests(s3.meter.total - before) == dict(wire.seen)
    assert wire.seen["head"] > 1


@pytest.mark.integration
def test_large_objects_are_counted_part_by_part(s3: S3Store) -> None:
    etag = s3.put("large.jpg", bytes(PART + 1), if_match=None)
    before = s3.meter.total
    s3.fetch("large.jpg", etag)
    assert (s3.meter.total - before).read >= PART + 1


@pytest.mark.integration
def test_a_missing_object_costs_more_than_one_that_is_there(s3: S3Store, between: Proxy) -> None:
    wire, before = Wire(), s3.meter.total
    with between.rule(wire), pytest.raises(Vanished):
        s3.stat("gone.jpg")
    assert requests(s3.meter.total - before) == dict(wire.seen)
