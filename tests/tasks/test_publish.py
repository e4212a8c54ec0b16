"""The commit, on the shipped in-memory store; `tests/worker/storage` shows that the real ones behave like it."""

import contextlib
from dataclasses import replace

import pytest

from tasks.errors import Conflict, Vanished
from tasks.layout import Layout
from tasks.ports import Stat
from tasks.publish import NOTHING, Publisher
from tasks.records import Image, ImageRef, Record, Status
from worker.storage.memory import MemoryStore

GENERATION = "0123456789ab"
KEY = "a/b.jpg"


class Racing(MemoryStore):
    """Somebody else writes first, a number of times."""

    def __init__(self, bucket: str, races: int, theirs: Record) -> None:
        super().__init__(bucket)
        self.races = races
        self.theirs = theirs

    def put(self, key: str, data: bytes, *, if_match: str | None) -> str:
        if self.races:
            self.races -= 1
            there = self.read(key)
            super().put(key, self.theirs.to_json().encode(), if_match=there[1] if there else None)
        return super().put(key, data, if_match=if_match)


@pytest.fixture
def source() -> MemoryStore:
    store = MemoryStore("photos")
    store.put(KEY, b"pixels", if_match=None)
    return store


@pytest.fixture
def publisher() -> Publisher:
    return Publisher(MemoryStore("out"), Layout(""), GENERATION)


def record(source: MemoryStore, status: Status = Status.EMPTY, etag: str | None = None) -> Record:
    return Record(
        status=status,
        image=Image("photos", KEY, etag or source.stat(KEY).etag),
        generation=GENERATION,
        revision=1,
        created_at="2026-11-22T00:00:00+00:00",
        updated_at="2026-11-22T00:00:00+00:00",
        reason="no_evidence",
        detail="Nothing.",
    )


def paths(publisher: Publisher) -> list[str]:
    return [stat.key for stat in publisher.sidecars.list()]


def test_a_record_is_committed_where_the_layout_says(source: MemoryStore, publisher: Publisher) -> None:
    committed = publisher.publish(record(source), source)

    assert paths(publisher) == [f"{GENERATION}/done/photos/a/b.jpg.json"]
    assert publisher.current(ImageRef("photos", KEY), source.stat(KEY).etag) == committed
    assert committed.revision > 1_700_000_000_000_000


def test_an_equal_commit_is_kept_as_it_is(source: MemoryStore, publisher: Publisher) -> None:
    first = publisher.publish(record(source), source)
    assert publisher.publish(record(source), source) == first


def test_a_first_commit_has_the_revision_of_its_moment(source: MemoryStore, publisher: Publisher) -> None:
    # Worked on before somebody else's record was written and removed again.
    slow = record(source)
    theirs = publisher.publish(record(source), source)
    path = paths(publisher)[0]
    publisher.sidecars.delete(path, if_match=publisher.sidecars.stat(path).etag)

    first = publisher.publish_first(slow, source)

    assert first.revision > theirs.revision
    assert publisher.current(ImageRef("photos", KEY)) == first


def test_a_new_content_raises_the_revision_and_keeps_the_birth(source: MemoryStore, publisher: Publisher) -> None:
    first = publisher.publish(record(source), source)
    source.put(KEY, b"other", if_match=source.stat(KEY).etag)
    later = replace(record(source), created_at="2027-01-01T00:00:00+00:00")

    second = publisher.publish(later, source)

    assert second.revision > first.revision
    assert second.created_at == first.created_at
    assert len(paths(publisher)) == 1


def test_a_rejection_and_a_result_replace_each_other(source: MemoryStore, publisher: Publisher) -> None:
    publisher.publish(record(source, Status.REJECTED), source)
    assert paths(publisher) == [f"{GENERATION}/failed/photos/a/b.jpg.json"]
    publisher.publish(record(source), source)
    assert paths(publisher) == [f"{GENERATION}/done/photos/a/b.jpg.json"]


def test_nothing_stays_of_an_image_that_is_gone(source: MemoryStore, publisher: Publisher) -> None:
    mine = record(source)
    source.delete(KEY, if_match=source.stat(KEY).etag)
    with pytest.raises(Vanished):
        publisher.publish(mine, source)
    assert paths(publisher) == []


