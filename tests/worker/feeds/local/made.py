"""Documents, made by hand."""

import sqlite3
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tantivy

from tasks.feeding.document import Document, Term, document_id
from tasks.records import Category, Embedding
from worker.feeds.local import terms
from worker.feeds.local.reader import Reader

DIMENSIONS = 16
GENERATION = "0123456789ab"


def vector(seed: int) -> np.ndarray:
    made = np.random.default_rng(seed).standard_normal(DIMENSIONS).astype(np.float32)
    return made / np.linalg.norm(made)


def word(rank: int, label: str, *, weight: float = 0.5, **others: str) -> Term:
    return Term(rank, f"c:{label}", {"en": label, **others}, weight, "generated")


def document(key: str, *, version: int = 1, tag: str | None = None, seed: int | None = 0, **fields: Any) -> Document:
    given: dict[str, Any] = {
        "etag": "e",
        "status": "tagged",
        "generation": GENERATION,
        "categories": {"adobe": (Category("7", "Food", 0.5),)},
        "model": "fake",
        "created_at": "2026-01-01T00:00:00.000+00:00",
        "updated_at": "2026-01-01T00:00:00.000+00:00",
        "embedding": None if seed is None else Embedding.pack(vector(seed)),
    }
    own = {"id": document_id("b", key), "tag": tag or f"1:{version}", "version": version, "bucket": "b", "key": key}
    return Document(**{**given, **own, **fields})


class Contents(NamedTuple):
    """What each part of an index has: keys and tags of the documents, and keys by words and by vector."""

    documents: dict[str, str]
    words: set[str]
    vectors: set[str]


def contents(index: Path) -> Contents:
    """What a reader sees of an index, in whichever process."""
    reader = Reader(index)
    try:
        reader.refresh()
        with sqlite3.connect(f"file:{index}/documents.sqlite?mode=ro", uri=True) as connection:
            rows = connection.execute("SELECT row, key, tag, id FROM documents WHERE tag IS NOT NULL").fetchall()
        keys = {row: key.decode() for row, key, _, _ in rows}
        pictures = tantivy.Query.exists_query("row")
        words = [row for row, _ in reader.search(pictures, 100_000) if row != terms.STATE]
        assert len(words) == len(set(words))
        # The graph finds the nearest; that it has all of them is another question.
        near = reader.vectors.nearest_of(vector(0), list(keys), 100_000) if reader.vectors else []
        vectors = {keys[each.row] for each in near}
        return Contents({keys[row]: tag for row, _, tag, _ in rows}, {keys.get(row, "?") for row in words}, vectors)
    finally:
        reader.close()
