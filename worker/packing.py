"""Packs a generation: reads its sidecars in the order of their listing, a thousand of them into each shard.

Shards are named by what they are made of. So a run that was killed finds those that it had written, a second run writes
only those whose sidecars have changed since, and the manifest, written last, never names one that is not there.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

from tasks.errors import ConfigurationError, Conflict, Unavailable, Vanished
from tasks.layout import SUFFIX, Layout
from tasks.listing.order import sortable
from tasks.ports import Stat, Store
from tasks.records import Record
from tasks.rescoring.packs import ROWS, Manifest, Row, Shard, manifest_key, prefix, read_shard, shard_name, write_shard
from tasks.rescoring.stored import stored_in, vector_of

READS = 16
"""Sidecars that are read at once."""

Progress = Callable[[int, int], None]
"""Called with how many images are packed, and how many of them were read for it."""


@dataclass(frozen=True, slots=True)
class Packed:
    """What packing came to.

    Attributes:
        images: whose sidecars were listed.
        written: shards that were written, or in a dry run would be; `kept` were there already.
        removed: shards of earlier runs that are not needed any more.
        read: sidecars that were read.
        bytes: of all shards; in a dry run, of those that were there.
        unusable: paths of sidecars that cannot be packed, broken or without an embedding.
    """

    images: int = 0
    written: int = 0
    kept: int = 0
    removed: int = 0
    read: int = 0
    bytes: int = 0
    unusable: tuple[str, ...] = ()


class Entry(NamedTuple):
    """A sidecar that was listed, and the key of its image."""

    key: str
    stat: Stat


@dataclass
class Packer:
    """Packs one bucket's records of one generation.

    Args:
        store: holds them, and gets the packs.
        layout: where.
        generation: whose.
        bucket: of the images.
        dry_run: whether only to count.
        progress: is told of each shard.
    """

    store: Store
    layout: Layout
    generation: str
    bucket: str
    dry_run: bool = False
    progress: Progress = lambda _images, _read: None
    _done: Packed = field(default_factory=Packed)

    def run(self) -> Packed:
        """Bring the packs up to date.

        Raises:
            ConfigurationError: the listing is in another order than the store names.
            Unavailable: the store does not answer, or somebody else packs at the same time.
        """
        before, etag = self._manifest()
        shards: list[Shard] = []
        with ThreadPoolExecutor(READS, thread_name_prefix="pack") as pool:
            for group in self._groups(before):
                if shard := self._shard(group, before, pool):
                    shards.append(shard)
                self._count(images=len(group), size=shard.bytes if shard else 0)
                self.progress(self._done.images, self._done.read)
        if not self.dry_run:
            self._publish(replace(before, order=self.store.order, shards=tuple(shards)), before, etag)
        return self._done

    @cached_property
    def _prefix(self) -> str:
        return prefix(self.layout, self.generation, self.bucket)

    @cached_property
    def _there(self) -> Mapping[str, int]:
        """Names and lengths of the shards that there are when the run begins."""
        found = self.store.list(self._prefix)
        return {stat.key.removeprefix(self._prefix): stat.size for stat in found if stat.key.endswith(".zip")}

    def _manifest(self) -> tuple[Manifest, str | None]:
        """The one that there is, or one without shards; and its ETag."""
        empty = Manifest(self.generation, self.bucket, self.store.order)
        found = self.store.read(manifest_key(self.layout, self.generation, self.bucket))
        if found is None:
            return empty, None
        with suppress(ValueError):
            manifest = Manifest.from_json(found[0])
            same = (manifest.generation, manifest.bucket, manifest.order)
            if same == (self.generation, self.bucket, self.store.order):
                return manifest, found[1]
        return empty, found[1]

    def _entries(self) -> Iterator[Entry]:
        """The sidecars in the store's order, which a shard is found by."""
        records = self.layout.prefix("done", self.generation, self.bucket)
        last = ""
        for stat in self.store.list(records):
            if not stat.key.endswith(SUFFIX):
                continue
            key = stat.key.removeprefix(records).removesuffix(SUFFIX)
            if (place := sortable(key + SUFFIX, self.store.order)) <= last:
                raise ConfigurationError(
                    f"{self.store.bucket} gave {stat.key!r} too late for a listing in the order of "
                    f"{self.store.order}; set STOCKMETA_S3_ORDER to how the store lists"
                )
            last = place
            yield Entry(key, stat)

    def _groups(self, before: Manifest) -> Iterator[list[Entry]]:
        """What goes into one shard: cut where shards began before, so that what is new moves no others' bounds."""
        group: list[Entry] = []
        for entry in self._entries():
            if group and (len(group) == ROWS or before.starts(entry.key)):
                yield group
                group = []
            group.append(entry)
        if group:
            yield group

    def _shard(self, group: Sequence[Entry], before: Manifest, pool: ThreadPoolExecutor) -> Shard | None:
        """The shard of these sidecars, written unless it is there; `None` if nothing of them can be packed."""
        name = shard_name((entry.key, entry.stat.etag) for entry in group)
        made = Shard(name, group[0].key, group[-1].key, len(group), self._there.get(name, 0))
        if name in self._there:
            self._count(kept=1)
            return made
        if self.dry_run:
            self._count(written=1)
            return made
        rows = list(self._rows(group, before, pool))
        if not rows:
            return None
        data = write_shard(rows)
        with suppress(Conflict):  # of the same name, so of the same content
            self.store.put(self._prefix + name, data, if_match=None)
        self._count(written=1)
        return replace(made, bytes=len(data))

    def _rows(self, group: Sequence[Entry], before: Manifest, pool: ThreadPoolExecutor) -> Iterator[Row]:
        """Rows in the group's order: as packed before where the sidecar is the same, else read."""
        packed = self._packed_before(group[0].key, before)
        changed = [entry for entry in group if not _is_same(packed.get(entry.key), entry)]
        fresh = dict(zip((entry.key for entry in changed), pool.map(self._read, changed), strict=True))
        self._count(read=len(changed))
        rows = [fresh.get(entry.key) if entry.key in fresh else packed[entry.key] for entry in group]
        # A generation has one encoder; what has other dimensions than most is none of its records.
        lengths = Counter(row.stored.embedding.dimensions for row in rows if row)
        dimensions = lengths.most_common(1)[0][0] if lengths else 0
        for entry, row in zip(group, rows, strict=True):
            if row is not None and vector_of(row.stored.embedding, dimensions) is not None:
                yield row
            else:
                self._done = replace(self._done, unusable=(*self._done.unusable, entry.stat.key))

    def _read(self, entry: Entry) -> Row | None:
        found = self.store.read(entry.stat.key)
        if found is None:
            return None
        try:
            record = Record.from_json(found[0])
        except ValueError:
            return None
        stored = stored_in(record)
        same = (record.image.bucket, record.image.key, record.generation) == (self.bucket, entry.key, self.generation)
        return Row(stored, found[1]) if stored and same else None

    def _packed_before(self, first: str, before: Manifest) -> Mapping[str, Row]:
        """The rows of the shard that began with the same key, if there is one and it can be read."""
        shard = before.find(first)
        if shard is None or shard.first != first:
            return {}
        found = self.store.read(self._prefix + shard.name)
        try:
            rows = read_shard(found[0]) if found else None
            packed = [] if rows is None else [rows.row(place) for place in range(len(rows.lines))]
        except ValueError:
            return {}
        return {row.stored.image.key: row for row in packed}

    def _publish(self, manifest: Manifest, before: Manifest, etag: str | None) -> None:
        """Write the manifest, then remove the shards that it does not name."""
        key = manifest_key(self.layout, self.generation, self.bucket)
        if manifest != before or etag is None:
            try:
                self.store.put(key, manifest.to_json(), if_match=etag)
            except Conflict as conflict:
                raise Unavailable(f"somebody else packs {self.generation} at the same time") from conflict
        needed = {shard.name for shard in manifest.shards}
        for name in self._there.keys() - needed:
            with suppress(Vanished, Conflict):
                self.store.delete(self._prefix + name, if_match=self.store.stat(self._prefix + name).etag)
                self._count(removed=1)

    def _count(
        self, images: int = 0, written: int = 0, kept: int = 0, removed: int = 0, read: int = 0, size: int = 0
    ) -> None:
        done = self._done
        self._done = replace(
            done,
            images=done.images + images,
            written=done.written + written,
            kept=done.kept + kept,
            removed=done.removed + removed,
            read=done.read + read,
            bytes=done.bytes + size,
        )


def _is_same(row: Row | None, entry: Entry) -> bool:
    return row is not None and row.sidecar == entry.stat.etag
