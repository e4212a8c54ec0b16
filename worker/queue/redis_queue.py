"""`Queue` on Redis: Celery's lists for delivery, the ledger for what delivery loses, counters for attempts."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress

from celery import Celery
from redis import Redis
from redis.exceptions import RedisError

from tasks.feeding.changes import Change
from tasks.messages import QUEUES, SENT, SUSPECT_TASK, SUSPECTS, TASK, Send, TagMessage
from tasks.records import ImageRef
from worker.queue.connection import redis_errors
from worker.queue.ledger import Entry, Ledger

WEEK = 7 * 24 * 3600
FAILING = "stockmeta:failing"
"""Sorted set of the counters that exist -> when they expire, so that they can be counted."""

_COUNT = """
local time = redis.call('TIME')
local count = redis.call('INCR', KEYS[1])
redis.call('EXPIRE', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[2], time[1] + ARGV[1], KEYS[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', time[1])
return count
"""


class RedisQueue:
    """The queue of a fleet. May be used from many threads.

    Args:
        sender: publishes; from `make_sender`, or a worker's own application.
        client: from `connect`, on the same broker.
        changes_kept: entries that the change stream keeps, or some more; 0: nothing is announced.
    """

    def __init__(self, sender: Celery, client: Redis, changes_kept: int = 0) -> None:
        self._sender = sender
        self._client = client
        self._ledger = Ledger(client, changes_kept)
        self._count = client.register_script(_COUNT)

    def send(self, message: TagMessage, queue: str) -> None:
        """Enter a message in the ledger and publish it; one that is published already is left as it is.

        Raises:
            Unavailable: not entered, or entered and perhaps not published: a sweeper will do that, or whoever sends it
                again. Comes after one time-out when Redis is frozen, after three if it froze between the two.
        """
        _check(queue)
        with redis_errors("a message could not be published"):
            self._publish(message, queue, self._ledger.enter(message, queue))

    def send_again(self, entry: Entry) -> bool:
        """Publish what was read from the ledger, unless it was struck, or somebody else published it, meanwhile.

        Returns whether it was published. Raises `Unavailable`, as `send` does.
        """
        with redis_errors("a message could not be published again"):
            return self._publish(entry.message, entry.queue, self._ledger.enter_again(entry))

    def put_off(self, message: TagMessage, queue: str, seconds: float) -> None:
        """Enter a message to be published so many seconds from now, by a worker's sweeper. Raises `Unavailable`."""
        _check(queue)
        with redis_errors("a message could not be put off"):
            self._ledger.defer(message, queue, seconds)

    def done(
        self, message: TagMessage, counts: Mapping[str, int] | None = None, changes: Sequence[Change] = ()
    ) -> None:
        """Strike a message, published or put off, announce changes and add to its run's counts, in one step.

        Raises `Unavailable`: nothing happened, or all of it.
        """
        with redis_errors("a message could not be struck from the ledger"):
            self._ledger.strike(message, counts or {}, changes)

    def succeed(
        self, message: TagMessage, sends: Sequence[Send], counts: Mapping[str, int], changes: Sequence[Change] = ()
    ) -> None:
        """Enter messages in the place of one of a run, strike it, announce and count, in one step; then publish them.

        Raises:
            Unavailable: nothing happened, or all is entered and a sweeper will publish it. May be repeated.
        """
        for send in sends:
            _check(send.queue)
        with redis_errors("a message could not be passed on"):
            entered = self._ledger.succeed(message, sends, counts, changes)
            for send in sends:
                if not send.delay:
                    self._publish(send.message, send.queue, entered)

    def count_failure(self, ref: ImageRef, generation: str) -> int:
        """Count a failure of this content in this generation; returns how many within a week of each other.

        Raises `Unavailable`.
        """
        with redis_errors("a failure could not be counted"):
            return int(self._count(keys=[_failures(ref, generation), FAILING], args=[WEEK]))

    def forget_failures(self, ref: ImageRef, generation: str) -> None:
        """Begin to count anew. Raises `Unavailable`."""
        name = _failures(ref, generation)
        with redis_errors("failures could not be forgotten"), self._client.pipeline(transaction=True) as pipe:
            pipe.delete(name)
            pipe.zrem(FAILING, name)
            pipe.execute()

    def _publish(self, message: TagMessage, queue: str, entered: float | None) -> bool:
        if entered is None:
            return False
        task = SUSPECT_TASK if queue == SUSPECTS else TASK
        self._sender.send_task(task, args=(message.to_dict(),), queue=queue, headers={SENT: entered})
        # It is published. If this fails a sweeper publishes it once more, and the images are found committed.
        with suppress(RedisError):
            self._ledger.published(message)
        return True


def _check(queue: str) -> None:
    if queue not in QUEUES:
        raise ValueError(f"there is no queue {queue!r}; there are {', '.join(QUEUES)}")


def _failures(ref: ImageRef, generation: str) -> str:
    content = json.dumps([ref.bucket, ref.key, ref.etag, generation])
    return f"stockmeta:failures:{hashlib.sha256(content.encode()).hexdigest()}"
