"""Amazon S3 Inventory: the listing of a bucket that S3 writes by itself, once a day or a week, as CSV files.

Amazon S3 user guide, "Cataloging and analyzing your data with S3 Inventory": a `manifest.json` names the files, their
MD5 and their columns; keys are URL-encoded; the files have no header and may be in no order.
"""

import csv
import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import unquote_plus

from tasks.errors import ConfigurationError, Unavailable, Vanished
from tasks.ports import Stat

NEEDED = ("Key", "ETag", "LastModifiedDate")


class Source(Protocol):
    """Where an inventory lies; `worker.storage.s3.S3Store` is one."""

    bucket: str

    def read(self, key: str) -> tuple[bytes, str] | None:
        """A small object. Raises `Unavailable`."""

    def pieces(self, key: str) -> Iterator[bytes]:
        """An object of any size, piece by piece. Raises `Vanished`, `Replaced`, `Unavailable`."""


@dataclass(frozen=True)
class File:
    """One of an inventory's files: its key, and the MD5 of its content, hex."""

    key: str
    md5: str


@dataclass(frozen=True)
class Inventory:
    """What a manifest says.

    Attributes:
        store: where its files lie.
        bucket: which was listed.
        created: when S3 began, seconds since 1970: what was uploaded later is not in it.
        columns: of its files, in order.
        files: whose names end with `.gz` where they are compressed.
    """

    store: Source
    bucket: str
    created: float
    columns: tuple[str, ...]
    files: tuple[File, ...]

    def objects(self) -> Iterator[Stat]:
        """The objects of the bucket, in no order; older versions and delete markers left out.

        A damaged file shows when its end is read: nothing counts before this has ended.

        Raises:
            ConfigurationError: a file is gone, or is not what the manifest says.
            Unavailable: the store does not answer, or a file did not arrive whole.
        """
        for file in self.files:
            try:
                for row in _rows(self.store, file):
                    values = dict(zip(self.columns, row, strict=True))
                    if values.get("IsLatest", "true") != "false" and values.get("IsDeleteMarker") != "true":
                        yield _stat(values)
            except Vanished as error:
                raise ConfigurationError(
                    f"the inventory's file {file.key!r} is gone: take a newer inventory"
                ) from error
            except (ValueError, csv.Error, zlib.error, gzip.BadGzipFile, EOFError) as error:
                raise ConfigurationError(f"the inventory's file {file.key!r} is damaged: {error}") from error


def read_manifest(store: Source, key: str) -> Inventory:
    """What a manifest says, compared with the `manifest.checksum` beside it if there is one.

    Raises:
        ConfigurationError: there is none, or it is of another format than CSV, or lacks columns that are needed.
        Unavailable: the store does not answer.
    """
    where = f"s3://{store.bucket}/{key}"
    found = store.read(key)
    if found is None:
        raise ConfigurationError(f"{where}: there is no such object; name an inventory's manifest.json")
    checksum = store.read(f"{key.removesuffix('.json')}.checksum")
    if checksum is not None and checksum[0].decode("ascii", "replace").strip() != _md5(found[0]).hexdigest():
        raise ConfigurationError(f"{where}: its content is not what manifest.checksum says")
    try:
        return _inventory(store, json.loads(found[0]), where)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"{where}: this is no manifest of an S3 Inventory") from error


def _inventory(store: Source, manifest: Any, where: str) -> Inventory:
    if manifest["fileFormat"] != "CSV":
        raise ConfigurationError(f"{where}: an inventory as {manifest['fileFormat']} is not read, only one as CSV")
    columns = tuple(column.strip() for column in manifest["fileSchema"].split(","))
    if missing := [column for column in NEEDED if column not in columns]:
        raise ConfigurationError(f"{where}: the inventory lacks {' and '.join(missing)}: add it to its configuration")
    files = tuple(File(file["key"], file["MD5checksum"].lower()) for file in manifest["files"])
    return Inventory(store, manifest["sourceBucket"], int(manifest["creationTimestamp"]) / 1000, columns, files)


def _rows(store: Source, file: File) -> Iterator[list[str]]:
    raw = _Hashed(store.pieces(file.key))
    buffered = io.BufferedReader(raw, 1 << 20)
    data: Any = gzip.GzipFile(fileobj=buffered) if file.key.endswith(".gz") else buffered
    yield from csv.reader(io.TextIOWrapper(data, encoding="utf-8", newline=""))
    while buffered.read(1 << 20):
        pass
    if raw.md5.hexdigest() != file.md5:
        raise Unavailable(f"the inventory's file {file.key!r} did not arrive as it was written (MD5); try again")


def _stat(values: dict[str, str]) -> Stat:
    modified = datetime.fromisoformat(values["LastModifiedDate"]).timestamp()
    etag = values["ETag"].strip('"')
    return Stat(unquote_plus(values["Key"], errors="strict"), f'"{etag}"', int(values.get("Size") or 0), modified)


class _Hashed(io.RawIOBase):
    """Pieces as a stream, hashed as they pass."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")
        self.md5 = _md5(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            piece = next(self._pieces, b"")
            self.md5.update(piece)
            self._rest = memoryview(piece)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def _md5(data: bytes) -> Any:
    return hashlib.md5(data, usedforsecurity=False)
