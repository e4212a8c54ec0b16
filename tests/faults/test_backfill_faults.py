"""Backfills: killed, with the queue wiped, with images that change, beside uploads. Rows 13, 23, 27 and 28."""

import json
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from tasks.layout import Layout
from tasks.messages import BACKFILL, SUSPECTS, UPLOADS
from tasks.records import ImageRef
from tests.faults.asked import Asked
from tests.faults.conftest import StageOn
from tests.faults.photographs import photograph, photographs
from tests.faults.processes import Program
from tests.faults.stage import Oracle, Stage
from tests.faults.store_events import SECRET, listening
from tests.servers import free_ports, seaweed_server

MESSAGE = 64
"""Images in a message of a backfill's."""

SLOW = "slow:0.03"
PATIENT = {"DEADLINE_SECONDS": 5, "VISIBILITY_SECONDS": 15}
FOLDERS = ("", "a b/", "a/", "a/c/", "하나/")
"""Listed in another order by bytes than by the components of paths."""


def fill(stage: Stage, images: Mapping[str, bytes]) -> None:
    """Upload many."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(stage.put, images.keys(), images.values()))


def ended(program: Program, seconds: float = 240) -> dict[str, Any]:
    """A backfill's result. Raises `AssertionError` if it does not end in time."""
    status = program.wait(seconds)
    results = [line for line in program.text().splitlines() if line.startswith('{"')]
    assert results, f"{program.name} ended with {status}:\n{program.tail()}"
    result: dict[str, Any] = json.loads(results[-1])
    assert status == 0, f"{program.name} ended with {status}:\n{program.tail()}"
    return result


