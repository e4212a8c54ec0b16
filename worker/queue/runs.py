"""Bulk runs on Redis: their counts, and that they go on.

stockmeta:run:<run>       hash         outcome -> images that came to it, added by workers (`worker.queue.ledger`)
stockmeta:feeder:<run>    string       `FeederState` as JSON; expires when its run stops telling
stockmeta:feeders         sorted set   run -> when that expires
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from redis import Redis

from tasks.messages import BACKFILL, SUSPECTS
from tasks.records import decoded
from worker.queue.connection import redis_errors
from worker.queue.heartbeat import workers
from worker.queue.ledger import DEFERRED, LEDGERS, RUN_SECONDS, run_key, server_time

FEEDERS = "stockmeta:feeders"
EXPIRES_SECONDS = 30
BEGUN = "begun"
"""Field of a run's hash that is no outcome: without it Redis has forgotten the run."""


@dataclass(frozen=True, slots=True)
class FeederState:
    """A command that feeds the queue.

    Attributes:
        bucket: of the images.
        generation: that it fills.
        host: where it runs, and as which process.
    """

    bucket: str
    generation: str
    host: str
    pid: int


class RedisCrew:
    """`tasks.bulk.feed.Crew` on Redis."""

    def __init__(self, client: Redis, state: FeederState) -> None:
        self._client, self._state = client, state

    def begin(self, run: str) -> None:
        """Open a run's counts; nothing happens to counts that there are. Raises `Unavailable`."""
        with redis_errors("the run could not be entered"), self._client.pipeline(transaction=True) as pipe:
            pipe.hsetnx(run_key(run), BEGUN, "1")
            pipe.expire(run_key(run), RUN_SECONDS)
            pipe.execute()

    def outcomes(self, run: str) -> Mapping[str, int] | None:
        """See `tasks.bulk.feed.Crew`."""
        with redis_errors("the run's counts could not be read"):
            counts = self._client.hgetall(run_key(run))
        if BEGUN not in counts:
            return None
        return {str(name): int(count) for name, count in counts.items() if name != BEGUN}

    def open(self) -> int:
        """See `tasks.bulk.feed.Crew`."""
        with redis_errors("the ledger could not be read"), self._client.pipeline(transaction=True) as pipe:
            for key in (LEDGERS[BACKFILL], LEDGERS[SUSPECTS], DEFERRED):
                pipe.zcard(key)
            return sum(pipe.execute())

    def workers(self, generation: str) -> int:
        """See `tasks.bulk.feed.Crew`."""
        with redis_errors("the workers could not be asked"):
            heard = workers(self._client)
        return sum(worker.generation == generation and BACKFILL in worker.queues for worker in heard)

    def beat(self, run: str) -> int:
        """See `tasks.bulk.feed.Crew`."""
        with redis_errors("the run's heartbeat could not be written"):
            expires = server_time(self._client) + EXPIRES_SECONDS
            with self._client.pipeline(transaction=True) as pipe:
                pipe.set(_key(run), msgspec.json.encode(self._state), ex=EXPIRES_SECONDS)
                pipe.zadd(FEEDERS, {run: expires})
                pipe.zremrangebyscore(FEEDERS, "-inf", expires - EXPIRES_SECONDS)
                pipe.zrange(FEEDERS, 0, -1)
                names = [str(name) for name in pipe.execute()[-1] if name != run]
            found = self._client.mget([_key(name) for name in names]) if names else []
        same = (self._state.bucket, self._state.generation)
        others = [_state(text) for text in found if text is not None]
        return sum(other is not None and (other.bucket, other.generation) == same for other in others)

    def leave(self, run: str) -> None:
        """Take the heartbeat away. Raises `Unavailable`."""
        with (
            redis_errors("the run's heartbeat could not be taken away"),
            self._client.pipeline(transaction=True) as pipe,
        ):
            pipe.delete(_key(run))
            pipe.zrem(FEEDERS, run)
            pipe.execute()


def _state(text: str | bytes) -> FeederState | None:
    """What another run told of itself; `None` for that of a version which says it in other words."""
    try:
        return decoded(text, FeederState)
    except ValueError:
        return None


def _key(run: str) -> str:
    return f"stockmeta:feeder:{run}"
