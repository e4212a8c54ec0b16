"""The commit: a conditional write of the sidecar, and a second look at the source.

Whatever happens in between, an image ends with exactly one current sidecar, or one terminal record, or nothing if it
is gone. What another worker committed for the same content is kept, never overwritten by an equal.
"""

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

from tasks.errors import Conflict, Vanished
from tasks.layout import Layout
from tasks.ports import Store
from tasks.records import ImageRef, Record
from tasks.redo import Redo, wanted

ATTEMPTS = 5
"""Conditional writes before giving up; each refusal means that somebody else succeeded."""


class Read(NamedTuple):
    """A record as it was read, and its ETag; a sidecar that cannot be understood is there to be replaced."""

    record: Record | None = None
    etag: str | None = None


class Seen(NamedTuple):
    """What was there before the work: what is committed for this content, and what lay at the record's two paths."""

    current: Record | None
    done: Read
    failed: Read


NOTHING = Seen(None, Read(), Read())
"""No record of either kind, as a listing may say; `Publisher.publish` finds out where that is outdated."""


@dataclass(frozen=True)
class Publisher:
    """Commits records of one generation.

    Attributes:
        sidecars: the store that holds the output root.
        layout: where in it.
        generation: whose records these are.
    """

    sidecars: Store
    layout: Layout
    generation: str

    def current(self, ref: ImageRef, etag: str | None = None) -> Record | None:
        """What is committed for an image, done or terminal, for the content `etag` if given; `None` if nothing is."""
        return self.look(ref, etag).current

    def look(self, ref: ImageRef, etag: str | None = None) -> Seen:
        """What is committed for an image, with what `publish` would have to read again otherwise."""
        reads: list[Read] = []
        for path in self._paths(ref):
            reads.append(self._read(path))
            record = reads[-1].record
            if record is not None and etag in (None, record.image.etag):
                return Seen(record, reads[0], reads[1] if len(reads) > 1 else Read())
        return Seen(None, *reads)

    def publish(self, record: Record, source: Store, seen: Seen | None = None, *, redo: Redo | None = None) -> Record:
        """Commit a record, and return what is committed now: this record, or an equal that was there before.

        Args:
            record: what to commit.
            source: where its image lies.
            seen: what `look` gave before the work, which saves a request; it may be outdated.
            redo: what is replaced by an equal.

        Raises:
            Vanished: the source is gone, or (`Replaced`) has another content; nothing is left behind.
            Conflict: others kept writing; work on it again.
            Unavailable: a store did not answer.
        """
        ref = ImageRef(record.image.bucket, record.image.key, record.image.etag)
        done, failed = self._paths(ref)
        path, other = (done, failed) if record.status.done else (failed, done)
        before, left = None, None
        if seen is not None:
            before, left = (seen.done, seen.failed) if record.status.done else (seen.failed, seen.done)
        if left is not None and left.etag is not None:
            # Before the write: ended right after it, we would leave both, and whoever comes next takes it for done.
            source.stat(ref.key, record.image.etag)
            self._remove(other, left.etag)
        committed, etag = self._put(path, record, source, before, redo)
        theirs, outdated = self._read(other)
        try:
            source.stat(ref.key, record.image.etag)
        except Vanished:
            self._remove(path, etag)
            raise
        if theirs is not None and theirs.image.etag == ref.etag and theirs.status.done:
            # Another worker came to metadata meanwhile, where this one failed. It removes a failure that it finds; so
            # must this one, or each would remove the other's.
            self._remove(path, etag)
            return theirs
        # Looked up before the source was, removed after: so it is of no newer content than what was just committed, and
        # a worker that slept removes nothing that others committed meanwhile.
        if outdated is not None:
            self._remove(other, outdated)
        return committed

    def publish_first(self, record: Record, source: Store) -> Record:
        """Commit a record with metadata of an image that a listing showed to have no record of either kind.

        Two requests. Where another worker leaves a failure at the same time, both stay, until the next listing finds
        them and `settle` removes the failure.

        Raises:
            Conflict: there is a record by now; `publish` looks at it.
            Vanished: as `publish` does.
            Unavailable: a store did not answer.
        """
        path, _ = self._paths(ImageRef(record.image.bucket, record.image.key))
        # Of the commit and not of the work: one that was written and removed in between has a lesser one.
        record = replace(record, revision=max(record.revision, time.time_ns() // 1000))
        etag = self.sidecars.put(path, record.to_json().encode(), if_match=None)
        try:
            source.stat(record.image.key, record.image.etag)
        except Vanished:
            self._remove(path, etag)
            raise
        return record

    def settle(self, ref: ImageRef, source: Store, etag: str) -> Record | None:
        """What is committed for the content `etag`, by a worker that may have been killed in the middle of `publish`.

        The record of the other kind, which that one did not get to remove, is removed. Raises `Vanished` if the source
        has another content by now, and `Unavailable`.
        """
        seen = self.look(ref, etag)
        if seen.current is None:
            return None
        done, failed = self._paths(ref)
        other, left = (failed, self._read(failed)) if seen.current.status.done else (done, seen.done)
        if left.etag is not None:
            # In this order, as in `publish`.
            source.stat(ref.key, etag)
            self._remove(other, left.etag)
        return seen.current

    def forget(self, ref: ImageRef, source: Store) -> bool:
        """Remove the records of an image that is gone; false if it is there (again), and has to be worked on.

        The records are looked up before the source is: one that was written since has another ETag, and stays. And the
        source is looked at again after: the same content may have come back, for which another worker found the record
        that was about to be removed, and took it for done.
        """
        found = [(path, etag) for path in self._paths(ref) if (etag := self._read(path).etag) is not None]
        if _is_there(ref, source):
            return False
        for path, etag in found:
            self._remove(path, etag)
        return not (found and _is_there(ref, source))

    def _put(
        self, path: str, record: Record, source: Store, seen: Read | None, redo: Redo | None
    ) -> tuple[Record, str]:
        for _ in range(ATTEMPTS):
            before, etag = seen or self._read(path)
            seen = None
            if before is not None and etag is not None:
                if self._same(before, record) and not wanted(redo, before):
                    return before, etag
                if before.image.etag != record.image.etag:
                    # Either the image was replaced since that sidecar, or this worker slept while it was.
                    source.stat(record.image.key, record.image.etag)
            revised = replace(
                record,
                revision=max((before.revision if before else 0) + 1, time.time_ns() // 1000),
                created_at=before.created_at if before else record.created_at,
            )
            try:
                return revised, self.sidecars.put(path, revised.to_json().encode(), if_match=etag)
            except Conflict:
                continue
        raise Conflict(f"{path}: {ATTEMPTS} conditional writes in a row were refused")

    @staticmethod
    def _same(before: Record, record: Record) -> bool:
        return (before.image.etag, before.status, before.reason) == (record.image.etag, record.status, record.reason)

    def _read(self, path: str) -> Read:
        found = self.sidecars.read(path)
        if found is None:
            return Read()
        data, etag = found
        try:
            return Read(Record.from_json(data), etag)
        except ValueError:
            return Read(None, etag)

    def _remove(self, path: str, etag: str) -> None:
        """Remove what was written under `etag`; somebody else's newer write stays."""
        with suppress(Conflict, Vanished):
            self.sidecars.delete(path, if_match=etag)

    def _paths(self, ref: ImageRef) -> tuple[str, str]:
        return self.layout.done(self.generation, ref), self.layout.failed(self.generation, ref)


def _is_there(ref: ImageRef, source: Store) -> bool:
    try:
        source.stat(ref.key)
    except Vanished:
        return False
    return True
