"""Counting ahead of a listing that waits."""

import itertools
import threading
import time
from collections.abc import Iterator

from tasks.bulk.ahead import Ahead
from tasks.errors import Unavailable

SECONDS = 10.0


def until(ahead: Ahead) -> int | None:
    end = time.monotonic() + SECONDS
    while ahead.images is None and time.monotonic() < end:
        time.sleep(0.001)
    return ahead.images


def test_nothing_is_listed_before_it_is_asked_for_and_then_once() -> None:
    begun: list[int] = []

    def images() -> Iterator[int]:
        begun.append(1)
        return iter(range(7))

    ahead = Ahead(images)
    assert (ahead.images, begun) == (None, [])
    ahead.begin()
    ahead.begin()
    assert until(ahead) == 7
    assert begun == [1]
    ahead.close()


def test_a_listing_that_breaks_off_leaves_it_unknown() -> None:
    def images() -> Iterator[int]:
        yield 1
        raise Unavailable("the store is away")

    ahead = Ahead(images)
    ahead.begin()
    ahead.close()
    assert ahead.images is None


def test_closing_ends_a_count_that_would_never_end() -> None:
    counting = threading.Event()

    def images() -> Iterator[int]:
        for number in itertools.count():
            counting.set()
            yield number

    ahead = Ahead(images)
    ahead.begin()
    assert counting.wait(SECONDS)
    ahead.close()
    assert ahead.images is None
    assert "ahead" not in {thread.name for thread in threading.enumerate()}
