"""Comparing an index with the listing of sidecars, and putting it right."""

import errno
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import IO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import Unavailable
from tasks.feeding import reconcile
from tasks.feeding.ports import Indexed
from tasks.feeding.reconcile import Reconciliation
from tasks.listing.order import Order
from tasks.ports import Stat
from tasks.records import ImageRef
from tests.tasks.feeding.memory_index import MemoryIndex
from tests.tasks.feeding.stand import Stand, tags
from tests.worker.libraries import BUCKET, GENERATION
from worker.storage.memory import MemoryStore

ODD = ("a b.jpg", "a-1.jpg", "a/b.jpg", "a.jpg", "a/b", "a", "foo", "foo-1", "foo.json", "foo.json.json", "한글/1.jpg")
KEYS = st.one_of(st.sampled_from(ODD), st.text(st.sampled_from("a-./ j한\U0010ffff"), min_size=1, max_size=6))
OTHER = "ba9876543210"


@pytest.fixture
def index() -> MemoryIndex:
    return MemoryIndex(GENERATION)


@pytest.mark.parametrize("order", ["bytes", "path"])
@settings(max_examples=30)
@given(
    before=st.sets(KEYS, max_size=12),
    replaced=st.sets(KEYS, max_size=6),
    removed=st.sets(KEYS, max_size=6),
    added=st.sets(KEYS, max_size=6),
    decided=st.sets(KEYS, max_size=6),
)
def test_the_index_is_made_equal_and_then_nothing_differs(
    order: Order, before: set[str], replaced: set[str], removed: set[str], added: set[str], decided: set[str]
) -> None:
    stand, index = Stand(order), MemoryIndex(GENERATION)
    for key in sorted(before):
        stand.commit(key)
    stand.reconcile(index)
    for key in sorted(replaced | added):
        stand.commit(key)
    for key in sorted(removed):
        stand.remove(key)
    for key in sorted(decided):
        stand.decide(key, "Decided")
    there = stand.tags()
    found = dict.fromkeys(there.keys() - index.documents.keys(), "missing")
    found |= dict.fromkeys(index.documents.keys() - there.keys(), "extra")
    found |= {key: "stale" for key, tag in tags(index).items() if key in there and there[key] != tag}

    seen, told = stand.reconcile(index, dry_run=True)
    assert {difference.key: difference.difference for difference in told} == found
    assert (seen.documents, seen.sidecars, seen.differences) == (len(index.documents), len(there), len(found))

    stand.reconcile(index)
    assert tags(index) == there
    again, told = stand.reconcile(index)
    assert (again.differences, again.remaining, told) == (0, 0, [])
    assert again.complete


