"""The ledger: what was published and has not ended, by the server's clock.

    stockmeta:ledger:<queue>   sorted set   message id -> when it was published last
    stockmeta:deferred         sorted set   message id -> when it is to be published
    stockmeta:messages         hash         message id -> the message and its queue, as JSON

An id is in one sorted set at most. Times are seconds since 1970 by Redis's clock, so that machines need not agree.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from redis import Redis

from tasks.messages import QUEUES, TagMessage

MESSAGES = "stockmeta:messages"
DEFERRED = "stockmeta:deferred"
LEDGERS = {queue: f"stockmeta:ledger:{queue}" for queue in QUEUES}
ALL = (*LEDGERS.values(), DEFERRED)

# One step on the server: half an entry is never seen, and a full Redis refuses the first write and so all of it.
_ENTER = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
redis.call('ZADD', KEYS[2], string.format('%.6f', now + ARGV[3]), ARGV[1])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
for i = 3, #KEYS do redis.call('ZREM', KEYS[i], ARGV[1]) end
return string.format('%.6f', now)
"""


@dataclass(frozen=True)
class Entry:
    """One message of the ledger, and the queue that it belongs to."""

    message: TagMessage
    queue: str


class Ledger:
    """The ledger's keys on one client. Methods raise what redis-py raises; callers map it."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._enter = client.register_script(_ENTER)

    def enter(self, message: TagMessage, queue: str) -> float:
        """Enter a message as published now, wherever it was before; returns that time."""
        return self._put(message, queue, LEDGERS[queue], 0)

    def defer(self, message: TagMessage, queue: str, seconds: float) -> None:
        """Enter a message as one to be published so many seconds from now, wherever it was before."""
        self._put(message, queue, DEFERRED, seconds)

    def strike(self, names: Iterable[str]) -> None:
        """Remove ids; those that are not there do no harm."""
        names = list(names)
        with self._client.pipeline(transaction=True) as pipe:
            for key in ALL:
                pipe.zrem(key, *names)
            pipe.hdel(MESSAGES, *names)
            pipe.execute()

    def due(self, limit: int) -> list[Entry]:
        """Deferred messages whose time has come, earliest first, at most `limit`."""
        return self._entries(DEFERRED, self.now(), limit)

    def published_before(self, queue: str, moment: float, limit: int) -> list[Entry]:
        """Messages of a queue that were published last before `moment`, oldest first, at most `limit`."""
        return self._entries(LEDGERS[queue], math.nextafter(moment, 0), limit)

    def oldest(self, queue: str) -> float | None:
        """When the oldest message of a queue was published, or `None` if there is none."""
        rows = self._client.zrange(LEDGERS[queue], 0, 0, withscores=True)
        return float(rows[0][1]) if rows else None

    def now(self) -> float:
        """The server's clock."""
        return server_time(self._client)

    def _put(self, message: TagMessage, queue: str, target: str, seconds: float) -> float:
        body = json.dumps({"queue": queue, "message": message.to_dict()}, separators=(",", ":"))
        others = [key for key in ALL if key != target]
        return float(self._enter(keys=[MESSAGES, target, *others], args=[message.id, body, seconds]))

    def _entries(self, key: str, until: float, limit: int) -> list[Entry]:
        # redis-py cannot say that a client that decodes gives strings.
        names = cast("list[str]", self._client.zrange(key, "-inf", until, byscore=True, offset=0, num=limit))
        if not names:
            return []
        bodies = cast("list[str | None]", self._client.hmget(MESSAGES, names))
        # An id without a body can only come from a hand in Redis; it can do nothing but go.
        if orphans := [name for name, body in zip(names, bodies, strict=True) if body is None]:
            self.strike(orphans)
        return [_entry(body) for body in bodies if body is not None]


def server_time(client: Redis) -> float:
    """Seconds since 1970 by the server's clock."""
    seconds, microseconds = client.time()
    return float(seconds) + float(microseconds) / 1e6


def _entry(body: str) -> Entry:
    data = json.loads(body)
    return Entry(TagMessage.from_dict(data["message"]), data["queue"])
