"""Processes that belong to this one: they end when it ends, however it ends."""

import logging
import os
import signal
import subprocess
import sys
import threading

from tasks.messages import SUSPECTS
from worker.settings import Settings

logger = logging.getLogger(__name__)

AGAIN_SECONDS = 5.0
END_SECONDS = 10.0


def other_environment() -> dict[str, str]:
    """The environment without our own settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("STOCKMETA_")}


def end_with_parent() -> None:
    """End this process, as SIGTERM does, when its standard input ends: then its parent is gone."""

    def watch() -> None:
        while os.read(0, 1 << 10):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


class SuspectsWorker:
    """A worker for the queue `suspects` as a child process, started again when it ends.

    Celery's worker has one pool for all its queues, and suspects go one at a time: they would stop everything else.
    """

    def __init__(self, settings: Settings) -> None:
        self._environment = other_environment() | settings.to_environment("http_port", "webhook_secret")
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._supervise, name="suspects", daemon=True)
        self._thread.start()

    def shut_down(self) -> None:
        """Tell it to end, which takes it no longer than the grace period."""
        self._closing.set()
        with self._lock:
            if self._child is not None:
                self._child.terminate()

    def close(self) -> None:
        """End it, and wait until it has."""
        self.shut_down()
        self._thread.join(END_SECONDS)
        child = self._child
        if child is not None and child.poll() is None:
            child.kill()

    def _supervise(self) -> None:
        command = [sys.executable, "-P", "-m", "worker.cli", "worker", "--queues", SUSPECTS, "--with-parent"]
        while not self._closing.is_set():
            try:
                with self._lock:
                    self._child = subprocess.Popen(command, stdin=subprocess.PIPE, env=self._environment)  # noqa: S603 - our own module
            except OSError as error:
                # No memory, or no more processes: it may pass, and without this thread suspects would wait for ever.
                logger.error("the worker for suspects cannot be started, trying again: %s", error.strerror)
                self._closing.wait(AGAIN_SECONDS)
                continue
            status = self._child.wait()
            assert self._child.stdin is not None
            self._child.stdin.close()
            if not self._closing.wait(AGAIN_SECONDS):
                logger.error("the worker for suspects ended with status %d; starting another", status)
