"""Where the embedded index of a library lies, for the feed that writes it and the searches that read it."""

import hashlib
import json
import re
import uuid
from pathlib import Path

from tasks.errors import ConfigurationError
from tasks.ports import Store
from worker.library import Library
from worker.settings import Settings
from worker.storage.local import LocalStore


def index_folder(settings: Settings, library: Library, given: Path | None = None) -> Path:
    """The folder of the embedded index: as it was given, or one in the cache that is this library's and no other's.

    Two libraries are the same if their images and their records lie in the same places.
    """
    if given is not None:
        return given
    places = [_place(settings, library.source), library.prefix, _place(settings, library.sidecars), library.layout.root]
    digest = hashlib.sha256(json.dumps(places).encode("utf-8", "surrogatepass")).hexdigest()[:12]
    name = re.sub(r"[^\w.-]+", "-", library.source.bucket).strip("-.")[:60] or "library"
    return settings.cache_dir / "indexes" / f"{name}-{digest}"


FOLDER_ID = ".~stockmeta-feed"
"""Of what begins so no store of a folder knows, and no index."""


def folder_id(folder: Path) -> str:
    """What tells a folder from one with the same path on another machine: made once, and kept in it.

    Raises `ConfigurationError` where the folder cannot be written to.
    """
    path = folder / FOLDER_ID
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not (path.exists() and path.read_text("ascii").strip()):
            unfinished = path.with_name(f"{FOLDER_ID}-{uuid.uuid4().hex}")
            unfinished.write_text(f"{uuid.uuid4().hex[:12]}\n", "ascii")
            unfinished.replace(path)
        return path.read_text("ascii").strip()
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be written or read: {error}") from error


def _place(settings: Settings, store: Store) -> str:
    if isinstance(store, LocalStore):
        return str(store.root.resolve())
    return f"{settings.s3_endpoint or 's3'}/{store.bucket}"
