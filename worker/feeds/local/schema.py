"""The file `documents.sqlite`: its tables, and how it is opened."""

import sqlite3
from pathlib import Path

FORMAT = 1
"""Of the tables; raised when they are changed."""

NAME = "documents.sqlite"

REMEMBERED = 24 * 3600.0
"""Seconds for which the version of a removed document is kept: longer than any change can be on its way."""

_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
-- A row keeps its number through all changes of a document, and no number is ever used again.
CREATE TABLE documents (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    sequence INTEGER NOT NULL,  -- of its last change
    id BLOB NOT NULL UNIQUE,
    key BLOB NOT NULL UNIQUE,   -- UTF-8, so that SQLite's order is that of the listings
    tag TEXT,                   -- NULL: removed, and kept for its version
    version INTEGER NOT NULL,
    removed REAL                -- when, seconds since 1970
);
CREATE UNIQUE INDEX documents_sequence ON documents (sequence);
CREATE INDEX documents_removed ON documents (removed) WHERE removed IS NOT NULL;
-- Apart, since listing reads every row of the table above and none of this one.
CREATE TABLE bodies (row INTEGER PRIMARY KEY, body BLOB NOT NULL, vector BLOB);
CREATE TABLE dead_letters (key BLOB PRIMARY KEY, kind TEXT NOT NULL, reason TEXT NOT NULL, at REAL NOT NULL);
"""


def opened(path: Path, generation: str) -> sqlite3.Connection:
    """The file, to write to; made where it is missing or has no tables yet. Raises `sqlite3.Error`."""
    connection = sqlite3.connect(path, timeout=10.0, isolation_level=None, check_same_thread=False)
    try:
        # Pages of the usual 4,096 bytes would hold one document each, and be half empty.
        connection.execute("PRAGMA page_size = 16384")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        connection.execute("PRAGMA cache_size = -16000")
        if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'meta'").fetchone():
            _make(connection, generation)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def opened_to_read(path: Path) -> sqlite3.Connection:
    """The file, beside whoever writes to it. Raises `sqlite3.Error`."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10.0, isolation_level=None, check_same_thread=False
    )


def _make(connection: sqlite3.Connection, generation: str) -> None:
    # All in one transaction: killed before its end, there are no tables.
    connection.execute("BEGIN IMMEDIATE")
    for statement in _TABLES.split(";"):
        connection.execute(statement)
    values = {"format": FORMAT, "generation": generation, "complete": 0, "sequence": 0}
    connection.executemany("INSERT INTO meta VALUES (?, ?)", values.items())
    connection.execute("COMMIT")
