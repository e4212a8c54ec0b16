"""A Celery worker in a process of its own, on a real broker."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from tasks.messages import TagMessage
from tasks.records import ImageRef
from tests.conftest import REPOSITORY, jpeg
from worker.broker import embedded_broker

COMMAND = [sys.executable, "-m", "celery", "--app", "worker.app", "worker", "--without-mingle", "--without-gossip"]


def environment(cache_dir: Path, **settings: object) -> dict[str, str]:
    given = {"MODEL": "fake", "CACHE_DIR": cache_dir, **settings}
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("STOCKMETA_", "CELERY_"))}
    return clean | {f"STOCKMETA_{name}": str(value) for name, value in given.items()}


@pytest.fixture
def broker() -> Iterator[str]:
    with embedded_broker() as url:
        yield url


def test_a_worker_takes_messages_without_being_told_of_pools(
    broker: str, photos: Path, tmp_path: Path, cache_dir: Path, validate: Callable[[str], dict[str, Any]]
) -> None:
    out = tmp_path / "out"
    refs = tuple(ImageRef("photos", key) for key in ("a red.jpg", "gone.jpg", "broken.jpg", "deep/녹색.jpg"))
    with (tmp_path / "log").open("wb") as log:
        worker = subprocess.Popen(
            COMMAND,
            env=environment(cache_dir, BROKER_URL=broker, LIBRARY=photos, OUTPUT=out),
            cwd=REPOSITORY,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        with Celery(broker=broker) as sender:
            sender.send_task("stockmeta.tag", args=(TagMessage(refs).to_dict(),), queue="uploads")
            expected = {"done/photos/a red.jpg.json", "done/photos/deep/녹색.jpg.json", "failed/photos/broken.jpg.json"}
            deadline = time.monotonic() + 60
            found: dict[str, Path] = {}
            while set(found) != expected and time.monotonic() < deadline:
                time.sleep(0.1)
                found = {str(path.relative_to(path.parents[2 + ("deep" in path.parts)])): path for path in records(out)}
            assert set(found) == expected, (tmp_path / "log").read_text()
            for path in found.values():
                validate(path.read_text(encoding="utf-8"))
            # A message about what is committed already changes nothing; one that is none stops nothing.
            before = {path: path.read_bytes() for path in found.values()}
            sender.send_task("stockmeta.tag", args=({"v": 99},), queue="uploads")
            sender.send_task("stockmeta.tag", args=(TagMessage(refs).to_dict(),), queue="uploads")
            (photos / "last.jpg").write_bytes(jpeg("white"))
            last = TagMessage((ImageRef("photos", "last.jpg"),)).to_dict()
            sender.send_task("stockmeta.tag", args=(last,), queue="uploads")
            while len(records(out)) < 4 and time.monotonic() < deadline + 30:
                time.sleep(0.1)
            assert len(records(out)) == 4
            assert {path: path.read_bytes() for path in found.values()} == before
    finally:
        worker.terminate()
        assert worker.wait(timeout=30) == 0
    assert json.loads((out / "current.json").read_text())["serving"]


def records(out: Path) -> list[Path]:
    return [path for path in out.rglob("*.json") if path.name not in ("current.json", "generation.json")]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "set STOCKMETA_LIBRARY"),
        ({"LIBRARY": "nowhere"}, "nowhere"),
        ({"LIBRARY": REPOSITORY, "MODEL": "no-such-model"}, "no-such-model"),
    ],
)
def test_a_worker_that_cannot_work_does_not_start(
    broker: str, cache_dir: Path, settings: dict[str, object], message: str
) -> None:
    result = subprocess.run(
        COMMAND,
        env=environment(cache_dir, BROKER_URL=broker, **settings),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode != 0
    assert message in result.stderr + result.stdout


def test_a_worker_without_a_broker_says_so(cache_dir: Path) -> None:
    result = subprocess.run(
        COMMAND, env=environment(cache_dir), cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode != 0
    assert "STOCKMETA_BROKER_URL" in result.stderr + result.stdout
