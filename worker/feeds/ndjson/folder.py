"""One folder of files with its manifest, as its one writer sees it: first come files, then the manifest says so."""

import hashlib
import logging
import re
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from tasks.errors import ConfigurationError, Conflict, Rejected, Unavailable, Vanished
from tasks.ports import Store
from worker.feeds.ndjson.lines import Sealed
from worker.feeds.ndjson.manifest import MANIFEST, File, Kind, Manifest

logger = logging.getLogger(__name__)

_FILE = re.compile(r"(?:snapshot|changes)-([0-9]{6,})\.ndjson\.gz")
_TAKEN_NAMES = 100
"""Numbers in a row that are taken already, by files that another feed left, before something must be wrong."""


class Folder:
    """The folder of one index.

    Nothing is written before it has to be: a feed that finds no difference disturbs no other. The first write changes
    the manifest, so that whoever wrote here before is refused from then on, and removes what they left unfinished.

    Args:
        store: holds it.
        path: what the keys of its files begin with, ending with `/`.
        manifest: as it was read, or an empty one; `etag` is its ETag, `None` where there is none yet.
    """

    def __init__(self, store: Store, path: str, manifest: Manifest, etag: str | None) -> None:
        self.store = store
        self.path = path
        self.manifest = manifest
        self._etag = etag
        self._ours = False
        self._lost = False
        self._unsure: set[bytes] = set()
        self._next = 0

    @property
    def written(self) -> bool:
        """Whether there is a manifest."""
        return self._etag is not None

    def still_is(self, now: "Folder") -> bool:
        """Whether nobody else has written since, by what the folder says `now`."""
        return not self._lost and (now._etag == self._etag or _digest(now.manifest.to_json()) in self._unsure)

    def take(self) -> None:
        """Begin to write here, unless we have. Raises `ConfigurationError` where somebody wrote since we looked."""
        if not self._ours:
            # Whatever was left here has lower numbers than our files: what is tidied is never another writer's.
            there = (_number(stat.key[len(self.path) :]) for stat in self.store.list(self.path))
            number = max((number + 1 for number in there if number is not None), default=0)
            manifest = self.manifest
            self._write(replace(manifest, writer=uuid.uuid4().hex, next=max(manifest.next, number)))
            self._ours = True
            self._tidy()

    def add(self, sealed: Sealed, kind: Kind) -> File:
        """Write a file that does not count yet. Raises `ConfigurationError`, `Unavailable`."""
        for _ in range(_TAKEN_NAMES):
            # Of files that do not count yet too: trying a name that is taken may send all of the data first.
            number = self._next = max(self._next, self.manifest.next)
            self._next += 1
            name = f"{kind}-{number:06d}.ndjson.gz"
            try:
                self.store.put(f"{self.path}{name}", sealed.data, if_match=None)
            except Conflict:
                continue
            except Rejected as error:
                raise ConfigurationError(f"{self.path}{name}: {error}; give the files another place") from error
            return sealed.file(name, kind)
        raise self._other()

    def change(self, changed: Callable[[Manifest], Manifest]) -> None:
        """Replace the manifest in one step. Raises `ConfigurationError`, `Unavailable`."""
        self.take()
        self._write(changed(self.manifest))

    def append(self, file: File, documents: int) -> None:
        """Let a file count, after those that do; then there are so many documents. Raises as `change` does."""
        self.change(
            lambda manifest: replace(
                manifest, files=(*manifest.files, file), documents=documents, next=_after((file,), manifest.next)
            )
        )

    def supersede(self, files: tuple[File, ...]) -> None:
        """Let these files count from now on; those that did stay for readers until the next time.

        Raises:
            ConfigurationError: somebody else writes here.
            Unavailable: the store does not answer; the files that counted do still, or else these do.
        """
        names = {file.name for file in files}
        old = tuple(file.name for file in self.manifest.files if file.name not in names)
        self.change(lambda manifest: replace(manifest, files=files, superseded=old, next=_after(files, manifest.next)))
        self._tidy()

    def _write(self, manifest: Manifest) -> None:
        if self._lost:
            raise self._other()
        data = manifest.to_json()
        try:
            self._etag = self._put(data)
        except Unavailable:
            self._unsure.add(_digest(data))
            raise
        self._unsure.clear()
        self.manifest = manifest

    def _put(self, data: bytes) -> str:
        """Replace the manifest's bytes; what is there may be our own, of a write whose answer was lost."""
        key = f"{self.path}{MANIFEST}"
        with suppress(Conflict):
            return self.store.put(key, data, if_match=self._etag)
        found = self.store.read(key)
        if found is not None and found[0] == data:
            return found[1]
        if found is not None and _digest(found[0]) in self._unsure:
            with suppress(Conflict):
                return self.store.put(key, data, if_match=found[1])
        self._lost = True
        raise self._other()

    def _other(self) -> ConfigurationError:
        return ConfigurationError(
            f"another feed writes to {self.path!r} in {self.store.bucket!r}: let one run at a time, and start this one "
            "again if it is the one"
        )

    def _tidy(self) -> None:
        """Remove what does not count, and did not before: of feeds that were killed, and superseded long ago."""
        kept = {file.name for file in self.manifest.files} | {*self.manifest.superseded}

        def left(name: str) -> bool:
            number = _number(name)
            return number is not None and number < self.manifest.next and name not in kept

        _remove(self.store, self.path, left)


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _number(name: str) -> int | None:
    """Of a file; `None` for what is none of ours."""
    found = _FILE.fullmatch(name)
    return int(found[1]) if found else None


def _after(files: tuple[File, ...], at_least: int) -> int:
    """The number of the next file."""
    return max(at_least, *(number + 1 for file in files if (number := _number(file.name)) is not None), 0)


def remove_folder(store: Store, path: str) -> None:
    """Remove an index, its manifest first, so that none names a file that is gone; and nothing else that lies there.

    Raises `Unavailable`.
    """
    _remove(store, path, lambda name: name == MANIFEST)
    _remove(store, path, lambda name: _number(name) is not None)


def _remove(store: Store, path: str, wanted: Callable[[str], bool]) -> None:
    """Remove the objects directly below a path whose names are wanted. Raises `Unavailable`."""
    for stat in list(store.list(path)):
        if "/" not in stat.key[len(path) :] and wanted(stat.key[len(path) :]):
            logger.info("removing %s from %s", stat.key, store.bucket)
            with suppress(Vanished, Conflict):
                store.delete(stat.key, if_match=stat.etag)
