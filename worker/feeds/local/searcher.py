"""Searches in a folder of indexes: whichever serves, from the moment on that it does."""

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from tantivy import Occur, Query

from tasks.errors import ConfigurationError, Unavailable
from tasks.feeding.document import Document
from tasks.searching.ports import Filters, Ranked, WordQuery
from worker.feeds.local import errors
from worker.feeds.local.folder import Folder, Serving
from worker.feeds.local.nearest import EXACT, Near
from worker.feeds.local.reader import Reader
from worker.feeds.local.words import Known, Understood, Words, filtering, only, strength

_ATTEMPTS = 5
"""To open an index while the feed replaces it."""


class LocalSearcher:
    """Reads the index that serves. One thread at a time; any number of searchers.

    Args:
        folder: what a `LocalSink` was given.

    Raises:
        ConfigurationError: there is nothing that serves, or it is damaged.
        Unavailable: it is being replaced.
    """

    generation: str
    model: str | None

    def __init__(self, folder: Path) -> None:
        self._folder, self._words = Folder(folder), Words()
        self._serving: Serving | None = None
        self._reader: Reader | None = None
        self._current()

    def by_words(self, query: WordQuery, filters: Filters, limit: int) -> Sequence[Ranked]:
        """The best first."""
        reader = self._current()
        asked = self._words.understood(query, reader.schema, reader.searcher)
        if asked is None or limit < 1:
            return []
        # More than are wanted, since the exact strength of keywords orders those that are close.
        hits = reader.search(only(reader.schema, asked.query, filters), limit + max(20, limit // 2))
        return self._explained(reader, asked, hits, limit)

    def by_vector(self, vector: NDArray[np.float32], filters: Filters, limit: int) -> Sequence[Ranked]:
        """The nearest by cosine first, to a unit vector (d,). Raises `ValueError` if it has another d."""
        reader = self._current()
        if reader.vectors is None or limit < 1:
            return []
        if vector.shape != (reader.vectors.dimensions,):
            raise ValueError(
                f"the vector has the shape {vector.shape}, and those of the index {reader.vectors.dimensions}"
            )
        found = self._nearest(reader, vector.astype(np.float32), filters, limit)
        there = reader.rows([each.row for each in found], bodies=False)
        return [Ranked(there[each.row].id, each.cosine) for each in found if each.row in there]

    def documents(self, ids: Sequence[str]) -> Mapping[str, Document]:
        """Documents by id, those that are there."""
        return self._current().documents(ids)

    def close(self) -> None:
        """Let go of files."""
        reader, self._reader, self._serving = self._reader, None, None
        if reader is not None:
            reader.close()

    def _nearest(self, reader: Reader, vector: NDArray[np.float32], filters: Filters, limit: int) -> Sequence[Near]:
        vectors = reader.vectors
        assert vectors is not None
        if filters == Filters():
            return vectors.nearest(vector, limit)
        conditions = [(Occur.Must, each) for each in filtering(reader.schema, filters)]
        passing = Query.boolean_query(conditions)
        count = reader.count(passing)
        if not count:
            return []
        if count > EXACT:

            def passes(rows: Sequence[int]) -> set[int]:
                these = Query.term_set_query(reader.schema, "row", list(rows))
                both = Query.boolean_query([(Occur.Must, these), *conditions])
                return {row for row, _ in reader.search(both, max(1, len(rows)))}

            found = vectors.nearest_passing(vector, passes, count / max(count, len(vectors)), limit)
            if found is not None:
                return found
        return vectors.nearest_of(vector, [row for row, _ in reader.search(passing, count)], limit)

    def _explained(
        self, reader: Reader, asked: Understood, hits: Sequence[tuple[int, float]], limit: int
    ) -> list[Ranked]:
        there = reader.rows([row for row, _ in hits], bodies=True)
        found = []
        with errors.contents(self._folder.path):
            for row, score in hits:
                if row in there:
                    known = msgspec.json.decode(zlib.decompress(there[row].body or b""), type=Known)
                    found.append((score + strength(asked, known), there[row].id, known))
        best = sorted(found, key=lambda each: (-each[0], each[1]))[:limit]
        return [Ranked(number, score, self._words.reasons(asked, known)) for score, number, known in best]

    def _current(self) -> Reader:
        """The index that serves now, with all that was committed."""
        for attempt in range(_ATTEMPTS):
            serving = self._folder.serving()
            if serving is None:
                raise ConfigurationError(
                    f"{self._folder.path} has no index that serves: run `stockmeta feed local LIBRARY`"
                )
            try:
                if self._reader is None or serving != self._serving:
                    self.close()
                    self._reader = Reader(self._folder.path / serving.name)
                    self._serving, self.generation = serving, serving.generation
                self._reader.refresh()
                self.model = self._reader.model
                return self._reader
            except (ConfigurationError, Unavailable):
                # Removed between the two looks, if something else serves by now.
                self.close()
                if attempt + 1 == _ATTEMPTS or self._folder.serving() == serving:
                    raise
        raise AssertionError("unreachable")
