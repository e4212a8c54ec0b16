"""A worker process: a runtime, the queue, and what keeps both honest. Wired here, put on the Celery application."""

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

from celery import Celery

from tasks.errors import Unavailable
from tasks.generations.pointer import join_generation, read_current
from tasks.jobs import Worker
from tasks.messages import SUSPECTS
from tasks.publish import Publisher
from tasks.records import Outcome
from tasks.suspects import Suspects
from tasks.work import Work
from worker import readiness
from worker.children import SuspectsWorker
from worker.events.generations import RecentCurrent
from worker.http import HttpServer, make_app
from worker.isolated import IsolatedProcess
from worker.library import open_library
from worker.metrics import Metrics
from worker.probes import Check, Pulse
from worker.queue.connection import connect
from worker.queue.heartbeat import Heartbeat, Tally, WorkerState
from worker.queue.redis_queue import RedisQueue
from worker.queue.snapshot import take
from worker.queue.sweeper import make_sweeper
from worker.runtime import Runtime, load_model
from worker.settings import Settings
from worker.storage.probe import require_conditional_writes

logger = logging.getLogger(__name__)

HANGING_SECONDS = 300.0
STILL_SECONDS = 120.0
"""After so long without a turn of the consumer's loop, though Redis answers, only a restart helps."""


LAST_SECONDS = 8.0
"""After the grace period what is left is put back, which is a matter of a second when Redis answers."""


