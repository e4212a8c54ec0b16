"""Metadata out, one image at a time: from its record to a file or a sidecar, in place or in a folder of copies."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tasks.errors import Conflict, Reason, Rejected, StockmetaError, Unavailable, Vanished
from tasks.own_writes import OwnWriter
from tasks.ports import Stat, Store
from tasks.published import OWN_WORD, published
from tasks.records import Embedded, ImageRef, Record
from worker.c2pa import signed
from worker.images.formats import HEAD, sniff
from worker.library import Library
from worker.metadata import pixels
from worker.metadata.beside import Naming, beside
from worker.metadata.embed import SUFFIXES, BesideOnly, embed
from worker.metadata.exiftool import ExifTool
from worker.metadata.fields import Values, Wording
from worker.metadata.merge import Elsewhere, Merge, Merged
from worker.sidecars import Broken, Found, Sidecar

logger = logging.getLogger(__name__)

ATTEMPTS = 3
"""How often a sidecar is written whose content was changed by somebody else meanwhile."""

IN_THE_WAY = "there is another picture: remove it, or say --merge replace"

Status = Literal["written", "would_write", "unchanged", "skipped", "failed"]


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one image.

    Attributes:
        target: what was written, or would be: its key in the library, or in the folder that was named.
        fields: those that say something else than before.
        reason: why it is not as one would expect.
        values: what the fields say now, only where nothing is really written.
    """

    key: str
    target: str
    status: Status
    fields: tuple[str, ...] = ()
    reason: str | None = None
    values: Mapping[str, object] | None = None