def test_a_stale_worker_does_not_overwrite_what_is_newer(source: MemoryStore, publisher: Publisher) -> None:
    stale = record(source)
    source.put(KEY, b"other", if_match=source.stat(KEY).etag)
    newer = publisher.publish(record(source), source)

    with pytest.raises(Vanished):
        publisher.publish(stale, source)

    assert publisher.current(ImageRef("photos", KEY)) == newer


def test_losing_a_race_to_an_equal_is_success(source: MemoryStore) -> None:
    theirs = replace(record(source), revision=7)
    publisher = Publisher(Racing("out", 1, theirs), Layout(""), GENERATION)
    assert publisher.publish(record(source), source) == theirs


def test_a_race_without_end_is_an_error(source: MemoryStore) -> None:
    different = record(source, etag='"of an older content"')
    publisher = Publisher(Racing("out", 99, different), Layout(""), GENERATION)
    with pytest.raises(Conflict):
        publisher.publish(record(source), source)


def test_a_broken_sidecar_is_replaced(source: MemoryStore, publisher: Publisher) -> None:
    path = f"{GENERATION}/done/photos/a/b.jpg.json"
    publisher.sidecars.put(path, b"{half", if_match=None)
    committed = publisher.publish(record(source), source)
    assert publisher.current(ImageRef("photos", KEY)) == committed


def test_a_stale_rejection_does_not_remove_a_newer_result(source: MemoryStore, publisher: Publisher) -> None:
    stale = record(source, Status.REJECTED)
    source.put(KEY, b"other", if_match=source.stat(KEY).etag)
    newer = publisher.publish(record(source), source)

    with pytest.raises(Vanished):
        publisher.publish(stale, source)

    assert paths(publisher) == [f"{GENERATION}/done/photos/a/b.jpg.json"]
    assert publisher.current(ImageRef("photos", KEY)) == newer


class Counting(MemoryStore):
    """Counts requests."""

    def __init__(self, bucket: str) -> None:
        super().__init__(bucket)
        self.reads = 0

    def read(self, key: str) -> tuple[bytes, str] | None:
        self.reads += 1
        return super().read(key)


def test_what_was_seen_is_not_read_again(source: MemoryStore) -> None:
    store = Counting("out")
    publisher = Publisher(store, Layout(""), GENERATION)
    seen = publisher.look(ImageRef("photos", KEY), source.stat(KEY).etag)
    assert (seen.current, store.reads) == (None, 2)
    publisher.publish(record(source), source, seen)
    assert store.reads == 3


def test_what_was_seen_may_be_outdated(source: MemoryStore, publisher: Publisher) -> None:
    ref = ImageRef("photos", KEY)
    seen = publisher.look(ref)
    first = publisher.publish(record(source), source)
    assert publisher.publish(record(source), source, seen) == first
    rejected = replace(record(source, Status.REJECTED), reason="truncated")
    assert publisher.publish(rejected, source, seen) == first
    assert paths(publisher) == [f"{GENERATION}/done/photos/a/b.jpg.json"]


def test_records_of_an_image_that_is_gone_are_removed(source: MemoryStore, publisher: Publisher) -> None:
    publisher.publish(record(source), source)
    assert not publisher.forget(ImageRef("photos", KEY), source)
    assert len(paths(publisher)) == 1
    source.delete(KEY, if_match=source.stat(KEY).etag)
    assert publisher.forget(ImageRef("photos", KEY), source)
    assert paths(publisher) == []
    assert publisher.forget(ImageRef("photos", KEY), source)


def test_an_image_that_came_back_keeps_what_others_wrote_for_it(source: MemoryStore, publisher: Publisher) -> None:
    publisher.publish(record(source), source)
    source.delete(KEY, if_match=source.stat(KEY).etag)

    class BackMeanwhile(MemoryStore):
        """Is looked at when the image is gone; by the time of the answer it is there again, and committed."""

        back = False

        def stat(self, key: str, etag: str | None = None) -> Stat:
            if self.back:
                return source.stat(key, etag)
            self.back = True
            source.put(KEY, b"back", if_match=None)
            publisher.publish(record(source), source)
            raise Vanished("gone at that moment")

    assert not publisher.forget(ImageRef("photos", KEY), BackMeanwhile("photos"))
    assert len(paths(publisher)) == 1


