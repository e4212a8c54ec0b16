"""What the measurements of the queue stand on: a real store and Redis, our own processes, and their processor time."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil
from redis import Redis

from tasks.messages import QUEUES, SUSPECTS
from tests.servers import Server, free_ports, seaweed_server
from worker.broker import embedded_broker
from worker.celery_settings import make_sender
from worker.queue.connection import connect
from worker.queue.ledger import PLACES
from worker.queue.redis_queue import RedisQueue
from worker.queue.snapshot import take
from worker.settings import Settings, load_settings

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

START_SECONDS = 1200.0
"""A first start converts a model and embeds the vocabulary."""

END_SECONDS = 60.0
NICE = ("nice", "-n", "19")


@dataclass(frozen=True)
class Process:
    """One of our commands, running.

    Attributes:
        top: the process; it may have children.
        url: where it says whether it is ready.
        log: what it wrote.
    """

    top: psutil.Popen
    url: str
    log: Path

    @property
    def cpu(self) -> float:
        """Seconds of processor time so far, children included."""
        return cpu_of(self.top.pid)

    def until_ready(self) -> None:
        """Wait until `/readyz` says yes. Raises `RuntimeError` with the log's end."""
        until(self._ready, START_SECONDS, f"it is ready; see {self.log}")

    @property
    def alive(self) -> bool:
        """Always true: raises `RuntimeError` with the log's end if it ended."""
        if self.top.poll() is not None:
            tail = self.log.read_text(encoding="utf-8", errors="replace")[-3000:]
            raise RuntimeError(f"it ended with status {self.top.poll()}:\n{tail}")
        return True

    def _ready(self) -> bool:
        with suppress(httpx.TransportError):
            return self.alive and httpx.get(f"{self.url}/readyz", trust_env=False).status_code == httpx.codes.OK
        return False


