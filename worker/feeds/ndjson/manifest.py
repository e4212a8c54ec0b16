"""What lies below an NDJSON feed's root, and the two small documents that say which of it counts.

<root><library>/serving.json                        which folder readers should take
<root><library>/<generation>[-<n>]/manifest.json    which files count, in the order in which to apply them
<root><library>/<generation>[-<n>]/snapshot-000000.ndjson.gz, changes-000001.ndjson.gz ...
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Literal, Self

import msgspec

from tasks.errors import ConfigurationError
from tasks.feeding.document import SCHEMA as DOCUMENT_SCHEMA
from tasks.feeding.document import VERSION
from tasks.records import decoded

SCHEMA: Literal["stockmeta-ndjson/1"] = "stockmeta-ndjson/1"
SERVING_SCHEMA: Literal["stockmeta-ndjson-serving/1"] = "stockmeta-ndjson-serving/1"

MANIFEST = "manifest.json"
SERVING = "serving.json"

Kind = Literal["snapshot", "changes"]

_FOLDER = re.compile(r"([0-9a-f]{12})(?:-([1-9][0-9]*))?")


@dataclass(frozen=True, slots=True)
class Library:
    """Whose documents these are: the images of one bucket whose keys begin with a prefix."""

    bucket: str
    prefix: str

    @property
    def folder(self) -> str:
        """Name for a folder: the bucket's, with a hash of the prefix where there is one."""
        digest = hashlib.sha256(self.prefix.encode("utf-8", "surrogatepass")).hexdigest()
        return f"{self.bucket}-{digest[:8]}" if self.prefix else self.bucket


@dataclass(frozen=True, slots=True)
class File:
    """A file that counts.

    Attributes:
        kind: a snapshot's lines are all `put`, and no id is in two of them; of changes the last line of an id counts.
        documents: lines that put one; `removed` is lines that remove one.
        bytes: as it lies there, compressed; `sha256` likewise, hex.
        first: the least version in it; `last` is the greatest.
    """

    name: str
    kind: Kind
    documents: int
    removed: int
    bytes: int
    sha256: str
    first: int
    last: int

    @property
    def lines(self) -> int:
        """Of either kind."""
        return self.documents + self.removed


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentKind:
    """What documents are in the files: their schema, and the version of how they are made."""

    schema: str = DOCUMENT_SCHEMA
    version: int = VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Which files of a folder count, schema `stockmeta-ndjson/1`. Replaced in one step, after its files are written.

    Attributes:
        complete: whether it has held all of the library's documents at some time.
        documents: how many there are, once all files are applied.
        files: in the order in which to apply them.
        superseded: names of files that counted before; they go the next time that files are superseded.
        next: number of the next file.
        writer: who writes here, a random number of its own; each feed puts its own first, so that no other goes on.
    """

    schema: Literal["stockmeta-ndjson/1"] = SCHEMA
    library: Library
    generation: str
    document: DocumentKind = DocumentKind()
    complete: bool = False
    documents: int = 0
    files: tuple[File, ...] = ()
    superseded: tuple[str, ...] = ()
    next: int = 0
    writer: str | None = None

    @property
    def changed(self) -> int:
        """Lines that are in no snapshot."""
        return sum(file.lines for file in self.files if file.kind == "changes")

    def to_json(self) -> bytes:
        """Indented, since people read it."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Inverse of `to_json`. Raises `ValueError`, saying where, if it is nothing such."""
        return decoded(data, cls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """Which folder readers should take, schema `stockmeta-ndjson-serving/1`."""

    schema: Literal["stockmeta-ndjson-serving/1"] = SERVING_SCHEMA
    library: Library
    generation: str
    folder: str

    def to_json(self) -> bytes:
        """Indented, since people read it."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Inverse of `to_json`. Raises `ValueError`, saying where, if it is nothing such."""
        return decoded(data, cls)


def folder_name(generation: str, number: int) -> str:
    """Of the first, 1, the generation alone."""
    return generation if number == 1 else f"{generation}-{number}"


def folder_number(name: str, generation: str) -> int | None:
    """Inverse of `folder_name`; `None` for a folder of another generation, or of nothing of ours."""
    found = _FOLDER.fullmatch(name)
    if found is None or found[1] != generation:
        return None
    return int(found[2] or 1)


def check_root(root: str) -> None:
    """Raise `ConfigurationError` for a root that is no prefix."""
    if root.startswith("/") or (root and not root.endswith("/")):
        raise ConfigurationError(f"the files' root {root!r} has to be empty, or to end with / and not begin with it")