def test_equal_sides_cost_no_look_at_any_image(index: MemoryIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    stand = Stand()
    for number in range(50):
        stand.commit(f"{number}.jpg")
    stand.decide("7.jpg", "A heron")
    stand.reconcile(index)
    index.asked.clear()
    monkeypatch.setattr(MemoryStore, "read", None)
    stand.reconcile(index)
    assert index.asked == []


def test_only_what_lies_below_the_prefix_is_compared(index: MemoryIndex) -> None:
    stand = Stand(prefix="a/")
    for key in ("a/1.jpg", "b/1.jpg", "a.jpg"):
        stand.commit(key)
        stand.decide(key, "Decided")
    stand.reconcile(index)
    assert set(index.documents) == {"a/1.jpg"}


def test_another_generation_is_another_index(index: MemoryIndex) -> None:
    stand = Stand()
    stand.commit("a.jpg")
    stand.commit("b.jpg", OTHER)
    stand.reconcile(index)
    assert set(index.documents) == {"a.jpg"}


def test_differences_are_told_with_what_became_of_them(index: MemoryIndex) -> None:
    stand = Stand()
    for key in ("a.jpg", "b.jpg", "c.jpg", "d.jpg"):
        stand.commit(key)
    stand.reconcile(index)
    stand.commit("b.jpg")
    stand.remove("c.jpg")
    stand.write(stand.layout.done(GENERATION, ImageRef(BUCKET, "d.jpg")), b"{")
    stand.commit("e.jpg")
    index.refuse = lambda document: "no such field" if document.key == "e.jpg" else None
    found, told = stand.reconcile(index)
    assert [(each.key, each.difference, each.outcome) for each in told] == [
        ("b.jpg", "stale", "put"),
        ("d.jpg", "stale", "broken"),
        ("e.jpg", "missing", "refused"),
        ("c.jpg", "extra", "removed"),
    ]
    assert told[2].reason == "mapping: no such field"
    assert found.remaining == 2


def test_many_documents_without_a_sidecar_are_not_removed_unasked(index: MemoryIndex) -> None:
    stand = Stand()
    for number in range(30):
        stand.commit(f"{number}.jpg")
    stand.reconcile(index)
    for number in range(11):
        stand.remove(f"{number}.jpg")
    found, told = stand.reconcile(index)
    assert (found.kept, found.remaining, len(index.documents)) == (11, 11, 30)
    assert {each.outcome for each in told} == {"kept"}
    found, _ = stand.reconcile(index, most_removed=40.0)
    assert (found.kept, found.outcomes["removed"]) == (0, 11)
    assert tags(index) == stand.tags()


def test_documents_of_images_that_are_gone_or_failed_are_removed_however_many(
    index: MemoryIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "BATCH", 4)
    stand, images = Stand(), MemoryStore(BUCKET)
    stand.sidecars = replace(stand.sidecars, images=images)
    for number in range(50):
        stand.commit(f"{number}.jpg")
        images.put(f"{number}.jpg", b"", if_match=None)
    stand.reconcile(index)
    # What a feed missed while its stream was lost: images that were deleted, and one that was overwritten by no image.
    for number in range(13):
        images.delete(f"{number}.jpg", if_match=images.stat(f"{number}.jpg").etag)
        stand.remove(f"{number}.jpg")
    stand.remove("13.jpg")
    stand.write(stand.layout.failed(GENERATION, ImageRef(BUCKET, "13.jpg")), b"{}")
    found, _ = stand.reconcile(index)
    assert (found.kept, found.outcomes["removed"]) == (0, 14)
    assert tags(index) == stand.tags()
    # Of these nobody knows why they have no sidecar.
    for number in range(14, 25):
        stand.remove(f"{number}.jpg")
    found, told = stand.reconcile(index)
    assert (found.kept, len(told), len(index.documents)) == (11, 11, 36)


def test_where_most_images_are_gone_nothing_is_removed_unasked(index: MemoryIndex) -> None:
    """Another library's folder in its place."""
    stand = Stand()
    stand.sidecars = replace(stand.sidecars, images=MemoryStore(BUCKET))
    for number in range(30):
        stand.commit(f"{number}.jpg")
    stand.reconcile(index)
    for number in range(16):
        stand.remove(f"{number}.jpg")
    assert stand.reconcile(index)[0].kept == 16
    assert stand.reconcile(index, most_removed=60.0)[0].outcomes["removed"] == 16


def test_a_few_are_removed_however_small_the_library(index: MemoryIndex) -> None:
    stand = Stand()
    for number in range(10):
        stand.commit(f"{number}.jpg")
    stand.reconcile(index)
    for number in range(10):
        stand.remove(f"{number}.jpg")
    stand.reconcile(index)
    assert not index.documents


def test_one_percent_of_a_large_index_is_removed(index: MemoryIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "BATCH", 7)
    monkeypatch.setattr(reconcile, "ALWAYS_REMOVED", 0)
    stand = Stand()
    for number in range(300):
        stand.commit(f"{number}.jpg")
    stand.reconcile(index)
    for number in range(3):
        stand.remove(f"{number}.jpg")
    assert stand.reconcile(index)[0].outcomes["removed"] == 3
    for number in range(3, 7):
        stand.remove(f"{number}.jpg")
    assert stand.reconcile(index)[0].kept == 4


def test_what_others_put_right_meanwhile_is_no_difference(index: MemoryIndex) -> None:
    stand = Stand()
    stand.commit("a.jpg")
    stand.reconcile(index)
    stand.commit("a.jpg")
    run = Reconciliation(stand.sidecars, index, stand.deliverer, tell=lambda each: pytest.fail(str(each)))
    index.hook = lambda what: stand.deliverer.deliver(index, ["a.jpg"]) and None if what == "listed" else None
    with closing(run):
        while run.turn(wait=5.0):
            index.hook = lambda _: None
    assert run.compared.outcomes == {"same": 1} or run.compared.differences == 0


@pytest.mark.parametrize("what", ["indexed", "deliver", "delivered"])
def test_after_a_failed_delivery_the_same_images_come_again(what: str, index: MemoryIndex) -> None:
    stand = Stand()
    for key in ("a.jpg", "b.jpg"):
        stand.commit(key)
    failures: list[str] = []

    def failing(now: str) -> None:
        if now == what and len(failures) < 2:
            failures.append(now)
            raise Unavailable("no answer")

    index.hook = failing
    run = Reconciliation(stand.sidecars, index, stand.deliverer)
    failed = 0
    with closing(run):
        while True:
            try:
                if not run.turn(wait=5.0):
                    break
            except Unavailable:
                failed += 1
    assert failed == (1 if what == "delivered" else 2)
    assert tags(index) == stand.tags()
    assert run.compared.found == {"missing": 2}


def test_a_listing_that_breaks_off_begins_anew_and_removes_nothing(
    index: MemoryIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand = Stand()
    for key in ("a.jpg", "b.jpg", "c.jpg"):
        stand.commit(key)
    stand.reconcile(index)
    listed = MemoryStore.list

    def broken(self: MemoryStore, prefix: str = "", *, without: str = "") -> Iterator[Stat]:
        yield from list(listed(self, prefix))[:1]
        raise Unavailable("out: the connection was cut")

    monkeypatch.setattr(MemoryStore, "list", broken)
    run = Reconciliation(stand.sidecars, index, stand.deliverer)
    with pytest.raises(Unavailable, match="cut"):
        while run.turn(wait=5.0):
            pass
    assert set(index.documents) == {"a.jpg", "b.jpg", "c.jpg"}
    run.close()
    monkeypatch.undo()
    assert stand.reconcile(index)[0].differences == 0


def test_what_is_met_again_after_a_break_is_counted_once(index: MemoryIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "BATCH", 1)
    stand = Stand()
    for key in ("b.jpg", "c.jpg", "d.jpg", "e.jpg"):
        stand.commit(key)
    stand.reconcile(index)
    stand.commit("a.jpg")
    index.refuse = lambda document: "no such field" if document.key == "a.jpg" else None
    listed, breaks = MemoryIndex.listed, iter([True])

    def broken(self: MemoryIndex) -> Iterator[Indexed]:
        yield from listed(self)
        if next(breaks, False):
            raise Unavailable("the index went away")

    monkeypatch.setattr(MemoryIndex, "listed", broken)
    run = Reconciliation(stand.sidecars, index, stand.deliverer)
    with pytest.raises(Unavailable):
        while run.turn(wait=5.0):
            pass
    while run.turn(wait=5.0):
        pass
    assert (run.compared.outcomes["refused"], run.compared.remaining) == (1, 1)
    run.close()


def test_a_comparison_that_cannot_begin_again_has_not_ended(
    index: MemoryIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand = Stand()
    stand.commit("a.jpg")
    run = Reconciliation(stand.sidecars, index, stand.deliverer)

    def away(*_: object, **__: object) -> Iterator[Stat]:
        raise Unavailable("out: no answer")

    def no_disk(*_: object, **__: object) -> IO[str]:
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patched:
        patched.setattr(MemoryStore, "list", away)
        patched.setattr("tempfile.TemporaryFile", no_disk)
        for _ in range(3):
            with pytest.raises(Unavailable, match="Read-only"):
                while run.turn(wait=5.0):
                    pass
    while run.turn(wait=5.0):
        pass
    assert run.compared.complete
    assert tags(index) == stand.tags()
    run.close()
