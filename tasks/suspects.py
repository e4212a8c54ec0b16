"""Images that may bring a worker down, one at a time, in a process of their own.

What such a process dies of is counted only if the image caused it; after three times the image ends as a record.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from tasks.describe import Provenance, blank, unfinished
from tasks.errors import Conflict, Crashed, Unavailable, Vanished
from tasks.feeding.announce import changes_of
from tasks.generations.strays import ReadCurrent, nobody_knows, readdressed
from tasks.jobs import Delivery
from tasks.messages import SUSPECTS, Queue, Send, TagMessage
from tasks.observe import Observer
from tasks.ports import Store
from tasks.publish import Publisher
from tasks.records import Image, ImageRef, Outcome, Status
from tasks.redo import Redo
from tasks.work import (
    OTHER_GENERATION_SECONDS,
    SOON_SECONDS,
    backoff,
    ended,
    log_outcome,
    successor,
    supersede,
)

logger = logging.getLogger(__name__)

ATTEMPTS = 3


class Isolated(Protocol):
    """A process that works on one image at a time, and may die of it."""

    def provenance(self) -> Provenance:
        """How its records are made. Starts it. Raises `Unavailable` if it cannot be started."""

    def attempt(self, ref: ImageRef, *, redo: Redo | None = None) -> Outcome:
        """What `Tagger.attempt` gives, there.

        Raises:
            Crashed: the image brought the process down, or took too long.
            Unavailable: the process could not be started, or was stopped from outside.
        """


@dataclass(frozen=True)
class Suspects:
    """Works on messages of the queue `suspects`; only one thread at a time gets to the process.

    Attributes:
        isolated: the process.
        sources: stores by bucket.
        publisher: commits of a generation; for terminal records.
        queue: counts failures, and takes what is left.
        observer: is told of every outcome.
        stop: set when this process is to end now.
        current: reads which generations are written, as of a few seconds ago.
    """

    isolated: Isolated
    sources: Mapping[str, Store]
    publisher: Callable[[str], Publisher]
    queue: Queue
    observer: Observer
    stop: threading.Event
    current: ReadCurrent = nobody_knows

    def run(self, message: TagMessage, delivery: Delivery) -> None:
        """See `tasks.jobs.Worker`."""
        again = delivery.redelivered or message.again
        self.observer.taken(SUSPECTS, len(message.refs), delivery.waited, again=again)
        done: list[Outcome] = []
        sends = [send for ref in message.refs for send in self._run(ref, message, done)]
        counts = Counter(outcome.name for outcome in done)
        supersede(self.queue, message, sends, self.stop, counts, changes_of(done))

    def _run(self, ref: ImageRef, message: TagMessage, done: list[Outcome]) -> list[Send]:
        """Work on one image, and add it to what is done if it ends; returns what is still to be done for it."""
        again = Send(successor(message, (ref,), message.tries + 1), SUSPECTS, backoff(message.tries))
        if self.stop.is_set():
            return [Send(successor(message, (ref,), message.tries), SUSPECTS)]
        try:
            made = self.isolated.provenance()
            if message.generation not in (None, made.generation):
                if stray := readdressed(message, self.current):
                    return [Send(successor(stray, (ref,)), SUSPECTS)]
                return [again._replace(delay=max(OTHER_GENERATION_SECONDS, again.delay))]
            outcome = self._attempt(ref, message, made)
        except (Unavailable, Conflict) as error:
            logger.warning("did not end: %s", error, extra={"bucket": ref.bucket, "key": ref.key})
            return [again]
        if ended(outcome):
            done.append(outcome)
            return []
        if outcome.record.reason == "replaced":
            return [Send(successor(message, (replace(ref, etag=None),)), SUSPECTS, SOON_SECONDS)]
        return [again]

    def _attempt(self, ref: ImageRef, message: TagMessage, made: Provenance) -> Outcome:
        """Try once. What has to be tried again says why: as `Tagger` does, or `failed` for a failure of its own."""
        source = self.sources.get(ref.bucket)
        if source is None:
            raise Unavailable(f"there is no {ref.bucket!r} here")
        try:
            # Failures count for one content, so it is settled first which one this is.
            pinned = replace(ref, etag=source.stat(ref.key, ref.etag).etag)
        except Vanished:
            pinned = ref
        start = time.perf_counter()
        self.observer.began()
        try:
            outcome = self._outcome(pinned, message, made, source)
        except (Unavailable, Conflict) as error:
            reason = "conflict" if isinstance(error, Conflict) else "unavailable"
            outcome = unfinished(made, pinned, Status.FAILED, reason, str(error))
        self.observer.outcome(outcome, SUSPECTS, time.perf_counter() - start)
        log_outcome(outcome, message)
        return outcome

    def _outcome(self, ref: ImageRef, message: TagMessage, made: Provenance, source: Store) -> Outcome:
        try:
            return self.isolated.attempt(ref, redo=message.redo)
        except Crashed as crash:
            return self._failed(ref, message.redo, made, crash, source)

    def _failed(self, ref: ImageRef, redo: Redo | None, made: Provenance, crash: Crashed, source: Store) -> Outcome:
        """Count a failure; the last one becomes a terminal record."""
        self.observer.suspect_failed(crash.reason.value)
        failures = self.queue.count_failure(ref, made.generation)
        extra = {"bucket": ref.bucket, "key": ref.key, "generation": made.generation, "reason": crash.reason.value}
        logger.error("failed by itself, %d of %d times: %s", failures, ATTEMPTS, crash.detail, extra=extra)
        image = Image(ref.bucket, ref.key, ref.etag)
        record = replace(
            blank(made, image, Status.FAILED), reason=crash.reason.value, detail=f"{crash.detail} ({failures} times)"
        )
        if failures < ATTEMPTS:
            return Outcome(ref, replace(record, reason="failed"), committed=False)
        try:
            committed = self.publisher(made.generation).publish(record, source, redo=redo)
        except Vanished as error:
            return Outcome(ref, replace(record, reason="replaced", detail=str(error)), committed=False)
        self.queue.forget_failures(ref, made.generation)
        return Outcome(ref, committed)
