"""What the sweeper publishes, and what it leaves alone."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from celery import Celery
from redis import Redis

from tests.worker.queue.conftest import frozen
from tests.worker.queue.messages import lose, message, parse, waiting
from worker.queue.ledger import DEFERRED, LEDGERS, MESSAGES, Ledger
from worker.queue.redis_queue import RedisQueue
from worker.queue.sweeper import Sweeper, Swept, make_sweeper
from worker.settings import Settings

pytestmark = pytest.mark.integration

NOTHING = Swept()


@pytest.fixture
def sweeper(queue: RedisQueue, client: Redis) -> Sweeper:
    """One to whom everything in the ledger is old."""
    return Sweeper(queue, client, lost_after=0)


@contextmanager
def worker_with(sender: Celery, count: int, queue: str = "uploads") -> Iterator[None]:
    """Kombu's own consumer, with so many messages in hand that it has not acknowledged."""
    with sender.connection_for_read() as connection, connection.channel() as channel:
        for _ in range(count):
            assert channel.basic_get(queue) is not None
        yield
        # Else kombu puts them back when the channel closes, as a worker that ends well does.
        channel.qos._delivered.clear()


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_message_that_was_put_off_is_published_when_it_is_due_and_not_before(
    queue: RedisQueue, client: Redis, sweeper: Sweeper
) -> None:
    early, late = message("early.jpg"), message("late.jpg")
    queue.put_off(late, "uploads", 3600)
    queue.put_off(early, "backfill", 0)
    assert sweeper.sweep() == Swept(due=1)
    assert waiting(client, "backfill") == [early]
    assert waiting(client) == []
    assert client.zcard(LEDGERS["backfill"]) == 1
    assert client.zrange(DEFERRED, 0, -1) == [late.id]


def test_what_is_due_is_published_however_much_it_is(queue: RedisQueue, client: Redis) -> None:
    for _ in range(250):
        queue.put_off(message(), "uploads", 0)
    assert Sweeper(queue, client, lost_after=3600).sweep() == Swept(due=250)
    assert client.llen("uploads") == 250


def test_a_lost_message_is_published_again_as_such(queue: RedisQueue, client: Redis, sweeper: Sweeper) -> None:
    sent = message()
    queue.send(sent, "uploads")
    lose(client)
    assert sweeper.sweep() == Swept(lost=1)
    (again,) = waiting(client)
    assert again.again
    assert (again.id, again.refs) == (sent.id, sent.refs)
    # The ledger knows it as such, too: lost once more it comes once more.
    assert sweeper.sweep() == NOTHING
    lose(client)
    assert sweeper.sweep() == Swept(lost=1)
    assert waiting(client) == [again]


def test_it_is_not_lost_before_its_time(queue: RedisQueue, client: Redis) -> None:
    queue.send(message(), "uploads")
    lose(client)
    assert Sweeper(queue, client, lost_after=60).sweep() == NOTHING
    assert Sweeper(queue, client, lost_after=0).sweep() == Swept(lost=1)


def test_a_backlog_is_not_doubled_however_old(queue: RedisQueue, client: Redis, sweeper: Sweeper) -> None:
    for _ in range(50):
        queue.send(message(), "uploads")
    assert sweeper.sweep() == NOTHING
    assert client.llen("uploads") == 50


def test_a_lost_message_waits_for_older_ones_of_its_queue_only(
    queue: RedisQueue, client: Redis, sweeper: Sweeper
) -> None:
    older, gone, younger, other = (message(name) for name in ("older", "lost", "younger", "other"))
    for one in (older, gone, younger):
        queue.send(one, "uploads")
    queue.send(other, "backfill")
    lose(client, "backfill")
    first = client.rpop("uploads")
    assert lose(client) == gone
    client.rpush("uploads", str(first))
    # Something older than it waits: it may be on its way to its turn. Another queue's backlog does not matter.
    assert sweeper.sweep() == Swept(lost=1)
    assert [found.refs for found in waiting(client, "backfill")] == [other.refs]
    assert lose(client) == older
    queue.done(older)
    assert sweeper.sweep() == Swept(lost=1)
    assert [(found.refs, found.again) for found in waiting(client)] == [(younger.refs, False), (gone.refs, True)]


def test_a_message_in_hand_is_not_lost(queue: RedisQueue, client: Redis, sender: Celery, sweeper: Sweeper) -> None:
    for name in ("in hand", "waits"):
        queue.send(message(name), "uploads")
    with worker_with(sender, 1):
        assert client.hlen("unacked") == 1
        assert sweeper.sweep() == NOTHING
        # Nor is what was sent after it, and lost: it is not looked at before what is older has ended.
        lose(client)
        assert sweeper.sweep() == NOTHING
        client.delete("unacked", "unacked_index")
        assert sweeper.sweep() == Swept(lost=2)


def test_what_another_queue_has_in_hand_does_not_matter(
    queue: RedisQueue, client: Redis, sender: Celery, sweeper: Sweeper
) -> None:
    queue.send(message(), "backfill")
    queue.send(message(), "uploads")
    lose(client)
    with worker_with(sender, 1, "backfill"):
        assert sweeper.sweep() == Swept(lost=1)


def test_a_message_that_is_put_back_at_the_other_end_is_not_lost(
    queue: RedisQueue, client: Redis, sender: Celery, sweeper: Sweeper
) -> None:
    for number in range(60):
        queue.send(message(str(number)), "uploads")
    with sender.connection_for_read() as connection, connection.channel() as channel:
        first = channel.basic_get("uploads")
        assert first is not None
        first.reject(requeue=True)
    left = client.lindex("uploads", 0)
    assert isinstance(left, str)
    assert parse(left).refs[0].key == "0"
    assert sweeper.sweep() == NOTHING


