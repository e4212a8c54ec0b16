"""Decoding in processes of their own, which hostile files may crash, stall or fill without harm to anything else.

`pebble` runs the processes. What it leaves open is settled here: whose fault a death was, and that every future ends
even when the pool itself breaks.
"""

import logging
import signal
import threading
import time
from collections.abc import Iterable
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from tasks.errors import Reason, Rejected, Unavailable
from tasks.ports import Decoded, Preprocess, Start
from worker.images import child
from worker.images.decode import OUT_OF_MEMORY, Limits, decode
from worker.images.spawn import CleanContext

logger = logging.getLogger(__name__)

_ATTEMPTS = 2
"""What may be chance (a kill from outside, a clock that ran on while the machine slept) has to happen twice."""
_CLOCK = 3
"""Seconds on the clock for each second of processor time: the machine has other things to do."""
_WATCH_SECONDS = 0.5
_CLOSE_SECONDS = 10.0


@dataclass(slots=True, eq=False)
class _Job:
    """One image on its way; `attempts` counts how often a process was given it."""

    body: bytes | Path
    original: Start | None
    future: Future[Decoded] = field(default_factory=Future)
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class _End:
    """What became of one attempt, and whether another one might end differently."""

    result: Decoded | child.Failure
    doubtful: bool = False


class DecoderPool:
    """The `Decoder` port. For any number of threads; the processes start with the first image.

    Args:
        preprocess: the pixels that the model wants.
        limits: what is refused unread.
        thumbnail: longest side of a small JPEG to make as well, pixels; 0 for none.
        metadata: whether to read what the files themselves say.
        processes: images decoded at a time.
        memory: address space of a process, bytes. 100 megapixels need 1.6 GB.
        seconds: processor time that an image may use; three times that may pass on the clock.
        max_tasks: images after which a process is replaced, lest leaks add up.
        function: what reads an image, instead of `decode` with the arguments above.
    """

    def __init__(
        self,
        preprocess: Preprocess,
        limits: Limits | None = None,
        *,
        thumbnail: int = 0,
        metadata: bool = True,
        processes: int = 2,
        memory: int = 2 << 30,
        seconds: float = 20.0,
        max_tasks: int = 1000,
        function: child.Function | None = None,
    ) -> None:
        function = function or partial(
            decode, preprocess=preprocess, limits=limits, thumbnail=thumbnail, metadata=metadata
        )
        self._clock = _CLOCK * seconds
        self._new_pool = partial(
            ProcessPool, processes, max_tasks, child.start, (function, memory, seconds), CleanContext(child.ENVIRONMENT)
        )
        # Reentrant: a task that ends while it is being scheduled is taken up by the thread that schedules it.
        self._lock = threading.RLock()
        self._jobs: set[_Job] = set()
        self._progress = time.monotonic()
        self._closing = threading.Event()
        self._pool = self._new_pool()
        self._watcher = threading.Thread(target=self._watch, name="decoder-watch", daemon=True)
        self._watcher.start()

    def submit(self, body: bytes | Path, original: Start | None = None) -> Future[Decoded]:
        """Start decoding; see `tasks.ports.Decoder`. The future cannot be cancelled."""
        job = _Job(body, original)
        job.future.set_running_or_notify_cancel()
        with self._lock:
            if not self._closing.is_set():
                if not self._jobs:
                    self._progress = time.monotonic()
                self._jobs.add(job)
                self._schedule(job)
                return job.future
        job.future.set_exception(Unavailable("the decoder is closed"))
        return job.future

    def close(self) -> None:
        """Stop the processes at once; images still under way end as `Unavailable`."""
        with self._lock:
            self._closing.set()
            jobs, self._jobs = self._jobs, set()
            pool = self._pool
        _discard(pool).join(_CLOSE_SECONDS)
        _fail(jobs, "the decoder was closed")
        self._watcher.join(_CLOSE_SECONDS)

    def _schedule(self, job: _Job) -> None:
        """Hand a job to the pool; with the lock held. Where the pool is broken, the watch will see to it."""
        job.attempts += 1
        try:
            task = self._pool.schedule(child.run, args=(job.body, job.original), timeout=self._clock)
        except RuntimeError:
            return
        task.add_done_callback(partial(self._done, job))

    def _done(self, job: _Job, task: "ProcessFuture[Decoded | child.Failure]") -> None:
        """Take up a task's end; in one of pebble's threads, or in the one that submitted it."""
        error = task.exception() if not task.cancelled() else CancelledError()
        if isinstance(error, BrokenProcessPool | CancelledError):
            return  # nobody's fault: the watch renews the pool and hands the job over again
        end = _End(task.result()) if error is None else _verdict(error, self._clock)
        with self._lock:
            if job not in self._jobs:
                return  # ended by another attempt, or by `close`
            self._progress = time.monotonic()
            if end.doubtful and job.attempts < _ATTEMPTS:
                self._schedule(job)
                return
            self._jobs.remove(job)
        _settle(job.future, end.result)

    def _watch(self) -> None:
        """Renew a pool that broke, or in which nothing moves though there is work and no limit allows such a wait."""
        patience = 2 * self._clock + _CLOSE_SECONDS
        while not self._closing.wait(_WATCH_SECONDS):
            with self._lock:
                stuck = time.monotonic() - self._progress > patience
                if not self._jobs or (self._pool.active and not stuck):
                    continue
                logger.warning("the decoder pool %s; starting another", "is stuck" if stuck else "broke")
                lost = self._renew()
            _fail(lost, "the decoder processes broke down repeatedly")

    def _renew(self) -> set[_Job]:
        """Another pool for all jobs, but for those that were in two that broke: these are returned."""
        _discard(self._pool)
        self._pool, self._progress = self._new_pool(), time.monotonic()
        lost = {job for job in self._jobs if job.attempts >= _ATTEMPTS}
        self._jobs -= lost
        for job in tuple(self._jobs):
            self._schedule(job)
        return lost