class Stand:
    """One bucket with photographs, one Redis, and what is started on them.

    Args:
        folder: for logs.
        store: runs.
        broker: URL of Redis.
        model: as for `stockmeta tag`.
    """

    def __init__(self, folder: Path, store: Server, broker: str, model: str) -> None:
        self.bucket = store.make_bucket("photos")
        self.s3: S3Client = store.s3(max_pool_connections=32)
        self._folder, self._store, self._broker, self._model = folder, store, broker, model
        settings = self._settings()
        self._sender = make_sender(settings)
        self.redis: Redis = connect(settings)
        self.queue = RedisQueue(self._sender, self.redis)
        self._redis_pid = int(self.redis.info("server")["process_id"])

    def upload(self, files: Sequence[Path]) -> list[str]:
        """Put photographs into the bucket; returns their keys."""
        for path in files:
            self.s3.put_object(Bucket=self.bucket, Key=path.name, Body=path.read_bytes())
        return [path.name for path in files]

    @property
    def environment(self) -> Mapping[str, str]:
        """What this process needs to reach the store itself."""
        return self._store.environment

    def servers_cpu(self) -> tuple[float, float]:
        """Seconds of processor time so far: the store's, and Redis's."""
        return cpu_of(self._store.process.pid), cpu_of(self._redis_pid)

    @contextmanager
    def worker(self, output: str = "") -> Iterator[Process]:
        """A worker that is ready; its sidecars go below the prefix `output`, by default below `.stockmeta`."""
        given = {"output": f"s3://{self.bucket}/{output}"} if output else {}
        with self.worker_of(QUEUES, **given) as process:
            yield process

    @contextmanager
    def worker_of(
        self, queues: Collection[str], *, niced: bool = False, options: Sequence[str] = (), **given: object
    ) -> Iterator[Process]:
        """A worker of some queues, with settings and options of its own, that is ready."""
        port, before = free_ports(1)[0], self._workers()
        # As it shows in the queue's snapshot: itself, and its child for suspects, which starts beside it and costs
        # processor time until it says that it is there.
        number = before + (2 if SUSPECTS in queues else 1)
        name, command = f"worker-{'-'.join(queues)}", ["worker", "--queues", ",".join(queues), *options]
        with self._running(name, command, self._settings(http_port=port, **given), port, niced=niced) as process:
            until(lambda: self._workers() == number, START_SECONDS, f"{number} workers are there; see {process.log}")
            yield process

    @contextmanager
    def listener(self, port: int, secret: str) -> Iterator[Process]:
        """A listener for the store's notifications, ready."""
        command = ["listen", "webhook", "--port", str(port)]
        with self._running("listener", command, self._settings(webhook_secret=secret), port) as process:
            yield process

    def drained(self) -> bool:
        """Whether no message is left to work on. Cheap for Redis, whose processor time is measured."""
        return not any(self.redis.zcard(place) for place in PLACES)

    def images_a_batch(self, worker: Process) -> float:
        """How full a worker's batches were so far: one that is not full costs as much as one that is."""
        page = httpx.get(f"{worker.url}/metrics", trust_env=False).text
        total, batches = (re.search(rf"^stockmeta_batch_images_{name} (\S+)", page, re.M) for name in ("sum", "count"))
        assert total is not None and batches is not None
        return float(total[1]) / max(1.0, float(batches[1]))

    def sidecars(self, prefix: str) -> int:
        """How many images have ended well below a prefix."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return sum("/done/" in item["Key"] for page in pages for item in page.get("Contents", ()))

    def close(self) -> None:
        """Hang up."""
        self._sender.close()
        self.redis.close()
        self.s3.close()

    def _workers(self) -> int:
        return len(take(self.redis).workers)

    def _settings(self, **given: object) -> Settings:
        ours = {"model": self._model, "broker_url": self._broker, "library": f"s3://{self.bucket}"}
        return load_settings(**ours | given)

    @contextmanager
    def command(self, *command: str, niced: bool = False) -> Iterator[psutil.Popen]:
        """One of our commands that serves nothing, ended by SIGTERM if it has not ended by itself."""
        with self._started(command[0], command, self._settings(), niced=niced) as (top, _):
            yield top

    @contextmanager
    def _running(
        self, name: str, command: Sequence[str], settings: Settings, port: int, *, niced: bool = False
    ) -> Iterator[Process]:
        with self._started(name, command, settings, niced=niced) as (top, log):
            process = Process(top, f"http://127.0.0.1:{port}", log)
            process.until_ready()
            yield process

    @contextmanager
    def _started(
        self, name: str, command: Sequence[str], settings: Settings, *, niced: bool
    ) -> Iterator[tuple[psutil.Popen, Path]]:
        log = self._folder / f"{name}.log"
        environment = clean_environment() | settings.to_environment() | self._store.environment
        with log.open("wb") as file:
            top = psutil.Popen(
                [*(NICE if niced else ()), sys.executable, "-P", "-m", "worker.cli", *command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                # Ctrl-C is for the measurement, which then ends them.
                start_new_session=True,
            )
        try:
            yield top, log
        finally:
            _end(top)


@contextmanager
def stand(folder: Path, model: str, notifications: Mapping[str, str] | None = None) -> Iterator[Stand]:
    """Start a store and Redis in a folder that is not there yet; `notifications` are variables for SeaweedFS."""
    (folder / "store").mkdir(parents=True)
    with ExitStack() as stack:
        store = stack.enter_context(seaweed_server(folder / "store", environment=notifications))
        broker = stack.enter_context(embedded_broker())
        made = Stand(folder, store, broker, model)
        stack.callback(made.close)
        yield made


def clean_environment() -> dict[str, str]:
    """The environment without settings of ours, of stores and of Celery."""
    foreign = ("STOCKMETA_", "AWS_", "CELERY_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


def until(true: Callable[[], bool], seconds: float, what: str, pause: float = 0.05) -> None:
    """Wait until something is so. Raises `RuntimeError` when the time is over."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not so after {seconds:.0f} s: {what}")
        time.sleep(pause)


def cpu_of(pid: int) -> float:
    """Seconds of processor time of a process, of its children, and of those of them that have ended."""
    total = 0.0
    with suppress(psutil.NoSuchProcess):
        top = psutil.Process(pid)
        for process in [top, *top.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                total += sum(process.cpu_times()[:4])
    return total


def run_counting(command: Sequence[str], environment: Mapping[str, str], log: Path) -> float:
    """Run one of our commands to its end; returns its processor time in seconds. Raises `RuntimeError`."""
    with log.open("wb") as file:
        actions = [
            (os.POSIX_SPAWN_DUP2, file.fileno(), 2),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        ]
        arguments = [sys.executable, "-P", "-m", "worker.cli", *command]
        pid = os.posix_spawn(sys.executable, arguments, dict(environment), file_actions=actions)
    try:
        # Not `subprocess`, which throws away what `wait4` says of processor time.
        _, status, used = os.wait4(pid, 0)
    except BaseException:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
        raise
    if status:
        raise RuntimeError(f"{' '.join(command[:1])} ended with {status}:\n{log.read_text()[-3000:]}")
    return used.ru_utime + used.ru_stime


def _end(process: psutil.Popen) -> None:
    process.terminate()
    try:
        process.wait(timeout=END_SECONDS)
    except psutil.TimeoutExpired:
        for child in process.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                child.kill()
        process.kill()
        process.wait()
