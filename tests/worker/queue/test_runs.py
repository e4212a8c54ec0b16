"""Counts of runs on a real server: every image once, however its message is delivered."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest
from celery import Celery
from redis import Redis

from tasks.describe import Provenance, blank, unfinished
from tasks.errors import Unavailable
from tasks.jobs import Delivery
from tasks.messages import BACKFILL, SUSPECTS, Send, TagMessage
from tasks.observe import Silent
from tasks.records import Image, ImageRef, Outcome, Status
from tasks.redo import Redo
from tasks.suspects import Suspects
from tasks.tag import Tagger
from tasks.work import Work, successor
from tests.worker.queue.conftest import kill
from tests.worker.queue.messages import waiting
from worker.queue.heartbeat import Heartbeat, WorkerState
from worker.queue.ledger import DEFERRED, LEDGERS, MESSAGES, PUBLISHING, Ledger, run_key
from worker.queue.redis_queue import RedisQueue
from worker.queue.runs import FeederState, RedisCrew
from worker.queue.sweeper import Sweeper

pytestmark = pytest.mark.integration

MADE = Provenance("0123456789ab", "fake", "numpy", "t")
RUN = "run-1"
FIRST, AGAIN = Delivery(BACKFILL, redelivered=False), Delivery(BACKFILL, redelivered=True)


class Images:
    """A tagger and a process for suspects; keys say what becomes of the first attempt, the second one succeeds."""

    def __init__(self) -> None:
        self.committed_keys: set[str] = set()
        self.attempts: dict[str, int] = {}

    def attempt(self, ref: ImageRef, **_: object) -> Outcome:
        kind = ref.key.split()[0]
        self.attempts[ref.key] = self.attempts.get(ref.key, 0) + 1
        if kind in ("unavailable", "replaced", "internal_error") and self.attempts[ref.key] == 1:
            return unfinished(MADE, ref, Status.FAILED, kind, "as told")
        if kind == "vanished":
            return unfinished(MADE, ref, Status.FAILED, kind, "as told")
        cached = ref.key in self.committed_keys
        self.committed_keys.add(ref.key)
        return Outcome(ref, blank(MADE, Image(ref.bucket, ref.key, "e"), Status.TAGGED), cached=cached)

    def committed(self, ref: ImageRef, *, redo: Redo | None = None) -> Outcome | None:
        if ref.key not in self.committed_keys:
            return None
        return Outcome(ref, blank(MADE, Image(ref.bucket, ref.key, "e"), Status.TAGGED), cached=True)

    def provenance(self) -> Provenance:
        return MADE


class Source:
    """A store where everything is there."""

    def stat(self, key: str, etag: str | None = None) -> Image:
        return Image("b", key, "e")


@pytest.fixture
def images() -> Images:
    return Images()


@pytest.fixture
def crew(client: Redis) -> RedisCrew:
    crew = RedisCrew(client, FeederState("photos", MADE.generation, "here", 1))
    crew.begin(RUN)
    return crew


class Workers:
    """Everybody who takes messages of these tests; `deliver` hands out all that wait, until none do."""

    def __init__(self, queue: RedisQueue, client: Redis, images: Images, pool: ThreadPoolExecutor) -> None:
        self.client, self.sweeper = client, Sweeper(queue, client, lost_after=1e9, stuck_after=0.0)
        closing = threading.Event()
        closing.set()
        stop = threading.Event()
        self.work = Work(cast("Tagger", images), queue, pool, Silent(), MADE.generation, 30.0, closing, stop)
        self.suspects = Suspects(
            images,
            {"b": Source()},  # type: ignore[dict-item]  # as far as suspects use it
            lambda generation: pytest.fail(generation),
            queue,
            Silent(),
            stop,
        )

    def deliver(self) -> None:
        """Until the ledger is empty; what is put off is due at once."""
        while self.client.hlen(MESSAGES):
            for name, due in self.client.zrange(DEFERRED, 0, -1, withscores=True):
                self.client.zadd(DEFERRED, {name: due - 1000})
            self.sweeper.sweep()
            for queue in (BACKFILL, SUSPECTS):
                for message in waiting(self.client, queue):
                    worker = self.suspects if queue == SUSPECTS else self.work
                    worker.run(message, Delivery(queue, redelivered=False))
                self.client.delete(queue)


@pytest.fixture
def workers(queue: RedisQueue, client: Redis, images: Images) -> Iterator[Workers]:
    with ThreadPoolExecutor(4) as pool:
        yield Workers(queue, client, images, pool)


def message(*keys: str, run: str | None = RUN) -> TagMessage:
    return TagMessage(tuple(ImageRef("b", key, "e") for key in keys), MADE.generation, run=run)


def test_every_image_is_counted_once_when_it_ends(queue: RedisQueue, crew: RedisCrew, workers: Workers) -> None:
    keys = ("a", "b", "vanished", "unavailable 1", "replaced 1", "internal_error 1")
    queue.send(message(*keys), BACKFILL)
    workers.deliver()
    assert crew.outcomes(RUN) == {"tagged": 5, "failed/vanished": 1}
    assert crew.open() == 0


def test_a_message_delivered_twice_is_counted_once(
    queue: RedisQueue, crew: RedisCrew, client: Redis, workers: Workers, images: Images
) -> None:
    """Its worker was slow, not dead: the second one takes the message apart, then the first one ends."""
    sent = message("a", "b", "unavailable 1", "internal_error 1", "c")
    queue.send(sent, BACKFILL)
    client.delete(BACKFILL)
    images.committed_keys.add("a")
    workers.work.run(sent, AGAIN)
    assert crew.outcomes(RUN) == {"tagged": 1}
    workers.work.run(sent, FIRST)
    workers.deliver()
    assert crew.outcomes(RUN) == {"tagged": 5}


def test_nor_when_the_first_ends_before_the_second_begins(
    queue: RedisQueue, crew: RedisCrew, client: Redis, workers: Workers
) -> None:
    sent = message("a", "unavailable 1", "replaced 1")
    queue.send(sent, BACKFILL)
    client.delete(BACKFILL)
    workers.work.run(sent, FIRST)
    workers.work.run(sent, AGAIN)
    workers.deliver()
    assert crew.outcomes(RUN) == {"tagged": 3}


def test_messages_without_a_run_are_struck_and_counted_nowhere(
    queue: RedisQueue, client: Redis, workers: Workers
) -> None:
    queue.send(message("a", "unavailable 1", "internal_error 1", run=None), BACKFILL)
    workers.deliver()
    assert client.keys("stockmeta:run:*") == []
    assert (client.hlen(MESSAGES), client.zcard(LEDGERS[BACKFILL]), client.zcard(PUBLISHING)) == (0, 0, 0)


def test_what_gives_way_is_entered_whole_and_once(queue: RedisQueue, client: Redis, crew: RedisCrew) -> None:
    old = message("a", "b", "c")
    queue.send(old, BACKFILL)
    client.delete(BACKFILL)
    now, later = successor(old, old.refs[:1]), successor(old, old.refs[1:2], tries=1)
    for _ in range(2):
        queue.succeed(old, [Send(now, SUSPECTS), Send(later, BACKFILL, 30.0)], {"tagged": 1})
    assert [one.id for one in waiting(client, SUSPECTS)] == [now.id]
    assert client.zrange(DEFERRED, 0, -1) == [later.id]
    assert set(client.hkeys(MESSAGES)) == {now.id, later.id}
    assert crew.outcomes(RUN) == {"tagged": 1}
    assert crew.open() == 2
    assert 0 < int(client.ttl(run_key(RUN))) <= 30 * 24 * 3600


def test_what_was_entered_and_not_published_is_published_by_a_sweeper(
    queue: RedisQueue, client: Redis, sender: Celery
) -> None:
    """The worker died, or Redis did not answer, between the two."""
    old = message("a")
    queue.send(old, BACKFILL)
    client.delete(BACKFILL)
    now = successor(old, old.refs)
    Ledger(client).succeed(old, [Send(now, BACKFILL)], {})
    assert waiting(client, BACKFILL) == []
    assert Sweeper(queue, client, lost_after=1e9, stuck_after=0.0).sweep().stuck == 1
    assert waiting(client, BACKFILL) == [now]


def test_what_was_struck_is_not_put_off(queue: RedisQueue, client: Redis, crew: RedisCrew) -> None:
    """By a worker of another generation that had it a second time."""
    sent = message("a")
    queue.send(sent, BACKFILL)
    queue.succeed(sent, [], {"tagged": 1})
    queue.put_off(sent, BACKFILL, 5.0)
    assert client.zcard(DEFERRED) == 0


def test_a_full_server_takes_nothing_by_halves(queue: RedisQueue, client: Redis, crew: RedisCrew) -> None:
    old = message("a", "b")
    queue.send(old, BACKFILL)
    client.config_set("maxmemory", "1")
    client.config_set("maxmemory-policy", "noeviction")
    with pytest.raises(Unavailable, match="full"):
        queue.succeed(old, [Send(successor(old, old.refs[:1]), BACKFILL)], {"tagged": 1})
    assert client.hkeys(MESSAGES) == [old.id]
    assert crew.outcomes(RUN) == {}
    client.config_set("maxmemory", "0")
    queue.succeed(old, [Send(successor(old, old.refs[:1]), BACKFILL)], {"tagged": 1})
    assert crew.outcomes(RUN) == {"tagged": 1}


def test_a_wiped_server_has_forgotten_the_run(client: Redis, crew: RedisCrew) -> None:
    assert crew.outcomes(RUN) == {}
    client.flushall()
    assert crew.outcomes(RUN) is None
    crew.begin(RUN)
    assert crew.outcomes(RUN) == {}


def test_who_works_and_who_feeds(client: Redis, crew: RedisCrew) -> None:
    def state(name: str, generation: str, *queues: str) -> WorkerState:
        return WorkerState(name, "here", 1, generation, "fake", queues, 0.0)

    for one in (
        state("1", MADE.generation, "uploads", "backfill"),
        state("2", MADE.generation, "uploads"),
        state("3", "ba9876543210", "backfill"),
    ):
        Heartbeat(client, lambda one=one: one).beat()  # type: ignore[misc]  # bound now
    assert crew.workers(MADE.generation) == 1
    other = RedisCrew(client, FeederState("photos", MADE.generation, "there", 2))
    elsewhere = RedisCrew(client, FeederState("films", MADE.generation, "there", 3))
    assert (crew.beat(RUN), other.beat("run-2"), elsewhere.beat("run-3")) == (0, 1, 0)
    assert crew.beat(RUN) == 1
    client.set("stockmeta:feeder:run-2", '{"of": "another version"}')
    assert crew.beat(RUN) == 0
    other.leave("run-2")
    assert crew.beat(RUN) == 0
    assert json.loads(client.get(f"stockmeta:feeder:{RUN}") or "") == {
        "bucket": "photos",
        "generation": MADE.generation,
        "host": "here",
        "pid": 1,
    }


def test_a_server_that_is_gone_is_unavailable(client: Redis, crew: RedisCrew) -> None:
    kill(client)
    for call in (crew.open, lambda: crew.begin(RUN), lambda: crew.outcomes(RUN), lambda: crew.workers("g")):
        with pytest.raises(Unavailable, match="Redis"):
            call()
    for beat in (crew.beat, crew.leave):
        with pytest.raises(Unavailable, match="Redis"):
            beat(RUN)
