"""Documents, stores that fail, and what a reader makes of the files."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

from tasks.errors import Unavailable
from tasks.feeding.document import Document, document_id
from tasks.feeding.ports import Put, Remove
from worker.feeds.ndjson.replay import documents
from worker.feeds.ndjson.sink import NdjsonSink
from worker.storage.memory import MemoryStore

BUCKET = "photos"
GENERATION = "0123456789ab"


def document(key: str, version: int = 1, **changes: Any) -> Document:
    plain: dict[str, Any] = {
        "id": document_id(BUCKET, key),
        "tag": f'1:"{key}-{version}"',
        "etag": '"1"',
        "generation": GENERATION,
        "status": "tagged",
        "categories": {},
        "created_at": "2026-11-22T00:00:00+00:00",
        "updated_at": "2026-11-22T00:00:00+00:00",
    }
    return Document(version=version, bucket=BUCKET, key=key, **(plain | changes))


def put(key: str, version: int = 1, *, forced: bool = False) -> Put:
    return Put(document(key, version), forced)


def remove(key: str, version: int) -> Remove:
    return Remove(key, version)


def read(store: Any, sink_root: str = "") -> dict[str, int]:
    """What a reader finds: keys and versions."""
    return {found.key: found.version for found in documents(store, sink_root, BUCKET).values()}


def manifest(store: Any, folder: str = f"{BUCKET}/{GENERATION}") -> dict[str, Any]:
    found = store.read(f"{folder}/manifest.json")
    assert found is not None
    data: dict[str, Any] = json.loads(found[0])
    return data


def lines(store: Any, name: str, folder: str = f"{BUCKET}/{GENERATION}") -> list[dict[str, Any]]:
    found = store.read(f"{folder}/{name}")
    assert found is not None
    return [json.loads(line) for line in gzip.decompress(found[0]).splitlines()]


def names(store: Any, prefix: str = "") -> list[str]:
    return sorted(stat.key for stat in store.list(prefix))


def sink(store: Any) -> NdjsonSink:
    return NdjsonSink(store, "", BUCKET)


class FailingStore(MemoryStore):
    """Fails when it is told to, before it has done what was asked or after.

    Attributes:
        failures: what to do with each of the next writes: nothing, `before` or `after`.
    """

    def __init__(self, bucket: str = "files") -> None:
        super().__init__(bucket)
        self.failures: Iterator[str] = iter(())

    def put(self, key: str, data: bytes, *, if_match: str | None) -> str:
        failure = next(self.failures, "")
        if failure == "before":
            raise Unavailable("no answer")
        etag = super().put(key, data, if_match=if_match)
        if failure == "after":
            raise Unavailable("no answer")
        return etag
