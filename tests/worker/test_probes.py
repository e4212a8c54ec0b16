"""Questions whose answer may never come."""

import threading
import time
from collections.abc import Iterator

import pytest

from tasks.errors import Unavailable
from worker.probes import Probe, Pulse


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """What a question may wait for; set in the end, so that no thread is left."""
    event = threading.Event()
    yield event
    event.set()


def test_an_answer_is_kept_while_it_is_fresh() -> None:
    answers = iter(range(10))
    kept = Probe(lambda: next(answers), fresh=60, patience=5)
    assert [kept.get(), kept.get()] == [0, 0]
    new = Probe(lambda: next(answers), fresh=0, patience=5)
    assert [new.get(), new.get()] == [1, 2]


def test_an_error_is_an_answer() -> None:
    asked = []

    def ask() -> str:
        asked.append(1)
        raise ValueError("no")

    probe = Probe(ask, fresh=60, patience=5)
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            probe.get()
    assert len(asked) == 1


def test_a_question_that_hangs_costs_one_thread_and_no_time(never: threading.Event) -> None:
    probe = Probe(never.wait, fresh=0, patience=0.3)
    before = threading.active_count()
    with pytest.raises(Unavailable, match="no answer"):
        probe.get()
    start = time.monotonic()
    for _ in range(20):
        with pytest.raises(Unavailable, match="no answer"):
            probe.get()
    assert time.monotonic() - start < 5, "only the first one waits"
    assert threading.active_count() == before + 1


def test_after_a_question_that_hung_the_next_is_asked(never: threading.Event) -> None:
    probe = Probe(never.wait, fresh=0, patience=0.05)
    with pytest.raises(Unavailable):
        probe.get()
    never.set()
    until = time.monotonic() + 5
    while time.monotonic() < until:
        try:
            assert probe.get() is True
            return
        except Unavailable:
            time.sleep(0.01)
    pytest.fail("it never answered again")


class Clock:
    """Time that passes when it is told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_loop_that_turns_is_alive() -> None:
    clock = Clock()
    pulse = Pulse(limit=60, clock=clock)
    for _ in range(3):
        clock.now += 50
        assert pulse.check() == "turned 50 s ago"
        pulse.beat()


def test_a_loop_that_stands_still_is_not() -> None:
    clock = Clock()
    pulse = Pulse(limit=60, clock=clock)
    clock.now += 61
    with pytest.raises(Unavailable, match="not turned for 61 s"):
        pulse.check()


def test_an_excuse_holds_while_it_lasts_and_for_the_limit_after_it() -> None:
    clock, away = Clock(), True
    pulse = Pulse(limit=60, excused=lambda: away, clock=clock)
    clock.now += 1000
    assert "broker" in pulse.check()
    away = False
    clock.now += 59
    pulse.check()
    clock.now += 2
    with pytest.raises(Unavailable):
        pulse.check()
