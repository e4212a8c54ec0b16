"""Real folders, really watched; only the queue is one that remembers."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tasks.errors import ConfigurationError
from tests.worker.events.conftest import Remembered
from worker.events.folder import FolderSource
from worker.events.intake import Intake, Scope

pytestmark = pytest.mark.integration

SETTLE = 0.3


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "stock"
    folder.mkdir()
    return folder


class Watching:
    """A source that runs in a thread."""

    def __init__(self, source: FolderSource, stop: threading.Event) -> None:
        self._source, self._stop = source, stop
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.error: ConfigurationError | None = None

    def _run(self) -> None:
        try:
            self._source.run(self._ready.set)
        except ConfigurationError as error:
            self.error = error
            self._ready.set()

    def __enter__(self) -> "Watching":
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def join(self) -> None:
        self._thread.join(10)


@pytest.fixture
def watch(root: Path, scope: Scope, intake: Intake) -> Callable[..., Watching]:
    committed = {"gone/": ["gone/a.jpg", "gone/deep/b.jpg"]}

    def make(*, poll: bool = False) -> Watching:
        stop = threading.Event()
        source = FolderSource(
            root, scope, intake, lambda prefix: committed.get(prefix, []), stop, settle=SETTLE, poll=poll
        )
        return Watching(source, stop)

    return make


@contextmanager
def expecting(queue: Remembered, *keys: str) -> Iterator[None]:
    """What the block does is told of as exactly these keys, in any order, within seconds, each once."""
    queue.sent.clear()
    yield
    end = time.monotonic() + 10
    while len(queue.keys) < len(keys) and time.monotonic() < end:
        time.sleep(0.02)
    # Time for what must not come.
    time.sleep(2 * SETTLE + 0.3)
    assert sorted(queue.keys) == sorted(keys)


def test_files_come_change_move_and_go(root: Path, watch: Callable[..., Watching], queue: Remembered) -> None:
    with watch():
        with expecting(queue, "a b.jpg", "녹색.jpg"):
            (root / "a b.jpg").write_bytes(b"1")
            (root / "녹색.jpg").write_bytes(b"1")
            (root / "notes.txt").write_bytes(b"1")
            (root / ".~stockmeta-1.jpg").write_bytes(b"1")
            (root / ".stockmeta").mkdir()
            (root / ".stockmeta" / "thumbnail.jpg").write_bytes(b"1")
        with expecting(queue, "a b.jpg"):
            (root / "a b.jpg").write_bytes(b"12")
        with expecting(queue):
            (root / "a b.jpg").read_bytes()
        with expecting(queue, "a b.jpg", "c.jpg"):
            (root / "a b.jpg").rename(root / "c.jpg")
        with expecting(queue, "c.jpg"):
            (root / "c.jpg").unlink()
        with expecting(queue, "final.jpg"):
            # As rsync and browsers do.
            (root / ".final.jpg.Xa12").write_bytes(b"1")
            (root / ".final.jpg.Xa12").rename(root / "final.jpg")


def test_a_file_that_is_being_written_is_told_of_once(
    root: Path, watch: Callable[..., Watching], queue: Remembered
) -> None:
    with watch(), expecting(queue, "slow.jpg"), (root / "slow.jpg").open("wb") as file:
        for _ in range(12):
            file.write(b"x" * 1000)
            file.flush()
            time.sleep(SETTLE / 3)
            assert queue.keys == []


def test_what_is_in_a_folder_that_comes_or_goes(
    root: Path, tmp_path: Path, watch: Callable[..., Watching], queue: Remembered
) -> None:
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "a.jpg").write_bytes(b"1")
    (outside / "deep" / "b.jpg").write_bytes(b"1")
    (outside / "deep" / "notes.txt").write_bytes(b"1")
    with watch():
        with expecting(queue, "gone/a.jpg", "gone/deep/b.jpg"):
            outside.rename(root / "gone")
        with expecting(queue, "gone/a.jpg", "gone/deep/b.jpg"):
            (root / "gone").rename(outside)
        with expecting(queue, "new/one/x.jpg", "new/y.jpg"):
            # Quicker than any watch can be set on the new folders.
            (root / "new" / "one").mkdir(parents=True)
            (root / "new" / "one" / "x.jpg").write_bytes(b"1")
            (root / "new" / "y.jpg").write_bytes(b"1")
        with expecting(queue, "new/one/x.jpg", "new/y.jpg"):
            shutil.rmtree(root / "new")


def test_events_wait_while_the_queue_is_away(root: Path, watch: Callable[..., Watching], queue: Remembered) -> None:
    queue.fail = 1
    with watch(), expecting(queue, "a.jpg", "b.jpg"):
        (root / "a.jpg").write_bytes(b"1")
        (root / "b.jpg").write_bytes(b"1")


def test_polling_sees_the_same(root: Path, watch: Callable[..., Watching], queue: Remembered) -> None:
    with watch(poll=True), expecting(queue, "a.jpg"):
        (root / "a.jpg").write_bytes(b"1")


def test_a_folder_that_goes_away_ends_it(root: Path, watch: Callable[..., Watching]) -> None:
    with watch() as watching:
        root.rmdir()
        watching.join()
        assert "not there any more" in str(watching.error)
