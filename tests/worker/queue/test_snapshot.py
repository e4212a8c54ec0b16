"""Heartbeats, tallies, and the whole at one look."""

import pytest
from celery import Celery
from redis import Redis

from tasks.errors import Unavailable
from tasks.records import ImageRef
from tests.worker.queue.conftest import kill
from tests.worker.queue.messages import lose, message
from worker.queue.heartbeat import WORKERS, Heartbeat, Tally, WorkerState
from worker.queue.redis_queue import RedisQueue
from worker.queue.snapshot import QueueState, Snapshot, take


def state(name: str, per_second: float = 1.5) -> WorkerState:
    return WorkerState(name, "host", 7, "g", "fake", ("uploads",), 1e9, {"tagged": 3}, per_second, 2)


def test_an_empty_redis(client: Redis) -> None:
    queues = tuple(QueueState(name, 0, None, 0, None) for name in ("uploads", "backfill", "suspects"))
    assert take(client) == Snapshot(queues, in_hand=0, deferred=0, failing=0, workers=())


def test_what_waits_is_lost_in_hand_put_off_and_failing(queue: RedisQueue, client: Redis, sender: Celery) -> None:
    for _ in range(4):
        queue.send(message(), "uploads")
    lose(client)
    queue.send(message(), "suspects")
    queue.put_off(message(), "backfill", 60)
    for _ in range(2):
        queue.count_failure(ImageRef("photos", "a.jpg", "1"), "g")
    with sender.connection_for_read() as connection, connection.channel() as channel:
        assert channel.basic_get("uploads") is not None
        seen = take(client)
    uploads, backfill, suspects = seen.queues
    assert (uploads.waiting, uploads.open) == (2, 4)
    assert (suspects.waiting, suspects.open) == (1, 1)
    assert (backfill.waiting, backfill.open) == (0, 0)
    assert (seen.in_hand, seen.deferred, seen.failing) == (1, 1, 1)


def test_how_long_the_oldest_has_waited(queue: RedisQueue, client: Redis) -> None:
    first = message()
    queue.send(first, "uploads")
    queue.send(message(), "uploads")
    # As if it had been sent a minute earlier: the time in the ledger, and the one in the message.
    raw = client.rpop("uploads")
    assert isinstance(raw, str)
    sent = client.zscore("stockmeta:ledger:uploads", first.id)
    assert isinstance(sent, float)
    client.zadd("stockmeta:ledger:uploads", {first.id: sent - 60})
    client.rpush("uploads", raw.replace(repr(sent), repr(sent - 60)))
    uploads = take(client).queues[0]
    assert uploads.oldest_seconds == pytest.approx(60, abs=5)
    assert uploads.open_seconds == pytest.approx(60, abs=5)


def test_workers_are_seen_until_they_stop(client: Redis) -> None:
    first, second = (Heartbeat(client, lambda name=name: state(name)) for name in ("1", "2"))
    first.close()
    first.beat()
    second.beat()
    assert take(client).workers == (state("1"), state("2"))
    assert take(client).per_second == 3.0
    first.close()
    assert take(client).workers == (state("2"),)
    assert 25 < client.ttl("stockmeta:worker:2") <= 30
    # Killed: its key expires, and the next to beat forgets its name.
    client.delete("stockmeta:worker:2")
    assert take(client).workers == ()
    client.zadd(WORKERS, {"2": 1.0})
    first.beat()
    assert client.zrange(WORKERS, 0, -1) == ["1"]


def test_a_worker_of_another_version_hides_no_other(client: Redis) -> None:
    for name, text in (("old", '{"id": "old"}'), ("broken", "{")):
        client.set(f"stockmeta:worker:{name}", text)
        client.zadd(WORKERS, {name: 1e12})
    Heartbeat(client, lambda: state("1")).beat()
    assert take(client).workers == (state("1"),)


def test_a_redis_that_is_gone(client: Redis) -> None:
    heartbeat = Heartbeat(client, lambda: state("1"))
    heartbeat.beat()
    kill(client)
    for call in (lambda: take(client), heartbeat.beat, heartbeat.close):
        with pytest.raises(Unavailable, match="cannot be reached"):
            call()


def test_a_tally_of_the_last_minute() -> None:
    now = 1000.0
    tally = Tally(lambda: now)
    for _ in range(30):
        tally.count("tagged")
    tally.count("rejected", "truncated")
    assert tally.outcomes == {"tagged": 30, "rejected/truncated": 1}
    now += 10
    assert tally.per_second == 3.1
    now += 40
    for _ in range(60):
        tally.count("tagged")
    now += 20
    assert tally.per_second == 1.0, "of the last minute only"
    assert tally.outcomes["tagged"] == 90
