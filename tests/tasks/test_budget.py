"""Bytes in memory at once."""

import threading

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
        try:
            with budget.hold(10):
                raise ZeroDivisionError
        except ZeroDivisionError:
            pass
    with budget.hold(10):
        pass
