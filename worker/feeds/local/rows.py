"""The documents of an index as rows of SQLite: what is delivered to, and what everything else is made from."""

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from tasks.errors import ConfigurationError
from tasks.feeding.document import document_id
from tasks.feeding.ports import Delivered, Indexed, Operation, Remove
from worker.feeds.local import errors, schema
from worker.feeds.local.decided import Dead, Gone, Present, Written, decided

_AT_ONCE = 500
"""Parameters of one statement; SQLite takes 32,766."""

_PAGE = 2000


class Changed(NamedTuple):
    """A row as of its last change; without a body if the document was removed."""

    row: int
    sequence: int
    body: bytes | None
    vector: bytes | None


class Rows:
    """The writer's side of `documents.sqlite`.

    Args:
        path: of the file.
        generation: of its documents.
        bucket: of their images.

    Raises:
        ConfigurationError: the file is damaged, of another generation, or cannot be written to.
        Unavailable: it is locked, or the disk is full.
    """

    def __init__(self, path: Path, generation: str, bucket: str) -> None:
        self.path, self._bucket = path, bucket
        with errors.database(path):
            self._connection = schema.opened(path, generation)
            if self.meta("format") != schema.FORMAT or self.meta("generation") != generation:
                self._connection.close()
                raise ConfigurationError(
                    f"{path} is of another version of stockmeta or of another generation: "
                    "run `stockmeta feed local LIBRARY --full`, which makes it anew"
                )

    def meta(self, name: str) -> Any:
        """A value of the table `meta`, `None` where there is none."""
        with errors.database(self.path):
            found = self._connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return found and found[0]

    def keep(self, **values: str | int | None) -> None:
        """Write values to the table `meta`, durably."""
        with self._durable():
            self._connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())

    @property
    def sequence(self) -> int:
        """The number of the last change."""
        return int(self.meta("sequence"))

    def count(self) -> int:
        """How many documents there are."""
        with errors.database(self.path):
            found = self._connection.execute("SELECT count(*) FROM documents WHERE tag IS NOT NULL").fetchone()
        return int(found[0])

    def indexed(self, keys: Sequence[str]) -> Mapping[str, Indexed]:
        """The documents of some images that are there."""
        return {
            key: Indexed(key, present.tag, present.version)
            for key, present in self._present(keys).items()
            if present.tag is not None
        }

    def deliver(self, operations: Sequence[Operation]) -> Delivered:
        """All operations or, where this raises, none."""
        dimensions = self.meta("dimensions")
        sequence = self.sequence
        present = self._present([each.key if isinstance(each, Remove) else each.document.key for each in operations])
        plan = decided(operations, present, dimensions)
        with self._transaction():
            for each in plan.written:
                sequence += 1
                self._write(each, sequence)
            for gone in plan.gone:
                sequence += 1
                self._remove(gone, sequence)
            self._bury(plan.dead)
            self._connection.execute("UPDATE meta SET value = ? WHERE name = 'sequence'", (sequence,))
            if dimensions is None and plan.dimensions is not None:
                values = (("dimensions", plan.dimensions), ("model", plan.model))
                self._connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values)
        removed = sum(gone.row is not None and gone.live for gone in plan.gone)
        return Delivered(len(plan.written), removed, plan.outrun, tuple(each.refused for each in plan.dead))

    def durable(self) -> None:
        """Bring all that was delivered to the disk."""
        with self._durable():
            self._connection.execute("UPDATE meta SET value = value WHERE name = 'sequence'")

    def listed(self) -> Iterator[Indexed]:
        """Every document by key. Page by page, so that no reader holds up what is written meanwhile."""
        last = b""
        while True:
            with errors.database(self.path):
                page = self._connection.execute(
                    "SELECT key, tag, version FROM documents WHERE key > ? ORDER BY key LIMIT ?", (last, _PAGE)
                ).fetchall()
            if not page:
                return
            yield from (Indexed(_text(key), tag, version) for key, tag, version in page if tag is not None)
            last = page[-1][0]

    def changed(self, since: int, most: int) -> Sequence[Changed]:
        """At most so many rows that changed after a sequence number, in that order."""
        with errors.database(self.path):
            found = self._connection.execute(
                "SELECT row, sequence, body, vector FROM documents LEFT JOIN bodies USING (row) "
                "WHERE sequence > ? ORDER BY sequence LIMIT ?",
                (since, most),
            )
            return [Changed(*each) for each in found]

    def changes(self, since: int, most: int) -> int:
        """How many rows changed after a sequence number, counted up to `most`."""
        with errors.database(self.path):
            found = self._connection.execute(
                "SELECT count(*) FROM (SELECT 1 FROM documents WHERE sequence > ? LIMIT ?)", (since, most)
            ).fetchone()
        return int(found[0])

    def vectors(self) -> int:
        """How many documents have one."""
        with errors.database(self.path):
            return int(self._connection.execute("SELECT count(vector) FROM bodies").fetchone()[0])

    def forget(self, before: float, sequence: int) -> None:
        """Forget what was removed before a time, and up to a change that both engines have."""
        with self._transaction():
            self._connection.execute("DELETE FROM documents WHERE removed < ? AND sequence <= ?", (before, sequence))

    def close(self) -> None:
        """Let go of the file."""
        with errors.database(self.path):
            self._connection.close()

    def _present(self, keys: Sequence[str]) -> Mapping[str, Present]:
        found: dict[str, Present] = {}
        with errors.database(self.path):
            for start in range(0, len(keys), _AT_ONCE):
                some = [_bytes(key) for key in keys[start : start + _AT_ONCE]]
                marks = ",".join("?" * len(some))
                rows = self._connection.execute(
                    f"SELECT key, row, tag, version FROM documents WHERE key IN ({marks})",  # noqa: S608 - marks
                    some,
                )
                found |= {_text(key): Present(row, tag, version) for key, row, tag, version in rows}
        return found

    def _write(self, each: Written, sequence: int) -> None:
        document = each.document
        row = each.row
        if row is None:
            values = (sequence, bytes.fromhex(document.id), _bytes(document.key), document.tag, each.version)
            row = self._connection.execute(
                "INSERT INTO documents (sequence, id, key, tag, version) VALUES (?, ?, ?, ?, ?)", values
            ).lastrowid
        else:
            self._connection.execute(
                "UPDATE documents SET sequence = ?, tag = ?, version = ?, removed = NULL WHERE row = ?",
                (sequence, document.tag, each.version, row),
            )
        self._connection.execute("INSERT OR REPLACE INTO bodies VALUES (?, ?, ?)", (row, each.body, each.vector))
        self._connection.execute("DELETE FROM dead_letters WHERE key = ?", (_bytes(document.key),))

    def _remove(self, gone: Gone, sequence: int) -> None:
        key = _bytes(gone.key)
        if gone.row is None:
            number = bytes.fromhex(document_id(self._bucket, gone.key))
            values = (sequence, number, key, gone.version, time.time())
            self._connection.execute(
                "INSERT INTO documents (sequence, id, key, version, removed) VALUES (?, ?, ?, ?, ?)", values
            )
        else:
            self._connection.execute(
                "UPDATE documents SET sequence = ?, tag = NULL, version = ?, removed = ? WHERE row = ?",
                (sequence, gone.version, time.time(), gone.row),
            )
            self._connection.execute("DELETE FROM bodies WHERE row = ?", (gone.row,))
        self._connection.execute("DELETE FROM dead_letters WHERE key = ?", (key,))

    def _bury(self, dead: Sequence[Dead]) -> None:
        letters = [(_bytes(each.refused.key), each.refused.kind, each.refused.reason, time.time()) for each in dead]
        self._connection.executemany("INSERT OR REPLACE INTO dead_letters VALUES (?, ?, ?, ?)", letters)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with errors.database(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                # SQLite has rolled back by itself where the disk is full.
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _durable(self) -> Iterator[None]:
        # The log is one file: who brings the last transaction to the disk brings those before it there, too.
        with errors.database(self.path):
            self._connection.execute("PRAGMA synchronous = FULL")
            try:
                with self._transaction():
                    yield
            finally:
                self._connection.execute("PRAGMA synchronous = NORMAL")


def _bytes(key: str) -> bytes:
    return key.encode("utf-8", "surrogatepass")


def _text(key: bytes) -> str:
    return key.decode("utf-8", "surrogatepass")
