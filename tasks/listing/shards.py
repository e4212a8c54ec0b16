"""A library's listings, cut into pieces that are listed and merged at the same time.

A piece is what lies below a prefix. Where lanes would stand idle, it is cut along the next `/`: what lies on that level
itself, and a piece for each prefix below it, on the side of the images or of the records. A level of thousands of
entries is listed as it is.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain, islice
from threading import Event, Lock
from typing import Literal, NamedTuple, Protocol

from tasks.bulk.feed import Stopped
from tasks.layout import Kind, Layout
from tasks.listing.lanes import in_lanes
from tasks.listing.merge import Found, Listing, Side, merge
from tasks.listing.order import Order
from tasks.ports import Stat, Store

LEVEL = 2000
"""A level with more entries is not cut: it would be two pages read for nothing, and a piece for a handful of images."""

SMALL = 2000
"""Objects that are listed sooner than cut into pieces, each of them a request or more."""

LANES = 8

Sort = Callable[[Iterator[Stat], Order], Iterator[Stat]]
"""Brings objects into an order, on disk if need be."""


class Sources(Protocol):
    """A library, as far as it is listed; `worker.library.Library` is one."""

    @property
    def source(self) -> Store:
        """Where the images lie."""

    @property
    def prefix(self) -> str:
        """Only keys that begin so belong to the library; empty, or ends with `/`."""

    @property
    def sidecars(self) -> Store:
        """Where the output root lies; the same object as `source` where they share a bucket."""

    @property
    def layout(self) -> Layout:
        """Paths below the output root."""

    def owns(self, key: str) -> bool:
        """Whether a key of the source is an image of the library."""

    def is_output(self, key: str) -> bool:
        """Whether a key of the source lies in the output root."""


class Shard(NamedTuple):
    """What lies below a prefix of images' keys, and on which sides anything does."""

    prefix: str
    sides: frozenset[Side | Literal["images"]]


@dataclass
class Sweep:
    """One passage through a library: `for found in sweep`, once.

    It ends when all of the library was listed; anything else raises. Closing it early stops its threads.

    Args:
        library: what to list.
        generation: whose records are `done` and `failed`.
        stored: whose sidecars are `stored`, if any.
        lanes: how many listings are merged at the same time; in a folder more than one gain nothing.
        sort: for images and records in stores of different orders.
        images: instead of a listing of the images, in any order; then `sort` is needed, and lanes are not used.
        stop: set when it is to end with `Stopped`, also where nothing is found for long, as while a listing is sorted.

    Attributes:
        complete: whether everything was listed, to the end.
        objects: objects seen on the side of the images, whether images or not.
    """

    library: Sources
    generation: str
    stored: str | None = None
    lanes: int = LANES
    sort: Sort | None = None
    images: Iterator[Stat] | None = None
    stop: Event = field(default_factory=Event)
    complete: bool = False
    objects: int = 0

    def __post_init__(self) -> None:
        self._lock = Lock()
        self._closed = Event()
        self._sorts = False
        kinds: list[tuple[Side, Kind, str]] = [("done", "done", self.generation), ("failed", "failed", self.generation)]
        if self.stored is not None:
            kinds.append(("stored", "done", self.stored))
        bucket, layout = self.library.source.bucket, self.library.layout
        self._roots: Mapping[Side, str] = {side: layout.prefix(kind, name, bucket) for side, kind, name in kinds}

    def __iter__(self) -> Iterator[Found]:
        """Everything, in no particular order.

        Raises:
            Unavailable: as the listings do; and `ConfigurationError`.
            Stopped: `stop` was set.
        """
        self._sorts = self.images is not None or self.library.source.order != self.library.sidecars.order
        if self._sorts and self.sort is None:
            raise ValueError("images that come in another order than their records have to be sorted")
        lanes = self.lanes if self.images is None else 1
        whole = Shard(self.library.prefix, frozenset({"images", *self._roots}))
        with closing(in_lanes(whole, self._work, lanes)) as results:
            try:
                for found in results:  # noqa: UP028 - closing us would close the lanes before what follows
                    yield found
            finally:
                # Before the lanes are waited for: one may have millions to sort yet.
                self._closed.set()
        self.complete = True

    def _work(self, shard: Shard, idle: bool) -> tuple[list[Shard], Iterator[Found]]:
        """Cut a piece where lanes are idle and it is worth it, or else list it."""
        images: Iterator[Stat] = iter(())
        if "images" in shard.sides:
            images = self._listed(shard.prefix) if self.images is None else self.images
            if idle:
                first = list(islice(images, SMALL + 1))
                if len(first) > SMALL and (cut := self._cut(shard)):
                    return cut
                images = chain(first, images)
        return [], self._whole(shard, images)

    def _whole(self, shard: Shard, images: Iterator[Stat]) -> Iterator[Found]:
        """All that lies below a prefix, however deep."""
        order = self.library.sidecars.order
        images = self._owned(images)
        if self._sorts and self.sort is not None:
            images = self.sort(images, order)
        records = {
            side: Listing(self._name(self.library.sidecars), self.library.sidecars.list(root + shard.prefix), root)
            for side, root in self._roots.items()
            if side in shard.sides
        }
        yield from merge(Listing(self._name(self.library.source), images), records, order)

    def _listed(self, prefix: str) -> Iterator[Stat]:
        library = self.library
        root = library.layout.root if library.is_output(library.layout.root) else ""
        return library.source.list(prefix, without=root if root.startswith(prefix) else "")

    def _cut(self, shard: Shard) -> tuple[list[Shard], Iterator[Found]] | None:
        """A level's own objects, and what lies below it; `None` where it is too large."""
        own: dict[str, list[Stat]] = {}
        below: dict[str, set[Side | Literal["images"]]] = {}
        for side in shard.sides:
            store, root = self._side(side)
            entries = list(islice(store.walk(root + shard.prefix), LEVEL + 1))
            if len(entries) > LEVEL:
                return None
            own[side] = [entry for entry in entries if isinstance(entry, Stat)]
            for entry in entries:
                if isinstance(entry, str) and not (side == "images" and self.library.is_output(entry)):
                    below.setdefault(entry[len(root) :], set()).add(side)
        return [Shard(prefix, frozenset(sides)) for prefix, sides in below.items()], self._level(own)

    def _level(self, own: Mapping[str, list[Stat]]) -> Iterator[Found]:
        listings = {side: self._sorted(side, own[side]) for side in self._roots if side in own}
        images = self._owned(iter(own.get("images", ())))
        yield from merge(Listing(self._name(self.library.source), iter(sorted(images, key=_key))), listings, "bytes")

    def _sorted(self, side: Side, stats: list[Stat]) -> Listing:
        return Listing(self._name(self.library.sidecars), iter(sorted(stats, key=_key)), self._roots[side])

    def _side(self, side: Side | Literal["images"]) -> tuple[Store, str]:
        if side == "images":
            return self.library.source, ""
        return self.library.sidecars, self._roots[side]

    def _owned(self, stats: Iterator[Stat]) -> Iterator[Stat]:
        """Those that are images of the library, counted."""
        seen = 0
        owns, stopped, closed = self.library.owns, self.stop.is_set, self._closed.is_set
        try:
            for stat in stats:
                if stopped() or closed():
                    raise Stopped
                seen += 1
                if owns(stat.key):
                    yield stat
        finally:
            with self._lock:
                self.objects += seen

    def _name(self, store: Store) -> str:
        return repr(store.bucket)


def _key(stat: Stat) -> str:
    return stat.key
