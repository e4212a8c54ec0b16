"""Inventories made by hand, as Amazon's documentation describes them."""

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote_plus

from tasks.ports import Store

SCHEMA = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, StorageClass"
NAME = "inventories/pictures/daily/2026-11-20T01-00Z/manifest.json"


def row(key: str, latest: str = "true", marker: str = "false", etag: str = "0" * 32) -> list[str]:
    """One object; a delete marker has no size and no ETag."""
    size = "" if marker == "true" else "7"
    # Amazon leaves slashes as they are.
    name = quote_plus(key, safe="/")
    return ["pictures", name, "v1", latest, marker, size, "2026-11-19T10:20:30.000Z", etag, "STANDARD"]


def compressed(rows: Sequence[Sequence[str]]) -> bytes:
    """A CSV file, every field in quotes."""
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    return gzip.compress(text.getvalue().encode(), mtime=0)


def write_inventory(store: Store, files: Sequence[bytes], bucket: str = "pictures", **changes: Any) -> str:
    """Write a manifest, its checksum and its files; returns the manifest's key. `changes` go into the manifest."""
    named = []
    for number, data in enumerate(files):
        key = f"inventories/pictures/daily/data/{number}.csv.gz"
        store.put(key, data, if_match=None)
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        named.append({"key": key, "size": len(data), "MD5checksum": md5})
    manifest = {
        "sourceBucket": bucket,
        "destinationBucket": f"arn:aws:s3:::{store.bucket}",
        "version": "2016-11-30",
        "creationTimestamp": "1795136400000",
        "fileFormat": "CSV",
        "fileSchema": SCHEMA,
        "files": named,
    }
    data = json.dumps(manifest | changes).encode()
    store.put(NAME, data, if_match=None)
    checksum = hashlib.md5(data, usedforsecurity=False).hexdigest()
    store.put(NAME.replace(".json", ".checksum"), checksum.encode(), if_match=None)
    return NAME
