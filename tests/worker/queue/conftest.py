"""A real server for each test, and the queue on it."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from celery import Celery
from redis import Redis

from worker.broker import embedded_broker
from worker.celery_settings import make_sender
from worker.queue.connection import connect
from worker.queue.redis_queue import RedisQueue
from worker.settings import Settings


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    for name in [name for name in os.environ if name.startswith("STOCKMETA_")]:
        monkeypatch.delenv(name)
    with embedded_broker() as url:
        yield Settings(broker_url=url, visibility_seconds=10, deadline_seconds=3)


@pytest.fixture
def client(settings: Settings) -> Iterator[Redis]:
    with connect(settings) as client:
        yield client


@pytest.fixture
def sender(settings: Settings) -> Iterator[Celery]:
    with make_sender(settings) as sender:
        yield sender


@pytest.fixture
def queue(sender: Celery, client: Redis) -> RedisQueue:
    return RedisQueue(sender, client)


@pytest.fixture
def impatient(sender: Celery, client: Redis) -> None:
    """Time-outs of a fifth of a second instead of five: only their length differs from production."""
    sender.conf.broker_transport_options = {**sender.conf.broker_transport_options, "socket_timeout": 0.2}
    client.connection_pool.connection_kwargs["socket_timeout"] = 0.2
    client.connection_pool.disconnect()


@contextmanager
def frozen(client: Redis) -> Iterator[None]:
    """SIGSTOP for the server while the block runs."""
    pid = int(client.info("server")["process_id"])
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def kill(client: Redis) -> None:
    """The server is gone, and nothing of it can be reached."""
    with suppress(OSError):
        os.kill(int(client.info("server")["process_id"]), signal.SIGKILL)
