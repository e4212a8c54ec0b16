"""A store that fails, and objects that change meanwhile. Rows 10 and 17 to 21."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.faults import proxy
from tests.faults.conftest import StageOn
from tests.faults.proxy import Passing, Rule
from tests.faults.stage import VISIBILITY, Oracle, Stage
from tests.servers import seaweed_server

COMMIT = r"PUT /[^ ]*/done/"
IMAGE = r"GET /[^ ]*\.jpg[? ]"
OUTAGE = 8.0
"""Seconds: longer than a message's deadline and than the worker's own retries."""


@pytest.mark.parametrize("moment", ["reads", "writes"])
@pytest.mark.row("10", "a worker frozen past the visibility timeout, the image replaced")
def test_a_frozen_workers_stale_write_is_refused(stage: Stage, moment: str) -> None:
    key = stage.upload(1)[0]
    frozen = stage.worker(S3_READ_SECONDS=60)
    refused = proxy.Seen(lambda passing: passing.answers(COMMIT) and b" 412 " in passing.data[:20])
    matches: proxy.Matches = {
        "reads": lambda passing: passing.answers(IMAGE),
        "writes": lambda passing: passing.asks(COMMIT),
    }[moment]
    with stage.store_proxy.rule(refused), held(stage, matches) as (reached, release):
        stage.publish([key])
        assert reached.wait(20)
        frozen.signal(signal.SIGSTOP)
        stage.put(key)
        # Nobody tells of the replacement: the message itself comes again, to another worker.
        stage.worker()
        stage.wait(lambda: stage.committed() == 1, VISIBILITY + 25, "another worker committed")
        committed = stage.paths()
        release()
        frozen.signal(signal.SIGCONT)
        if moment == "writes":
            stage.wait(lambda: refused.count, 20, "the stale write is refused")
    assert stage.settle(30).done == 1
    time.sleep(2)
    assert stage.paths() == committed


TROUBLES: dict[str, Callable[[threading.Event], list[Rule]]] = {
    "503": lambda over: [proxy.answer_all("503 Slow Down", "SlowDown")],
    "slow": lambda over: [proxy.slow(400)],
    "reset": lambda over: [proxy.CutAfter(0)],
    "silent": lambda over: [proxy.black_hole(over)],
}


@pytest.mark.parametrize("trouble", ["503", "slow", "reset", "silent"])
@pytest.mark.row("17", "the store is away")
def test_an_outage_of_the_store_is_waited_for(stage: Stage, trouble: str) -> None:
    keys = stage.upload(16)
    worker = stage.worker()
    over = threading.Event()
    with stage.store_proxy.rule(*TROUBLES[trouble](over)):
        stage.publish(keys, size=4)
        time.sleep(OUTAGE)
        assert stage.committed() == 0
        over.set()
    assert not terminal(stage)
    stage.store_proxy.cut()
    started = time.monotonic()
    assert stage.settle(60).done == len(keys)
    stage.notes.append(f"done {time.monotonic() - started:.1f} s after it was over")
    assert worker.alive


@pytest.mark.row("17", "the store killed under load, and restarted on its data")
def test_a_restart_of_the_store_is_waited_for(tmp_path: Path, stage_on: StageOn, oracle: Oracle) -> None:
    folder = tmp_path / "weed"
    folder.mkdir()
    with ExitStack() as first:
        store = first.enter_context(seaweed_server(folder))
        with stage_on(store, oracle) as stage:
            keys = stage.upload(60)
            worker = stage.worker(FAULT_ENCODER="slow:0.05")
            stage.publish(keys, size=6)
            stage.wait(lambda: stage.committed() > 5, 30, "the worker is under load")
            store.kill()
            time.sleep(3)
            with seaweed_server(folder, ports=store.ports):
                assert stage.settle(90).done == len(keys)
                assert worker.alive


@pytest.mark.parametrize("reset", [pytest.param(False, id="end"), pytest.param(True, id="reset")])
@pytest.mark.row("18", "truncated GET")
def test_a_truncated_image_is_fetched_again(stage: Stage, reset: bool) -> None:
    keys = stage.upload(8)
    stage.worker()
    cut = proxy.CutAfter(2000, IMAGE, times=5, reset=reset)
    with stage.store_proxy.rule(cut):
        stage.publish(keys)
        assert stage.settle(40).done == len(keys)
    assert cut.cuts == 5


@pytest.mark.row("19", "credentials expire")
def test_expired_credentials_are_waited_for(stage: Stage) -> None:
    keys = stage.upload(12)
    worker = stage.worker()
    with stage.store_proxy.rule(proxy.answer_all("403 Forbidden", "ExpiredToken")):
        stage.publish(keys, size=4)
        time.sleep(OUTAGE)
        assert "expired" in worker.text().lower()
        assert stage.store.secret_key not in worker.text()
    assert not terminal(stage)
    assert stage.settle(60).done == len(keys)
    assert worker.alive


@pytest.mark.parametrize("moment", ["reads", pytest.param("writes", marks=pytest.mark.quick)])
@pytest.mark.row("20", "overwritten while it is processed")
def test_the_newer_content_wins(stage: Stage, moment: str) -> None:
    keys = stage.upload(4)
    stage.worker()
    with at(stage, moment) as (reached, release):
        stage.publish(keys)
        assert reached.wait(20)
        for key in keys:
            stage.put(key)
        release()
        # No event tells of it: the worker itself has to notice.
        assert stage.settle(30).done == len(keys)


@pytest.mark.parametrize("moment", ["reads", "writes"])
@pytest.mark.row("21", "deleted while it is processed")
def test_nothing_is_left_of_what_is_deleted(stage: Stage, moment: str) -> None:
    keys = stage.upload(4)
    stage.worker()
    with at(stage, moment) as (reached, release):
        stage.publish(keys)
        assert reached.wait(20)
        for key in keys[:3]:
            stage.remove(key)
        release()
        assert stage.settle(30).done == 1


@pytest.mark.parametrize("change", ["overwritten", "deleted"])
@pytest.mark.row("21", "overwritten or deleted, and SIGKILL right after the commit")
def test_a_commit_that_nobody_looked_after_is_put_right(stage: Stage, change: str) -> None:
    key = stage.upload(1)[0]
    worker = stage.worker()
    killing = proxy.once(lambda passing: passing.answers(COMMIT), worker.kill)
    with stage.store_proxy.rule(killing), at(stage, "writes") as (reached, release):
        stage.publish([key])
        assert reached.wait(20)
        if change == "deleted":
            stage.remove(key)
        else:
            stage.put(key)
        release()
        worker.wait(20)
    # It is committed, for what is no longer there, and who would have noticed is dead.
    assert stage.committed() == 1
    stage.worker()
    assert stage.settle(VISIBILITY + 30).done == (change == "overwritten")


@pytest.mark.row("21", "deleted later")
def test_what_is_deleted_later_loses_its_record(stage: Stage) -> None:
    keys = stage.upload(3)
    bad = stage.put("bad.jpg", b"no image")
    stage.worker()
    stage.publish([*keys, bad])
    assert stage.settle(30, terminal={bad: "unsupported_format"}).done == 3
    for key in (keys[0], bad):
        stage.remove(key)
    stage.publish([*keys, bad])
    assert stage.settle(30).done == 2


def terminal(stage: Stage) -> list[str]:
    """Terminal records."""
    return [path for path in stage.paths() if "/failed/" in path]


@contextmanager
def at(stage: Stage, moment: str) -> Iterator[tuple[threading.Event, Callable[[], None]]]:
    """Hold every answer to a GET of an image, or every commit, until released."""
    reached, over = threading.Event(), threading.Event()

    def rule(passing: Passing) -> None:
        if passing.answers(IMAGE) if moment == "reads" else passing.asks(COMMIT):
            reached.set()
            over.wait()

    with stage.store_proxy.rule(rule):
        try:
            yield reached, over.set
        finally:
            over.set()


@contextmanager
def held(stage: Stage, matches: proxy.Matches) -> Iterator[tuple[threading.Event, Callable[[], None]]]:
    """Hold the first piece that matches until released; all others pass."""
    reached, over = threading.Event(), threading.Event()

    def hold() -> None:
        reached.set()
        over.wait()

    with ExitStack() as stack:
        stack.callback(over.set)
        stack.enter_context(stage.store_proxy.rule(proxy.once(matches, hold)))
        yield reached, over.set
