"""Which generation a run fills, with a real queue that workers beat on."""

import os
import threading
from collections.abc import Iterator

import pytest
from redis import Redis

from tasks.bulk.feed import Control
from tasks.errors import ConfigurationError
from tasks.generations.pointer import join_generation
from tests.worker.libraries import GENERATION, library
from worker.broker import embedded_broker
from worker.bulk.generation import expected, to_fill
from worker.library import Library
from worker.queue.connection import connect
from worker.queue.heartbeat import Heartbeat, WorkerState
from worker.session import Session, session
from worker.settings import Settings

pytestmark = pytest.mark.integration

FILLING = "ba9876543210"


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    for name in [name for name in os.environ if name.startswith("STOCKMETA_")]:
        monkeypatch.delenv(name)
    with embedded_broker() as url:
        yield Settings(broker_url=url, model="fake")


@pytest.fixture
def here(settings: Settings) -> Iterator[Session]:
    with session(settings) as made:
        yield made


@pytest.fixture
def lib() -> Library:
    return library()


def beat(client: Redis, generation: str, bucket: str = "photos", queues: tuple[str, ...] = ("backfill",)) -> None:
    state = WorkerState(generation + bucket, "host", 1, generation, "fake", queues, 0.0, bucket=bucket)
    Heartbeat(client, lambda: state).beat()


def test_it_is_the_one_that_workers_make_and_that_is_being_filled_first(here: Session, lib: Library) -> None:
    join_generation(lib.sidecars, lib.layout, FILLING, open_new=True)
    beat(here.client, GENERATION)
    assert to_fill(here, lib, None, Control()) == GENERATION
    beat(here.client, FILLING)
    assert to_fill(here, lib, None, Control()) == FILLING
    assert to_fill(here, lib, GENERATION, Control()) == GENERATION


def test_nobody_there_it_waits_and_can_be_ended(
    here: Session, lib: Library, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.bulk.generation.FIRST_SECONDS", 0.0)
    beat(here.client, GENERATION, queues=("uploads",))
    control = Control()
    threading.Timer(0.7, control.stop.set).start()
    assert to_fill(here, lib, None, control) is None
    assert "no worker is heard of that takes backfills" in capsys.readouterr().err
    control = Control()
    threading.Timer(0.5, beat, (here.client, GENERATION)).start()
    assert to_fill(here, lib, None, control) == GENERATION


def test_one_that_is_named_needs_nobody_but_has_to_be_kept(here: Session, lib: Library) -> None:
    assert to_fill(here, lib, GENERATION, Control()) == GENERATION
    with pytest.raises(ConfigurationError, match="neither serves nor is being filled"):
        to_fill(here, lib, FILLING, Control())


def test_workers_of_another_library_are_no_help(here: Session, lib: Library) -> None:
    beat(here.client, GENERATION, bucket="films")
    with pytest.raises(ConfigurationError, match="'photos', and workers have films"):
        to_fill(here, lib, None, Control())
    beat(here.client, GENERATION, bucket="")
    assert to_fill(here, lib, None, Control()) == GENERATION, "a worker of an older version does not say"


def test_a_dry_run_asks_whoever_is_there(settings: Settings, lib: Library, capsys: pytest.CaptureFixture[str]) -> None:
    assert expected(settings, lib, None).generation == GENERATION
    assert "no worker is heard of" in capsys.readouterr().err
    join_generation(lib.sidecars, lib.layout, FILLING, open_new=True)
    with connect(settings) as client:
        beat(client, GENERATION)
        found = expected(settings, lib, None)
        assert (found.generation, [worker.generation for worker in found.heard]) == (GENERATION, [GENERATION])
    assert expected(settings, lib, FILLING).generation == FILLING
