"""Lines of the files: what each says, and how many of them become a file."""

import hashlib
import zlib
from dataclasses import dataclass
from typing import Literal

import msgspec

from tasks.feeding.document import Document, document_id
from tasks.feeding.ports import Remove
from worker.feeds.ndjson.manifest import File, Kind

MOST_LINES = 50_000
MOST_BYTES = 64 << 20
"""Uncompressed, in one file; with the last line it may be more."""

LEVEL = 3
"""Of gzip. Embeddings hardly compress: level 6 takes half as long again for a sixteenth less."""


@dataclass(frozen=True, slots=True)
class PutLine:
    """A document, as of now. `version` is the document's, or more where a removal had come between."""

    op: Literal["put"]
    id: str
    key: str
    version: int
    document: Document


@dataclass(frozen=True, slots=True)
class RemoveLine:
    """A document is gone."""

    op: Literal["remove"]
    id: str
    key: str
    version: int


def put_line(document: Document, version: int) -> bytes:
    """With its line feed."""
    return msgspec.json.encode(PutLine("put", document.id, document.key, version, document)) + b"\n"


def remove_line(bucket: str, remove: Remove) -> bytes:
    """With its line feed."""
    line = RemoveLine("remove", document_id(bucket, remove.key), remove.key, remove.version)
    return msgspec.json.encode(line) + b"\n"


@dataclass(frozen=True, slots=True)
class Sealed:
    """A file's content, and what the manifest will say of it.

    Attributes:
        fresh: whether all lines put documents of which there was nothing before.
    """

    data: bytes
    documents: int
    removed: int
    first: int
    last: int
    fresh: bool

    def file(self, name: str, kind: Kind) -> File:
        """Its entry in the manifest."""
        digest = hashlib.sha256(self.data).hexdigest()
        return File(name, kind, self.documents, self.removed, len(self.data), digest, self.first, self.last)


class Lines:
    """A file in the making, compressed as it grows. The same lines always give the same bytes."""

    def __init__(self) -> None:
        # 31: with gzip's header, whose time is 0.
        self._compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, 31)
        self._data = bytearray()
        self._bytes = self._documents = self._removed = self._last = 0
        self._first: int | None = None
        self._fresh = True

    def __len__(self) -> int:
        return self._documents + self._removed

    @property
    def full(self) -> bool:
        """Whether it is time for another file."""
        return len(self) >= MOST_LINES or self._bytes >= MOST_BYTES

    def put(self, line: bytes, version: int, *, fresh: bool) -> None:
        """Append a line that puts a document; `fresh` if there was nothing of its id before."""
        self._documents += 1
        self._fresh &= fresh
        self._add(line, version)

    def remove(self, line: bytes, version: int) -> None:
        """Append a line that removes a document."""
        self._removed += 1
        self._fresh = False
        self._add(line, version)

    def _add(self, line: bytes, version: int) -> None:
        self._data += self._compressor.compress(line)
        self._bytes += len(line)
        self._first = version if self._first is None else min(self._first, version)
        self._last = max(self._last, version)

    def sealed(self) -> Sealed:
        """All of it; nothing can be appended any more."""
        self._data += self._compressor.flush()
        return Sealed(bytes(self._data), self._documents, self._removed, self._first or 0, self._last, self._fresh)
