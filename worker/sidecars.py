"""The records of a library, as they are served: read lazily, some at a time, in the order of the listing."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from tasks.errors import ConfigurationError, Rejected, Replaced, Unavailable, Vanished
from tasks.generations.pointer import read_current
from tasks.published import Human, Published, published
from tasks.recorded import parse_record, read_decided
from tasks.records import ImageRef, Record
from worker.library import Library
from worker.storage.local import LocalStore

READS = 16
"""Sidecars that are read at once: what hides a store's latency without burdening it. A folder has none to hide."""

UNREAD_IN_A_ROW = 2 * READS
"""So many that the store did not give, one after another, mean that it is the store and not the sidecars."""

Source = Literal["not asked", "same", "replaced", "vanished"]


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A record as it was found.

    Attributes:
        path: its key in the store of the sidecars; `etag` is the sidecar's.
        human: what people decided about the image.
        source: what has become of the image since the record was made.
    """

    record: Record
    path: str
    etag: str
    human: Human | None = None
    source: Source = "not asked"

    @property
    def published(self) -> Published:
        """What leaves the system of it."""
        return published(self.record, self.human)


@dataclass(frozen=True, slots=True)
class Broken:
    """A record that cannot be used, and why, in words that name the file; `unread` if the store did not give it."""

    key: str
    path: str
    detail: str
    unread: bool = False


Found = Sidecar | Broken


def records(
    library: Library, *, generation: str | None = None, check_source: bool = False, reads: int | None = None
) -> Iterator[Found]:
    """Every sidecar with metadata below the library's prefix, in the order of the store's listing.

    Memory does not grow with the library; only the keys of what people decided are held. A record that vanishes while
    the listing runs is left out, and a broken one does not end it.

    Args:
        library: whose.
        generation: which; default: the one that serves.
        check_source: whether to look for each image, one request more, and say whether it is still the same.
        reads: how many to read at once; default: 1 of a folder, `READS` of other stores.

    Raises:
        ConfigurationError: nothing was tagged here yet, or the pointer to the generations cannot be read.
        Unavailable: the store does not answer; what was listed before has been given by then.
    """
    reader = _Reader(library, check_source, frozenset(_decided(library)))
    if reads is None:
        reads = 1 if isinstance(library.sidecars, LocalStore) else READS
    in_a_row = 0
    for found in _in_parallel(reader.read, _paths(library, generation or serving(library)), reads):
        unread = isinstance(found, Broken) and found.unread
        in_a_row = in_a_row + 1 if unread else 0
        if isinstance(found, Broken) and in_a_row == UNREAD_IN_A_ROW:
            raise Unavailable(f"{in_a_row} sidecars in a row could not be read: {found.detail}")
        if found is not None:
            yield found


def serving(library: Library) -> str:
    """The generation that serves. Raises `ConfigurationError` where there is none yet, and `Unavailable`."""
    current = read_current(library.sidecars, library.layout).serving
    if current is None:
        raise ConfigurationError(
            f"there are no sidecars in {library.sidecars.bucket!r} below {library.layout.root or '/'!r}: run "
            "`stockmeta tag --out` or a worker first, or say with --output where they lie"
        )
    return current


@dataclass(frozen=True)
class _Reader:
    """Reads one sidecar, whatever state it is in; `decided` are the keys of images that people decided about."""

    library: Library
    check_source: bool
    decided: frozenset[str]

    def read(self, path: str) -> Found | None:
        place = self.library.layout.parse(path)
        if place is None:
            return None
        ref = ImageRef(place.bucket, place.key)
        try:
            return self._read(path, ref)
        except (ValueError, Rejected) as error:
            return Broken(ref.key, path, str(error))
        except Unavailable as error:
            return Broken(ref.key, path, str(error), unread=True)

    def _read(self, path: str, ref: ImageRef) -> Sidecar | None:
        found = self.library.sidecars.read(path)
        if found is None:
            return None
        record = parse_record(path, found[0], ref)
        decided = None
        if ref.key in self.decided:
            decided = read_decided(self.library.sidecars, self.library.layout, ref)
        source = self._source(record) if self.check_source else "not asked"
        return Sidecar(record, path, found[1], decided and decided.human, source)

    def _source(self, record: Record) -> Source:
        try:
            self.library.source.stat(record.image.key, record.image.etag)
        except Replaced:
            return "replaced"
        except Vanished:
            return "vanished"
        return "same"


def _decided(library: Library) -> Iterator[str]:
    """Keys of the images that people decided about."""
    layout = library.layout
    for stat in library.sidecars.list(layout.prefix("human", None, library.source.bucket, library.prefix)):
        if place := layout.parse(stat.key):
            yield place.key


def _paths(library: Library, generation: str) -> Iterator[str]:
    prefix = library.layout.prefix("done", generation, library.source.bucket, library.prefix)
    return (stat.key for stat in library.sidecars.list(prefix))


def _in_parallel(read: Callable[[str], Found | None], paths: Iterable[str], reads: int) -> Iterator[Found | None]:
    """The results in the order of the paths, which are read only as far ahead as `reads`."""
    if reads == 1:
        # No thread either: each of its system calls would wait for the interpreter that makes rows of what it read.
        yield from map(read, paths)
        return
    waiting: deque[Future[Found | None]] = deque()
    pool = ThreadPoolExecutor(reads, thread_name_prefix="sidecar")
    trouble: Unavailable | None = None
    try:
        try:
            for path in paths:
                waiting.append(pool.submit(read, path))
                if len(waiting) >= 2 * reads:
                    yield waiting.popleft().result()
        except Unavailable as error:
            # Of the listing: what was listed before it is given first.
            trouble = error
        while waiting:
            yield waiting.popleft().result()
        if trouble is not None:
            raise trouble
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
