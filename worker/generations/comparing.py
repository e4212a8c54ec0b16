"""Compares two generations of a library: merges their listings, reads what is in both, keeps counts."""

import hashlib
import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import groupby
from operator import itemgetter
from typing import Literal, NamedTuple, TypeVar

from tasks.generations.compare import Brief, Comparison
from tasks.layout import SUFFIX
from tasks.listing.merge import Found, Listing, merge
from tasks.listing.order import sortable
from tasks.ports import Stat, Store
from worker.library import Library
from worker.sidecars import READS
from worker.storage.local import LocalStore

Progress = Callable[[str, int, int | None], None]
Given = TypeVar("Given")
Got = TypeVar("Got")

TOLD_AT_A_TIME = 100


class Both(NamedTuple):
    """What two generations have of an image; `None` where it is nothing."""

    key: str
    a: Found | None
    b: Found | None


class Read(NamedTuple):
    """An image's records as they were read; `None` for one that is gone or no record."""

    key: str
    a: Brief | None
    b: Brief | None


def compare(library: Library, a: str, b: str, *, limit: int, sample: int | None, progress: Progress) -> Comparison:
    """Compare two generations, below the library's prefix.

    Args:
        library: whose.
        a: the one, `b` the other generation.
        b: see `a`.
        limit: how many of the most different images to keep.
        sample: read so many images' records at most: those whose keys' hashes are the least, the same every time.
        progress: is told what is being done, and how much of it is.

    Raises:
        ConfigurationError: the store lists in another order than is expected.
        Unavailable: the store does not answer.
    """
    comparison = Comparison(limit)
    in_both = _sorted_out(library, a, b, comparison, progress)
    total = None
    if sample is not None:
        chosen = _sampled(in_both, sample)
        total, in_both = len(chosen), iter(chosen)
    reads = 1 if isinstance(library.sidecars, LocalStore) else READS
    for done, read in enumerate(_in_parallel(lambda both: _read(library.sidecars, both), in_both, reads), 1):
        _take(comparison, read)
        if done % TOLD_AT_A_TIME == 0:
            progress("comparing records", done, total)
    return comparison


def _sorted_out(library: Library, a: str, b: str, comparison: Comparison, progress: Progress) -> Iterator[Both]:
    """What both generations have a record of; the rest is counted, except for failures in one of them."""
    for number, both in enumerate(_aligned(library, a, b), 1):
        if number % TOLD_AT_A_TIME == 0:
            progress("listing", number, None)
        if both.b is None:
            comparison.tell_apart("only_a", both.key)
        elif both.a is None:
            comparison.tell_apart("only_b", both.key)
        elif both.a.done is None and both.b.done is None:
            comparison.tell_apart("failed_both", both.key)
        elif both.b.done is None:
            comparison.tell_apart("failed_only_b", both.key, _reason(library.sidecars, both.b.failed))
        elif both.a.done is None:
            comparison.tell_apart("failed_only_a", both.key)
        else:
            yield both


def _aligned(library: Library, a: str, b: str) -> Iterator[Both]:
    """Both generations' records, by image, in the order of the store."""

    def placed(generation: str, which: int) -> Iterator[tuple[str, int, Found]]:
        for found in _found(library, generation):
            yield sortable(found.key + SUFFIX, library.sidecars.order), which, found

    for _, same in groupby(heapq.merge(placed(a, 0), placed(b, 1)), key=itemgetter(0)):
        sides = {which: found for _, which, found in same}
        yield Both(next(iter(sides.values())).key, sides.get(0), sides.get(1))


def _found(library: Library, generation: str) -> Iterator[Found]:
    """A generation's records by image."""
    store, layout, bucket = library.sidecars, library.layout, library.source.bucket

    def listing(kind: Literal["done", "failed"]) -> Listing:
        whole = layout.prefix(kind, generation, bucket)
        return Listing(store.bucket, store.list(whole + library.prefix), whole)

    images = Listing(bucket, iter(()))
    return merge(images, {"done": listing("done"), "failed": listing("failed")}, store.order)


def _sampled(in_both: Iterable[Both], number: int) -> list[Both]:
    """So many, chosen by a hash of their keys, in the order in which they came."""
    ranked = ((hashlib.sha256(both.key.encode()).digest(), place, both) for place, both in enumerate(in_both))
    chosen = heapq.nsmallest(number, ranked, key=itemgetter(0))
    return [both for _, _, both in sorted(chosen, key=itemgetter(1))]


def _take(comparison: Comparison, read: Read) -> None:
    if read.a is None or read.b is None:
        comparison.tell_apart("unreadable", read.key)
    else:
        comparison.add(read.a, read.b)


def _read(store: Store, both: Both) -> Read:
    assert both.a is not None and both.b is not None
    a, b = (_brief(store, side.done) for side in (both.a, both.b))
    # A record that was copied to another image's path says nothing of that image.
    return Read(both.key, *(brief if brief and brief.image.key == both.key else None for brief in (a, b)))


def _reason(store: Store, failed: Stat | None) -> str | None:
    brief = _brief(store, failed)
    return None if brief is None else brief.reason


def _brief(store: Store, stat: Stat | None) -> Brief | None:
    found = None if stat is None else store.read(stat.key)
    with suppress(ValueError):
        return None if found is None else Brief.from_json(found[0])
    return None


def _in_parallel(call: Callable[[Given], Got], given: Iterable[Given], at_once: int) -> Iterator[Got]:
    """Results in order; what is given is read only so far ahead as is under way."""
    if at_once == 1:
        yield from map(call, given)
        return
    waiting: deque[Future[Got]] = deque()
    pool = ThreadPoolExecutor(at_once, thread_name_prefix="compare")
    try:
        for one in given:
            waiting.append(pool.submit(call, one))
            if len(waiting) >= 2 * at_once:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
