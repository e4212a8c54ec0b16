"""`stockmeta failed retry`, ended in the middle; its way with a worker is tried in `tests/integration`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from tasks.errors import Conflict, Unavailable
from tasks.generations.pointer import open_generation
from tasks.messages import UPLOADS
from tasks.publish import Publisher
from tasks.records import Image, ImageRef, Record, Status
from tests.tasks.queues import KeptQueue
from worker.commands import failed
from worker.library import Library, open_library
from worker.settings import Settings, load_settings
from worker.storage.local import LocalStore

GENERATION = "0123456789ab"
REF = ImageRef("photos", "broken.jpg")


@pytest.fixture
def settings(photos: Path) -> Settings:
    return load_settings(library=str(photos))


@pytest.fixture
def library(settings: Settings) -> Library:
    """A library with one terminal record."""
    library = open_library(settings)
    open_generation(library.sidecars, library.layout, GENERATION)
    record = Record(
        status=Status.REJECTED,
        image=Image("photos", REF.key, library.source.stat(REF.key).etag),
        generation=GENERATION,
        revision=1,
        created_at="2026-11-22T00:00:00+00:00",
        updated_at="2026-11-22T00:00:00+00:00",
        reason="truncated",
        detail="as told",
    )
    Publisher(library.sidecars, library.layout, GENERATION).publish(record, library.source)
    return library


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> KeptQueue:
    kept = KeptQueue()

    @contextmanager
    def session(settings: Settings) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(queue=kept, worker=None, drain=lambda progress: None)

    monkeypatch.setattr(failed, "session", session)
    return kept


def has_record(library: Library) -> bool:
    return Publisher(library.sidecars, library.layout, GENERATION).current(REF) is not None


def test_an_image_is_sent_again(settings: Settings, library: Library, queue: KeptQueue) -> None:
    assert failed.run_retry(settings, [REF.key], None, everything=False, dry_run=False) == failed.OK
    assert not has_record(library)
    assert [(m.refs, target) for m, target in queue.sent] == [((REF,), UPLOADS)]


@pytest.mark.parametrize("after", ["put_off", "delete"])
def test_wherever_it_is_ended_the_image_has_a_record_or_is_in_the_ledger(
    settings: Settings, library: Library, queue: KeptQueue, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    def gone(*_: object, **__: object) -> None:
        raise Unavailable("ended here")

    if after == "put_off":
        monkeypatch.setattr(LocalStore, "delete", gone)
    else:
        monkeypatch.setattr(queue, "send", gone)
    with pytest.raises(Unavailable):
        failed.run_retry(settings, [REF.key], None, everything=False, dry_run=False)
    assert has_record(library) is (after == "put_off")
    assert [(m.refs, target) for m, target, _ in queue.deferred] == [((REF,), UPLOADS)]


def test_what_somebody_else_wrote_meanwhile_is_left(
    settings: Settings, library: Library, queue: KeptQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def written(*_: object, **__: object) -> None:
        raise Conflict("by somebody else")

    monkeypatch.setattr(LocalStore, "delete", written)
    assert failed.run_retry(settings, [REF.key], None, everything=False, dry_run=False) == failed.NOTHING
    assert queue.sent == []
    assert queue.struck == [message.id for message, _, _ in queue.deferred]
