"""A Redis that is killed, frozen or full. Rows 12, 14 and 15."""

import signal
import subprocess
import sys
import time

import httpx
import pytest

from tasks.errors import Unavailable
from tasks.messages import UPLOADS, TagMessage
from tasks.records import ImageRef
from tests.conftest import REPOSITORY
from tests.faults.stage import Stage
from tests.faults.store_events import event, listening, post
from tests.servers import free_ports

FULL = 1 << 20
"""Less than an empty server uses: every write that needs memory is refused."""


@pytest.mark.quick
@pytest.mark.row("12", "Redis killed under load, and restarted on its file")
def test_a_restart_of_redis_loses_nothing(stage: Stage) -> None:
    keys = stage.upload(60)
    worker = stage.worker(FAULT_ENCODER="slow:0.05")
    stage.publish(keys, size=6)
    stage.wait(lambda: stage.committed() > 5, 30, "the worker is under load")
    stage.redis.kill()
    time.sleep(2)
    stage.redis.start()
    assert stage.settle(60).done == len(keys)
    assert worker.alive


@pytest.mark.row("14", "Redis frozen")
def test_a_frozen_redis_is_an_error_and_no_hang(stage: Stage) -> None:
    keys = stage.upload(30)
    (port,) = free_ports(1)
    worker = stage.worker(FAULT_ENCODER="slow:0.05", HTTP_PORT=port)
    stage.publish(keys[:20], size=5)
    stage.wait(lambda: stage.committed() > 2, 30, "the worker is under load")
    stage.redis.signal(signal.SIGSTOP)
    try:
        message = TagMessage(tuple(ImageRef(stage.bucket, key) for key in keys[20:]))
        started = time.monotonic()
        with pytest.raises(Unavailable, match="Redis did not answer in time"):
            stage.queue.send(message, UPLOADS)
        assert time.monotonic() - started < 15
        status = command(stage, "status")
        assert status.returncode == 1
        assert "Redis did not answer" in status.stderr
        assert ready(port) == 503
    finally:
        stage.redis.signal(signal.SIGCONT)
    stage.queue.send(message, UPLOADS)
    assert stage.settle(60).done == len(keys)
    assert worker.alive


@pytest.mark.row("15", "Redis full")
def test_a_full_redis_is_waited_for(stage: Stage) -> None:
    keys = stage.upload(40)
    (port,) = free_ports(1)
    worker = stage.worker(FAULT_ENCODER="slow:0.05", HTTP_PORT=port)
    with listening(stage, hold=2) as address:
        stage.publish(keys[:20], size=5)
        stage.wait(lambda: stage.committed() > 2, 30, "the worker is under load")
        stage.redis.client.config_set("maxmemory", FULL)
        new = [event(stage, key) for key in keys[20:]]
        # The listener holds the request for a while, then has its sender come again.
        assert post(address, new) == 503
        stage.wait(lambda: ready(port) == 503, 15, "the worker is not ready")
        assert not [path for path in stage.paths() if "/failed/" in path]
        stage.redis.client.config_set("maxmemory", 0)
        assert post(address, new) == 200
        if not worker.alive:
            # Celery itself ends when it cannot acknowledge; a supervisor starts it again.
            stage.notes.append("the worker ended, and was started again")
            worker.kill()
            worker = stage.worker(HTTP_PORT=port)
        assert stage.settle(60).done == len(keys)
        stage.wait(lambda: ready(port) == 200, 15, "the worker is ready again")


def ready(port: int) -> int:
    """What a worker says to whoever asks whether it is ready; 0 if it does not answer."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=10).status_code
    except httpx.HTTPError:
        return 0


def command(stage: Stage, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """A command of ours on this stage, which has to end within half a minute."""
    return subprocess.run(
        [sys.executable, "-m", "worker.cli", *arguments],
        env=stage.environment(),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
