"""Readiness tells the truth when something is full, frozen or gone: real servers, in the state that is meant."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tasks.errors import Unavailable
from tests.worker.queue.conftest import frozen
from worker import readiness
from worker.broker import embedded_broker
from worker.http import Checks
from worker.library import Library, open_library
from worker.queue.connection import connect
from worker.settings import Settings

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Settings]:
    for name in [name for name in os.environ if name.startswith("STOCKMETA_")]:
        monkeypatch.delenv(name)
    with embedded_broker() as url:
        (tmp_path / "photos").mkdir()
        yield Settings(broker_url=url, library=str(tmp_path / "photos"))


@pytest.fixture
def client(settings: Settings) -> Iterator[Redis]:
    with connect(settings) as client:
        yield client


@pytest.fixture
def library(settings: Settings) -> Library:
    return open_library(settings)


def test_redis_that_answers_is_ready(client: Redis) -> None:
    assert readiness.check_redis(client) == "answers"
    assert not readiness.redis_is_away(client)


def test_redis_that_is_full_is_not_ready(client: Redis) -> None:
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", 1)
    with pytest.raises(Unavailable, match="written to"):
        readiness.check_redis(client)
    client.config_set("maxmemory", 0)
    assert readiness.check_redis(client)


def test_redis_that_cannot_save_is_not_ready(client: Redis) -> None:
    # What it says when its disk is full: it still reads.
    client.config_set("min-replicas-to-write", 1)
    with pytest.raises(Unavailable, match="written to"):
        readiness.check_redis(client)


def test_redis_that_is_frozen_is_not_ready_and_does_not_hold_up_the_answer(client: Redis) -> None:
    checks = Checks({"redis": lambda: readiness.check_redis(client)}, fresh=0, patience=2)
    assert checks.findings()["redis"].ok
    with frozen(client):
        start = time.monotonic()
        assert "no answer" in checks.findings()["redis"].detail
        assert time.monotonic() - start < 5, "the client's own time-out is longer"
    until = time.monotonic() + 10
    while not checks.findings()["redis"].ok:
        assert time.monotonic() < until, "it does not recover"


def test_redis_that_is_gone_is_not_ready(client: Redis) -> None:
    client.shutdown(nosave=True)
    with pytest.raises(Unavailable):
        readiness.check_redis(client)
    assert readiness.redis_is_away(client)


def test_a_store_that_answers_is_ready(library: Library) -> None:
    assert "answers" in readiness.check_store(library)


def test_a_store_that_is_gone_is_not_ready(library: Library, settings: Settings) -> None:
    Path(settings.library or "").rename(f"{settings.library}-away")
    with pytest.raises(Unavailable):
        readiness.check_store(library)


def test_a_library_that_is_kept_in_another_generation_is_not_ready(library: Library) -> None:
    with pytest.raises(Unavailable, match="this worker makes abc, and the library is kept in none"):
        readiness.check_generation(library, "abc")
