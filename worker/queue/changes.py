"""The change stream on Redis: what workers announce, and what feeds read.

    stockmeta:changes       stream   an entry for each image, one field: [generation, bucket, key] as ASCII JSON
    stockmeta:feed:<name>   hash     of a feed, whose consumer group has the same name:
                                     caught_up, epoch and run (of the server), or the reason why it has to compare

The stream is made by the first feed, and bounded from then on, so that without a feed nothing is kept. Needs Redis 6.2
to announce, and 7.0 to read.
"""

import json
import logging
import time
import uuid
from collections.abc import Sequence
from typing import Any, NoReturn

from redis import Redis, exceptions

from tasks.errors import ConfigurationError
from tasks.feeding.changes import Announced, Backlog, Change
from worker.queue.changes_lua import BACKLOG, CAUGHT_UP, MISSED, READ, TOO_OLD
from worker.queue.connection import redis_errors

logger = logging.getLogger(__name__)

CHANGES = "stockmeta:changes"
FIELD = "c"
BATCH = 1000
"""Commands that are sent at once."""
IDLE_SECONDS = 60.0
"""After so long a reader is taken for dead, and what it has in hand goes to another; a slow one does harm to nobody."""
FORGET_SECONDS = 3600.0
"""After so long the server forgets a reader that has nothing in hand."""
START = "0-0"
WAIT_SECONDS = 1.0
"""Most that a command blocks: less than the client's time-out."""


class RedisAnnouncer:
    """`tasks.feeding.changes.Announcer` on Redis.

    Args:
        client: from `worker.queue.connection.connect`.
        kept: entries that the stream keeps, or some more; 0: nothing is announced.
    """

    def __init__(self, client: Redis, kept: int) -> None:
        self._client, self._kept = client, kept

    def announce(self, changes: Sequence[Change]) -> None:
        """See `tasks.feeding.changes.Announcer`. Raises `Unavailable`: perhaps some of them were announced."""
        for start in range(0, len(changes) if self._kept else 0, BATCH):
            with (
                redis_errors("changes could not be announced"),
                self._client.pipeline(transaction=False) as pipe,
            ):
                for change in changes[start : start + BATCH]:
                    pipe.xadd(CHANGES, {FIELD: encoded(change)}, maxlen=self._kept, approximate=True, nomkstream=True)
                pipe.execute()


