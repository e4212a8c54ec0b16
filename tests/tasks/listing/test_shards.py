"""Sweeps through libraries in memory, in both orders, against a plain computation."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.bulk.feed import Stopped
from tasks.errors import Unavailable
from tasks.layout import Layout, is_image
from tasks.listing import shards
from tasks.listing.order import Order, sortable
from tasks.listing.shards import Sweep
from tasks.ports import Stat
from tasks.records import ImageRef
from worker.storage.memory import MemoryStore

NEW, OLD = "0" * 12, "1" * 12
FOLDERS = st.sampled_from(("", "a/", "a b/", "a-1/", "a/b/", "a.jpg/", "z/y/x/", "한글/"))
NAMES = st.sampled_from(("a.jpg", "a b.jpg", "a-1.jpg", "foo.jpg", "foo.jpg-1.jpg", "foo.jpg.json", "foo.jpg.png", "t"))
KEYS = st.builds(str.__add__, FOLDERS, NAMES)
ORDERS: tuple[Order, ...] = ("bytes", "path")
LAYOUTS = (Layout(), Layout("a/out/"), Layout("z/y/"))


@dataclass(frozen=True)
class Library:
    source: MemoryStore
    sidecars: MemoryStore
    prefix: str = ""
    layout: Layout = field(default_factory=Layout)

    def owns(self, key: str) -> bool:
        return key.startswith(self.prefix) and is_image(key) and not self.is_output(key)

    def is_output(self, key: str) -> bool:
        return self.sidecars is self.source and self.layout.is_output(key)

    def fill(self, images: set[str], done: set[str], failed: set[str], stored: set[str]) -> None:
        for key in images:
            self.source.put(key, b"", if_match=None)
        for path in (
            *(self.layout.done(NEW, ImageRef("b", key)) for key in done),
            *(self.layout.failed(NEW, ImageRef("b", key)) for key in failed),
            *(self.layout.done(OLD, ImageRef("b", key)) for key in stored),
        ):
            self.sidecars.put(path, b"{}", if_match=None)


def sort(stats: Iterator[Stat], order: Order) -> Iterator[Stat]:
    return iter(sorted(stats, key=lambda stat: sortable(stat.key, order)))


def swept(sweep: Sweep) -> dict[str, tuple[bool, ...]]:
    found: dict[str, tuple[bool, ...]] = {}
    for one in sweep:
        assert one.key not in found
        found[one.key] = tuple(side is not None for side in one[1:])
    assert sweep.complete
    return found


def computed(
    library: Library, images: set[str], records: tuple[set[str], set[str], set[str]]
) -> Mapping[str, tuple[bool, ...]]:
    owned = {key for key in images if library.owns(key)}
    listed = [{key for key in side if key.startswith(library.prefix)} for side in records]
    return {key: tuple(key in side for side in (owned, *listed)) for key in owned.union(*listed)}


@pytest.mark.parametrize("order", ORDERS)
@settings(max_examples=40)
@given(
    keys=st.tuples(*[st.sets(KEYS, max_size=20)] * 4),
    lanes=st.sampled_from((1, 1, 3)),
    level=st.sampled_from((0, 2, 2000)),
    small=st.sampled_from((0, 3)),
    prefix=st.sampled_from(("", "", "a/", "z/")),
    layout=st.sampled_from(LAYOUTS),
    apart=st.booleans(),
)
def test_a_sweep_finds_what_there_is(
    order: Order,
    keys: tuple[set[str], set[str], set[str], set[str]],
    lanes: int,
    level: int,
    small: int,
    prefix: str,
    layout: Layout,
    apart: bool,
) -> None:
    source = MemoryStore("b", order)
    library = Library(source, MemoryStore("o", order) if apart else source, prefix, layout)
    keys[0].difference_update({key for key in keys[0] if library.is_output(key)})
    library.fill(*keys)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "LEVEL", level)
        patch.setattr(shards, "SMALL", small)
        assert swept(Sweep(library, NEW, OLD, lanes)) == computed(library, keys[0], keys[1:])


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("order", ORDERS)
def test_images_in_another_order_than_their_records_are_sorted(
    order: Order, lanes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "SMALL", 3)
    other: Order = "path" if order == "bytes" else "bytes"
    library = Library(MemoryStore("b", order), MemoryStore("o", other))
    keys = {"a b.jpg", "a-1.jpg", "a/b.jpg", "a/c/d.jpg", "foo.jpg", "foo.jpg-1.jpg"}
    library.fill(keys, keys, set(), set())
    assert swept(Sweep(library, NEW, lanes=lanes, sort=sort)) == dict.fromkeys(keys, (True, True, False, False))
    with pytest.raises(ValueError, match="sorted"):
        swept(Sweep(library, NEW))


def test_images_that_somebody_else_listed() -> None:
    store = MemoryStore("b")
    library = Library(store, store, "in/")
    library.fill(set(), {"in/b.jpg", "in/gone.jpg"}, set(), set())
    images = iter([Stat(key, "", 0) for key in ("in/c.jpg", "in/b.jpg", "other/a.jpg", "in/notes.txt")])
    sweep = Sweep(library, NEW, sort=sort, images=images)
    assert swept(sweep) == {
        "in/b.jpg": (True, True, False, False),
        "in/c.jpg": (True, False, False, False),
        "in/gone.jpg": (False, True, False, False),
    }
    assert sweep.objects == 4


def test_objects_that_are_no_images_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SMALL", 0)
    store = MemoryStore("b")
    library = Library(store, store)
    library.fill({"a.jpg", "b/c.txt", "b/d.jpg"}, {"a.jpg"}, set(), set())
    for lanes in (1, 4):
        sweep = Sweep(library, NEW, lanes=lanes)
        assert len(swept(sweep)) == 2
        assert sweep.objects == 3


@dataclass
class Watched(MemoryStore):
    """Notes what was listed, and may break off."""

    def __init__(self, order: Order = "bytes", fails: str | None = None) -> None:
        super().__init__("b", order)
        self.fails = fails
        self.seen: list[str] = []

    def list(self, prefix: str = "", *, without: str = "") -> Iterator[Stat]:
        for stat in super().list(prefix, without=without):
            if stat.key == self.fails:
                raise Unavailable("broken off")
            self.seen.append(stat.key)
            yield stat

    def walk(self, prefix: str = "") -> Iterator[Stat | str]:
        for entry in super().walk(prefix):
            if (entry if isinstance(entry, str) else entry.key) == self.fails:
                raise Unavailable("broken off")
            yield entry


@pytest.mark.parametrize("lanes", [1, 4])
def test_sidecars_are_not_listed_as_images(lanes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "LEVEL", 0)
    monkeypatch.setattr(shards, "SMALL", 0)
    store = Watched()
    library = Library(store, store)
    keys = {f"{n}.jpg" for n in range(50)} | {f"deep/{n}.jpg" for n in range(50)}
    library.fill(keys, keys, set(), set())
    assert len(swept(Sweep(library, NEW, lanes=lanes))) == 100
    assert len(store.seen) <= 210


@pytest.mark.parametrize("lanes", [1, 4])
@pytest.mark.parametrize("fails", ["x/c.jpg", "a.jpg", f".stockmeta/{NEW}/done/b/x/b.jpg.json"])
def test_a_listing_that_breaks_off_makes_no_orphan(lanes: int, fails: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SMALL", 0)
    store = Watched()
    library = Library(store, store)
    keys = {f"{folder}{name}.jpg" for folder in ("", "x/", "y/") for name in "abcdef"}
    library.fill(keys, keys, set(), set())
    store.fails = fails
    sweep = Sweep(library, NEW, lanes=lanes)
    with pytest.raises(Unavailable, match="broken off"):
        for one in sweep:
            assert one.image is not None
    assert not sweep.complete


class Endless(MemoryStore):
    """Its listing below a prefix never ends, and none of that is an image; it says when it has begun, and how far."""

    def __init__(self, bucket: str, order: Order, below: str = "") -> None:
        super().__init__(bucket, order)
        self.below = below
        self.begun = threading.Event()
        self.listed = 0

    def list(self, prefix: str = "", *, without: str = "") -> Iterator[Stat]:
        if prefix != self.below:
            yield from super().list(prefix, without=without)
            return
        while True:
            self.listed += 1
            yield Stat(f"{prefix}{self.listed:012}", "x", 1)
            if self.listed == 10_000:
                self.begun.set()


@pytest.mark.timeout(20)
@pytest.mark.parametrize("lanes", (1, 3))
@pytest.mark.parametrize("order", ORDERS)
def test_it_stops_where_nothing_is_found_for_long(lanes: int, order: Order) -> None:
    source = Endless("b", "bytes")
    sweep = Sweep(Library(source, MemoryStore("s", order)), NEW, lanes=lanes, sort=sort)
    threading.Thread(target=lambda: source.begun.wait() and sweep.stop.set(), daemon=True).start()
    with pytest.raises(Stopped):
        next(iter(sweep))
    assert not sweep.complete


@pytest.mark.timeout(20)
def test_closed_it_leaves_nothing_that_still_sorts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SMALL", 0)
    source = Endless("b", "bytes", "a/")
    library = Library(source, MemoryStore("s", "path"))
    source.put("a/1.jpg", b"", if_match=None)
    source.put("own.jpg", b"", if_match=None)
    with closing(iter(Sweep(library, NEW, lanes=3, sort=sort))) as found:
        assert next(found).key == "own.jpg"
        source.begun.wait()
    listed = source.listed
    assert not any(thread.name.startswith("lane-") for thread in threading.enumerate())
    assert source.listed == listed
