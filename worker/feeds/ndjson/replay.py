"""Reading what a feed wrote: the manifest that serves, its files in order, their lines.

What another program has to do to load the documents, and what the feed does itself to know what it has written.
"""

import hashlib
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tasks.errors import ConfigurationError, Rejected, Vanished
from tasks.feeding.document import Document
from tasks.ports import Store
from tasks.records import decoded
from worker.feeds.ndjson.manifest import MANIFEST, SERVING, File, Library, Manifest, Serving

ADVICE = "fill the files anew with `stockmeta feed ndjson --full`"


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it is read; `document` is `None` where it removes one."""

    op: Literal["put", "remove"]
    id: str
    key: str
    version: int
    document: Document | None = None


def read_serving(store: Store, base: str) -> Serving | None:
    """What `serving.json` says; `None` where nothing serves yet.

    Args:
        store: holds the files.
        base: what their keys begin with, up to the library's folder, ending with `/`.

    Raises:
        ConfigurationError: it cannot be understood.
        Unavailable: the store does not answer.
    """
    found = store.read(f"{base}{SERVING}")
    try:
        return Serving.from_json(found[0]) if found else None
    except ValueError as error:
        raise ConfigurationError(f"{base}{SERVING} cannot be understood: {error}; remove it, and {ADVICE}") from error


def read_manifest(store: Store, folder: str) -> tuple[Manifest, str] | None:
    """A folder's manifest and its ETag; `None` where it has none. Raises `ConfigurationError`, `Unavailable`."""
    found = store.read(f"{folder}{MANIFEST}")
    try:
        return (Manifest.from_json(found[0]), found[1]) if found else None
    except ValueError as error:
        raise ConfigurationError(f"{folder}{MANIFEST} cannot be understood: {error}; {ADVICE}") from error


def raw_lines(store: Store, folder: str, file: File) -> Iterator[bytes]:
    """The lines of a file, without line feeds.

    Raises:
        ConfigurationError: it is gone, or is not what the manifest says; names it.
        Unavailable: the store does not answer.
    """
    data = _content(store, f"{folder}{file.name}")
    if data is None:
        raise ConfigurationError(f"{folder}{file.name}, which the manifest names, is gone; {ADVICE}")
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise ConfigurationError(f"{folder}{file.name} is not what the manifest says (SHA-256 differs); {ADVICE}")
    yield from _split(data)


def lines(store: Store, folder: str, manifest: Manifest) -> Iterator[Line]:
    """All lines of all files, in the order in which to apply them. Raises as `raw_lines` does."""
    for file in manifest.files:
        for raw in raw_lines(store, folder, file):
            try:
                yield decoded(raw, Line)
            except ValueError as error:
                raise odd_line(folder, file, error) from error


def documents(store: Store, root: str, bucket: str, prefix: str = "") -> dict[str, Document]:
    """All documents that serve, by id: in memory, so for libraries that fit, and as an example.

    Raises:
        ConfigurationError: nothing serves, or a file is broken.
        Unavailable: the store does not answer.
    """
    base = f"{root}{Library(bucket, prefix).folder}/"
    serving = read_serving(store, base)
    found = read_manifest(store, f"{base}{serving.folder}/") if serving else None
    if serving is None or found is None:
        raise ConfigurationError(f"nothing serves below {base!r}; run `stockmeta feed ndjson`")
    held: dict[str, Document] = {}
    for line in lines(store, f"{base}{serving.folder}/", found[0]):
        if line.document is None:
            held.pop(line.id, None)
        else:
            held[line.id] = line.document
    return held


def odd_line(folder: str, file: File, error: ValueError) -> ConfigurationError:
    """What to say of a line that is none."""
    return ConfigurationError(f"{folder}{file.name} has a line that cannot be understood: {error}; {ADVICE}")


def _content(store: Store, key: str) -> bytes | None:
    try:
        body = store.fetch(key).body
        return body.read_bytes() if isinstance(body, Path) else body
    except (Vanished, FileNotFoundError):
        return None
    except Rejected as error:
        raise ConfigurationError(f"{key}: {error}") from error


def _split(data: bytes) -> Iterator[bytes]:
    """Lines of a gzip file whose SHA-256 was right, decompressed a part at a time."""
    decompressor = zlib.decompressobj(31)
    rest = b""
    parts = io.BytesIO(data)
    while part := parts.read(1 << 16):
        *whole, rest = (rest + decompressor.decompress(part)).split(b"\n")
        yield from whole
    *whole, rest = (rest + decompressor.flush()).split(b"\n")
    yield from whole
