"""`stockmeta failed`: images that ended without metadata, why, and another try."""

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tasks.errors import ConfigurationError, Conflict, Unavailable, Vanished
from tasks.generations.pointer import read_current
from tasks.messages import SUSPECTS, UPLOADS, TagMessage
from tasks.publish import Publisher
from tasks.records import ImageRef, Record, Status
from worker import console
from worker.library import Library, open_library
from worker.session import session
from worker.settings import Settings

OK, NOTHING = 0, 1

LATER_SECONDS = 60.0
"""After which workers look at an image, if the command that removed its record did not live to send it."""


class Terminal(NamedTuple):
    """A terminal record, and what it takes to remove it and nothing else."""

    record: Record
    path: str
    etag: str

    @property
    def ref(self) -> ImageRef:
        """The image, whatever its content is now."""
        return ImageRef(self.record.image.bucket, self.record.image.key)


def run_list(settings: Settings, reason: str | None, limit: int | None) -> int:
    """Print terminal records, one short object a line; returns the exit status."""
    for count, found in enumerate(_terminal(open_library(settings), reason)):
        if count == limit:
            console.say(f"stopped at {limit}; there are more")
            break
        record = found.record
        line = {
            "bucket": record.image.bucket,
            "key": record.image.key,
            "status": record.status.value,
            "reason": record.reason,
            "detail": record.detail,
            "generation": record.generation,
            "updated_at": record.updated_at,
        }
        console.emit(json.dumps(line, ensure_ascii=False))
    return OK


def run_show(settings: Settings, key: str) -> int:
    """Print an image's terminal records, whole; returns the exit status."""
    found = list(_of(open_library(settings), key))
    for terminal in found:
        console.emit(terminal.record.to_json())
    if not found:
        console.say(f"{key}: it has no terminal record")
    return OK if found else NOTHING


def run_retry(settings: Settings, keys: Sequence[str], reason: str | None, *, everything: bool, dry_run: bool) -> int:
    """Remove terminal records and send their images again; returns the exit status."""
    if bool(keys) == (everything or reason is not None):
        raise ConfigurationError("say which: KEY..., or --reason R, or --all")
    library = open_library(settings)
    if dry_run:
        chosen = list(_chosen(library, keys, reason))
        for terminal in chosen:
            console.emit(json.dumps({"bucket": terminal.ref.bucket, "key": terminal.ref.key}, ensure_ascii=False))
        console.say(f"{len(chosen)} images would be tried again")
        return OK if chosen or not keys else NOTHING
    sent = 0
    with session(settings) as queue, console.bars() as bars:
        for terminal in _chosen(library, keys, reason):
            # What brought a worker down goes where it can do no harm.
            target = SUSPECTS if terminal.record.status is Status.FAILED else UPLOADS
            message = TagMessage((terminal.ref,), terminal.record.generation)
            # In the ledger first: ended in between, we would leave an image that has no record and that nobody is at.
            queue.queue.put_off(message, target, LATER_SECONDS)
            try:
                library.sidecars.delete(terminal.path, if_match=terminal.etag)
            except (Conflict, Vanished):
                # Somebody wrote it again, or removed it, since we read it: that is another try.
                queue.queue.done(message)
                continue
            queue.queue.send(message, target)
            console.emit(json.dumps({"bucket": terminal.ref.bucket, "key": terminal.ref.key}, ensure_ascii=False))
            sent += 1
        queue.drain(lambda left: bars.update("trying again", sent - min(left, sent), sent))
    console.say(f"{sent} images {'tried' if queue.worker else 'are queued to be tried'} again")
    return OK if sent or not keys else NOTHING


def _chosen(library: Library, keys: Sequence[str], reason: str | None) -> Iterator[Terminal]:
    if keys:
        for key in keys:
            yield from _of(library, key)
    else:
        yield from _terminal(library, reason)


def _of(library: Library, key: str) -> Iterator[Terminal]:
    ref = ImageRef(library.source.bucket, key)
    for generation in read_current(library.sidecars, library.layout).written:
        failed = Publisher(library.sidecars, library.layout, generation).look(ref).failed
        if failed.record is not None and failed.etag is not None:
            yield Terminal(failed.record, library.layout.failed(generation, ref), failed.etag)


def _terminal(library: Library, reason: str | None) -> Iterator[Terminal]:
    """Terminal records of the generations that serve or are being filled, as they are listed."""
    for generation in read_current(library.sidecars, library.layout).written:
        prefix = library.layout.prefix("failed", generation, library.source.bucket, library.prefix)
        for stat in library.sidecars.list(prefix):
            place = library.layout.parse(stat.key)
            found = library.sidecars.read(stat.key)
            if place is None or found is None:
                continue
            try:
                record = Record.from_json(found[0])
            except ValueError as error:
                raise Unavailable(f"{stat.key}: it is no record: {error}") from error
            if reason in (None, record.reason):
                yield Terminal(record, stat.key, found[1])
