"""What becomes of one message: its images are worked on together, and what did not end goes into another message."""

import logging
import queue as queues
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Executor, Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TypeVar

from tasks.errors import StockmetaError, Unavailable
from tasks.feeding.announce import changes_of
from tasks.feeding.changes import Change
from tasks.generations.strays import ReadCurrent, nobody_knows, readdressed
from tasks.jobs import Delivery
from tasks.messages import SUSPECTS, Queue, Send, TagMessage, new_id
from tasks.observe import Observer
from tasks.records import ImageRef, Outcome
from tasks.tag import Tagger
from tasks.traffic import Meter, Nothing, Traffic

logger = logging.getLogger(__name__)

T = TypeVar("T")

POLL_SECONDS = 0.5
SOON_SECONDS, FIRST_SECONDS, MOST_SECONDS = 1.0, 2.0, 60.0
OTHER_GENERATION_SECONDS = 5.0
OUTAGE_SECONDS = 30.0

LATER = frozenset({"unavailable", "conflict"})
"""What passes by itself, however long it takes; giving up would lose the images."""

UNENDED = LATER | {"replaced", "internal_error", "failed"}
"""Reasons of what is not committed and goes on in another message; `failed` once more, in a process of its own."""


class Outage:
    """Pauses that grow while nothing at all works, so that an outage does not stir the whole queue."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fruitless = 0

    def after(self, outcomes: Sequence[Outcome]) -> float:
        """Seconds to wait after a message with these outcomes."""
        with self._lock:
            if not outcomes or any(outcome.record.reason not in LATER for outcome in outcomes):
                self._fruitless = 0
                return 0.0
            self._fruitless += 1
            return min(OUTAGE_SECONDS, 0.5 * 2.0 ** min(self._fruitless, 10))


@dataclass(frozen=True)
class Work:
    """Works on messages; any number of threads may call `run` together, and share batches.

    Attributes:
        tagger: commits to `generation`.
        queue: where what is left goes.
        pool: threads for images, shared by all messages.
        observer: is told of every outcome.
        generation: what this worker makes.
        deadline: seconds that a message may take; what is left of it then goes back.
        closing: set when the process is to end soon.
        stop: set when it is to end now.
        current: reads which generations are written, as of a few seconds ago.
        meter: tells what an image's thread has asked of stores; added to the run's counts.
    """

    tagger: Tagger
    queue: Queue
    pool: Executor
    observer: Observer
    generation: str
    deadline: float
    closing: threading.Event
    stop: threading.Event
    outage: Outage = field(default_factory=Outage)
    meter: Meter = field(default_factory=Nothing)
    current: ReadCurrent = nobody_knows

    def run(self, message: TagMessage, delivery: Delivery) -> None:
        """See `tasks.jobs.Worker`."""
        again = delivery.redelivered or message.again
        self.observer.taken(delivery.queue, len(message.refs), delivery.waited, again=again)
        if message.generation not in (None, self.generation):
            # Published anew it looks like a first delivery; whoever makes it has to know that it is none.
            self._leave(replace(message, again=again), delivery.queue)
        elif again:
            self._split(message)
        else:
            outcomes, traffic = self._attempt(message, delivery.queue)
            self._pass_on(message, delivery.queue, outcomes, traffic)
            self.closing.wait(self.outage.after(outcomes))

    def _leave(self, message: TagMessage, queue: str) -> None:
        """Leave a message to a worker that makes its generation, as long as there may be one."""
        if stray := readdressed(message, self.current):
            supersede(self.queue, message, [Send(stray, queue)], self.stop)
            return
        logger.info("left to a worker that makes it", extra={"generation": message.generation})
        left = replace(message, tries=message.tries + 1, new=False)
        # Longer and longer: there may be nobody for it, and a whole backlog of such.
        seconds = max(OTHER_GENERATION_SECONDS, backoff(message.tries))
        insist(lambda: self.queue.put_off(left, queue, seconds), self.stop)

    def _attempt(self, message: TagMessage, queue: str) -> tuple[list[Outcome], Traffic]:
        attempts = self._together(lambda ref: self._attempt_one(ref, message, queue), message.refs)
        return [outcome for outcome, _ in attempts], sum((traffic for _, traffic in attempts), Traffic())

    def _together(self, act: Callable[[ImageRef], T], refs: Sequence[ImageRef]) -> list[T]:
        """What `act` gave for images, until all have ended, the deadline has passed or the process is to stop."""
        if self.stop.is_set():
            return []
        give_up = time.monotonic() + self.deadline
        ended: queues.SimpleQueue[Future[T]] = queues.SimpleQueue()
        futures = [self.pool.submit(act, ref) for ref in refs]
        for future in futures:
            future.add_done_callback(ended.put)
        results: list[T] = []
        while len(results) < len(futures) and not self.stop.is_set() and time.monotonic() < give_up:
            # Cancelled when the pool is closed, and then the process is to stop.
            with suppress(queues.Empty, CancelledError):
                results.append(ended.get(timeout=POLL_SECONDS).result())
        for future in futures:
            future.cancel()
        return results

    def _attempt_one(self, ref: ImageRef, message: TagMessage, queue: str) -> tuple[Outcome, Traffic]:
        start, before = time.perf_counter(), self.meter.mine()
        self.observer.began()
        outcome = self.tagger.attempt(ref, redo=message.redo, stored=message.stored, new=message.new)
        self.observer.outcome(outcome, queue, time.perf_counter() - start)
        log_outcome(outcome, message)
        return outcome, self.meter.mine() - before

    def _pass_on(self, message: TagMessage, queue: str, outcomes: Sequence[Outcome], traffic: Traffic) -> None:
        """Publish what did not end, then strike the message: killed in between, an image is worked on twice."""
        reasons = {outcome.ref: None if outcome.committed else outcome.record.reason for outcome in outcomes}

        def having(*wanted: str) -> tuple[ImageRef, ...]:
            return tuple(ref for ref, reason in reasons.items() if reason in wanted)

        left = tuple(ref for ref in message.refs if ref not in reasons)
        later = having(*LATER)
        replaced = tuple(replace(ref, etag=None) for ref in having("replaced"))
        if later:
            self.observer.put_off(queue, len(later))
        sends = [Send(successor(message, left), queue)] if left else []
        if later:
            sends.append(Send(successor(message, later, tries=message.tries + 1), queue, backoff(message.tries)))
        if replaced:
            sends.append(Send(successor(message, replaced), queue, SOON_SECONDS))
        sends += [Send(successor(message, (ref,)), SUSPECTS) for ref in having("internal_error")]
        counts = Counter(outcome.name for outcome in outcomes if ended(outcome)) + Counter(traffic.to_counts())
        supersede(self.queue, message, sends, self.stop, counts, changes_of(outcomes))

    def _split(self, message: TagMessage) -> None:
        """A worker did not survive this message: its images go on alone, so that none can harm another again."""
        refs = tuple(dict.fromkeys(message.refs))
        looked = self._together(lambda ref: self._committed(ref, message), refs)
        outcomes = {outcome.ref: outcome for outcome in looked if outcome is not None}
        left = [ref for ref in refs if ref not in outcomes]
        logger.warning("%d of %d images of a message that came again go on alone", len(left), len(message.refs))
        sends = [Send(successor(message, (ref,)), SUSPECTS) for ref in left]
        counts = Counter(one.name for one in outcomes.values())
        supersede(self.queue, message, sends, self.stop, counts, changes_of(outcomes.values()))

    def _committed(self, ref: ImageRef, message: TagMessage) -> Outcome | None:
        try:
            return self.tagger.committed(ref, redo=message.redo)
        except StockmetaError:
            return None
        except Exception:
            # Whatever it is, the image can show it where it harms nobody.
            logger.exception("a bug, met at looking at an image", extra={"bucket": ref.bucket, "key": ref.key})
            return None


def successor(message: TagMessage, refs: tuple[ImageRef, ...], tries: int = 0) -> TagMessage:
    """Another message for some of its images."""
    return replace(message, refs=refs, id=new_id(), tries=tries, again=False, new=False)


def ended(outcome: Outcome) -> bool:
    """Whether nothing more is to be done for an image."""
    return outcome.committed or outcome.record.reason not in UNENDED


def supersede(
    queue: Queue,
    message: TagMessage,
    sends: Sequence[Send],
    stop: threading.Event,
    counts: Mapping[str, int] | None = None,
    changes: Sequence[Change] = (),
) -> None:
    """Publish other messages in a message's place, then strike it, and count and announce what ended of it.

    Raises `Unavailable` as `insist` does.
    """
    if message.run is not None:
        insist(lambda: queue.succeed(message, sends, counts or {}, changes), stop)
        return
    left = deque(sends)

    def publish() -> None:
        while left:
            send = left[0]
            if send.delay:
                queue.put_off(send.message, send.queue, send.delay)
            else:
                queue.send(send.message, send.queue)
            # Not again when a later one fails: what was put off may be due, published and done by then.
            left.popleft()
        queue.done(message, changes=changes)

    insist(publish, stop)


def backoff(tries: int) -> float:
    """Seconds to wait after so many tries: longer and longer up to a minute, and not the same for all."""
    return min(MOST_SECONDS, FIRST_SECONDS * 2.0 ** min(tries, 10)) * random.uniform(0.8, 1.2)  # noqa: S311 - no secret


def insist(action: Callable[[], None], stop: threading.Event) -> None:
    """Do it again until it works: work that is done must not be lost to a queue that is away for a moment.

    Raises:
        Unavailable: the process is to stop, and it still does not work.
    """
    tries = 0
    while True:
        try:
            return action()
        except Unavailable as error:
            logger.warning("the queue does not answer: %s", error)
            if stop.wait(backoff(tries) / 4):
                raise
            tries += 1


def log_outcome(outcome: Outcome, message: TagMessage) -> None:
    """One line an image, with what an operator looks for."""
    record = outcome.record
    extra = {
        "bucket": outcome.ref.bucket,
        "key": outcome.ref.key,
        "generation": record.generation,
        "attempt": message.tries + 1,
        "reason": record.reason,
        "message_id": message.id,
    }
    if outcome.cached:
        logger.info("was committed already", extra=extra)
    elif outcome.committed:
        logger.info("committed as %s", record.status.value, extra=extra)
    elif record.reason == "vanished":
        logger.info("is gone; so are its records", extra=extra)
    else:
        logger.warning("did not end: %s", record.detail, extra=extra)
