"""An index as a search reads it, beside whoever writes to it: it sees all that was committed."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import tantivy

from tasks.errors import ConfigurationError, Unavailable
from tasks.feeding.document import Document
from worker.feeds.local import errors, schema, text
from worker.feeds.local.analysis import ANALYZER, analyzer
from worker.feeds.local.bodies import unpacked
from worker.feeds.local.graph import Saved
from worker.feeds.local.nearest import Nearest

_AT_ONCE = 500


class Body(NamedTuple):
    """A row, as a search needs it: its document's id, and its JSON if asked for."""

    id: str
    body: bytes | None


class Reader:
    """One index. One thread at a time.

    Args:
        folder: of the index.

    Raises:
        ConfigurationError: it is not there, is damaged, or of another version.
        Unavailable: it is being made anew at this moment.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, folder / schema.NAME
        with errors.database(self._path):
            self._connection = schema.opened_to_read(self._path)
        try:
            meta = self._meta()
            if meta.get("format") != schema.FORMAT:
                raise ConfigurationError(
                    f"{self._path} is of another version of stockmeta: run `stockmeta feed local LIBRARY --full`"
                )
            self.model: str | None = meta.get("model")
            self._nearest: Nearest | None = None
            self._refreshed = 0.0
            self._open_text()
        except BaseException:
            self._connection.close()
            raise

    def refresh(self) -> None:
        """See what was committed until now."""
        self._see_words()
        meta = self._meta()
        self.model = meta.get("model")
        if meta.get("dimensions") is None:
            return
        before, self._refreshed = self._refreshed, time.time()
        # Who has not looked for so long may have missed removals that are forgotten by now.
        if self._nearest is None or self._refreshed - before > schema.REMEMBERED / 2:
            self._nearest = Nearest(self._folder, int(meta["dimensions"]))
        saved = Saved.parse(meta.get("vectors"))
        if saved is not None and not (self._folder / saved.name).exists():
            # The writer has just replaced the file, and the table has the name of the new one.
            saved = Saved.parse(self._meta().get("vectors"))
        with errors.database(self._path):
            self._nearest.read(self._connection, saved)

    @property
    def vectors(self) -> Nearest | None:
        """Its vectors, if it has any."""
        return self._nearest

    @property
    def schema(self) -> tantivy.Schema:
        """Of the text."""
        return self._index.schema

    def search(self, query: tantivy.Query, limit: int) -> list[tuple[int, float]]:
        """The best rows and their scores."""
        with errors.engine(self._folder):
            # tantivy makes room for as many as are asked for.
            hits = self.searcher.search(query, max(1, min(limit, self.searcher.num_docs)), count=False).hits
            rows = self.searcher.fast_field_values("row", [address for _, address in hits])
        return [(int(row or 0), float(score)) for row, (score, _) in zip(rows, hits, strict=True)]

    def count(self, query: tantivy.Query) -> int:
        """How many documents match."""
        with errors.engine(self._folder):
            return int(self.searcher.search(query, 1, count=True).count)  # type: ignore[attr-defined]  # the stub lacks it

    def rows(self, numbers: Sequence[int], *, bodies: bool) -> Mapping[int, Body]:
        """Documents by row, those that are there."""
        where = "WHERE tag IS NOT NULL AND row IN"
        if bodies:
            found = self._chunks(f"SELECT row, id, body FROM documents JOIN bodies USING (row) {where}", numbers)  # noqa: S608 - fixed
        else:
            found = self._chunks(f"SELECT row, id, NULL FROM documents {where}", numbers)  # noqa: S608 - fixed
        return {row: Body(number.hex(), body) for row, number, body in found}

    def documents(self, ids: Sequence[str]) -> Mapping[str, Document]:
        """Documents by id, those that are there."""
        numbers = [bytes.fromhex(each) for each in ids]
        found = self._chunks("SELECT id, body, vector FROM documents JOIN bodies USING (row) WHERE id IN", numbers)
        with errors.contents(self._path):
            there = {number: unpacked(body, vector) for number, body, vector in found}
        return {number.hex(): there[number] for number in numbers if number in there}

    def close(self) -> None:
        """Let go of the files."""
        with errors.database(self._path):
            self._connection.close()

    def _chunks(self, statement: str, values: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
        with errors.database(self._path):
            for start in range(0, len(values), _AT_ONCE):
                some = values[start : start + _AT_ONCE]
                yield from self._connection.execute(f"{statement} ({','.join('?' * len(some))})", some)

    def _meta(self) -> dict[str, Any]:
        with errors.database(self._path):
            return dict(self._connection.execute("SELECT name, value FROM meta").fetchall())

    def _open_text(self) -> None:
        folder = self._folder / text.NAME
        with errors.engine(folder):
            self._index = tantivy.Index.open(str(folder))
            self._index.register_tokenizer(ANALYZER, analyzer())
            self._index.config_reader("manual")
            self._index.reload()
        self._committed = self._text_state()
        self.searcher = self._index.searcher()

    def _see_words(self) -> None:
        state = self._text_state()
        if state == self._committed:
            return
        # Where the text is being made anew, what there was is searched until there is something again.
        with suppress(Unavailable), errors.engine(self._folder):
            self._index.reload()
            self.searcher, self._committed = self._index.searcher(), state

    def _text_state(self) -> tuple[int, int] | None:
        with suppress(OSError):
            status = (self._folder / text.NAME / "meta.json").stat()
            return status.st_mtime_ns, status.st_ino
        return None
