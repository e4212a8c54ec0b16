"""Objects brought into another order than they came in, on disk: memory stays the same for a hundred million.

Runs are sorted in memory and written to files without names, which are gone when they are closed, however the process
ends; then they are merged. One run alone never touches the disk.
"""

import marshal
import struct
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from heapq import merge
from itertools import islice
from typing import BinaryIO

from tasks.listing.order import Order, sortable
from tasks.listing.temporary import temporary_disk
from tasks.ports import Stat

RUN = 100_000
"""Objects sorted at once, about 40 MB."""
FAN = 64
"""Runs merged at once; so many make one of the next size."""
BLOCK = 256
"""Objects read at once out of each of them."""
LENGTH = struct.Struct("<Q")

PURPOSE = "sorting the listing needs about 200 bytes a key"

Row = tuple[str, Stat]


def sort_on_disk(stats: Iterable[Stat], order: Order, run: int = RUN) -> Iterator[Stat]:
    """All of them, in this order; what comes twice comes out twice.

    Args:
        stats: read to their end before the first comes out.
        order: the one that is wanted.
        run: how many may be in memory.

    Raises:
        ConfigurationError: the disk is full; says which.
        Unavailable: the disk fails. And whatever `stats` raise.
    """
    with ExitStack() as files:
        # By size: many of one level become one of the next.
        levels: list[list[BinaryIO]] = [[]]
        rows = ((sortable(stat.key, order), stat) for stat in stats)
        last = sorted(islice(rows, run))
        while chunk := sorted(islice(rows, run)):
            levels[0].append(_written(last, files))
            _gather(levels, order, files)
            last = chunk
        runs = [_read(file, order) for level in levels for file in level]
        yield from (stat for _, stat in merge(last, *runs))


def _gather(levels: list[list[BinaryIO]], order: Order, files: ExitStack) -> None:
    """Make one run of those of a level, where there are many."""
    for number, runs in enumerate(levels):
        if len(runs) >= FAN:
            if number + 1 == len(levels):
                levels.append([])
            levels[number + 1].append(_written(merge(*(_read(run, order) for run in runs)), files))
            for run in runs:
                run.close()
            levels[number] = []


def _written(rows: Iterable[Row], files: ExitStack) -> BinaryIO:
    with temporary_disk(PURPOSE):
        # Without a name, so that nothing is left of it when we are killed.
        file = files.enter_context(tempfile.TemporaryFile(prefix="stockmeta-sort-"))  # noqa: SIM115 - closed by `files`
        rows = iter(rows)
        while block := list(islice(rows, BLOCK)):
            data = marshal.dumps([tuple(stat) for _, stat in block])
            file.write(LENGTH.pack(len(data)) + data)
        file.seek(0)
    return file


def _read(file: BinaryIO, order: Order) -> Iterator[Row]:
    while True:
        with temporary_disk(PURPOSE):
            length = file.read(LENGTH.size)
            data = file.read(*LENGTH.unpack(length)) if length else b""
        if not data:
            return
        # We wrote it, and no other process can open it.
        for values in marshal.loads(data):  # noqa: S302
            stat = Stat(*values)
            yield sortable(stat.key, order), stat
