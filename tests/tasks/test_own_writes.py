"""What we write into an image ourselves triggers nothing, whatever happens in between."""

from dataclasses import replace
from pathlib import Path

import pytest

from tasks.errors import Conflict, Unavailable
from tasks.feeding.announce import Aside
from tasks.feeding.changes import Change
from tasks.layout import Layout
from tasks.own_words import mark, without_ours
from tasks.own_writes import OwnWriter, is_own
from tasks.records import Embedded, Image, ImageRef, Record, Status
from tests.tasks.queues import KeptChanges
from worker.storage.memory import MemoryStore

SERVING, FILLING = "0123456789ab", "ba9876543210"
THEN = "2026-01-01T00:00:00.000+00:00"


class Source(MemoryStore):
    """A bucket that may not answer."""

    broken = False

    def rewrite(self, key: str, data: bytes, *, if_match: str) -> str:
        if self.broken:
            raise Unavailable("gone away")
        return super().rewrite(key, data, if_match=if_match)


@pytest.fixture
def source() -> Source:
    store = Source("photos")
    store.put("a.jpg", b"picture", if_match=None)
    return store


@pytest.fixture
def writer(source: Source) -> OwnWriter:
    writer = OwnWriter(source, MemoryStore("out"), Layout(""), (SERVING, FILLING))
    ref = ImageRef("photos", "a.jpg", source.stat("a.jpg").etag)
    for generation in writer.generations:
        image = Image("photos", "a.jpg", ref.etag, bytes=7, sha256="0" * 64)
        record = Record(
            status=Status.EMPTY,
            reason="no_evidence",
            detail="Nothing.",
            image=image,
            generation=generation,
            revision=1,
            created_at=THEN,
            updated_at=THEN,
        )
        writer.sidecars.put(writer.layout.done(generation, ref), record.to_json().encode(), if_match=None)
    return writer


def record(writer: OwnWriter, generation: str = SERVING) -> Record:
    found = writer.sidecars.read(writer.layout.done(generation, ImageRef("photos", "a.jpg")))
    assert found
    return Record.from_json(found[0])


def ref(source: Source) -> ImageRef:
    return ImageRef("photos", "a.jpg", source.stat("a.jpg").etag)


def test_the_records_of_all_generations_take_the_new_etag(writer: OwnWriter, source: Source) -> None:
    etag = writer.write(ref(source), b"picture with words")
    assert source.read("a.jpg") == (b"picture with words", etag)
    for generation in writer.generations:
        after = record(writer, generation)
        assert (after.image.etag, after.image.bytes, after.image.sha256) == (etag, 18, after.written)
        assert after.created_at == THEN
        assert after.revision > 1
        assert is_own(after, b"picture with words")


def test_every_record_that_is_written_is_announced(writer: OwnWriter, source: Source) -> None:
    """Also the first time, when only what is going to be written was noted: it is another record by that."""
    kept = KeptChanges()
    writer = replace(writer, changes=(aside := Aside(kept)))
    changes = [Change(generation, "photos", "a.jpg") for generation in writer.generations]
    source.broken = True
    with pytest.raises(Unavailable):
        writer.write(ref(source), b"picture with words")
    aside.close()
    assert kept.announced == changes
    source.broken = False
    writer.write(ref(source), b"picture with words")
    aside.close()
    assert kept.announced == 2 * changes
    with pytest.raises(Conflict):
        writer.write(ImageRef("photos", "a.jpg", "another"), b"more words")
    aside.close()
    assert kept.announced == 2 * changes, "of which no record knows"


def test_an_image_that_was_replaced_is_not_written(writer: OwnWriter, source: Source) -> None:
    before = ref(source)
    newer = source.put("a.jpg", b"another", if_match=before.etag)
    with pytest.raises(Conflict):
        writer.write(before, b"picture with words")
    assert source.read("a.jpg") == (b"another", newer)
    assert record(writer).image.etag == before.etag


def test_ended_before_the_image_is_written_nothing_has_changed(writer: OwnWriter, source: Source) -> None:
    source.broken = True
    with pytest.raises(Unavailable):
        writer.write(ref(source), b"picture with words")
    after = record(writer)
    assert after.image.etag == ref(source).etag
    assert is_own(after, b"picture with words")
    assert not is_own(after, b"picture")
    source.broken = False
    assert writer.write(ref(source), b"picture with words") == record(writer).image.etag


def test_content_is_compared_wherever_it_lies(writer: OwnWriter, source: Source, tmp_path: Path) -> None:
    writer.write(ref(source), b"x" * (3 << 20))
    (tmp_path / "a.jpg").write_bytes(b"x" * (3 << 20))
    assert is_own(record(writer), tmp_path / "a.jpg")
    assert not is_own(None, b"")


def test_what_is_ours_is_left_out_of_what_a_file_says() -> None:
    embedded = Embedded(title="A dog", description="Mine", keywords=("dog", "Kim's dog"), city="Seoul")
    marks = {mark("title", "A  dog"), mark("keywords", "dog"), mark("description", "dog")}
    left = without_ours(embedded, marks)
    assert left == replace(embedded, title=None, keywords=("Kim's dog",))
    assert without_ours(embedded, ()) == embedded


def test_what_a_run_left_undone_the_next_one_finishes(
    writer: OwnWriter, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ref(source)
    with monkeypatch.context() as patched:
        patched.setattr(OwnWriter, "_settle", lambda *_: None)
        etag = writer.write(before, b"picture with words")
    announced = record(writer)
    assert announced.image.etag == before.etag
    finished = writer.finish(announced)
    assert finished is not None
    for generation in writer.generations:
        assert record(writer, generation).image == finished.image
    assert (finished.image.etag, finished.image.bytes) == (etag, 18)


def test_somebody_elses_picture_is_not_taken_for_one_that_a_run_left(
    writer: OwnWriter, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(OwnWriter, "_settle", lambda *_: None)
        etag = writer.write(ref(source), b"picture with words")
    source.put("a.jpg", b"another", if_match=etag)
    announced = record(writer)
    assert writer.finish(announced) is None
    assert record(writer) == announced


def test_of_two_runs_at_once_the_one_that_wrote_tells_the_records(
    writer: OwnWriter, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ref(source)
    announce = OwnWriter._announce

    def overtaken(self: OwnWriter, path: str, which: ImageRef, written: str) -> bool:
        announced = announce(self, path, which, written)
        return announced and announce(self, path, which, "f" * 64)

    with monkeypatch.context() as patched:
        patched.setattr(OwnWriter, "_announce", overtaken)
        etag = writer.write(before, b"picture with words")
    assert record(writer).image.etag == etag
    assert is_own(record(writer), b"picture with words")
    with pytest.raises(Conflict):
        writer.write(before, b"of another run")
