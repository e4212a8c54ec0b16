"""What is in the files, by key: tags and versions, in a temporary SQLite database that no other process sees."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from tempfile import gettempdir
from typing import NamedTuple

from tasks.errors import ConfigurationError
from tasks.feeding.ports import Indexed

_PAGE = 1_000
_AT_ONCE = 500
"""Keys in one query; SQLite allows 999 variables everywhere."""


class Known(NamedTuple):
    """What the files say last of a key; a `tag` of `None`: that its document was removed."""

    tag: str | None
    version: int


class State:
    """Keys with what the files say of them. Its file has no name, and is gone when the process ends, however it ends.

    Attributes:
        documents: how many there are.
        broken: whether it failed, and knows nothing for sure any more.

    Raises:
        ConfigurationError: the disk of temporary files is full, or fails.
    """

    def __init__(self) -> None:
        self.documents = 0
        self.broken = False
        with self._reporting():
            # An empty name: a temporary file, of which SQLite holds at most its cache in memory.
            self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode = OFF")
            self._database.execute("PRAGMA cache_size = -16000")
            # Keys as bytes, which is the order in which they are asked for.
            self._database.execute(
                "CREATE TABLE known (key BLOB PRIMARY KEY, tag TEXT, version INTEGER NOT NULL) WITHOUT ROWID"
            )

    def find(self, keys: Sequence[str]) -> Mapping[str, Known]:
        """What is known of these keys."""
        found: dict[str, Known] = {}
        with self._reporting():
            for start in range(0, len(keys), _AT_ONCE):
                some = [_bytes(key) for key in keys[start : start + _AT_ONCE]]
                marks = ",".join("?" * len(some))
                rows = self._database.execute(
                    f"SELECT key, tag, version FROM known WHERE key IN ({marks})",  # noqa: S608 - question marks
                    some,
                )
                found |= {_text(key): Known(tag, version) for key, tag, version in rows}
        return found

    def set(self, rows: Iterable[tuple[str, Known]], before: Mapping[str, Known]) -> None:
        """Note what was written, each key once; `before` is what `find` said of them."""
        rows = list(rows)
        with self._reporting():
            self._database.execute("BEGIN")
            self._database.executemany(
                "INSERT OR REPLACE INTO known VALUES (?, ?, ?)",
                ((_bytes(key), known.tag, known.version) for key, known in rows),
            )
            self._database.execute("COMMIT")
        for key, known in rows:
            was = before.get(key)
            self.documents += (known.tag is not None) - (was is not None and was.tag is not None)

    def listed(self) -> Iterator[Indexed]:
        """Every document by key, in the order of bytes; what is written meanwhile may be among them or not."""
        last = b""
        while True:
            with self._reporting():
                rows = self._database.execute(
                    "SELECT key, tag, version FROM known WHERE key > ? AND tag IS NOT NULL ORDER BY key LIMIT ?",
                    (last, _PAGE),
                ).fetchall()
            yield from (Indexed(_text(key), tag, version) for key, tag, version in rows)
            if len(rows) < _PAGE:
                return
            last = rows[-1][0]

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        """SQLite's errors as ours. None can be got over: what is half written to a file without a journal is lost."""
        try:
            yield
        except sqlite3.ProgrammingError:
            raise
        except sqlite3.DatabaseError as error:
            self.broken = True
            folder = gettempdir()
            if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                raise ConfigurationError(
                    f"knowing what was written needs about 200 bytes an image, and the disk of {folder!r} is full: "
                    "make room, or set TMPDIR to a folder on another disk"
                ) from error
            raise ConfigurationError(
                f"the temporary file of what was written, in {folder!r}, failed ({error}): see to its disk, or set "
                "TMPDIR to a folder on another one, and start again"
            ) from error

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()


def _bytes(key: str) -> bytes:
    return key.encode("utf-8", "surrogatepass")


def _text(key: bytes) -> str:
    return key.decode("utf-8", "surrogatepass")
