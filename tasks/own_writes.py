"""Images that we change ourselves: an event about our own write must not look like somebody's new picture.

In this order, so that a crash at any point costs nothing:

1. the record is told the SHA-256 that the image is going to have (`Record.written`);
2. the image is written, if it is still the one that the record speaks of;
3. the record takes the image's new ETag.

Whoever meets the new image between 2 and 3, or after a crash there, finds a record of another content that says what we
were about to write, compares, and does step 3.
"""

import hashlib
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from tasks.errors import Conflict, Unavailable
from tasks.feeding.announce import Aside
from tasks.feeding.changes import Change
from tasks.layout import Layout
from tasks.ports import Stat, Store
from tasks.records import ImageRef, Record

PIECE = 1 << 20


@dataclass(frozen=True)
class OwnWriter:
    """Writes images in place, and their records with them.

    Attributes:
        source: where the images lie.
        sidecars: where their records lie; `layout` says where in it.
        generations: whose records are to know: the one that serves, and the one that is being filled.
        changes: announced, one for each record that is written.
    """

    source: Store
    sidecars: Store
    layout: Layout
    generations: Sequence[str]
    changes: Aside = field(default_factory=Aside)

    def write(self, ref: ImageRef, data: bytes) -> str:
        """Write an image whose ETag is known; returns the new one.

        Raises:
            Vanished: it is gone.
            Conflict: it was replaced, or its record was written by somebody else; nothing is written.
            Unavailable: a store did not answer.
        """
        written = hashlib.sha256(data).hexdigest()
        announced = [generation for generation in self.generations if self._announce(generation, ref, written)]
        etag = self.source.rewrite(ref.key, data, if_match=ref.etag or "")
        for generation in announced:
            self._settle(generation, ref, Stat(ref.key, etag, len(data)), written)
        return etag

    def finish(self, record: Record) -> Record | None:
        """Step 3 in place of a run that was ended before it; returns the record as it is then.

        `None` where the image is not the one that the record announces. Raises `Vanished`, `Unavailable`.
        """
        ref = ImageRef(record.image.bucket, record.image.key, record.image.etag)
        stat, body = self.source.fetch(ref.key)
        try:
            own = is_own(record, body)
        except OSError as error:
            raise Unavailable(f"{ref.bucket}: {ref.key!r}: {error.strerror}") from error
        if not own or record.written is None:
            return None
        # The body may be a path, and another file by now.
        self.source.stat(ref.key, stat.etag)
        for generation in self.generations:
            self._settle(generation, ref, stat, record.written)
        return adopted(record, stat)

    def _announce(self, generation: str, ref: ImageRef, written: str) -> bool:
        """Step 1; false where there is no record of this content."""
        found = self._read(generation, ref)
        if found is None or found[0].image.etag != ref.etag:
            return False
        record, etag = found
        if record.written != written:
            self._put(generation, ref, revised(replace(record, written=written)), etag)
        return True

    def _settle(self, generation: str, ref: ImageRef, stat: Stat, written: str) -> None:
        """Step 3; nothing is to be done where a worker was quicker, and nothing lost where anything fails.

        Another run may have announced something else meanwhile, which it cannot write any more.
        """
        found = self._read(generation, ref)
        if found is None or found[0].image.etag != ref.etag:
            return
        record = adopted(replace(found[0], written=written), stat)
        with suppress(Conflict):
            self._put(generation, ref, record, found[1])

    def _put(self, generation: str, ref: ImageRef, record: Record, etag: str) -> None:
        self.sidecars.put(self.layout.done(generation, ref), record.to_json().encode(), if_match=etag)
        self.changes.add([Change(generation, ref.bucket, ref.key)])

    def _read(self, generation: str, ref: ImageRef) -> tuple[Record, str] | None:
        found = self.sidecars.read(self.layout.done(generation, ref))
        if found is None:
            return None
        with suppress(ValueError):
            return Record.from_json(found[0]), found[1]
        return None


def is_own(record: Record | None, body: bytes | Path) -> bool:
    """Whether an image's content is what a record says that we were about to write. Raises `OSError`."""
    if record is None or record.written is None:
        return False
    if isinstance(body, bytes):
        return hashlib.sha256(body).hexdigest() == record.written
    digest = hashlib.sha256()
    with body.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest() == record.written


def adopted(record: Record, stat: Stat) -> Record:
    """The record of an image that we wrote: everything as it was, of the new content."""
    image = replace(record.image, etag=stat.etag, version=None, bytes=stat.size, sha256=record.written)
    return revised(replace(record, image=image))


def revised(record: Record) -> Record:
    """A record with a later revision and the time of now."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return replace(record, revision=max(record.revision + 1, time.time_ns() // 1000), updated_at=now)