def test_an_image_that_came_back_as_it_was_is_not_left_without_a_record(
    source: MemoryStore, publisher: Publisher
) -> None:
    publisher.publish(record(source), source)

    class SameAgain(MemoryStore):
        """Is gone at the first look. Then the same bytes come, with the same ETag; and others find them committed."""

        looks = 0

        def stat(self, key: str, etag: str | None = None) -> Stat:
            self.looks += 1
            if self.looks == 1:
                raise Vanished("gone at that moment")
            return source.stat(key, etag)

    assert not publisher.forget(ImageRef("photos", KEY), SameAgain("photos"))


@pytest.mark.parametrize("first", [Status.EMPTY, Status.REJECTED])
def test_two_workers_that_disagree_leave_one_record(source: MemoryStore, first: Status) -> None:
    """Both write before either looks for the other's record."""
    second = Status.REJECTED if first is Status.EMPTY else Status.EMPTY

    class Meeting(MemoryStore):
        """The second worker does all of its work between the first one's write and its look for the other record."""

        met = False

        def put(self, key: str, data: bytes, *, if_match: str | None) -> str:
            etag = super().put(key, data, if_match=if_match)
            if not self.met:
                self.met = True
                Publisher(
                    Late(self, f"/{'done' if first is Status.EMPTY else 'failed'}/"), Layout(""), GENERATION
                ).publish(record(source, second), source)
            return etag

    class Late(MemoryStore):
        """Another worker's view of the same store: what it finds is removed only after the first one has looked."""

        def __init__(self, shared: MemoryStore, theirs: str) -> None:
            super().__init__("out")
            self.shared, self.theirs = shared, theirs

        def read(self, key: str) -> tuple[bytes, str] | None:
            return self.shared.read(key)

        def put(self, key: str, data: bytes, *, if_match: str | None) -> str:
            return self.shared.put(key, data, if_match=if_match)

        def delete(self, key: str, *, if_match: str) -> None:
            removals.append((key, if_match))

    removals: list[tuple[str, str]] = []
    out = Meeting("out")
    publisher = Publisher(out, Layout(""), GENERATION)
    publisher.publish(record(source, first), source)
    for key, etag in removals:
        with contextlib.suppress(Conflict, Vanished):
            out.delete(key, if_match=etag)
    assert paths(publisher) == [f"{GENERATION}/done/photos/a/b.jpg.json"]


def test_what_a_worker_left_that_was_killed_at_its_commit_is_tidied_up(
    source: MemoryStore, publisher: Publisher
) -> None:
    ref, failed = ImageRef("photos", KEY), f"{GENERATION}/failed/photos/a/b.jpg.json"
    etag = source.stat(KEY).etag
    assert publisher.settle(ref, source, etag) is None
    committed = publisher.publish(record(source), source)
    publisher.sidecars.put(failed, record(source, Status.REJECTED, '"older"').to_json().encode(), if_match=None)

    assert publisher.settle(ref, source, etag) == committed
    assert paths(publisher) == [f"{GENERATION}/done/photos/a/b.jpg.json"]


def test_so_is_an_older_result_beside_a_failure(source: MemoryStore, publisher: Publisher) -> None:
    ref, etag = ImageRef("photos", KEY), source.stat(KEY).etag
    committed = publisher.publish(record(source, Status.REJECTED), source)
    done = f"{GENERATION}/done/photos/a/b.jpg.json"
    publisher.sidecars.put(done, record(source, etag='"older"').to_json().encode(), if_match=None)

    assert publisher.settle(ref, source, etag) == committed
    assert paths(publisher) == [f"{GENERATION}/failed/photos/a/b.jpg.json"]


@pytest.mark.parametrize("second", [Status.EMPTY, Status.REJECTED])
def test_a_worker_that_ends_right_after_its_write_leaves_one_record(source: MemoryStore, second: Status) -> None:
    """The image had a record of the other kind, for an older content."""

    class Ended(BaseException):
        """As by SIGKILL."""

    class Ending(MemoryStore):
        ends = False

        def put(self, key: str, data: bytes, *, if_match: str | None) -> str:
            etag = super().put(key, data, if_match=if_match)
            if self.ends:
                raise Ended
            return etag

    out = Ending("out")
    publisher = Publisher(out, Layout(""), GENERATION)
    publisher.publish(record(source, Status.REJECTED if second is Status.EMPTY else Status.EMPTY), source)
    etag = source.put(KEY, b"other", if_match=source.stat(KEY).etag)
    seen = publisher.look(ImageRef("photos", KEY), etag)
    out.ends = True
    with pytest.raises(Ended):
        publisher.publish(record(source, second), source, seen)
    kind = "done" if second is Status.EMPTY else "failed"
    assert paths(publisher) == [f"{GENERATION}/{kind}/photos/a/b.jpg.json"]