def nothing_left(stage: Stage, young: int = 0) -> None:
    """One backfill more finds nothing to do, and costs a listing: no request for any image.

    The store lists at most 1,000 objects in a request, of images and of records. `young` images at most may be as old
    as their records, whose ETags have to be compared.
    """
    asked = Asked()
    with stage.store_proxy.rule(asked):
        result = ended(stage.backfill())
    assert len(result["passes"]) == 1, result
    assert result["converged"]
    assert not result["passes"][0]["sent"]
    assert result["passes"][0]["current"] == len(stage.uploaded)
    assert not asked.read
    assert asked.kinds["GET record"] <= young and not asked.kinds["HEAD image"], asked.kinds
    # A page of each side for each 1,000, and one for each kind of record and each folder that there is.
    folders = len({key.rpartition("/")[0] for key in stage.uploaded})
    assert asked.kinds["list"] <= 4 * folders + 3 * (len(stage.uploaded) // 1000 + 1), asked.kinds
    stage.notes.append(f"the run after: {dict(asked.kinds)}")


def wiped(stage: Stage) -> None:
    """Everything that Redis holds is gone, and it goes on."""
    stage.redis.client.flushall()


def removed(stage: Stage) -> None:
    """Redis is killed, and starts without its file."""
    stage.redis.kill()
    for path in stage.redis.folder.rglob("*aof*"):
        if path.is_file():
            path.unlink()
    stage.redis.start()
    assert not stage.redis.client.dbsize()


@pytest.mark.parametrize("wipe", [pytest.param(wiped, marks=pytest.mark.quick), removed])
@pytest.mark.row("13", "Redis wiped in the middle of a backfill, with uploads queued")
def test_a_running_backfill_restores_what_redis_lost(stage: Stage, wipe: Callable[[Stage], None]) -> None:
    """Row 13: the backfill that runs notices, lists again, and finds the uploads, too."""
    stage.upload(150)
    stage.worker(FAULT_ENCODER=SLOW)
    backfill = stage.backfill("--window", "2")
    stage.wait(lambda: stage.committed() > 20, 120, "the backfill is under way")
    stage.publish(stage.upload(30, "new"), size=10)
    wipe(stage)
    result = ended(backfill)
    assert result["converged"]
    assert len(result["passes"]) > 1
    assert stage.settle(20).done == 180


@pytest.mark.row("13", "Redis wiped with uploads queued, and a backfill begun afterwards")
def test_a_new_backfill_restores_what_redis_lost(stage: Stage) -> None:
    """Row 13: nobody knows any more what was uploaded; the next backfill finds it."""
    stage.publish(stage.upload(40), size=8)
    wiped(stage)
    stage.worker()
    stage.wait(lambda: not stage.backlog(), 10, "nothing is queued")
    assert not stage.committed()
    result = ended(stage.backfill())
    assert result["passes"][0]["missing"] == 40
    assert stage.settle(20).done == 40


@pytest.mark.row("23", "the webhook down while images come, change and go")
def test_a_backfill_finds_what_the_webhook_missed(tmp_path: Path, stage_on: StageOn, oracle: Oracle) -> None:
    """Row 23: ten minutes, in short: SeaweedFS drops its notifications while nobody listens."""
    (port,) = free_ports(1)
    name = "WEED_NOTIFICATION_WEBHOOK"
    tells = {f"{name}_ENABLED": "true", f"{name}_ENDPOINT": f"http://127.0.0.1:{port}/", f"{name}_BEARER_TOKEN": SECRET}
    folder = tmp_path / "weed"
    folder.mkdir()
    with seaweed_server(folder, environment=tells) as store, stage_on(store, oracle) as made:
        made.worker()
        with listening(made, port):
            keys = made.upload(200)
            assert made.settle(90).done == 200
        before = made.paths()
        made.upload(20, "new")
        for key in keys[:20]:
            made.put(key)
        # As many as a backfill removes unasked: one in a hundred.
        for key in keys[-2:]:
            made.remove(key)
        time.sleep(2)
        assert made.paths() == before
        result = ended(made.backfill())
        first = result["passes"][0]
        assert (first["missing"], first["stale"], first["orphans"]) == (20, 20, 2)
        assert result["removed"] == 2
        assert made.settle(20).done == 218
        nothing_left(made, young=240)


@pytest.mark.quick
@pytest.mark.row("27", "a backfill and a worker killed, and resumed (100 images)")
def test_a_killed_backfill_goes_on(stage: Stage) -> None:
    """Row 27, in small."""
    # A message that takes longer than its deadline is passed on while its images go on, and these are done twice.
    Killing(stage, window=1, settings={"FAULT_ENCODER": SLOW, **PATIENT}).run(100, 1)


@pytest.mark.timeout(900)
@pytest.mark.row("27", "a backfill and workers killed ten times each, 2,000 photographs")
def test_killed_ten_times_each_over_two_thousand_photographs(stage: Stage) -> None:
    """Row 27: no gap, at most one window redone, nothing left for the run after, which costs a listing."""
    Killing(stage, window=4, settings={"CONCURRENCY": 2, "FAULT_ENCODER": "slow:0.01", **PATIENT}).run(2000, 10)


@pytest.mark.row("27", "a backfill and workers killed twice each, with the real model `starter`")
def test_killed_with_the_real_model(starter_stage: Stage) -> None:
    """Row 27, with the model that photographs really get."""
    Killing(starter_stage, window=2, settings={"MODEL": "starter", "INFERENCE_THREADS": 1, **PATIENT}).run(200, 2)


@dataclass
class Killing:
    """Kills the backfill, and a worker, in turn, each time after some more images were committed."""

    stage: Stage
    window: int
    settings: dict[str, object]
    workers: list[Program] = field(default_factory=list)
    open: int = 0

    def run(self, images: int, times: int) -> None:
        """Kill each so often while so many images are worked on; then see what became of them."""
        stage, asked = self.stage, Asked()
        bodies = photographs(stage.chance.randrange(1 << 20))
        names = (f"{FOLDERS[number % len(FOLDERS)]}{number:04}.jpg" for number in range(images))
        fill(stage, dict(zip(names, bodies, strict=False)))
        began = time.monotonic()
        with stage.store_proxy.rule(asked):
            self.workers = [stage.worker(settings=self.settings) for _ in range(2)]
            backfill = self._backfill()
            for kill in range(2 * times):
                goal = images * (kill + 1) // (2 * times + 1)
                # Not by listing thousands of records again and again.
                self._until(lambda goal=goal: len(asked.written) >= goal)
                if kill % 2:
                    self._kill_a_worker()
                else:
                    backfill.kill()
                    backfill = self._backfill()
            result = ended(backfill, 240)
        assert result["converged"], result
        assert stage.settle(30).done == images
        redone = {key: count - 1 for key, count in asked.read.items() if count > 1}
        stage.notes += [
            f"{times} kills of the backfill, {times} of workers; {time.monotonic() - began:.0f} s; "
            f"{sum(redone.values())} images read again, {self.window * MESSAGE} allowed a kill; "
            f"at most {self.open} messages open",
        ]
        assert set(asked.read) == set(stage.uploaded)
        # Each kill costs what was in hand and not yet committed, which is at most what a window holds.
        assert sum(redone.values()) <= 2 * times * self.window * MESSAGE, Counter(redone.values())
        # A message that is passed on is there twice for a moment: the new one is entered before the old one is struck.
        assert self.open <= 2 * self.window
        nothing_left(stage)

    def _backfill(self) -> Program:
        return self.stage.backfill("--window", str(self.window))

    def _kill_a_worker(self) -> None:
        index = self.stage.chance.randrange(2)
        program = self.workers[index]
        if self.stage.chance.random() < 0.5:
            program.kill()
        else:
            # Only the process itself: what it started has to notice by itself.
            program.signal(signal.SIGKILL, alone=True)
            program.process.wait()
        self.workers[index] = self.stage.worker(wait=False, settings=self.settings)

    def _until(self, reached: Callable[[], bool]) -> None:
        client = self.stage.redis.client

        def look() -> bool:
            # Suspects are messages of one image each, of which the feeder sends none.
            self.open = max(self.open, int(client.zcard(f"stockmeta:ledger:{BACKFILL}")))
            return reached()

        self.stage.wait(look, 240, "it goes on")


@pytest.mark.row("27", "images overwritten, deleted, renamed and added while a backfill is killed and resumed")
def test_what_changes_during_a_backfill_ends_right(stage: Stage) -> None:
    """Row 27, and rows 20 and 21 for a backfill, whose listing is old when its messages are worked on."""
    keys = stage.upload(200)
    settings: dict[str, object] = {"FAULT_ENCODER": SLOW}
    workers = [stage.worker(settings=settings) for _ in range(2)]
    options = ("--window", "3", "--max-orphans", "30")
    backfill = stage.backfill(*options)
    for number in range(4):
        goal = 36 * (number + 1)
        stage.wait(lambda goal=goal: stage.committed() >= goal, 180, "it goes on")
        change(stage, stage.chance.sample(sorted(keys), 24), number)
        keys = list(stage.uploaded)
        if number % 2:
            workers[0].kill()
            workers[0] = stage.worker(wait=False, settings=settings)
        else:
            backfill.kill()
            backfill = stage.backfill(*options)
    ended(backfill)
    # What changed after the last listing had passed it.
    assert ended(stage.backfill(*options))["converged"]
    assert stage.settle(30).done == len(stage.uploaded)
    nothing_left(stage, young=len(stage.uploaded))


def change(stage: Stage, keys: Sequence[str], number: int) -> None:
    """Overwrite some, delete some, rename some into another folder, and add as many as were deleted."""
    for key in keys[:8]:
        stage.put(key)
    for key in keys[8:16]:
        stage.remove(key)
        stage.put(f"added {number}/{key}")
    for key in keys[16:]:
        body = stage.uploaded[key]
        stage.remove(key)
        stage.put(f"{number}/{key.rpartition('/')[2]}", body)


@pytest.mark.row("28", "uploads while 2,000 images of a backfill are queued")
def test_uploads_overtake_a_backfill(stage: Stage) -> None:
    """Row 28: that they keep moving; how fast is measured by `make bench-backfill`."""
    body = photograph(1)
    fill(stage, {f"old/{number:04}.jpg": body + number.to_bytes(8) for number in range(2000)})
    stage.worker(UPLOADS)
    slow = stage.worker(
        BACKFILL, SUSPECTS, FAULT_ENCODER="slow:0.05", BATCH=8, DEADLINE_SECONDS=300, VISIBILITY_SECONDS=900
    )
    stage.backfill("--window", "32")
    stage.wait(lambda: "committed as" in slow.text(), 120, "the backfill is under way")
    took = []
    for number in range(20):
        key = stage.put(f"new/{number}.jpg")
        path = Layout().done(stage.oracle.generation, ImageRef(stage.bucket, key))
        began = time.monotonic()
        stage.publish([key])
        stage.wait(lambda path=path: stage.etag(path), 20, f"{key} is done")
        took.append(time.monotonic() - began)
    left = 2000 - slow.text().count("committed as")
    stage.notes.append(f"median {median(took):.2f} s, at most {max(took):.2f} s, with {left} images still to do")
    assert left > 500
    assert max(took) < 8
