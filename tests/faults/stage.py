"""Everything that a fault needs: Redis, a store, proxies before both, workers, photographs, and what is to come out."""

import os
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import redis
from botocore.exceptions import ClientError
from celery import Celery

from tasks.layout import Layout
from tasks.messages import BACKFILL, SUSPECTS, UPLOADS, TagMessage
from tasks.records import ImageRef, Record
from tests.faults import invariant
from tests.faults.photographs import photograph
from tests.faults.processes import Program, Redis, until
from tests.faults.proxy import Proxy
from tests.servers import Server
from worker.celery_settings import make_sender
from worker.queue.connection import connect
from worker.queue.redis_queue import RedisQueue
from worker.runtime import Runtime, load_model
from worker.settings import Settings, load_settings
from worker.storage.memory import MemoryStore

INJECT = Path(__file__).parent / "inject"
VISIBILITY, DEADLINE, GRACE = 10, 3, 4


class Oracle:
    """What every picture should get, worked out in this process, by the same model on the same bytes."""

    def __init__(self, model: str, cache_dir: Path) -> None:
        self._settings = load_settings(
            model=model, cache_dir=cache_dir, decode_processes=1, threads=1, inference_threads=1
        )
        self._model = load_model(self._settings)
        self.generation = self._model.provenance.generation
        self._store = MemoryStore("oracle")
        self._runtime = Runtime(self._settings, self._model, {"oracle": self._store})
        self.expected = cache(self._expected)

    def _expected(self, body: bytes) -> Record:
        key = f"{hash(body):x}.jpg"
        with suppress(Exception):
            self._store.put(key, body, if_match=None)
        return self._runtime.tagger.tag(ImageRef("oracle", key)).record

    def close(self) -> None:
        """Stop its processes."""
        self._runtime.close()


