"""A worker for suspects that is told to stop while an image keeps the process that it is alone in."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tasks.messages import SUSPECTS, TagMessage
from tasks.records import ImageRef
from tests.conftest import REPOSITORY
from worker.broker import embedded_broker
from worker.celery_settings import make_sender
from worker.queue.connection import connect
from worker.queue.redis_queue import RedisQueue
from worker.queue.snapshot import take
from worker.settings import load_settings

GRACE_SECONDS = 1.0


@pytest.mark.parametrize("queues", [SUSPECTS, "uploads,suspects"])
def test_it_ends_soon_after_its_grace_period_and_the_image_waits_in_the_ledger(
    queues: str, photos: Path, tmp_path: Path, cache_dir: Path
) -> None:
    with embedded_broker() as url:
        settings = load_settings(
            model="fake",
            library=str(photos),
            output=str(tmp_path / "out"),
            cache_dir=cache_dir,
            broker_url=url,
            grace_seconds=GRACE_SECONDS,
            decode_processes=1,
        )
        command = [sys.executable, "-m", "worker.cli", "worker", "--queues", queues]
        with (tmp_path / "log").open("wb") as log, connect(settings) as client, make_sender(settings) as sender:
            environment = os.environ | settings.to_environment()
            worker = subprocess.Popen(command, env=environment, cwd=REPOSITORY, stdout=log, stderr=log)
            try:
                RedisQueue(sender, client).send(TagMessage((ImageRef("photos", "a red.jpg"),)), SUSPECTS)
                alone(worker.pid).suspend()
                RedisQueue(sender, client).send(TagMessage((ImageRef("photos", "blue.jpg"),)), SUSPECTS)
                until(lambda: take(client).in_hand > 0)
                began = time.monotonic()
                worker.terminate()
                assert worker.wait(timeout=30) == 0, (tmp_path / "log").read_text()
                assert time.monotonic() - began < GRACE_SECONDS + 8
                seen = take(client)
                assert (seen.in_hand, seen.failing) == (0, 0)
                # Where it is depends on whether the process was frozen before or after the first of them.
                assert seen.deferred + sum(queue.waiting for queue in seen.queues) >= 1
            finally:
                worker.kill()
                worker.wait()


def alone(pid: int) -> psutil.Process:
    """The isolated process, as soon as there is one."""
    found: list[psutil.Process] = []

    def look() -> bool:
        with suppress(psutil.NoSuchProcess):  # a zombie is one too
            found[:] = [p for p in psutil.Process(pid).children(recursive=True) if "worker.isolated" in p.cmdline()]
        return bool(found)

    until(look)
    return found[0]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