class RedisChangeStream:
    """`tasks.feeding.changes.ChangeStream` on Redis. `backlog` may be called from other threads.

    Args:
        client: from `worker.queue.connection.connect`.
        name: of the feed, the same in all processes that feed the same index.
        idle: seconds after which what a reader took and did not report as done is given to another.
        forget: seconds after which the server forgets a reader that has nothing in hand.
    """

    def __init__(self, client: Redis, name: str, *, idle: float = IDLE_SECONDS, forget: float = FORGET_SECONDS) -> None:
        self._client, self._name = client, name
        self._keys = [CHANGES, state_key(name)]
        self._consumer = uuid.uuid4().hex
        self._idle, self._forget = idle, forget
        self._epoch = ""
        self._cursor, self._claim_at = START, 0.0
        # Given, and not reported as done: what waits for a commit for long is not given again.
        self._in_hand: set[str] = set()
        self._read, self._missed = client.register_script(READ), client.register_script(MISSED)
        self._caught_up, self._backlog = client.register_script(CAUGHT_UP), client.register_script(BACKLOG)

    def missed(self) -> str | None:
        """See `tasks.feeding.changes.ChangeStream`.

        Raises:
            Unavailable: Redis does not answer, or is full at the first start.
            ConfigurationError: it is older than 7.0.
        """
        answer = self._run(self._missed, uuid.uuid4().hex)
        if not answer:
            self._epoch = ""
            return None
        epoch, reason = answer
        # The first answer counts: what was missed since was perhaps passed already by the comparison under way.
        self._epoch = self._epoch or epoch
        return str(reason)

    def caught_up(self) -> None:
        """See `tasks.feeding.changes.ChangeStream`; nothing, where more was missed meanwhile. Raises as `missed`."""
        if self._epoch and not self._run(self._caught_up, self._epoch):
            logger.warning("more changes were missed while listings were compared; they are compared once more")
        self._epoch = ""

    def read(self, most: int, wait: float) -> Sequence[Announced]:
        """See `tasks.feeding.changes.ChangeStream`. Raises as `missed` does."""
        until = time.monotonic() + wait
        while True:
            last, entries = self._take(most)
            found = [one for one in self._parsed(entries) if one.id not in self._in_hand]
            if found:
                self._in_hand.update(one.id for one in found)
                return found
            if self._cursor != START:
                # Not all that may be claimed was looked at.
                continue
            left = until - time.monotonic()
            if left <= 0:
                return found
            if not entries:
                self._block(last, left)

    def done(self, announced: Sequence[Announced]) -> None:
        """See `tasks.feeding.changes.ChangeStream`. Raises `Unavailable`; some may count as done then."""
        self._acknowledge([one.id for one in announced])
        self._in_hand.difference_update(one.id for one in announced)

    def backlog(self) -> Backlog:
        """See `tasks.feeding.changes.ChangeStream`. Raises as `missed` does."""
        answer = self._run(self._backlog)
        if not answer:
            return Backlog(None, 0.0)
        count, oldest, now = answer
        return Backlog(int(count), max(0.0, int(now) / 1000 - _seconds(oldest)) if oldest else 0.0)

    def _take(self, most: int) -> tuple[str, list[Any]]:
        """Entries, of dead readers first; and the last one that was delivered to anybody."""
        claims = time.monotonic() >= self._claim_at
        idle = str(int(self._idle * 1000)) if claims else ""
        forget = int(self._forget * 1000)
        cursor, last, entries = self._run(self._read, self._consumer, most, idle, self._cursor, forget)
        if claims:
            self._cursor = cursor
            if cursor == START:
                self._claim_at = time.monotonic() + self._idle / 4
        return str(last), entries

    def _block(self, last: str, seconds: float) -> None:
        """Wait for an entry after `last`, whoever is going to get it."""
        limit = self._client.get_connection_kwargs().get("socket_timeout") or WAIT_SECONDS
        slice_ms = max(1, int(min(seconds, WAIT_SECONDS, limit / 2) * 1000))
        with redis_errors("changes could not be waited for"):
            self._client.xread({CHANGES: last}, count=1, block=slice_ms)

    def _parsed(self, entries: Sequence[Any]) -> list[Announced]:
        found, strange = [], []
        for name, flat in entries:
            try:
                found.append(Announced(name, _seconds(name), _decoded(dict(zip(flat[::2], flat[1::2], strict=True)))))
            except (ValueError, KeyError, TypeError):
                # Of a newer version, whose feeds can read it; ours finds what it was at the next comparison.
                strange.append(name)
        if strange:
            logger.warning("%d changes cannot be understood and are left out, such as %s", len(strange), strange[0])
            self._acknowledge(strange)
        return found

    def _acknowledge(self, names: Sequence[str]) -> None:
        with redis_errors("changes could not be acknowledged"):
            for start in range(0, len(names), BATCH):
                self._client.xack(CHANGES, self._name, *names[start : start + BATCH])

    def _run(self, script: Any, *args: str | int) -> Any:
        with redis_errors("the change stream could not be read"):
            try:
                return script(keys=self._keys, args=[self._name, *args])
            except exceptions.ResponseError as error:
                _refuse(error)


def state_key(name: str) -> str:
    """Where it is kept whether a feed has caught up."""
    return f"stockmeta:feed:{name}"


_encode = json.JSONEncoder(separators=(",", ":")).encode


def encoded(change: Change) -> str:
    """A change as the stream holds it."""
    return _encode(change)


def _decoded(fields: dict[str, str]) -> Change:
    generation, bucket, key = json.loads(fields[FIELD])
    if not all(isinstance(part, str) for part in (generation, bucket, key)):
        raise ValueError("expected three strings")
    return Change(generation, bucket, key)


def _seconds(name: str) -> float:
    """When an entry was added, from its id."""
    return int(name.partition("-")[0]) / 1000


def _refuse(error: exceptions.ResponseError) -> NoReturn:
    if TOO_OLD in str(error):
        raise ConfigurationError("reading changes needs Redis 7.0 or newer, or Valkey") from error
    raise error
