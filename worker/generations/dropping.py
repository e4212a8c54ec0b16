"""Removing a generation: every record of it, its packs and its description, and nothing else."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tasks.errors import Conflict, Vanished
from tasks.layout import Layout
from tasks.ports import Stat, Store
from worker.generations.found import OURS
from worker.storage.local import OWN, LocalStore

AT_ONCE = 32
"""Requests at a time: a store answers each in some ten milliseconds, and takes thousands a second."""


class Dropped(NamedTuple):
    """What became of a generation's objects.

    Attributes:
        removed: gone now, or, where nothing was to be removed, found.
        rewritten: written again while they were to be removed, and so still there.
        foreign: keys of other objects below the generation's name, which no version of ours writes; untouched.
    """

    removed: int
    rewritten: int
    foreign: tuple[str, ...]


def drop(
    store: Store, layout: Layout, generation: str, progress: Callable[[int], None], *, dry_run: bool = False
) -> Dropped:
    """Remove all that is in a generation; its description goes last, so that what is left of it can be told.

    Ended in the middle, the same call again goes on. Each object is removed as it was listed, so that what a writer
    writes meanwhile stays, and is told.

    Args:
        store: holds the sidecars.
        layout: where.
        generation: which; nobody may be writing it, and the pointer may not name it.
        progress: called with the number of objects removed so far.
        dry_run: whether only to count.

    Raises:
        Unavailable: the store does not answer.
    """
    below = layout.generation(generation)
    removed = rewritten = 0

    def remove(stat: Stat) -> bool:
        try:
            if not dry_run:
                store.delete(stat.key, if_match=stat.etag)
        except Conflict:
            return False
        except Vanished:
            return True
        return True

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="drop") as pool:
        for gone in _in_parallel(pool, remove, _objects(store, below)):
            removed += gone
            rewritten += not gone
            progress(removed)
    foreign = tuple(_foreign(store, below))
    if description := store.read(layout.description(generation)):
        removed += remove(Stat(layout.description(generation), description[1], 0))
    if isinstance(store, LocalStore) and not dry_run:
        _remove_folders(store.root / below)
    return Dropped(removed, rewritten, foreign)


def _objects(store: Store, below: str) -> Iterator[Stat]:
    for part in OURS:
        if part.endswith("/"):
            yield from store.list(below + part)


def _foreign(store: Store, below: str) -> Iterator[str]:
    for entry in store.walk(below):
        key = entry if isinstance(entry, str) else entry.key
        if key[len(below) :] not in OURS:
            yield key


def _in_parallel(pool: ThreadPoolExecutor, call: Callable[[Stat], bool], stats: Iterator[Stat]) -> Iterator[bool]:
    """Results in order; the listing is read only so far ahead as there are requests under way."""
    waiting: deque[Future[bool]] = deque()
    try:
        for stat in stats:
            waiting.append(pool.submit(call, stat))
            if len(waiting) > 2 * AT_ONCE:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _remove_folders(top: Path) -> None:
    """Remove directories without files, and what our own writers left unfinished; the rest stays."""
    for folder, _, names in os.walk(top, topdown=False):
        for name in names:
            if name.startswith(OWN):
                with suppress(OSError):
                    (Path(folder) / name).unlink()
        with suppress(OSError):
            Path(folder).rmdir()
