"""The ledger: what was published and has not ended, by the server's clock.

    stockmeta:ledger:<queue>   sorted set   message id -> when it was published last
    stockmeta:deferred         sorted set   message id -> when it is to be published
    stockmeta:publishing       sorted set   message id -> since when it is entered, and perhaps not published
    stockmeta:messages         hash         message id -> the message and its queue, as JSON
    stockmeta:run:<run>        hash         outcome -> how many images of a backfill came to it

An id is in one ledger or deferred; while it is being published it is in `publishing`, too. Times are seconds since 1970
by Redis's clock, so that machines need not agree.
"""

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from redis import Redis

from tasks.feeding.changes import Change
from tasks.messages import QUEUES, Send, TagMessage
from worker.queue.changes import CHANGES, FIELD, encoded

logger = logging.getLogger(__name__)

ASIDE_SECONDS = 60.0
"""After which an entry that could not be read is looked at again."""

MESSAGES = "stockmeta:messages"
DEFERRED = "stockmeta:deferred"
LEDGERS = {queue: f"stockmeta:ledger:{queue}" for queue in QUEUES}
PUBLISHING = "stockmeta:publishing"
PLACES = (*LEDGERS.values(), DEFERRED)
RUN_SECONDS = 30 * 24 * 3600
"""How long a run's counts are kept after the last one."""

# One step on the server: half an entry is never seen, and a full Redis refuses the first write and so all of it.
_ENTER = """
local messages, target, publishing = KEYS[1], KEYS[2], KEYS[3]
local id, body, delay, condition, publish = unpack(ARGV)
if condition == 'there' then
  if redis.call('HEXISTS', messages, id) == 0 then return false end
elseif condition == 'new' then
  -- Published already: whoever sends it again could not know.
  if redis.call('ZSCORE', target, id) and not redis.call('ZSCORE', publishing, id) then return false end
elseif condition ~= '' then
  -- Of two sweepers that have read an entry only one publishes it, and none what was struck meanwhile.
  local same = false
  for i = 2, #KEYS do
    local score = redis.call('ZSCORE', KEYS[i], id)
    if score then same = tonumber(score) == tonumber(condition) end
  end
  if not same then return false end
end
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
redis.call('ZADD', target, string.format('%.6f', now + delay), id)
redis.call('HSET', messages, id, body)
for i = 3, #KEYS do redis.call('ZREM', KEYS[i], id) end
if publish == '1' then redis.call('ZADD', publishing, string.format('%.6f', now), id) end
return string.format('%.6f', now)
"""

# Always, also of a message that was struck before: whoever did that may not have known what became of it.
_ANNOUNCE = f"""
local function announce(stream, kept, first, last)
  -- Only where somebody reads changes are they kept.
  if redis.call('EXISTS', stream) == 0 then return end
  for i = first, last do
    redis.call('XADD', stream, 'MAXLEN', '~', kept, '*', '{FIELD}', ARGV[i])
  end
end
"""

# Struck and counted in one step, so that a message that was delivered twice is counted once. What frees memory comes
# first: a full Redis refuses nothing after it, and the rest takes less than striking gives. What may fail comes before
# the entry is gone.
_STRIKE = (
    _ANNOUNCE
    + """
local messages, run, stream, publishing = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, seconds, kept, changes = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
redis.call('ZREM', publishing, id)
announce(stream, kept, 5, 4 + changes)
for i = 5, #KEYS do redis.call('ZREM', KEYS[i], id) end
if redis.call('HDEL', messages, id) == 0 or #ARGV == 4 + changes then return end
for i = 5 + changes, #ARGV, 2 do redis.call('HINCRBY', run, ARGV[i], ARGV[i + 1]) end
redis.call('EXPIRE', run, seconds)
"""
)

# A message of a run gives way to what is left of it in one step, and only once: delivered twice, it would otherwise
# leave two messages for one image, which would be counted twice.
_SUCCEED = (
    _ANNOUNCE
    + """
local messages, run, stream, publishing = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, seconds, kept, changes, counts = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local counted = 6 + changes
local sends = counted + 2 * counts
if redis.call('HEXISTS', messages, id) == 0 then
  redis.call('ZREM', publishing, id)
  announce(stream, kept, 6, counted - 1)
  return false
end
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
for i = sends, #ARGV, 4 do
  local place, delay = KEYS[tonumber(ARGV[i + 2])], tonumber(ARGV[i + 3])
  redis.call('ZADD', place, string.format('%.6f', now + delay), ARGV[i])
  redis.call('HSET', messages, ARGV[i], ARGV[i + 1])
  if delay == 0 then redis.call('ZADD', publishing, string.format('%.6f', now), ARGV[i]) end
end
redis.call('ZREM', publishing, id)
announce(stream, kept, 6, counted - 1)
for i = 5, #KEYS do redis.call('ZREM', KEYS[i], id) end
redis.call('HDEL', messages, id)
for i = counted, sends - 1, 2 do redis.call('HINCRBY', run, ARGV[i], ARGV[i + 1]) end
redis.call('EXPIRE', run, seconds)
return string.format('%.6f', now)
"""
)


@dataclass(frozen=True)
class Entry:
    """One message of the ledger.

    Attributes:
        queue: the one that it belongs to.
        time: when it was published last, or is due.
    """

    message: TagMessage
    queue: str
    time: float


