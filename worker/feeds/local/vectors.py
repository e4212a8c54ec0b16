"""The vectors of an index in usearch, as its writer keeps them: made from the rows, at any time anew."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from tasks.errors import Unavailable
from worker.feeds.local import errors, graph
from worker.feeds.local.graph import Saved
from worker.feeds.local.rows import Changed, Rows

FEW = 10_000
"""Vectors that a search looks at one by one, since the file lacks them; a graph of fewer is not worth its file."""

_SHARE = 10
"""Or one in so many of all."""

_PAGE = 1000

_UNSAVED = 100_000
"""Vectors after which a graph that catches up is written: a minute or two of work, if it is killed then."""


class Vectors:
    """The writer's side. One for a folder.

    The graph is loaded when there is much to add, and kept from then on. The file is written when searches would have
    to look at many vectors without it.

    Args:
        folder: of the file.
        rows: what it is made from.
        few: changes that need no file.
    """

    def __init__(self, folder: Path, rows: Rows, few: int = FEW) -> None:
        self._folder, self._rows, self._few = folder, rows, few
        self._graph: Any = None
        self._added = 0
        self.saved = Saved.parse(rows.meta("vectors"))
        if self.saved is not None and not self._whole(self.saved):
            self.saved = None
            rows.keep(vectors=None)
        with suppress(OSError):
            self._remove_others()

    @property
    def sequence(self) -> int | None:
        """Up to which change the file has come; `None` if there is none."""
        return self.saved and self.saved.sequence

    def catch_up(self, *, closing: bool = False) -> None:
        """Add what changed, and write the file where much did. Raises `Unavailable`."""
        dimensions = self._rows.meta("dimensions")
        if dimensions is None:
            return
        since = self.saved.sequence if self.saved else 0
        size = len(self._graph) if self._graph is not None else self._size(dimensions)
        enough = max(self._few, size // _SHARE)
        waiting = self._rows.changes(since, enough + 1)
        if closing and self._graph is not None:
            # What a reader would have to look at is worth a file, now that nothing else is to come.
            enough = max(self._few // 10, size // (10 * _SHARE))
        elif self._graph is None and waiting <= enough:
            return
        self._add(int(dimensions))
        if waiting > enough and self.sequence != self._added:
            self._save()

    def close(self) -> None:
        """Write what is worth it, and let go of the graph."""
        # What the file lacks is found in the rows.
        with suppress(Unavailable):
            self.catch_up(closing=True)
        self._graph = None

    def abandon(self) -> None:
        """Let go of the graph; the file stays as it is."""
        self._graph = None

    def _size(self, dimensions: int) -> int:
        return self.saved.bytes // (2 * dimensions) if self.saved else 0

    def _add(self, dimensions: int) -> None:
        if self._graph is None:
            self._load(dimensions)
        unsaved = 0
        while rows := self._rows.changed(self._added, _PAGE):
            with errors.engine(self._folder):
                self._bring_in(rows)
            self._added, unsaved = rows[-1].sequence, unsaved + len(rows)
            if unsaved >= _UNSAVED:
                self._save()
                unsaved = 0

    def _bring_in(self, rows: Sequence[Changed]) -> None:
        there = self._graph.contains(np.array([each.row for each in rows], dtype=np.uint64))
        new = []
        for each, known in zip(rows, there, strict=True):
            vector = None if each.vector is None else graph.vector_of(each.vector)
            if known:
                if vector is not None and np.array_equal(self._graph.get(each.row), vector):
                    continue
                self._graph.remove(each.row)
            if vector is not None:
                new.append((each.row, vector))
        if new:
            numbers, vectors = zip(*new, strict=True)
            self._graph.add(np.array(numbers, dtype=np.uint64), np.stack(vectors))

    def _whole(self, saved: Saved) -> bool:
        try:
            sound = graph.checksum(self._folder / saved.name) == saved.crc
        except OSError:
            return False
        return sound and saved.sequence <= self._rows.sequence

    def _load(self, dimensions: int) -> None:
        self._graph, self._added = graph.made(dimensions), 0
        if self.saved is not None:
            with suppress(OSError, RuntimeError, ValueError):
                self._graph.load(self._folder / self.saved.name)
                self._added = self.saved.sequence

    def _save(self) -> None:
        unfinished = self._folder / "vectors.unfinished"
        try:
            with errors.engine(self._folder):
                self._graph.save(unfinished)
            with errors.files(unfinished):
                graph.synced(unfinished)
                saved = Saved(self._added, unfinished.stat().st_size, graph.checksum(unfinished))
                unfinished.replace(self._folder / saved.name)
                graph.synced(self._folder)
        except Unavailable:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise
        # The rows name the file, so that one that was not finished is never opened.
        self._rows.keep(vectors=str(saved))
        self.saved = saved
        with errors.files(self._folder):
            self._remove_others()

    def _remove_others(self) -> None:
        for path in self._folder.glob("vectors*"):
            if self.saved is None or path.name != self.saved.name:
                path.unlink(missing_ok=True)