def _discard(pool: ProcessPool) -> threading.Thread:
    """Kill a pool's processes, in a thread of its own: one that is broken may keep whoever joins it."""
    pool.stop()
    thread = threading.Thread(target=pool.join, name="decoder-discard", daemon=True)
    thread.start()
    return thread


def _settle(future: Future[Decoded], result: Decoded | child.Failure) -> None:
    """Give a future its end."""
    if isinstance(result, Decoded):
        future.set_result(result)
    elif result.reason is None:
        future.set_exception(Unavailable(result.detail))
    else:
        future.set_exception(Rejected(Reason(result.reason), result.detail))


def _fail(jobs: Iterable[_Job], why: str) -> None:
    for job in jobs:
        _settle(job.future, child.Failure(None, why))


def _verdict(error: BaseException, clock: float) -> _End:
    """Whose fault the end of a process was. Raises nothing: an unknown error may pass."""
    if isinstance(error, TimeoutError):
        detail = f"the decoder was still at it after {clock:g} seconds"
        return _End(child.Failure(Reason.DECODER_TIMEOUT, detail), doubtful=True)
    if not isinstance(error, ProcessExpired):
        return _End(child.Failure(None, f"the decoder failed: {type(error).__name__}"), doubtful=True)
    code = error.exitcode
    if code == -signal.SIGPROF:
        return _End(child.Failure(Reason.DECODER_TIMEOUT, "the image uses more processor time than a decoder may"))
    if code == -signal.SIGKILL:
        # The system's out-of-memory killer, most likely; and it may have been another's memory.
        return _End(child.Failure(Reason.DECODER_MEMORY, OUT_OF_MEMORY), doubtful=True)
    if code == -signal.SIGTERM:
        return _End(child.Failure(None, "the decoder was told to stop"), doubtful=True)
    if code < 0:
        name = signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
        return _End(child.Failure(Reason.DECODER_CRASHED, f"the decoder crashed ({name})"))
    return _End(child.Failure(Reason.DECODER_CRASHED, f"the decoder exited with code {code}"), doubtful=True)