@dataclass(eq=False)
class Stage:
    """One bucket, one Redis, and whatever is started on them."""

    folder: Path
    redis: Redis
    store: Server
    oracle: Oracle
    bucket: str
    redis_proxy: Proxy
    store_proxy: Proxy
    chance: random.Random
    settings: Mapping[str, object] = field(default_factory=dict)
    uploaded: dict[str, bytes] = field(default_factory=dict, repr=False)
    programs: list[Program] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.s3 = self.store.s3()
        self._seeds = count(self.chance.randrange(1 << 20) << 20)

    # What is uploaded and published

    def upload(self, number: int, name: str = "photo") -> list[str]:
        """Upload so many new photographs; returns their keys."""
        return [self.put(f"{name}-{len(self.uploaded):04d}.jpg") for _ in range(number)]

    def put(self, key: str, body: bytes | None = None) -> str:
        """Upload a picture, by default a new photograph."""
        body = photograph(next(self._seeds)) if body is None else body
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        self.uploaded[key] = body
        return key

    def remove(self, key: str) -> None:
        """Delete a picture."""
        self.s3.delete_object(Bucket=self.bucket, Key=key)
        del self.uploaded[key]

    def publish(self, keys: Sequence[str], size: int = 64, queue: str = UPLOADS) -> list[TagMessage]:
        """Publish messages of so many images, straight to Redis and not through its proxy."""
        messages = []
        for start in range(0, len(keys), size):
            refs = tuple(ImageRef(self.bucket, key) for key in keys[start : start + size])
            messages.append(TagMessage(refs))
            self.queue.send(messages[-1], queue)
        return messages

    @cached_property
    def sender(self) -> Celery:
        """Publishes from this process, past the proxy."""
        return make_sender(self._direct())

    @cached_property
    def queue(self) -> RedisQueue:
        """A queue of this process, past the proxy."""
        return RedisQueue(self.sender, connect(self._direct()))

    def _direct(self) -> Settings:
        return self.load_settings(BROKER_URL=f"redis://127.0.0.1:{self.redis.port}/0")

    # Processes

    def environment(self, **settings: object) -> dict[str, str]:
        """What a process of ours sees: settings, and what begins with FAULT_, which is for the injection."""
        given: dict[str, object] = {
            "MODEL": "fake",
            "BROKER_URL": f"redis://127.0.0.1:{self.redis_proxy.port}/0",
            "LIBRARY": f"s3://{self.bucket}",
            "VISIBILITY_SECONDS": VISIBILITY,
            "DEADLINE_SECONDS": DEADLINE,
            "GRACE_SECONDS": GRACE,
            "DECODE_PROCESSES": 1,
            "DECODE_SECONDS": 1,
            "CONCURRENCY": 4,
            "S3_CONNECT_SECONDS": 2,
            "S3_READ_SECONDS": 3,
            **self.settings,
            **settings,
        }
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("STOCKMETA_", "CELERY_", "AWS_", "FAULT_", "PYTEST_"))
        }
        clean |= self.store.environment | {"STOCKMETA_S3_ENDPOINT": f"http://127.0.0.1:{self.store_proxy.port}"}
        clean |= {"PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}
        if any(name.startswith("FAULT_") for name in given):
            clean["PYTHONPATH"] = str(INJECT)
        for name, value in given.items():
            prefix = "" if name.startswith(("FAULT_", "AWS_")) else "STOCKMETA_"
            clean[prefix + name] = str(value)
        return clean

    def load_settings(self, **settings: object) -> Settings:
        """The settings that a process of ours would see, for this one."""
        prefix = "STOCKMETA_"
        environment = self.environment(**settings)
        given = {name[len(prefix) :].lower(): value for name, value in environment.items() if name.startswith(prefix)}
        return load_settings(**given)

    def worker(
        self,
        *queues: str,
        wait: bool = True,
        settings: Mapping[str, object] | None = None,
        **more: object,
    ) -> Program:
        """Start a worker, of all queues unless some are named; by default wait until it takes messages."""
        command = ["worker", *(("--queues", ",".join(queues)) if queues else ())]
        program = self._start("worker", command, self.environment(**(settings or {}), **more))
        if wait:
            self.until_ready(program)
        return program

    def backfill(self, *options: str, **settings: object) -> Program:
        """Start a backfill of the whole bucket."""
        return self._start("backfill", ["backfill", f"s3://{self.bucket}", *options], self.environment(**settings))

    def feed(self, sink: str, *options: str, **settings: object) -> Program:
        """Start a feed of the whole bucket."""
        return self._start("feed", ["feed", sink, f"s3://{self.bucket}", *options], self.environment(**settings))

    def _start(self, name: str, command: list[str], environment: Mapping[str, str]) -> Program:
        name = f"{name}-{len(self.programs)}"
        program = Program(name, ["-m", "worker.cli", *command], environment, self.folder)
        self.programs.append(program)
        return program

    def until_ready(self, program: Program, seconds: float = 60) -> None:
        """Wait until a worker says that it is ready. Raises `AssertionError` with its log if it ended."""

        def ready() -> object:
            assert program.alive, f"{program.name} ended:\n{program.tail()}"
            return re.search("ready: takes messages from", program.text())

        self.wait(ready, seconds, f"{program.name} is ready")

    # How it stands

    def committed(self) -> int:
        """How many records there are."""
        return len(self.paths())

    def etag(self, path: str) -> str | None:
        """Of one object, if it is there."""
        try:
            return self.s3.head_object(Bucket=self.bucket, Key=path)["ETag"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "404":
                raise
            return None

    def paths(self) -> dict[str, str]:
        """ETag of every record, by its path."""
        found = invariant.objects(self.s3, self.bucket)
        return {path: etag for path, etag in found.items() if Layout().parse(path)}

    def backlog(self) -> Counter[str]:
        """What Redis still holds, by where."""
        client = self.redis.client
        found = Counter({queue: int(client.llen(queue)) for queue in (UPLOADS, BACKFILL, SUSPECTS)})
        found["unacked"] = int(client.hlen("unacked"))
        for queue in (UPLOADS, BACKFILL, SUSPECTS):
            found["ledger"] += int(client.zcard(f"stockmeta:ledger:{queue}"))
        found["deferred"] = int(client.zcard("stockmeta:deferred"))
        found["messages"] = int(client.hlen("stockmeta:messages"))
        return +found

    def wait(self, true: Callable[[], object], seconds: float, what: str) -> None:
        """Wait until something is so. Raises `AssertionError` with how it all stands when the time is over."""
        try:
            until(true, seconds, what)
        except AssertionError as error:
            raise AssertionError("\n".join([str(error), f"Redis: {self.backlog()}", *self.last_words()])) from None

    def settle(self, seconds: float, terminal: Mapping[str, str] | None = None) -> invariant.Finding:
        """Wait until nothing is left to do, then examine everything.

        Raises:
            AssertionError: it takes longer, or something is wrong; with what, and the workers' last words.
        """
        deadline = time.monotonic() + seconds
        quiet = False
        while not quiet and time.monotonic() < deadline:
            time.sleep(0.2)
            with suppress(redis.RedisError):
                quiet = not self.backlog() and self.committed() == len(self.uploaded)
        finding = invariant.examine(self.s3, self.bucket, self.oracle.generation, self.oracle.expected)
        problems = finding.problems(terminal or {})
        if left := self.backlog():
            problems.append(f"Redis still holds {dict(left)} after {seconds:g} s")
        assert not problems, "\n".join([*problems, *self.last_words()])
        if finding.probes:
            self.notes.append(f"probes left over: {len(finding.probes)}")
        return finding

    def last_words(self) -> list[str]:
        """The end of each log."""
        return [f"--- {program.name}\n{program.tail(2500)}" for program in self.programs]

    def close(self) -> None:
        """Kill everything that was started here."""
        for program in self.programs:
            program.signal(signal.SIGCONT)
            program.kill()


@contextmanager
def stage(folder: Path, store: Server, oracle: Oracle, seed: int, **settings: object) -> Iterator[Stage]:
    """A stage of one's own, ended with everything on it."""
    address = urlsplit(store.endpoint)
    server = Redis(folder / "redis")
    with ExitStack() as stack:
        stack.callback(server.kill)
        server.start()
        redis_proxy = stack.enter_context(Proxy(("127.0.0.1", server.port)))
        store_proxy = stack.enter_context(Proxy((address.hostname or "127.0.0.1", address.port or 80)))
        bucket = store.make_bucket()
        chance = random.Random(seed)  # noqa: S311  it has to be repeatable
        made = Stage(folder, server, store, oracle, bucket, redis_proxy, store_proxy, chance, settings)
        stack.callback(made.close)
        yield made
