"""Nearest vectors, as a reader finds them: in the file of vectors, and in what changed since it was written."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.feeds.local import graph
from worker.feeds.local.graph import Saved
from worker.feeds.local.library import search as exact_search

EXACT = 5000
"""So many that pass a filter are looked at one by one: 15 ms, as long as a graph takes to find enough that pass."""

_SPARE = 16
_WIDENED = 4
_WIDEST = 2000


class Near(NamedTuple):
    """A row, and its cosine with what was asked for."""

    row: int
    cosine: float


class Recent:
    """Vectors that changed after the file was written, of float16; and which rows have none any more.

    Args:
        dimensions: of the vectors.
        sequence: of the file.
    """

    def __init__(self, dimensions: int, sequence: int) -> None:
        self.sequence = sequence
        self._matrix = np.empty((64, dimensions), dtype=np.float16)
        self._rows: list[int] = []
        self._places: dict[int, int] = {}
        self._without: set[int] = set()

    def read(self, connection: sqlite3.Connection) -> None:
        """Take in what changed since the last time. Raises `sqlite3.Error`."""
        found = connection.execute(
            "SELECT row, sequence, vector FROM documents LEFT JOIN bodies USING (row) WHERE sequence > ? "
            "ORDER BY sequence",
            (self.sequence,),
        )
        for row, sequence, blob in found:
            self._take(row, None if blob is None else graph.vector_of(blob))
            self.sequence = sequence

    def __contains__(self, row: int) -> bool:
        return row in self._places or row in self._without

    def __len__(self) -> int:
        return len(self._rows)

    def nearest(self, vector: NDArray[np.float32], count: int) -> list[Near]:
        """The nearest of them."""
        found = nearest(self._matrix[: len(self._rows)], self._rows, vector, count + len(self._without))
        return [each for each in found if each.row not in self._without][:count]

    def nearest_of(self, vector: NDArray[np.float32], rows: Sequence[int], count: int) -> list[Near]:
        """The nearest of some rows, as far as they are here."""
        here = [row for row in rows if row in self._places and row not in self._without]
        return nearest(self._matrix[[self._places[row] for row in here]], here, vector, count)

    def _take(self, row: int, vector: NDArray[np.float16] | None) -> None:
        if vector is None:
            self._without.add(row)
            return
        self._without.discard(row)
        place = self._places.setdefault(row, len(self._rows))
        if place == len(self._rows):
            if place == len(self._matrix):
                self._matrix = np.concatenate([self._matrix, np.empty_like(self._matrix)])
            self._rows.append(row)
        self._matrix[place] = vector


class Nearest:
    """The vectors of an index.

    Args:
        folder: of the file.
        dimensions: of the vectors.
    """

    def __init__(self, folder: Path, dimensions: int) -> None:
        self._folder, self.dimensions = folder, dimensions
        self._graph: Any = None
        self._saved: Saved | None = None
        self._recent = Recent(dimensions, 0)

    def read(self, connection: sqlite3.Connection, saved: Saved | None) -> None:
        """Take in what changed. Raises `sqlite3.Error`."""
        if saved != self._saved:
            self._view(saved)
        self._recent.read(connection)

    def __len__(self) -> int:
        return len(self._recent) + (len(self._graph) if self._graph is not None else 0)

    def nearest(self, vector: NDArray[np.float32], limit: int) -> list[Near]:
        """The nearest of all."""
        found = self._recent.nearest(vector, limit)
        size = len(self._graph) if self._graph is not None else 0
        wanted = limit + _SPARE
        while size:
            current = [each for each in self._of_graph(vector, wanted) if each.row not in self._recent]
            if len(current) >= limit or wanted >= size:
                found += current
                break
            wanted *= _WIDENED
        return _best(found, limit)

    def nearest_of(self, vector: NDArray[np.float32], rows: Sequence[int], limit: int) -> list[Near]:
        """The nearest of some rows, each looked at."""
        found = self._recent.nearest_of(vector, rows, limit)
        others = np.array([row for row in rows if row not in self._recent], dtype=np.uint64)
        if self._graph is not None and len(others):
            pairs = [pair for pair in zip(others.tolist(), self._graph.get(others), strict=True) if pair[1] is not None]
            found += nearest(np.array([vector for _, vector in pairs]), [row for row, _ in pairs], vector, limit)
        return _best(found, limit)

    def nearest_passing(
        self, vector: NDArray[np.float32], passing: Callable[[Sequence[int]], set[int]], share: float, limit: int
    ) -> list[Near] | None:
        """The nearest of those that pass, found among more than are wanted; `None` if too few of the nearest pass.

        Args:
            vector: (d,), of unit length.
            passing: which of some rows pass.
            share: of all rows that pass.
            limit: how many are wanted.
        """
        wanted = int(1.5 * limit / share) + _SPARE
        while wanted <= _WIDEST:
            hits = self.nearest(vector, wanted)
            good = passing([each.row for each in hits])
            if len(good) >= limit or len(hits) < wanted:
                return [each for each in hits if each.row in good][:limit]
            wanted *= _WIDENED
        return None

    def _of_graph(self, vector: NDArray[np.float32], count: int) -> list[Near]:
        keys = self._graph.search(vector, min(count, len(self._graph))).keys
        return _scored(np.array(self._graph.get(keys)), [int(key) for key in keys], vector)

    def _view(self, saved: Saved | None) -> None:
        self._graph, self._saved = None, saved
        if saved is not None:
            path, made = self._folder / saved.name, graph.made(self.dimensions)
            # Of a file that cannot be used, all vectors are read from the rows: slow, and right.
            with suppress(OSError, RuntimeError, ValueError):
                if path.stat().st_size == saved.bytes:
                    made.view(path)
                    self._graph = made
        self._recent = Recent(self.dimensions, saved.sequence if saved is not None and self._graph is not None else 0)


def nearest(matrix: NDArray[np.float16], rows: Sequence[int], vector: NDArray[np.float32], count: int) -> list[Near]:
    """The nearest rows of a matrix (n, d) of float16."""
    if not len(rows):
        return []
    chosen = np.arange(len(rows))
    if len(rows) > count + _SPARE:
        # usearch compares as float16, so what is close is ordered anew below.
        found = exact_search(matrix, vector.astype(np.float16), count + _SPARE, "cos", exact=True)
        chosen = found.keys.astype(np.int64)
    return _best(_scored(matrix[chosen], [rows[int(each)] for each in chosen], vector), count)


def _scored(matrix: NDArray[np.float16], rows: Sequence[int], vector: NDArray[np.float32]) -> list[Near]:
    if not len(rows):
        return []
    exact = matrix.astype(np.float32)
    # What float16 rounded is not quite of unit length.
    cosines = exact @ vector / np.linalg.norm(exact, axis=1)
    return [Near(row, float(cosine)) for row, cosine in zip(rows, cosines, strict=True)]


def _best(found: list[Near], limit: int) -> list[Near]:
    return sorted(found, key=lambda each: (-each.cosine, each.row))[:limit]
