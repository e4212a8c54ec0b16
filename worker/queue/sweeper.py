"""A thread in every worker that publishes what is due, what got stuck and what was lost.

Stuck is what was entered in the ledger half a minute ago and is not known to be published: its sender died, or Redis
did not answer it.

Celery on Redis loses a message whose worker dies between taking it off the list and noting that it has it. The ledger
still has it. It is taken for lost when it is older than the visibility timeout and a message's deadline together, by
which time Celery would have delivered it again, *and* older than every message of its queue that waits or is in hand:
a backlog of hours is old too, but not lost.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from threading import Event, Thread

from redis import Redis

from tasks.errors import Unavailable
from tasks.messages import QUEUES
from worker.queue.backlog import oldest_open
from worker.queue.connection import redis_errors
from worker.queue.ledger import Entry, Ledger
from worker.queue.redis_queue import RedisQueue
from worker.settings import Settings

logger = logging.getLogger(__name__)

TURN = "stockmeta:sweeper"
BATCH = 100
MOST_SECONDS = 5.0
STUCK_SECONDS = 30.0
"""Longer than a sender tries to publish."""


@dataclass(frozen=True)
class Swept:
    """How many messages one sweep published: those that were due, had got stuck, had been lost."""

    due: int = 0
    stuck: int = 0
    lost: int = 0


class Sweeper:
    """Sweeps every `interval` seconds, taking turns with the other workers; and calls `hooks` as often, always.

    Args:
        queue: publishes again.
        client: on the same broker.
        lost_after: seconds after which a message may be taken for lost.
        interval: seconds between sweeps, of all workers together.
        hooks: called each time, in order; what they raise is logged.
        stuck_after: seconds that a sender is given to publish what it has entered.
    """

    def __init__(
        self,
        queue: RedisQueue,
        client: Redis,
        lost_after: float,
        interval: float = MOST_SECONDS,
        hooks: Iterable[Callable[[], None]] = (),
        stuck_after: float = STUCK_SECONDS,
    ) -> None:
        self._queue = queue
        self._client = client
        self._ledger = Ledger(client)
        self._lost_after = lost_after
        self._stuck_after = stuck_after
        self._interval = interval
        self._steps = (self._take_turn, *hooks)
        self._failing: dict[int, str] = {}
        self._stop = Event()
        self._thread = Thread(target=self._run, name="sweeper", daemon=True)

    def start(self) -> None:
        """Begin, at once, in a thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop, and wait for what is under way: some seconds if Redis is frozen."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def sweep(self) -> Swept:
        """One sweep, whoever's turn it is. Raises `Unavailable`."""
        due = self._publish_all(lambda: self._ledger.due(BATCH))
        stuck = self._publish_all(lambda: self._ledger.stuck(self._stuck_after, BATCH))
        return Swept(due, stuck, sum(self._publish_lost(queue) for queue in QUEUES))

    def _run(self) -> None:
        while True:
            for number, step in enumerate(self._steps):
                self._attempt(number, step)
            if self._stop.wait(self._interval):
                return

    def _attempt(self, number: int, step: Callable[[], None]) -> None:
        before = self._failing.pop(number, None)
        try:
            step()
        except Unavailable as error:
            self._failing[number] = str(error)
            if before is None:
                logger.warning("%s; will go on trying", error)
        except Exception as error:
            # A bug. Without this thread nothing would be repaired any more; so it stays, and says so once.
            self._failing[number] = str(error)
            if before is None:
                logger.exception("a bug, met while sweeping")
        else:
            if before is not None:
                logger.info("works again: %s", before)

    def _take_turn(self) -> None:
        with redis_errors("the queue could not be swept"):
            # Only to save work: two that sweep at once publish nothing twice.
            mine = self._client.set(TURN, "1", nx=True, px=max(1, int(self._interval * 800)))
        if mine:
            self.sweep()

    def _publish_all(self, read: Callable[[], list[Entry]]) -> int:
        published = 0
        while not self._stop.is_set():
            with redis_errors("the ledger could not be read"):
                entries = read()
            sent = sum(self._queue.send_again(entry) for entry in entries)
            published += sent
            # None sent of many: another sweeper is at them.
            if len(entries) < BATCH or not sent:
                break
        return published

    def _publish_lost(self, queue: str) -> int:
        with redis_errors("the ledger could not be read"):
            until = self._ledger.now() - self._lost_after
            if (oldest := self._ledger.oldest(queue)) is None or oldest >= until:
                return 0
            still_there = oldest_open(self._client, queue)
            until = until if still_there is None else min(until, still_there)
            entries = self._ledger.published_before(queue, until, BATCH)
        lost = sum(self._queue.send_again(replace(e, message=replace(e.message, again=True))) for e in entries)
        if lost:
            logger.warning("%d messages of %s were lost and are published again", lost, queue)
        return lost


def make_sweeper(
    settings: Settings, queue: RedisQueue, client: Redis, hooks: Iterable[Callable[[], None]] = ()
) -> Sweeper:
    """A sweeper that follows the settings' visibility timeout and deadline."""
    lost_after = settings.visibility_seconds + settings.deadline_seconds
    return Sweeper(queue, client, lost_after, min(MOST_SECONDS, settings.visibility_seconds / 4), hooks)
