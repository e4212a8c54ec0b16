"""Work on several threads: nothing lost, errors reach the reader, nothing goes on after the end."""

import threading
from collections.abc import Iterator
from itertools import count

import pytest

from tasks.errors import Unavailable
from tasks.listing.lanes import AHEAD, BATCH, in_lanes

LANES = (1, 2, 8)


def running() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("lane-")]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert running() == []


@pytest.mark.parametrize("lanes", LANES)
def test_everything_comes_once(lanes: int) -> None:
    def halves(piece: tuple[int, int], idle: bool) -> tuple[list[tuple[int, int]], Iterator[int]]:
        begin, end = piece
        if not idle or end - begin < 100:
            return [], iter(range(begin, end))
        middle = (begin + end) // 2
        return [(begin, middle), (middle, end - 1)], iter([end - 1])

    assert sorted(in_lanes((0, 10_000), halves, lanes)) == list(range(10_000))


def test_several_lanes_work_at_once() -> None:
    meeting = threading.Barrier(4, timeout=30)

    def meet(piece: int, idle: bool) -> tuple[list[int], Iterator[int]]:
        if piece == 0:
            return [1, 2, 3, 4], iter(())
        meeting.wait()
        return [], iter([piece])

    assert sorted(in_lanes(0, meet, 4)) == [1, 2, 3, 4]


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("late", [False, True])
def test_an_error_anywhere_ends_everything_and_reaches_the_reader(lanes: int, late: bool) -> None:
    def fails(piece: int, idle: bool) -> tuple[list[int], Iterator[int]]:
        if piece == 0:
            return [1, 2, 3, 4, 5], iter([0])
        if piece != 3:
            return [], count() if piece == 5 and lanes > 1 else iter([piece])
        if not late:
            raise Unavailable("gone")

        def results() -> Iterator[int]:
            yield 1
            raise Unavailable("gone")

        return [], results()

    with pytest.raises(Unavailable, match="gone"):
        for _ in in_lanes(0, fails, lanes):
            pass


def test_closed_early_it_stops() -> None:
    def endless(piece: int, idle: bool) -> tuple[list[int], Iterator[int]]:
        return ([1, 2, 3] if piece == 0 else []), count()

    found = in_lanes(0, endless, 3)
    assert next(found) == 0
    assert len(running()) == 3
    found.close()


def test_a_reader_that_waits_is_waited_for() -> None:
    made = count()
    last = 0

    def endless(piece: int, idle: bool) -> tuple[list[int], Iterator[int]]:
        def results() -> Iterator[int]:
            nonlocal last
            for number in made:
                last = number
                yield number

        return [], results()

    found = in_lanes(0, endless, 2)
    next(found)
    ahead = BATCH * (2 * AHEAD + 2)
    for _ in range(3 * ahead):
        next(found)
    assert last <= 4 * ahead + BATCH
    found.close()
