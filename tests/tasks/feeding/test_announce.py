"""Announcing beside work that neither waits for it nor fails because of it."""

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from tasks.feeding.announce import BATCH, Aside
from tasks.feeding.changes import Change
from tests.tasks.queues import KeptChanges


def change(number: int) -> Change:
    return Change("g", "b", f"{number}.jpg")


def test_changes_are_announced_in_batches_and_the_rest_at_the_end() -> None:
    kept = KeptChanges()
    with Aside(kept) as aside:
        for number in range(BATCH - 1):
            aside.add([change(number)])
        assert not kept.announced
        aside.add([change(BATCH - 1)])
        assert kept.announced == [change(number) for number in range(BATCH)]
        aside.add([change(7), change(BATCH), change(7)])
    assert kept.announced[BATCH:] == [change(7), change(BATCH)], "an image once in a batch"
    assert kept.calls == 2


def test_no_change_waits_for_long_while_others_come(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("tasks.feeding.announce.time.monotonic", lambda: now)
    kept = KeptChanges()
    aside = Aside(kept)
    aside.add([change(1)])
    now = 0.5
    aside.add([change(2)])
    assert not kept.announced
    now = 1.5
    aside.add([change(3)])
    assert kept.announced == [change(1), change(2), change(3)]


def test_the_first_failure_is_said_and_nothing_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    kept = KeptChanges(away=1)
    with caplog.at_level(logging.WARNING), Aside(kept) as aside:
        for number in range(3 * BATCH):
            aside.add([change(number)])
    assert (kept.calls, kept.announced) == (1, [])
    [said] = caplog.messages
    assert (
        said == "changes could not be announced: Redis is away; indexes follow when their feeds compare listings next"
    )


def test_what_was_done_before_a_failure_is_announced() -> None:
    kept = KeptChanges()
    with pytest.raises(KeyError), Aside(kept) as aside:
        aside.add([change(1)])
        raise KeyError
    assert kept.announced == [change(1)]


def test_nobody_to_tell_and_nothing_to_say_cost_nothing() -> None:
    with Aside() as aside:
        aside.add([change(1)])
    kept = KeptChanges()
    with Aside(kept) as aside:
        aside.add([])
    assert kept.calls == 0


def test_threads_lose_nothing() -> None:
    kept = KeptChanges()
    with Aside(kept) as aside, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: aside.add([change(number)]), range(1000)))
    assert sorted(kept.announced) == sorted(map(change, range(1000)))