@dataclass(frozen=True)
class Writer:
    """Writes images' metadata; many threads may call `write` together.

    Attributes:
        library: whose images.
        wording: in which languages.
        merge: what becomes of what is there.
        naming: of sidecars.
        target: where copies and sidecars go; the library's own store for `own`.
        own: writes in place; `None` where a folder of copies is made.
        tool: writes into files; `None` where sidecars are made.
        max_bytes: larger files are left alone.
        dry_run: whether nothing is written.
    """

    library: Library
    wording: Wording
    merge: Merge
    naming: Naming
    target: Store
    own: OwnWriter | None = None
    tool: ExifTool | None = None
    max_bytes: int = 100 << 20
    dry_run: bool = False

    def write(self, found: Found) -> Line:
        """Write what a record says, where it is to go; every trouble is told in the line."""
        if isinstance(found, Broken):
            return Line(found.key, found.path, "failed", reason=found.detail)
        key = found.record.image.key
        target = key if self.tool is not None else self.naming.key(key)
        try:
            record = found.record if found.source == "same" else self._finished(found)
            if record is None:
                now = "was replaced since it was tagged" if found.source == "replaced" else "is gone"
                return Line(key, target, "skipped", reason=f"the image {now}")
            return self._write(replace(found, record=record))
        except Vanished:
            return Line(key, target, "skipped", reason="the image was replaced or removed meanwhile")
        except Rejected as error:
            return Line(key, target, "failed", reason=error.detail)
        except StockmetaError as error:
            return Line(key, target, "failed", reason=str(error))
        except Exception as error:
            logger.exception("a bug, met at an image", extra={"key": key})
            return Line(key, target, "failed", reason=f"internal_error: {type(error).__name__}: {error}")

    def _finished(self, found: Sidecar) -> Record | None:
        """The record of an image that a run wrote which was ended before it could tell the record so."""
        if found.source != "replaced" or found.record.written is None or self.own is None or self.dry_run:
            return None
        if self.library.source.stat(found.record.image.key).size > self.max_bytes:
            return None
        return self.own.finish(found.record)

    def _write(self, found: Sidecar) -> Line:
        record = found.record
        if self.merge is Merge.REPLACE:
            # Ours alone: what the file says is what is to be replaced.
            own = tuple(keyword for keyword in record.keywords if not keyword.id.startswith(OWN_WORD))
            record = replace(record, embedded=None, keywords=own)
        values = self.wording.values(published(record, found.human))
        ref = ImageRef(record.image.bucket, record.image.key, record.image.etag)
        elsewhere = _of_people(record.embedded)
        if self.tool is None:
            return self._beside(ref, values, elsewhere)
        data, stat = self._fetch(ref)
        kind = sniff(data[:HEAD]).format or ""
        if kind not in SUFFIXES:
            return self._instead(ref, data, kind, values, elsewhere, f"{kind or 'such'} files are not written into")
        if signed(data):
            why = "it is signed (C2PA), and a change would break that"
            return self._instead(ref, data, kind, values, elsewhere, why)
        try:
            return self._embed(ref, data, stat, kind, values, elsewhere, self.tool)
        except BesideOnly as error:
            return self._instead(ref, data, kind, values, elsewhere, str(error))

    def _embed(
        self, ref: ImageRef, data: bytes, stat: Stat, kind: str, values: Values, elsewhere: Elsewhere, tool: ExifTool
    ) -> Line:
        before, etag = data, stat.etag
        if self.own is None:
            copy = self.target.read(ref.key)
            before, etag = copy or (data, "")
            if copy is not None and not _same_picture(before, data, kind):
                if self.merge is not Merge.REPLACE:
                    return Line(ref.key, ref.key, "failed", reason=IN_THE_WAY)
                before = data
        done = embed(before, kind, values, self.merge, tool, elsewhere)
        if done.data == before and (etag or not values.said):
            return _as_it_is(ref.key, ref.key, values)
        if not self.dry_run:
            if self.own is not None:
                self.own.write(ref, done.data)
            else:
                self.target.put(ref.key, done.data, if_match=etag or None)
        return self._line(ref.key, ref.key, done.merged)

    def _instead(self, ref: ImageRef, data: bytes, kind: str, values: Values, elsewhere: Elsewhere, why: str) -> Line:
        """A sidecar where the file itself is left alone; in a folder of copies a copy as it is, too."""
        if self.own is None and values.said:
            copy = self.target.read(ref.key)
            # The same picture with another metadata is a copy that somebody edited.
            if copy is None or not _same_picture(copy[0], data, kind):
                if copy is not None and self.merge is not Merge.REPLACE:
                    return Line(ref.key, ref.key, "failed", reason=IN_THE_WAY)
                if not self.dry_run:
                    self.target.put(ref.key, data, if_match=copy and copy[1])
        line = self._beside(ref, values, elsewhere)
        return line if line.status == "skipped" else replace(line, reason=f"a sidecar instead: {why}")

    def _beside(self, ref: ImageRef, values: Values, elsewhere: Elsewhere) -> Line:
        key = self.naming.key(ref.key)
        for attempt in range(ATTEMPTS):
            found = self.target.read(key)
            if found is None and not values.said:
                return _as_it_is(ref.key, key, values)
            # What a person keeps beside the image is where a first sidecar elsewhere begins.
            other = None if found or self.own is not None else self.library.source.read(key)
            existing = found or other
            data, merged = beside(
                existing and existing[0], values, self.merge, elsewhere, self.naming.extension(ref.key)
            )
            if found is not None and data == found[0]:
                return _as_it_is(ref.key, key, values)
            if self.dry_run:
                break
            try:
                if found is not None:
                    self.target.rewrite(key, data, if_match=found[1])
                else:
                    self.target.put(key, data, if_match=None)
                break
            except Conflict:
                if attempt == ATTEMPTS - 1:
                    raise
        return self._line(ref.key, key, merged)

    def _line(self, key: str, target: str, merged: Merged) -> Line:
        if not self.dry_run:
            return Line(key, target, "written", merged.changed)
        said = {**merged.texts, **merged.lists}
        return Line(
            key, target, "would_write", merged.changed, values={n: said[n] for n in merged.changed if n in said}
        )

    def _fetch(self, ref: ImageRef) -> tuple[bytes, Stat]:
        stat = self.library.source.stat(ref.key, ref.etag)
        if stat.size > self.max_bytes:
            raise Rejected(Reason.TOO_MANY_BYTES, f"it has {stat.size} bytes, and {self.max_bytes} are allowed")
        body = self.library.source.fetch(ref.key, stat.etag).body
        if isinstance(body, bytes):
            return body, stat
        data = _read(body, ref.key)
        # It may have been replaced while it was read.
        self.library.source.stat(ref.key, stat.etag)
        return data, stat


def _as_it_is(key: str, target: str, values: Values) -> Line:
    if values.said:
        return Line(key, target, "unchanged")
    return Line(key, target, "skipped", reason="there is nothing to say about it")


def _read(path: Path, key: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise Vanished(f"{key!r} is gone") from error
    except OSError as error:
        raise Unavailable(f"{key!r}: {error.strerror}") from error


def _same_picture(one: bytes, other: bytes, kind: str) -> bool:
    if one == other:
        return True
    try:
        return kind in pixels.KINDS and pixels.fingerprint(one, kind) == pixels.fingerprint(other, kind)
    except pixels.Unreadable:
        return False


def _of_people(embedded: Embedded | None) -> Elsewhere:
    """What the record says is a person's in the file itself."""
    if embedded is None:
        return Elsewhere()
    texts = {
        "title": embedded.title,
        "headline": embedded.headline,
        "description": embedded.description,
        "alt_text": embedded.alt_text,
    }
    return Elsewhere({name: text for name, text in texts.items() if text}, embedded.keywords)
