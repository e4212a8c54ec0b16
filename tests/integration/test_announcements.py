"""What workers and commands announce of a library, on a real broker, to a feed that has begun."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery
from redis import Redis

from tasks.feeding.changes import Change
from tasks.messages import BACKFILL, SUSPECTS, UPLOADS, TagMessage
from tasks.records import ImageRef
from tests.conftest import REPOSITORY, jpeg
from tests.integration.conftest import Command
from tests.integration.test_worker import COMMAND, environment
from worker.broker import embedded_broker
from worker.celery_settings import make_sender
from worker.queue.changes import CHANGES, RedisChangeStream
from worker.queue.connection import connect
from worker.queue.ledger import MESSAGES
from worker.queue.redis_queue import RedisQueue
from worker.settings import Settings, load_settings


@pytest.fixture
def broker() -> Iterator[str]:
    with embedded_broker() as url:
        yield url


@pytest.fixture
def settings(broker: str, photos: Path, cache_dir: Path) -> Settings:
    return load_settings(broker_url=broker, library=str(photos), model="fake", cache_dir=cache_dir)


@pytest.fixture
def client(settings: Settings) -> Iterator[Redis]:
    with connect(settings) as client:
        yield client


@pytest.fixture
def sender(settings: Settings) -> Iterator[Celery]:
    with make_sender(settings) as sender:
        yield sender


@pytest.fixture
def worker(broker: str, photos: Path, cache_dir: Path, tmp_path: Path) -> Iterator[None]:
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            COMMAND,
            env=environment(cache_dir, BROKER_URL=broker, LIBRARY=photos),
            cwd=REPOSITORY,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield
        finally:
            process.terminate()
            assert process.wait(timeout=60) == 0, (tmp_path / "log").read_text()


def told(stream: RedisChangeStream, count: int) -> dict[str, int]:
    """How often each key was announced, once there are so many."""
    found: list[Change] = []
    while len(found) < count:
        got = stream.read(100, 60)
        assert got, f"only {found}"
        stream.done(got)
        found += [one.change for one in got]
    assert len({change.generation for change in found}) == 1
    assert {change.bucket for change in found} == {"photos"}
    return {change.key: [one.key for one in found].count(change.key) for change in found}


@pytest.mark.usefixtures("worker")
def test_a_worker_announces_whatever_ends(client: Redis, sender: Celery, photos: Path) -> None:
    queue = RedisQueue(sender, client)
    stream = RedisChangeStream(client, "feed")
    stream.missed()

    def message(*keys: str, **fields: object) -> TagMessage:
        return TagMessage(tuple(ImageRef("photos", key) for key in keys), **fields)  # type: ignore[arg-type]

    # Tagged, rejected, gone; and a key that can have no record, of which there is nothing to say.
    queue.send(message("a red.jpg", "broken.jpg", "gone.jpg", ".stockmeta/x.jpg"), UPLOADS)
    assert told(stream, 3) == {"a red.jpg": 1, "broken.jpg": 1, "gone.jpg": 1}

    # Committed by a worker that died before it struck the message; what it did not get to goes on alone.
    queue.send(message("a red.jpg", "blue.jpg", again=True), UPLOADS)
    assert told(stream, 2) == {"a red.jpg": 1, "blue.jpg": 1}

    queue.send(message("deep/녹색.jpg"), SUSPECTS)
    assert told(stream, 1) == {"deep/녹색.jpg": 1}

    # Of a run, and delivered twice: whoever strikes it second announces, too.
    twice = message("blue.jpg", run="run")
    queue.send(twice, BACKFILL)
    assert told(stream, 1) == {"blue.jpg": 1}
    sender.send_task("stockmeta.tag", args=(twice.to_dict(),), queue=BACKFILL)
    assert told(stream, 1) == {"blue.jpg": 1}

    (photos / "blue.jpg").unlink()
    queue.send(message("blue.jpg"), UPLOADS)
    assert told(stream, 1) == {"blue.jpg": 1}
    assert stream.read(10, 0.5) == []
    assert not client.exists(MESSAGES)


@pytest.mark.usefixtures("worker")
def test_commands_announce_what_they_change_themselves(
    client: Redis, stockmeta: Command, broker: str, photos: Path, tmp_path: Path
) -> None:
    (photos / "broken.jpg").unlink()
    for number in range(3):
        (photos / f"{number}.jpg").write_bytes(jpeg())
    given = {"MODEL": "fake", "BROKER_URL": broker}
    assert stockmeta("backfill", photos, **given).returncode == 0
    stream = RedisChangeStream(client, "feed")
    stream.missed()

    (photos / "1.jpg").unlink()
    assert stockmeta("backfill", photos, "--max-orphans", 100, **given).returncode == 0
    assert told(stream, 1) == {"1.jpg": 1}

    out = tmp_path / "out"
    stockmeta("tag", photos / "0.jpg", photos / "blue.jpg", "--out", out, **given)
    assert told(stream, 2) == {"0.jpg": 1, "blue.jpg": 1}
    stockmeta("tag", photos / "0.jpg", "--out", out, **given)
    stockmeta("tag", photos / "0.jpg", **given)
    assert stream.read(10, 0.2) == [], "found, and shown: nothing was written"

    if shutil.which("exiftool") is not None:
        result = stockmeta("write", photos, "--embed", "--in-place", **given)
        assert result.returncode == 0, result.stderr
        keys = {"0.jpg", "2.jpg", "a red.jpg", "blue.jpg", "deep/녹색.jpg"}
        assert set(told(stream, len(keys))) == keys
    assert client.xpending(CHANGES, "feed")["pending"] == 0


def test_a_broker_that_does_not_answer_fails_no_command_that_can_do_without(
    stockmeta: Command, photos: Path, tmp_path: Path
) -> None:
    (photos / "broken.jpg").unlink()
    away = {"MODEL": "fake", "BROKER_URL": "redis://127.0.0.1:1/0"}
    commands: list[tuple[object, ...]] = [("tag", photos, "--out", tmp_path / "out")]
    if shutil.which("exiftool") is not None:
        assert stockmeta("backfill", photos, MODEL="fake").returncode == 0
        commands.append(("write", photos, "--embed", "--in-place"))
    for command in commands:
        result = stockmeta(*command, **away)
        assert result.returncode == 0, result.stderr
        assert result.stderr.count("cannot be reached") == 1, "said once"
        assert len(result.stdout.splitlines()) == 3
