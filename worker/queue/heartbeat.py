"""What each worker tells of itself, in keys that expire when it stops telling.

stockmeta:worker:<id>   string       `WorkerState` as JSON
stockmeta:workers       sorted set   id -> when that expires
"""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic

import msgspec
from redis import Redis

from tasks.records import decoded, outcome_name
from worker.queue.connection import redis_errors
from worker.queue.ledger import server_time

WORKERS = "stockmeta:workers"
EXPIRES_SECONDS = 30
MINUTE = 60.0


@dataclass(frozen=True)
class WorkerState:
    """One worker, as it sees itself.

    Attributes:
        id: unlike any other's, of this start.
        started: seconds since 1970, by its machine's clock.
        outcomes: images since it started, by status, with the reason after a slash where there is one.
        per_second: images a second over the last minute.
        under_way: images in hand.
        bucket: of the images; empty where the worker is of a version that does not say.
    """

    id: str
    host: str
    pid: int
    generation: str
    model: str
    queues: tuple[str, ...]
    started: float
    outcomes: dict[str, int] = field(default_factory=dict)
    per_second: float = 0.0
    under_way: int = 0
    bucket: str = ""


class Heartbeat:
    """Writes the state that `describe` gives; `beat` is a hook for the sweeper."""

    def __init__(self, client: Redis, describe: Callable[[], WorkerState]) -> None:
        self._client = client
        self._describe = describe
        self._id: str | None = None

    def beat(self) -> None:
        """Write the state, to be believed for half a minute. Raises `Unavailable`."""
        state = self._describe()
        with redis_errors("the heartbeat could not be written"):
            expires = server_time(self._client) + EXPIRES_SECONDS
            with self._client.pipeline(transaction=True) as pipe:
                pipe.set(_key(state.id), msgspec.json.encode(state), ex=EXPIRES_SECONDS)
                pipe.zadd(WORKERS, {state.id: expires})
                pipe.zremrangebyscore(WORKERS, "-inf", expires - EXPIRES_SECONDS)
                pipe.execute()
        self._id = state.id

    def close(self) -> None:
        """Take the state away, if there is one. Raises `Unavailable`."""
        if self._id is None:
            return
        with (
            redis_errors("the heartbeat could not be taken away"),
            self._client.pipeline(transaction=True) as pipe,
        ):
            pipe.delete(_key(self._id))
            pipe.zrem(WORKERS, self._id)
            pipe.execute()


def workers(client: Redis) -> tuple[WorkerState, ...]:
    """Every worker that was heard of within half a minute, by host and process. Raises what redis-py raises."""
    names = client.zrange(WORKERS, 0, -1)
    found = client.mget([_key(str(name)) for name in names]) if names else []
    states = [state for text in found if text is not None and (state := _parse(text))]
    return tuple(sorted(states, key=lambda state: (state.host, state.pid)))


def _parse(text: str | bytes) -> WorkerState | None:
    try:
        return decoded(text, WorkerState)
    except ValueError:
        # A worker of another version: it may say less than we want to know.
        return None


def _key(name: str) -> str:
    return f"stockmeta:worker:{name}"


class Tally:
    """Counts outcomes, for `WorkerState`. May be used from many threads."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._began = clock()
        self._outcomes: Counter[str] = Counter()
        self._recent: deque[float] = deque()

    def count(self, status: str, reason: str | None = None) -> None:
        """One image ended so."""
        with self._lock:
            self._outcomes[outcome_name(status, reason)] += 1
            self._recent.append(self._clock())
            self._forget()

    @property
    def outcomes(self) -> dict[str, int]:
        """Images by outcome, in the form of `WorkerState.outcomes`."""
        with self._lock:
            return dict(self._outcomes)

    @property
    def per_second(self) -> float:
        """Images a second over the last minute, or since the beginning if that is less."""
        with self._lock:
            self._forget()
            return round(len(self._recent) / min(MINUTE, max(1.0, self._clock() - self._began)), 2)

    def _forget(self) -> None:
        while self._recent and self._recent[0] < self._clock() - MINUTE:
            self._recent.popleft()
