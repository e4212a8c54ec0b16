"""Bytes in memory at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tasks.budget import Budget


def test_what_does_not_fit_waits() -> None:
    budget = Budget(10)
    entered = threading.Event()

    def hold() -> None:
        with budget.hold(4):
            entered.set()

    with budget.hold(7):
        thread = threading.Thread(target=hold)
        thread.start()
        assert not entered.wait(0.2)
    assert entered.wait(10)
    thread.join()


def test_what_can_never_fit_passes_alone() -> None:
    budget = Budget(10)
    with budget.hold(1000):
        pass
    with budget.hold(10):
        pass


def test_room_is_given_back_by_who_fails() -> None:
    budget = Budget(10)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), budget.hold(10):
            raise ZeroDivisionError
    with budget.hold(10):
        pass


def test_a_large_one_is_not_passed_by_small_ones_for_ever() -> None:
    budget = Budget(10)
    large, small = threading.Event(), threading.Event()

    def hold(size: int, entered: threading.Event) -> None:
        with budget.hold(size):
            entered.set()

    first = ExitStack()
    first.enter_context(budget.hold(5))
    with ThreadPoolExecutor(2) as pool:
        pool.submit(hold, 10, large)
        assert not large.wait(0.1)
        pool.submit(hold, 5, small)
        # There is room for it, and yet it is not its turn.
        assert not small.wait(0.2)
        first.close()
        assert large.wait(10)
        assert small.wait(10)
