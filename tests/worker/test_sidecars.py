"""Records of a library, read one after another."""

from threading import Barrier, BrokenBarrierError

import pytest

from tasks.errors import ConfigurationError, Unavailable
from tasks.layout import Layout
from tasks.published import Human
from tasks.records import ImageRef
from tests.worker.libraries import BUCKET, GENERATION, library, record
from worker.library import Library
from worker.sidecars import UNREAD_IN_A_ROW, Broken, Sidecar, records
from worker.storage.memory import MemoryStore


def done(library: Library, key: str) -> str:
    return library.layout.done(GENERATION, ImageRef(BUCKET, key))


def keys(library: Library) -> list[str]:
    return [found.record.image.key for found in records(library) if isinstance(found, Sidecar)]


def test_all_come_in_the_order_of_the_listing() -> None:
    names = [f"{n:03}.jpg" for n in range(200)]
    assert keys(library(record(name) for name in reversed(names))) == names


def test_only_what_lies_below_the_prefix_is_read() -> None:
    assert keys(library([record("a/1.jpg"), record("b/1.jpg"), record("b/2.jpg")], prefix="b/")) == [
        "b/1.jpg",
        "b/2.jpg",
    ]


def test_several_are_read_at_once_and_none_further_ahead_than_that(monkeypatch: pytest.MonkeyPatch) -> None:
    made = library(record(f"{n:03}.jpg") for n in range(100))
    together = Barrier(4, timeout=5)
    read, reading = MemoryStore.read, []

    def slow(self: MemoryStore, key: str) -> tuple[bytes, str] | None:
        if "/done/" in key:
            reading.append(key)
            if len(reading) <= 4:
                together.wait()
        return read(self, key)

    monkeypatch.setattr(MemoryStore, "read", slow)
    found = records(made, reads=4)
    try:
        next(found)
    except BrokenBarrierError:
        pytest.fail("four were not read at once")
    assert len(reading) <= 8
    found.close()


def test_broken_sidecars_are_reported_and_the_others_come() -> None:
    made = library([record("a.jpg"), record("d.jpg")])
    made.sidecars.put(done(made, "b.jpg"), b"{", if_match=None)
    made.sidecars.put(done(made, "c.jpg"), record("a.jpg").to_json().encode(), if_match=None)
    made.sidecars.put(f"{GENERATION}/done/{BUCKET}/not a record", b"x", if_match=None)
    found = list(records(made))
    assert [type(each) for each in found] == [Sidecar, Broken, Broken, Sidecar]
    broken = [each for each in found if isinstance(each, Broken)]
    assert [each.key for each in broken] == ["b.jpg", "c.jpg"]
    assert all(each.path in each.detail for each in broken)
    assert "another image" in broken[1].detail


def test_what_people_decided_comes_with_the_record_and_a_broken_decision_is_that_images_trouble() -> None:
    made = library([record("a.jpg", title="Ours"), record("b.jpg"), record("c.jpg")])
    made.sidecars.put(
        made.layout.human(ImageRef(BUCKET, "a.jpg")), Human(title="Hers").to_json().encode(), if_match=None
    )
    made.sidecars.put(made.layout.human(ImageRef(BUCKET, "b.jpg")), b'{"title": 1}', if_match=None)
    made.sidecars.put(made.layout.human(ImageRef(BUCKET, "gone.jpg")), b"{}", if_match=None)
    first, second, third = records(made)
    assert isinstance(first, Sidecar) and first.published.title is not None
    assert first.published.title.value == "Hers"
    assert isinstance(second, Broken) and f"human/{BUCKET}/b.jpg.json" in second.detail
    assert isinstance(third, Sidecar) and third.human is None


def test_whether_the_image_is_still_the_same_is_said_if_asked() -> None:
    made = library()
    etag = made.source.put("a.jpg", b"1", if_match=None)
    made.source.put("b.jpg", b"1", if_match=None)
    for each in (record("a.jpg", etag=etag), record("b.jpg", etag='"old"'), record("c.jpg")):
        made.sidecars.put(done(made, each.image.key), each.to_json().encode(), if_match=None)
    asked = [each.source for each in records(made, check_source=True) if isinstance(each, Sidecar)]
    assert asked == ["same", "replaced", "vanished"]
    assert {each.source for each in records(made) if isinstance(each, Sidecar)} == {"not asked"}


def test_a_sidecar_that_vanishes_while_the_listing_runs_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    made = library([record("a.jpg"), record("b.jpg")])
    read = MemoryStore.read
    monkeypatch.setattr(MemoryStore, "read", lambda self, key: None if key.endswith("a.jpg.json") else read(self, key))
    assert keys(made) == ["b.jpg"]


def test_one_that_the_store_does_not_give_is_reported_and_a_store_that_is_down_ends_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = [f"{n:03}.jpg" for n in range(3 * UNREAD_IN_A_ROW)]
    made = library(record(name) for name in names)
    read, down = MemoryStore.read, {names[0]}

    def some(self: MemoryStore, key: str) -> tuple[bytes, str] | None:
        if any(key.endswith(f"/{name}.json") for name in down):
            raise Unavailable(f"{key}: no answer")
        return read(self, key)

    monkeypatch.setattr(MemoryStore, "read", some)
    first, *others = records(made)
    assert isinstance(first, Broken) and first.unread
    assert all(isinstance(each, Sidecar) for each in others)
    down.update(names)
    with pytest.raises(Unavailable, match="in a row"):
        list(records(made))


def test_a_library_without_sidecars_says_what_to_do() -> None:
    empty = Library(MemoryStore(BUCKET), "", MemoryStore("sidecars"), Layout(""))
    with pytest.raises(ConfigurationError, match="--output"):
        list(records(empty))


def test_what_is_nested_too_deep_is_one_images_trouble() -> None:
    deep = b'{"unknown":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    made = library([record("a.jpg"), record("b.jpg")])
    made.sidecars.put(made.layout.human(ImageRef(BUCKET, "a.jpg")), deep, if_match=None)
    made.sidecars.put(done(made, "c.jpg"), deep, if_match=None)
    assert [type(each) for each in records(made)] == [Broken, Sidecar, Broken]