class Ledger:
    """The ledger's keys on one client. Methods raise what redis-py raises; callers map it.

    `kept` is how many entries the change stream keeps; with 0 nothing is announced.
    """

    def __init__(self, client: Redis, kept: int = 0) -> None:
        self._client, self._kept = client, kept
        self._enter = client.register_script(_ENTER)
        self._strike = client.register_script(_STRIKE)
        self._succeed = client.register_script(_SUCCEED)

    def enter(self, message: TagMessage, queue: str) -> float | None:
        """Enter a message that is about to be published; returns the time, or `None` if it is published already."""
        return self._put(message, queue, LEDGERS[queue], condition="new")

    def enter_again(self, entry: Entry) -> float | None:
        """Enter a message that was read from here, as `enter` does, unless somebody was faster: then `None`."""
        return self._put(entry.message, entry.queue, LEDGERS[entry.queue], condition=repr(entry.time))

    def published(self, message: TagMessage) -> None:
        """Say that a message that was entered is published."""
        self._client.zrem(PUBLISHING, message.id)

    def defer(self, message: TagMessage, queue: str, seconds: float) -> None:
        """Enter a message as one to be published so many seconds from now, wherever it was before.

        One of a run only if it is in the ledger: struck, it is counted, and so is what came of it.
        """
        self._put(message, queue, DEFERRED, seconds, condition="there" if message.run else "")

    def strike(
        self, message: TagMessage, counts: Mapping[str, int] | None = None, changes: Sequence[Change] = ()
    ) -> None:
        """Remove a message, announce changes, and add to its run's counts.

        One that is not there does no harm, and counts nothing.
        """
        counted = [text for name, count in (counts or {}).items() for text in (name, str(count))]
        announced = self._announced(changes)
        args = [message.id, RUN_SECONDS, self._kept, len(announced), *announced, *(counted if message.run else ())]
        self._strike(keys=_keys(message), args=args)

    def succeed(
        self, message: TagMessage, sends: Sequence[Send], counts: Mapping[str, int], changes: Sequence[Change] = ()
    ) -> float | None:
        """Enter messages in the place of one of a run, announce, and add to its run's counts; returns the time.

        `None` if it was struck before; then changes are announced, and nothing else happens. What is to be published at
        once is noted as not published.
        """
        keys, announced = _keys(message), self._announced(changes)
        args: list[str | float] = [message.id, RUN_SECONDS, self._kept, len(announced), len(counts), *announced]
        for count in counts.items():
            args += count
        for send in sends:
            place = DEFERRED if send.delay else LEDGERS[send.queue]
            args += [send.message.id, _body(send.message, send.queue), 1 + keys.index(place), send.delay]
        now = self._succeed(keys=keys, args=args)
        return None if now is None else float(now)

    def due(self, limit: int) -> list[Entry]:
        """Deferred messages whose time has come, earliest first, at most `limit`."""
        return self._entries(DEFERRED, self.now(), limit)

    def stuck(self, seconds: float, limit: int) -> list[Entry]:
        """Messages that were entered longer ago than that, and perhaps never published; oldest first."""
        return self._entries(PUBLISHING, self.now() - seconds, limit)

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

    def _put(
        self, message: TagMessage, queue: str, target: str, seconds: float = 0, condition: str = ""
    ) -> float | None:
        body = _body(message, queue)
        keys = [MESSAGES, target, PUBLISHING, *(key for key in PLACES if key != target)]
        publish = int(target != DEFERRED)
        now = self._enter(keys=keys, args=[message.id, body, seconds, condition, publish])
        return None if now is None else float(now)

    def _announced(self, changes: Sequence[Change]) -> list[str]:
        return [encoded(change) for change in changes] if self._kept else []

    def _entries(self, key: str, until: float, limit: int) -> list[Entry]:
        found = self._client.zrange(key, "-inf", until, byscore=True, offset=0, num=limit, withscores=True)
        # redis-py cannot say that a client that decodes gives strings.
        rows = cast("list[tuple[str, float]]", found)
        if not rows:
            return []
        bodies = cast("list[str | None]", self._client.hmget(MESSAGES, [name for name, _ in rows]))
        entries = []
        for (name, time), body in zip(rows, bodies, strict=True):
            if body is None:
                # Struck meanwhile, or a Redis that evicts has thrown the bodies away: many such would hide the rest.
                self._client.zremrangebyscore(key, time, time)
                continue
            try:
                entries.append(_entry(body, float(time)))
            except (ValueError, KeyError, TypeError) as error:
                # Of a newer version, whose own sweepers can read it. Out of the way, where it hides nothing.
                logger.warning("an entry of the ledger is left aside: %s", error, extra={"message_id": name})
                self._client.zadd(key, {name: self.now() + ASIDE_SECONDS}, xx=True)
        return entries


def _keys(message: TagMessage) -> list[str]:
    """Those that striking a message may change."""
    return [MESSAGES, run_key(message.run or ""), CHANGES, PUBLISHING, *PLACES]


def run_key(run: str) -> str:
    """Where the counts of a run are."""
    return f"stockmeta:run:{run}"


def server_time(client: Redis) -> float:
    """Seconds since 1970 by the server's clock."""
    seconds, microseconds = client.time()
    return float(seconds) + float(microseconds) / 1e6


def _body(message: TagMessage, queue: str) -> str:
    return json.dumps({"queue": queue, "message": message.to_dict()}, separators=(",", ":"))


def _entry(body: str, time: float) -> Entry:
    data = json.loads(body)
    return Entry(TagMessage.from_dict(data["message"]), data["queue"], time)
