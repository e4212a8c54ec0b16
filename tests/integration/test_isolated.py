"""The process for suspect images, with real ends: signals, a stall, a parent that is killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tasks.errors import Crashed, Reason, Unavailable
from tasks.records import ImageRef, Outcome, Status
from tests.conftest import REPOSITORY
from worker.isolated import IsolatedProcess, out_of_memory_kills, signal_name
from worker.settings import Settings, load_settings

REF = ImageRef("photos", "a red.jpg")


@pytest.fixture
def settings(photos: Path, tmp_path: Path, cache_dir: Path) -> Settings:
    return load_settings(
        model="fake", library=str(photos), output=str(tmp_path / "out"), cache_dir=cache_dir, decode_processes=1
    )


@pytest.fixture
def isolated(settings: Settings) -> Iterator[IsolatedProcess]:
    process = IsolatedProcess(settings, seconds=60)
    yield process
    process.close()


def child() -> psutil.Process:
    """The process, by its command."""
    [found] = [p for p in psutil.Process().children() if _is_isolated(p)]
    return found


def _is_isolated(process: psutil.Process) -> bool:
    try:
        return "worker.isolated" in process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False


def while_frozen(isolated: IsolatedProcess, end: int) -> "Future[Outcome]":
    """An attempt whose process is ended by a signal while it is at it."""
    isolated.provenance()
    process = child()
    process.suspend()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(isolated.attempt, REF)
        time.sleep(0.1)
        process.send_signal(end)
        process.resume()
    return future


def test_images_one_after_another_in_one_process(isolated: IsolatedProcess, tmp_path: Path) -> None:
    made = isolated.provenance()
    first = child().pid
    outcome = isolated.attempt(REF)
    assert (outcome.record.status, outcome.committed, outcome.cached) == (Status.TAGGED, True, False)
    assert outcome.record.generation == made.generation
    assert isolated.attempt(REF).cached
    assert isolated.attempt(ImageRef("photos", "broken.jpg")).record.reason == "truncated"
    assert isolated.attempt(ImageRef("photos", "gone.jpg")).record.reason == "vanished"
    assert child().pid == first
    assert (tmp_path / "out" / made.generation / "done" / "photos" / "a red.jpg.json").exists()


@pytest.mark.parametrize("end", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS])
def test_a_crash_is_the_images_fault(isolated: IsolatedProcess, end: int) -> None:
    crash = while_frozen(isolated, end).exception()
    assert isinstance(crash, Crashed)
    assert crash.reason is Reason.WORKER_CRASHED
    assert signal_name(end) in str(crash)
    assert isolated.attempt(REF).committed


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_an_end_from_outside_is_nobodys_fault(isolated: IsolatedProcess, end: int) -> None:
    assert isinstance(while_frozen(isolated, end).exception(), Unavailable)
    assert isolated.attempt(REF).committed


def test_a_kill_for_want_of_memory_is_the_images_fault(
    isolated: IsolatedProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    kills = iter((7, 8))
    monkeypatch.setattr("worker.isolated.out_of_memory_kills", lambda: next(kills))
    crash = while_frozen(isolated, signal.SIGKILL).exception()
    assert isinstance(crash, Crashed)
    assert "memory" in str(crash)
    assert out_of_memory_kills() >= 0


def test_an_image_that_takes_too_long(settings: Settings) -> None:
    isolated = IsolatedProcess(settings, seconds=0.5)
    isolated.provenance()
    process = child()
    process.suspend()
    with pytest.raises(Crashed) as caught:
        isolated.attempt(REF)
    assert caught.value.reason is Reason.WORKER_TIMEOUT
    assert not process.is_running()
    isolated.close()
    with pytest.raises(Unavailable):
        isolated.attempt(REF)


def test_a_process_without_work_is_ended_and_started_again(settings: Settings) -> None:
    isolated = IsolatedProcess(settings, seconds=60, idle=2)
    isolated.provenance()
    process = child()
    process.wait(timeout=20)
    assert isolated.attempt(REF).committed
    isolated.close()


def test_a_process_that_cannot_start_says_why(settings: Settings, tmp_path: Path) -> None:
    broken = settings.model_copy(update={"library": str(tmp_path / "nowhere")})
    isolated = IsolatedProcess(broken, seconds=60)
    with pytest.raises(Unavailable, match="nowhere"):
        isolated.provenance()
    isolated.close()


def test_closing_ends_an_attempt(isolated: IsolatedProcess) -> None:
    isolated.provenance()
    child().suspend()
    timer = threading.Timer(0.3, isolated.close)
    timer.start()
    with pytest.raises(Unavailable):
        isolated.attempt(REF)
    timer.join()


def test_it_ends_with_its_parent(settings: Settings) -> None:
    script = (
        "import time; from worker.isolated import IsolatedProcess; from worker.settings import load_settings\n"
        "IsolatedProcess(load_settings(), 60).provenance(); print('ready', flush=True); time.sleep(60)"
    )
    environment = os.environ | settings.to_environment()
    with subprocess.Popen(
        [sys.executable, "-c", script], env=environment, cwd=REPOSITORY, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        [process] = [p for p in psutil.Process(parent.pid).children() if _is_isolated(p)]
        family = [process, *process.children(recursive=True)]
        parent.kill()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []
