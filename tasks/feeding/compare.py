"""The listing of sidecars against what an index has: what differs, in constant memory, without a request per image.

A document carries the ETags that it was made of, so the two sides are merged as a backfill merges images and records.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from tasks.errors import Rejected, Vanished
from tasks.feeding.changes import Change
from tasks.feeding.document import document_tag
from tasks.feeding.ports import Index
from tasks.layout import Layout
from tasks.listing.merge import Listing, align
from tasks.listing.order import Order
from tasks.listing.prefetch import Prefetched
from tasks.ports import Stat, Store
from tasks.records import ImageRef

Kind = Literal["missing", "stale", "extra"]
"""A sidecar without a document; one whose document was made of something else; a document without a sidecar."""

Sort = Callable[[Iterator[Stat], Order], Iterator[Stat]]
"""Brings objects into another order, in constant memory (`worker.bulk.sorting`)."""


class Row(NamedTuple):
    """What there is of one image.

    Attributes:
        document: of the index; its tag stands for the ETag.
        sidecar: as it was listed; and so is `human`, what people decided.
    """

    key: str
    document: Stat | None = None
    sidecar: Stat | None = None
    human: Stat | None = None

    @property
    def difference(self) -> Kind | None:
        """How index and sidecars differ; `None`: they do not."""
        if self.sidecar is None:
            return None if self.document is None else "extra"
        if self.document is None:
            return "missing"
        human = None if self.human is None else self.human.etag
        return None if self.document.etag == document_tag(self.sidecar.etag, human) else "stale"


@dataclass(frozen=True)
class Sidecars:
    """Where the sidecars of a library lie.

    Attributes:
        store: holds the output root.
        layout: where in it.
        bucket: of the images.
        prefix: of the library: only what lies below it belongs to the index.
        sort: for stores that list by path component.
        images: where the images lie; `None`: they are not looked at.
    """

    store: Store
    layout: Layout
    bucket: str
    prefix: str
    sort: Sort
    images: Store | None = None

    def owns(self, change: Change) -> bool:
        """Whether a change is of an image of this library."""
        return change.bucket == self.bucket and change.key.startswith(self.prefix)

    def ended(self, generation: str, key: str) -> bool:
        """Whether it is known why an image has no sidecar: it is gone, or has a terminal record.

        Raises `Unavailable`.
        """
        if self.images is None:
            return False
        try:
            path = self.layout.failed(generation, ImageRef(self.bucket, key))
        except Rejected:
            return False
        return not _is_there(self.images, key) or _is_there(self.store, path)

    def compare(self, index: Index) -> "Comparison":
        """Begin to compare with an index."""
        return Comparison(self, index)


class Comparison:
    """One comparison. The store is listed on threads of its own; the index is read by whoever iterates.

    Args:
        sidecars: what the index is to be equal to. A listing that has to be sorted is read to its end before the first
            row.
        index: what is compared.
    """

    def __init__(self, sidecars: Sidecars, index: Index) -> None:
        self._sidecars, self._index = sidecars, index
        layout, bucket = sidecars.layout, sidecars.bucket
        self._roots = (layout.prefix("done", index.generation, bucket), layout.prefix("human", None, bucket))
        self._sides = [self._listed(root) for root in self._roots]

    def ready(self, wait: float = 0.0) -> bool:
        """Whether rows come at once from now on, after so many seconds at most. Raises as iterating does."""
        for side in self._sides:
            side.begin()
        return all(side.ready(wait) for side in self._sides)

    def __iter__(self) -> Iterator[Row]:
        """Every image that has a sidecar, a document or something decided.

        Raises:
            Unavailable: a listing or the index broke off. What was found until then is true all the same.
            ConfigurationError: the store lists in another order than it names, or there is no disk to sort on.
        """
        name = repr(self._sidecars.store.bucket)
        documents = (Stat(found.key, found.tag, 0) for found in self._index.listed())
        sides = [Listing(name, iter(side), root) for side, root in zip(self._sides, self._roots, strict=True)]
        try:
            yield from align(Listing("the index", documents), sides, "bytes", Row)
        finally:
            self.close()

    def close(self) -> None:
        """End the listings."""
        for side in self._sides:
            side.close()

    def _listed(self, root: str) -> Prefetched[Stat]:
        def items(closed: Callable[[], bool]) -> Iterator[Stat]:
            store = self._sidecars.store
            listed = _until(closed, store.list(root + self._sidecars.prefix))
            # In the order of their bytes, as the index gives its keys.
            return listed if store.order == "bytes" else self._sidecars.sort(listed, "bytes")

        return Prefetched(items)


def _is_there(store: Store, key: str) -> bool:
    try:
        store.stat(key)
    except Vanished:
        return False
    return True


def _until(closed: Callable[[], bool], stats: Iterator[Stat]) -> Iterator[Stat]:
    for stat in stats:
        if closed():
            return
        yield stat