def test_a_message_by_hand_keeps_nothing_from_being_repaired(
    queue: RedisQueue, client: Redis, sender: Celery, sweeper: Sweeper
) -> None:
    sender.send_task("stockmeta.tag", args=(message("by hand").to_dict(),), queue="uploads")
    queue.send(message("lost"), "uploads")
    client.lpop("uploads")
    assert sweeper.sweep() == Swept(lost=1)


def test_what_its_sender_did_not_publish_is_published_after_a_while(
    queue: RedisQueue, client: Redis, sweeper: Sweeper
) -> None:
    """As when it was killed between the entry and the list, or the list did not take it."""
    unsent, sent = message("unsent"), message("sent")
    Ledger(client).enter(unsent, "backfill")
    queue.send(sent, "backfill")
    assert Sweeper(queue, client, lost_after=3600).sweep() == NOTHING, "its sender may be at it"
    assert Sweeper(queue, client, lost_after=3600, stuck_after=0).sweep() == Swept(stuck=1)
    assert waiting(client, "backfill") == [sent, unsent]
    queue.send(unsent, "backfill")
    assert waiting(client, "backfill") == [sent, unsent], "its sender comes too late"
    assert Sweeper(queue, client, lost_after=3600, stuck_after=0).sweep() == NOTHING


def test_what_is_done_is_not_published_again_even_if_it_was_just_read(
    queue: RedisQueue, client: Redis, sweeper: Sweeper
) -> None:
    sent = message()
    queue.send(sent, "uploads")
    lose(client)
    (entry,) = sweeper._ledger.published_before("uploads", 1e12, 10)
    assert queue.send_again(entry)
    assert not queue.send_again(entry), "another sweeper has read it, too"
    queue.done(sent)
    (client.delete("uploads"), queue.put_off(sent, "uploads", 0))
    (entry,) = sweeper._ledger.due(10)
    queue.done(sent)
    assert not queue.send_again(entry)
    assert not client.keys("stockmeta:*")
    assert not client.exists("uploads")


def test_a_redis_that_evicts_the_bodies_does_not_stop_repair(
    queue: RedisQueue, client: Redis, sweeper: Sweeper
) -> None:
    for _ in range(120):
        queue.send(message("evicted"), "uploads")
    client.delete(MESSAGES, "uploads")
    queue.send(message("lost"), "uploads")
    lose(client)
    assert sweeper.sweep() == NOTHING
    assert sweeper.sweep() == Swept(lost=1)


def test_the_thread_sweeps_and_calls_hooks_and_survives_what_they_raise(
    queue: RedisQueue, client: Redis, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[str] = []

    def broken() -> None:
        calls.append("broken")
        raise LookupError("a bug")

    sweeper = Sweeper(queue, client, 3600, interval=0.02, hooks=(broken, lambda: calls.append("fine")))
    queue.put_off(message(), "uploads", 0.1)
    sweeper.start()
    try:
        eventually(lambda: client.llen("uploads") == 1 and calls.count("fine") > 3)
    finally:
        sweeper.close()
    assert calls.count("broken") == calls.count("fine")
    assert [record.message for record in caplog.records].count("a bug, met while sweeping") == 1
    after = len(calls)
    assert not sweeper._thread.is_alive()
    assert len(calls) == after


def test_the_thread_outlives_a_redis_that_is_frozen(
    queue: RedisQueue, client: Redis, impatient: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def said(what: str) -> int:
        return sum(what in text for text in caplog.messages)

    sweeper = Sweeper(queue, client, 3600, interval=0.02)
    sweeper.start()
    try:
        with frozen(client):
            eventually(lambda: said("Redis did not answer in time; will go on trying") == 1)
            time.sleep(0.5)
        queue.put_off(message(), "uploads", 0)
        eventually(lambda: client.llen("uploads") == 1 and said("works again") == 1)
    finally:
        sweeper.close()
    assert (said("will go on trying"), said("works again")) == (1, 1), "once, however often it was tried"


def test_workers_take_turns(queue: RedisQueue, client: Redis) -> None:
    first, second = (Sweeper(queue, client, 3600, interval=60) for _ in range(2))
    first._take_turn()
    queue.put_off(message(), "uploads", 0)
    second._take_turn()
    assert client.llen("uploads") == 0
    client.delete("stockmeta:sweeper")
    second._take_turn()
    assert client.llen("uploads") == 1
    assert 0 < client.pttl("stockmeta:sweeper") <= 60_000


def test_a_short_visibility_timeout_is_swept_for_more_often(queue: RedisQueue, client: Redis) -> None:
    quick = make_sweeper(Settings(visibility_seconds=10, deadline_seconds=3), queue, client)
    assert (quick._interval, quick._lost_after) == (2.5, 13)
    assert make_sweeper(Settings(), queue, client)._interval == 5


@pytest.mark.parametrize(
    "body", ['{"queue":"uploads","message":{"v":2,"refs":[]}}', '{"queue":"uploads"}', "{half", "7"]
)
def test_an_entry_that_cannot_be_read_keeps_nothing_from_being_published(
    body: str, queue: RedisQueue, client: Redis
) -> None:
    """As after a newer version was tried, and taken back."""
    client.zadd(DEFERRED, {f"newer {i}": 1.0 + i for i in range(3)})
    client.hset(MESSAGES, mapping={f"newer {i}": body for i in range(3)})
    queue.put_off(message("a"), "uploads", -1)

    assert Sweeper(queue, client, lost_after=10).sweep().due == 1

    assert client.zcard(DEFERRED) == 3
    assert Sweeper(queue, client, lost_after=10).sweep().due == 0
