"""Reading ahead on a thread."""

import threading
from collections.abc import Callable, Iterator

import pytest

from tasks.errors import Unavailable
from tasks.listing.prefetch import CHUNK, CHUNKS, Prefetched


@pytest.mark.parametrize("count", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_all_items_come_in_their_order(count: int) -> None:
    with Prefetched(lambda _: iter(range(count))) as items:
        assert list(items) == list(range(count))


def test_it_is_ready_when_the_first_items_are_there() -> None:
    go = threading.Event()

    def slow(_: Callable[[], bool]) -> Iterator[int]:
        go.wait(5)
        yield 1

    items = Prefetched(slow)
    assert not items.ready()
    assert not items.ready(0.01)
    go.set()
    assert items.ready(5.0)
    assert items.ready()
    assert list(items) == [1]


def test_nothing_is_ready_at_once_too() -> None:
    items: Prefetched[int] = Prefetched(lambda _: iter(()))
    assert items.ready(5.0)
    assert items.ready()
    assert list(items) == []


def test_what_went_wrong_is_raised_after_what_came_before() -> None:
    def broken(_: Callable[[], bool]) -> Iterator[int]:
        yield from range(CHUNK)
        raise Unavailable("cut")

    items = iter(Prefetched(broken))
    assert [next(items) for _ in range(CHUNK)] == list(range(CHUNK))
    with pytest.raises(Unavailable, match="cut"):
        next(items)


def test_it_reads_no_further_ahead_than_it_may_and_ends_when_closed() -> None:
    read = 0
    ended = threading.Event()

    def endless(closed: Callable[[], bool]) -> Iterator[int]:
        nonlocal read
        try:
            while not closed():
                read += 1
                yield read
        finally:
            ended.set()

    with Prefetched(endless) as items:
        assert items.ready(5.0)
        assert next(iter(items)) == 1
    assert ended.wait(5)
    assert read <= (CHUNKS + 3) * CHUNK