def test_tidying_up_leaves_what_is_newer(source: MemoryStore, publisher: Publisher) -> None:
    ref, etag = ImageRef("photos", KEY), source.stat(KEY).etag
    publisher.publish(record(source), source)
    newer = source.put(KEY, b"other", if_match=etag)
    path = f"{GENERATION}/failed/photos/a/b.jpg.json"
    publisher.sidecars.put(path, record(source, Status.REJECTED, newer).to_json().encode(), if_match=None)
    with pytest.raises(Vanished):
        publisher.settle(ref, source, etag)
    assert path in paths(publisher)


def begun(publisher: Publisher, source: MemoryStore, theirs: Status, etag: str | None = None) -> None:
    """Another worker commits after the listing that showed no record, and before the commit that relies on it."""
    publisher.publish(record(source, theirs, etag), source)


def test_of_a_new_image_no_record_is_looked_for(source: MemoryStore) -> None:
    store = Counting("out")
    committed = Publisher(store, Layout(""), GENERATION).publish(record(source), source, NOTHING)
    # That of the other kind, after the write: two workers may disagree.
    assert store.reads == 1
    assert Publisher(store, Layout(""), GENERATION).current(ImageRef("photos", KEY)) == committed


def test_a_new_image_that_is_done_by_now_keeps_what_others_wrote(source: MemoryStore, publisher: Publisher) -> None:
    theirs = publisher.publish(record(source), source)
    assert publisher.publish(record(source), source, NOTHING) == theirs
    assert publisher.publish(record(source, Status.REJECTED), source, NOTHING) == theirs
    assert paths(publisher) == [f"{GENERATION}/done/photos/a/b.jpg.json"]


def test_a_new_image_that_others_failed_at_by_now_ends_with_one_record(
    source: MemoryStore, publisher: Publisher
) -> None:
    begun(publisher, source, Status.REJECTED)
    publisher.publish(record(source), source, NOTHING)
    assert paths(publisher) == [f"{GENERATION}/done/photos/a/b.jpg.json"]


@pytest.mark.parametrize("theirs", [Status.EMPTY, Status.REJECTED])
@pytest.mark.parametrize("mine", [Status.EMPTY, Status.REJECTED])
def test_a_new_image_with_a_record_of_an_older_content_ends_with_one_of_the_newer(
    source: MemoryStore, publisher: Publisher, mine: Status, theirs: Status
) -> None:
    """Replaced between listing and work, and the older content was committed meanwhile."""
    begun(publisher, source, theirs)
    source.put(KEY, b"other", if_match=source.stat(KEY).etag)
    committed = publisher.publish(record(source, mine), source, NOTHING)
    assert committed.image.etag == source.stat(KEY).etag
    assert paths(publisher) == [f"{GENERATION}/{'done' if mine.done else 'failed'}/photos/a/b.jpg.json"]


def test_a_worker_that_slept_overwrites_nothing_of_an_image_that_was_new(
    source: MemoryStore, publisher: Publisher
) -> None:
    stale = record(source)
    source.put(KEY, b"other", if_match=source.stat(KEY).etag)
    newer = publisher.publish(record(source), source)
    for mine in (stale, replace(record(source, Status.REJECTED), image=stale.image)):
        with pytest.raises(Vanished):
            publisher.publish(mine, source, NOTHING)
    assert publisher.current(ImageRef("photos", KEY)) == newer
    assert paths(publisher) == [f"{GENERATION}/done/photos/a/b.jpg.json"]


def test_a_worker_killed_at_the_commit_of_a_new_image_that_others_failed_at_is_tidied_up_after(
    source: MemoryStore, publisher: Publisher
) -> None:
    """The failure was not seen before the write, so it is still there after; whoever gets the message settles it."""
    begun(publisher, source, Status.REJECTED)
    done = f"{GENERATION}/done/photos/a/b.jpg.json"
    publisher.sidecars.put(done, record(source).to_json().encode(), if_match=None)
    settled = publisher.settle(ImageRef("photos", KEY), source, source.stat(KEY).etag)
    assert settled is not None
    assert settled.status is Status.EMPTY
    assert paths(publisher) == [done]
