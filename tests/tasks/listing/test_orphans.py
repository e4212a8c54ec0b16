import errno
from typing import IO

import pytest

from tasks.errors import ConfigurationError, Unavailable
from tasks.feeding.announce import Aside
from tasks.feeding.changes import Change
from tasks.layout import Layout
from tasks.listing.orphans import Orphans, Removed, remove
from tasks.publish import Publisher
from tasks.records import ImageRef
from tests.tasks.queues import KeptChanges
from tests.worker.libraries import GENERATION, record
from worker.storage.memory import MemoryStore


def test_keys_of_every_kind_come_back() -> None:
    keys = ["a.jpg", "line\nbreak.jpg", "한글/사진.jpg", "half\ud800.jpg", 'quote".jpg']
    with Orphans() as orphans:
        for key in keys:
            orphans.add(key)
        assert orphans.count == len(keys)
        assert list(orphans) == keys
        assert list(orphans) == keys


def test_each_is_looked_at_before_its_records_go() -> None:
    source, sidecars, layout = MemoryStore("photos"), MemoryStore("sidecars"), Layout("")
    source.put("there.jpg", b"x", if_match=None)
    for key in ("gone.jpg", "there.jpg"):
        for path in (
            layout.done(GENERATION, ImageRef("photos", key)),
            layout.failed(GENERATION, ImageRef("photos", key)),
        ):
            sidecars.put(path, record(key).to_json().encode(), if_match=None)
    with Orphans() as orphans:
        orphans.add("gone.jpg")
        orphans.add("there.jpg")
        told: list[Removed] = []
        changes = KeptChanges()
        with Aside(changes) as announced:
            remove(orphans, Publisher(sidecars, layout, GENERATION), source, told.append, announced)
    assert told == [Removed(removed=1, there=1)]
    assert Change(GENERATION, "photos", "gone.jpg") in changes.announced
    assert {stat.key.rpartition("/")[2] for stat in sidecars.list()} == {"there.jpg.json"}


def test_where_the_store_does_not_say_nothing_goes() -> None:
    class Away(MemoryStore):
        def fetch(self, key: str, etag: str | None = None):  # type: ignore[no-untyped-def]
            raise Unavailable("away")

    sidecars, layout = MemoryStore("sidecars"), Layout("")
    sidecars.put(layout.done(GENERATION, ImageRef("photos", "a.jpg")), record().to_json().encode(), if_match=None)
    with Orphans() as orphans:
        orphans.add("a.jpg")
        told: list[Removed] = []
        changes = KeptChanges()
        with Aside(changes) as announced:
            remove(orphans, Publisher(sidecars, layout, GENERATION), Away("photos"), told.append, announced)
    assert told == [Removed(unknown=1)]
    assert changes.announced == [Change(GENERATION, "photos", "a.jpg")], "it may have broken off after a removal"
    assert len(list(sidecars.list())) == 1


def test_a_disk_that_is_full_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> IO[str]:
        # Writing to it fails as writing to a full disk does.
        return open("/dev/full", "w+", encoding="ascii")  # noqa: PTH123 - takes what it is given

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with Orphans() as orphans, pytest.raises(ConfigurationError, match="full: make room, or set TMPDIR"):
        for _ in range(2000):
            orphans.add("a.jpg")


def test_a_disk_that_cannot_be_written_to_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> IO[str]:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(Unavailable, match="Read-only file system"):
        Orphans()
