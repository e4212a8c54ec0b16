"""Reads packs: the manifest now and then, a shard once for all threads that want it, the last few in memory."""

import logging
import threading
import time
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass, field

from tasks.errors import StockmetaError, Vanished
from tasks.layout import Layout
from tasks.ports import Store
from tasks.rescoring.packs import MANIFEST_BYTES, MOST_BYTES, Manifest, Rows, Shard, manifest_key, prefix, read_shard
from tasks.rescoring.stored import Stored

logger = logging.getLogger(__name__)

LOOK_SECONDS = 60.0
"""So long a manifest is believed in."""
KEPT_BYTES = 64 << 20
"""Of shards in memory; at least one is kept."""


@dataclass
class PackReader:
    """One bucket's packs in one generation; for many threads.

    Whatever is wrong with a pack is logged, once, and then it is as if it were not there: packs are a copy.

    Args:
        store: holds them.
        layout: where.
        generation: whose.
        bucket: of the images.
        kept_bytes: of shards in memory.
    """

    store: Store
    layout: Layout
    generation: str
    bucket: str
    kept_bytes: int = KEPT_BYTES
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _manifest: Manifest | None = None
    _etag: str | None = None
    _looked: float | None = None
    _shards: "OrderedDict[str, Future[Rows | None]]" = field(default_factory=OrderedDict)

    def find(self, key: str) -> Stored | None:
        """What is packed of an image; `None` if nothing is, or nothing that can be read."""
        manifest = self._current()
        shard = manifest.find(key) if manifest else None
        rows = self._rows(shard) if shard else None
        if rows is None:
            return None
        try:
            row = rows.get(key)
        except ValueError as error:
            logger.warning("a pack has a broken line", extra={"key": key, "reason": str(error)})
            return None
        return row.stored if row else None

    def _current(self) -> Manifest | None:
        with self._lock:
            now = time.monotonic()
            if self._looked is None or now - self._looked > LOOK_SECONDS:
                self._looked = now
                self._look()
            return self._manifest

    def _look(self) -> None:
        """Read the manifest again if it has changed."""
        key = manifest_key(self.layout, self.generation, self.bucket)
        try:
            seen = self.store.stat(key)
            if seen.etag == self._etag:
                return
            found = self.store.read(key) if seen.size <= MANIFEST_BYTES else None
            self._etag = found[1] if found else None
            self._manifest = self._understood(key, found[0]) if found else None
        except Vanished:
            self._etag = self._manifest = None
        except StockmetaError as error:
            logger.warning("packs are not read: %s", error)

    def _understood(self, key: str, data: bytes) -> Manifest | None:
        try:
            manifest = Manifest.from_json(data)
            if (manifest.generation, manifest.bucket) != (self.generation, self.bucket):
                raise ValueError(f"it is of {manifest.bucket!r} in {manifest.generation}")
        except ValueError as error:
            logger.warning("%s: %r is no manifest of packs, so sidecars are read: %s", self.store.bucket, key, error)
            return None
        return manifest

    def _rows(self, shard: Shard) -> Rows | None:
        """A shard's rows: read by whoever asks first, while others wait for that.

        That it is broken is kept as well, and so told once; that the store did not answer is not.
        """
        with self._lock:
            future = self._shards.get(shard.name)
            if reads := future is None:
                future = self._shards[shard.name] = Future()
            self._shards.move_to_end(shard.name)
        assert future is not None
        if reads:
            rows, keep = None, False
            try:
                rows, keep = self._read(shard), True
            except StockmetaError as error:
                logger.warning("packs are not read: %s", error)
            finally:
                future.set_result(rows)
                with self._lock:
                    self._drop(None if keep else shard.name)
        return future.result()

    def _read(self, shard: Shard) -> Rows | None:
        """A shard, if it can be understood. Raises `Unavailable`."""
        key = f"{prefix(self.layout, self.generation, self.bucket)}{shard.name}"
        try:
            # Not as long as it says, but as long as it is: somebody may have put anything there.
            if (size := self.store.stat(key).size) > 2 * MOST_BYTES:
                raise ValueError(f"it has {size} bytes")
            found = self.store.read(key)
            return read_shard(found[0]) if found else None
        except Vanished:
            # Packed anew since the manifest was read.
            return None
        except ValueError as error:
            logger.warning("%s: the shard %r cannot be read, so sidecars are: %s", self.store.bucket, key, error)
            return None

    def _drop(self, unread: str | None) -> None:
        """Let go of one that was not read, and of those that were not asked for the longest, until the others fit."""
        if unread is not None:
            self._shards.pop(unread, None)
        kept = 0
        for name in reversed(list(self._shards)):
            future = self._shards[name]
            rows = future.result() if future.done() else None
            kept += rows.bytes if rows else 0
            if kept > self.kept_bytes and name != next(reversed(self._shards)):
                del self._shards[name]
