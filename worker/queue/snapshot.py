"""The queue as it is now, for `stockmeta status` and for metrics."""

from dataclasses import dataclass

from redis import Redis

from tasks.messages import QUEUES
from worker.queue.backlog import UNACKED, oldest_waiting
from worker.queue.connection import redis_errors
from worker.queue.heartbeat import WorkerState, workers
from worker.queue.ledger import DEFERRED, LEDGERS, Ledger
from worker.queue.redis_queue import FAILING


@dataclass(frozen=True)
class QueueState:
    """One queue.

    Attributes:
        waiting: messages that no worker has taken.
        oldest_seconds: how long the oldest of them has waited; `None`: none waits, or none says.
        open: messages in the ledger: waiting, in hand, or lost and not yet found to be.
        open_seconds: how long ago the oldest of those was published.
    """

    name: str
    waiting: int
    oldest_seconds: float | None
    open: int
    open_seconds: float | None


@dataclass(frozen=True)
class Snapshot:
    """All queues and workers.

    Attributes:
        in_hand: messages that were taken and not acknowledged.
        deferred: messages put off until later.
        failing: images whose content failed a process of its own within a week, and did not end since.
    """

    queues: tuple[QueueState, ...]
    in_hand: int
    deferred: int
    failing: int
    workers: tuple[WorkerState, ...]

    @property
    def per_second(self) -> float:
        """Images a second over the last minute, of all workers."""
        return round(sum(worker.per_second for worker in self.workers), 2)


def take(client: Redis) -> Snapshot:
    """Look. Costs some twenty small commands, however long the queues are. Raises `Unavailable`."""
    with redis_errors("the queue could not be looked at"):
        now = Ledger(client).now()
        return Snapshot(
            queues=tuple(_queue(client, queue, now) for queue in QUEUES),
            in_hand=int(client.hlen(UNACKED)),
            deferred=int(client.zcard(DEFERRED)),
            failing=int(client.zcount(FAILING, now, "+inf")),
            workers=workers(client),
        )


def _queue(client: Redis, queue: str, now: float) -> QueueState:
    return QueueState(
        name=queue,
        waiting=int(client.llen(queue)),
        oldest_seconds=_since(oldest_waiting(client, queue), now),
        open=int(client.zcard(LEDGERS[queue])),
        open_seconds=_since(Ledger(client).oldest(queue), now),
    )


def _since(moment: float | None, now: float) -> float | None:
    return None if moment is None else round(max(0.0, now - moment), 1)
