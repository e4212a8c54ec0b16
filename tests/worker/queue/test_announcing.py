"""What is announced in the step that strikes a message from the ledger."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from celery import Celery
from redis import Redis

from tasks.errors import Unavailable
from tasks.feeding.changes import Change
from tasks.messages import BACKFILL, SUSPECTS, Send, TagMessage
from tasks.records import ImageRef
from tasks.work import successor
from tests.worker.queue.conftest import frozen
from tests.worker.queue.messages import message
from worker.queue.changes import CHANGES, RedisChangeStream
from worker.queue.ledger import LEDGERS, MESSAGES, PUBLISHING, run_key
from worker.queue.redis_queue import RedisQueue

pytestmark = pytest.mark.integration

TWO = (Change("g", "photos", "a.jpg"), Change("g", "photos", "녹색\ud800\n.jpg"))


@pytest.fixture
def queue(sender: Celery, client: Redis) -> RedisQueue:
    return RedisQueue(sender, client, 1000)


@pytest.fixture
def stream(client: Redis) -> RedisChangeStream:
    made = RedisChangeStream(client, "feed")
    made.missed()
    return made


def read(stream: RedisChangeStream) -> list[Change]:
    return [one.change for one in stream.read(1000, 0)]


def of_a_run(*keys: str) -> TagMessage:
    return TagMessage(message(*keys).refs, "g", run="run")


Strike = Callable[[RedisQueue, TagMessage, Sequence[Change]], None]
STRIKES: list[Any] = [
    pytest.param(lambda queue, one, changes: queue.done(one, {"tagged": 1}, changes), id="done"),
    pytest.param(lambda queue, one, changes: queue.succeed(one, [], {"tagged": 1}, changes), id="succeed"),
]


@pytest.mark.parametrize("strike", STRIKES)
def test_what_is_struck_is_announced_and_announced_again(
    queue: RedisQueue, client: Redis, stream: RedisChangeStream, strike: Strike
) -> None:
    """Whoever struck it first may have known of less; and counts are as they were."""
    one = of_a_run("a.jpg")
    queue.send(one, BACKFILL)
    strike(queue, one, TWO)
    assert read(stream) == list(TWO)
    strike(queue, one, TWO[1:])
    assert read(stream) == list(TWO[1:])
    assert client.hgetall(run_key("run")) == {"tagged": "1"}
    assert not client.exists(MESSAGES, PUBLISHING, *LEDGERS.values())


@pytest.mark.parametrize("strike", STRIKES)
def test_without_a_feed_nothing_is_kept(queue: RedisQueue, client: Redis, strike: Strike) -> None:
    one = of_a_run("a.jpg")
    queue.send(one, BACKFILL)
    for _ in range(2):
        strike(queue, one, TWO)
    assert not client.exists(CHANGES)


def test_nothing_is_announced_where_none_are_to_be_kept(
    sender: Celery, client: Redis, stream: RedisChangeStream
) -> None:
    queue = RedisQueue(sender, client, 0)
    one = of_a_run("a.jpg")
    queue.send(one, BACKFILL)
    queue.succeed(one, [], {"tagged": 1}, TWO)
    queue.done(one, {"tagged": 1}, TWO)
    assert (read(stream), client.hgetall(run_key("run"))) == ([], {"tagged": "1"})


def test_what_is_left_goes_on_and_what_ended_is_announced(
    queue: RedisQueue, client: Redis, stream: RedisChangeStream
) -> None:
    one = of_a_run("a.jpg", "b.jpg", "c.jpg")
    queue.send(one, BACKFILL)
    now, later = successor(one, one.refs[:1]), successor(one, one.refs[1:2])
    queue.succeed(one, [Send(now, SUSPECTS), Send(later, BACKFILL, 30.0)], {"tagged": 1, "empty": 2}, TWO)
    assert read(stream) == list(TWO)
    assert client.hgetall(run_key("run")) == {"tagged": "1", "empty": "2"}
    assert set(client.hkeys(MESSAGES)) == {now.id, later.id}


def test_a_message_of_thousands_is_announced(queue: RedisQueue, client: Redis, stream: RedisChangeStream) -> None:
    """Nobody sends such, but whoever writes messages by hand may; and a server's step has its limits."""
    many = [Change("g", "photos", f"{number}.jpg") for number in range(20_000)]
    one = of_a_run("a.jpg")
    for strike in (queue.done, queue.succeed):
        queue.send(one, BACKFILL)
        if strike == queue.done:
            queue.done(one, {}, many)
        else:
            queue.succeed(one, [], {}, many)
        assert 1000 <= client.xlen(CHANGES) <= 1100
        assert not client.exists(MESSAGES)


@pytest.mark.parametrize("strike", STRIKES)
def test_a_full_redis_is_freed_by_striking(
    queue: RedisQueue, client: Redis, stream: RedisChangeStream, strike: Strike
) -> None:
    """What is struck takes more room than what is announced; else workers would hold a full Redis full."""
    refs = tuple(ImageRef("photos", f"folder/{number:04}.jpg", 32 * "e") for number in range(64))
    one = TagMessage(refs, "g", run="run")
    queue.send(one, BACKFILL)
    changes = [Change("0123456789ab", ref.bucket, ref.key) for ref in one.refs]
    client.config_set("maxmemory", "100kb")
    with pytest.raises(Unavailable, match="Redis is full"):
        queue.send(of_a_run("b.jpg"), BACKFILL)
    freed, empty = client.memory_usage(MESSAGES), client.memory_usage(CHANGES, samples=0)
    strike(queue, one, changes)
    assert client.memory_usage(CHANGES, samples=0) - empty < freed
    client.config_set("maxmemory", "0")
    assert read(stream) == changes
    assert not client.exists(MESSAGES, PUBLISHING)


def test_a_full_redis_that_takes_no_successors_announces_nothing(
    queue: RedisQueue, client: Redis, stream: RedisChangeStream
) -> None:
    one = of_a_run("a.jpg", "b.jpg")
    queue.send(one, BACKFILL)
    client.config_set("maxmemory", "100kb")
    with pytest.raises(Unavailable, match="Redis is full"):
        queue.succeed(one, [Send(successor(one, one.refs[:1]), BACKFILL)], {"tagged": 1}, TWO)
    client.config_set("maxmemory", "0")
    assert (client.hkeys(MESSAGES), read(stream)) == ([one.id], []), "all of it, or nothing"


def test_a_stream_that_is_none_leaves_the_message_where_it_is(queue: RedisQueue, client: Redis) -> None:
    one = of_a_run("a.jpg")
    queue.send(one, BACKFILL)
    client.set(CHANGES, "somebody else's")
    for strike in (lambda: queue.done(one, {"tagged": 1}, TWO), lambda: queue.succeed(one, [], {"tagged": 1}, TWO)):
        with pytest.raises(Unavailable, match="WRONGTYPE"):
            strike()
        assert (client.hkeys(MESSAGES), client.zrange(LEDGERS[BACKFILL], 0, -1)) == ([one.id], [one.id])
        assert not client.exists(run_key("run"))


@pytest.mark.usefixtures("impatient")
def test_a_frozen_redis_is_said_to_be_so(queue: RedisQueue, client: Redis) -> None:
    with frozen(client):
        for strike in (lambda: queue.done(message(), {}, TWO), lambda: queue.succeed(of_a_run(), [], {}, TWO)):
            with pytest.raises(Unavailable, match="did not answer in time"):
                strike()