class WorkerService:
    """What the tasks of a worker process find on the application.

    Args:
        app: publishes.
        settings: what the operator decided.
        queues: what this worker takes from. Suspects beside others get a child process.
        open_new: whether to open the generation that this worker makes, if the library is kept in another.
        on_broken: called when the model does not work any more.

    Raises:
        ConfigurationError: something is missing or wrong, or the library is kept in another generation.
        Unavailable: the store does not answer.
    """

    work: Worker
    """Takes messages of uploads and backfill; a worker that takes suspects only has none."""
    suspects: Worker
    """Takes messages of suspects; only a worker that takes nothing else has one."""

    def __init__(
        self, app: Celery, settings: Settings, queues: Collection[str], *, open_new: bool, on_broken: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._queues = tuple(sorted(queues))
        self._on_broken = on_broken
        self._closing, self._stop = threading.Event(), threading.Event()
        self._resources = ExitStack()
        self._started = time.time()
        self._id = uuid.uuid4().hex
        self._client = connect(settings)
        self._queue = RedisQueue(app, self._client, settings.changes_kept)
        library = self._library = open_library(settings)
        self._current = RecentCurrent(lambda: read_current(library.sidecars, library.layout))
        self._tally = Tally()
        self._metrics = CountingMetrics(self._tally)
        self._metrics.count(self._library.meter)
        self.pulse = Pulse(STILL_SECONDS, excused=lambda: readiness.redis_is_away(self._client))
        self._runtime: Runtime | None = None
        self._child: SuspectsWorker | None = None
        self._isolated: IsolatedProcess | None = None
        try:
            self._start(open_new=open_new)
        except BaseException:
            self.close()
            raise
        extra = {"worker": self._id, "generation": self.generation or None, "bucket": self._library.source.bucket}
        logger.info("loaded, for %s", ", ".join(self._queues), extra=extra)

    def _start(self, *, open_new: bool) -> None:
        if set(self._queues) != {SUSPECTS}:
            require_conditional_writes(self._library.sidecars, self._library.layout)
            self._runtime = self._load(open_new=open_new)
            self.work = self._make_work(self._runtime)
            if SUSPECTS in self._queues:
                self._child = SuspectsWorker(self._settings)
                self._resources.callback(self._child.close)
        else:
            self.suspects = self._make_suspects()
        heartbeat = Heartbeat(self._client, self._describe)
        self._resources.callback(self._quietly, heartbeat.close)
        sweeper = make_sweeper(self._settings, self._queue, self._client, [heartbeat.beat, self._watch_model])
        sweeper.start()
        self._resources.callback(sweeper.close)
        self._metrics.watch(lambda: take(self._client))
        if self._settings.http_port is not None:
            page = make_app({"consumer": self.pulse.check}, self._checks(), self._metrics.registry)
            self._resources.enter_context(HttpServer(page, self._settings.http_host, self._settings.http_port))

    def _make_work(self, runtime: Runtime) -> Work:
        return Work(
            tagger=runtime.tagger,
            queue=self._queue,
            pool=self._pool,
            observer=self._metrics,
            generation=self.generation,
            deadline=self._settings.deadline_seconds,
            closing=self._closing,
            stop=self._stop,
            meter=self._library.meter,
            current=self._current,
        )

    def _make_suspects(self) -> Suspects:
        library = self._library
        # Longer, and the message would be delivered again while the image is at it.
        seconds = min(self._settings.suspect_seconds, self._settings.visibility_seconds / 3)
        isolated = self._isolated = IsolatedProcess(self._settings, seconds)
        self._resources.callback(isolated.close)
        return Suspects(
            isolated=isolated,
            sources={library.source.bucket: library.source},
            publisher=lambda generation: Publisher(library.sidecars, library.layout, generation),
            queue=self._queue,
            observer=self._metrics,
            stop=self._stop,
            current=self._current,
        )

    @property
    def generation(self) -> str:
        """What this worker makes; empty for one that takes suspects only, whose child knows."""
        return self._runtime.model.provenance.generation if self._runtime else ""

    def pause(self, seconds: float) -> None:
        """Wait, unless the process is to stop."""
        self._closing.wait(seconds)

    def shut_down(self) -> None:
        """Take no more time than the grace period: what has not ended then goes back into the queue."""
        self._closing.set()
        if self._child is not None:
            # Now, so that its grace period is the same as ours.
            self._child.shut_down()
        timer = threading.Timer(self._settings.grace_seconds, self._stop_now)
        timer.daemon = True
        timer.start()

    def _stop_now(self) -> None:
        self._stop.set()
        if self._isolated is not None:
            # Celery waits for its threads before it has us close, and an image may take minutes there.
            self._isolated.close()
        # With Redis away Celery connects again and again, and would not end before it is back. Nothing is lost: what is
        # in hand is not acknowledged, and comes again after the visibility timeout.
        last = threading.Timer(LAST_SECONDS, self._end_now)
        last.daemon = True
        last.start()

    def _end_now(self) -> None:
        logger.error("cannot end in good order, so ending at once; what is in hand will be delivered again")
        logging.shutdown()
        os._exit(1)

    def close(self) -> None:
        """Stop everything, the last first."""
        self._closing.set()
        self._stop.set()
        self._resources.close()

    def _load(self, *, open_new: bool) -> Runtime:
        library, settings = self._library, self._settings
        # A first start takes a minute and more.
        logger.info("loading the model %s", settings.model)
        model = load_model(settings)
        made = model.provenance
        join_generation(library.sidecars, library.layout, made.generation, open_new=open_new)
        self._metrics.describe(generation=made.generation, model=made.model, engine=made.engine)
        runtime = Runtime(
            settings,
            model,
            {library.source.bucket: library.source},
            (library.sidecars, library.layout),
            observer=self._metrics,
            on_broken=self._broken,
        )
        # An encoder that is in the middle of a batch would hold the process up past its grace period.
        self._resources.callback(runtime.close, wait=False)
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="image")
        self._resources.callback(self._pool.shutdown, wait=False, cancel_futures=True)
        return runtime

    def _broken(self) -> None:
        """A device that failed fails on: better to end, have the messages go to others, and be started again."""
        self._closing.set()
        self._stop.set()
        self._on_broken()

    def _watch_model(self) -> None:
        """End a process whose device hangs: nobody else would ever get its images."""
        if self._runtime is not None and self._runtime.inference.busy_seconds > HANGING_SECONDS:
            logger.critical("the model has been at one batch for %d s; ending", HANGING_SECONDS)
            self._broken()

    def _describe(self) -> WorkerState:
        return WorkerState(
            id=self._id,
            host=socket.gethostname(),
            pid=os.getpid(),
            generation=self.generation,
            model=self._settings.model,
            queues=self._queues,
            started=self._started,
            outcomes=self._tally.outcomes,
            per_second=self._tally.per_second,
            under_way=self._metrics.under_way,
            bucket=self._library.source.bucket,
        )

    def _checks(self) -> dict[str, Check]:
        checks: dict[str, Check] = {
            "redis": lambda: readiness.check_redis(self._client),
            "store": lambda: readiness.check_store(self._library),
        }
        if self._runtime is not None:
            inference = self._runtime.inference
            checks["model"] = lambda: readiness.check_model(inference, self._settings.model)
            checks["generation"] = lambda: readiness.check_generation(self._library, self.generation)
        return checks

    @staticmethod
    def _quietly(action: Callable[[], None]) -> None:
        with suppress(Unavailable):
            action()


class CountingMetrics(Metrics):
    """Metrics that also keep what a heartbeat tells."""

    def __init__(self, tally: Tally) -> None:
        super().__init__()
        self._tally = tally
        self._lock = threading.Lock()
        self.under_way = 0

    def began(self) -> None:
        """One image more is under way."""
        super().began()
        with self._lock:
            self.under_way += 1

    def outcome(self, outcome: Outcome, queue: str, seconds: float) -> None:
        """Count an image."""
        super().outcome(outcome, queue, seconds)
        self._tally.count(outcome.record.status.value, outcome.record.reason)
        with self._lock:
            self.under_way -= 1
