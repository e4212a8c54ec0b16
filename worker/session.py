"""A queue for commands that need one: the one that is configured, or one of their own with a worker beside it."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from redis import Redis

from tasks.errors import ConfigurationError, Unavailable
from worker.broker import embedded_broker
from worker.celery_settings import make_sender
from worker.children import other_environment
from worker.queue.connection import connect
from worker.queue.redis_queue import RedisQueue
from worker.queue.snapshot import take
from worker.settings import Settings, load_settings

POLL_SECONDS = 0.1
END_SECONDS = 60.0
WRONG_SETTINGS, CANNOT_START = 2, "the worker cannot start: "
"""Exit status and last words of a worker whose settings are wrong."""


@dataclass(frozen=True)
class Session:
    """A queue to send to.

    Attributes:
        worker: our own, where there is no broker but ours; else `None`.
        log: what it wrote.
    """

    queue: RedisQueue
    client: Redis
    worker: "subprocess.Popen[bytes] | None" = None
    log: Path | None = None

    def drain(self, progress: Callable[[int], None] | None = None) -> None:
        """With a worker of our own, wait until nothing is left to do; else return at once.

        Args:
            progress: called with the number of messages that are left.

        Raises:
            Unavailable: the worker ended, or the queue is gone; says why.
        """
        while self.worker is not None:
            seen = take(self.client)
            left = sum(queue.open for queue in seen.queues) + seen.deferred
            if progress is not None:
                progress(left)
            if not left:
                return
            self.check()
            time.sleep(POLL_SECONDS)

    def check(self) -> None:
        """Raise if our own worker ended: its last words with it.

        Raises:
            ConfigurationError: its settings are wrong.
            Unavailable: it ended otherwise.
        """
        if self.worker is not None and self.worker.poll() is not None:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines() if self.log else []
            if self.worker.returncode == WRONG_SETTINGS and lines:
                raise ConfigurationError(lines[-1].rpartition(CANNOT_START)[2])
            raise Unavailable(f"the worker ended with status {self.worker.returncode}: {' '.join(lines[-3:])}")


@contextmanager
def session(settings: Settings, log: Path | None = None, *, open_new: bool = False) -> Iterator[Session]:
    """The configured queue; or, without one, an embedded broker and a worker, which end with the block.

    Args:
        settings: for the queue and the worker.
        log: where our own worker's log goes; default: a file that ends with the block.
        open_new: whether our own worker fills a new generation where the library is kept in another.

    Raises:
        ConfigurationError: the broker's URL is wrong.
        Unavailable: our own broker did not start.
    """
    if settings.broker_url is not None:
        yield _connected(settings)
        return
    with TemporaryDirectory(prefix="stockmeta-") as folder, embedded_broker() as url:
        path = log or Path(folder) / "worker.log"
        ours = load_settings(**settings.model_dump(exclude_unset=True) | {"broker_url": url})
        with path.open("wb") as file, _worker(ours, file.fileno(), open_new=open_new) as worker:
            here = _connected(ours)
            yield Session(here.queue, here.client, worker, path)


def _connected(settings: Settings) -> Session:
    client = connect(settings)
    return Session(RedisQueue(make_sender(settings), client), client)


@contextmanager
def _worker(settings: Settings, log: int, *, open_new: bool) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker in a process of its own, as in production, while the block runs."""
    # -P: Python would import from the working directory, which may hold a `worker.py` of somebody's.
    command = [sys.executable, "-P", "-m", "worker.cli", "worker", "--with-parent"]
    command += ["--open-generation"] if open_new else []
    environment = other_environment() | settings.to_environment("http_port", "webhook_secret")
    # A process group of its own: Ctrl-C on a terminal is for the command, which then ends the worker in good order.
    process = subprocess.Popen(  # noqa: S603 - our own module
        command, env=environment, stdin=subprocess.PIPE, stdout=log, stderr=log, process_group=0
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
