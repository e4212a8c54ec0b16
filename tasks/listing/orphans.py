"""Records whose image is gone: kept in a file while a listing runs, and removed after a look at each image."""

import json
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Self

from tasks.errors import Rejected, Unavailable
from tasks.feeding.announce import Aside
from tasks.feeding.changes import Change
from tasks.listing.temporary import temporary_disk
from tasks.ports import Store
from tasks.publish import Publisher
from tasks.records import ImageRef

THREADS = 16
"""Images that are looked at once at a time."""
BATCH = 128
"""After so many the caller is told, and may stop."""

PURPOSE = "what has no image any more is remembered on the disk"


class Orphans:
    """Keys in a temporary file, so that memory does not grow with them; a context manager.

    Everything raises `ConfigurationError` where its disk is full, and `Unavailable` where it fails otherwise.
    """

    def __init__(self) -> None:
        with temporary_disk(PURPOSE):
            # JSON lines: a key may hold a newline, and half a surrogate pair.
            self._file = tempfile.TemporaryFile("w+", encoding="ascii")  # noqa: SIM115 - closed by __exit__
        self.count = 0

    def add(self, key: str) -> None:
        """One more."""
        with temporary_disk(PURPOSE):
            self._file.write(json.dumps(key) + "\n")
        self.count += 1

    def __iter__(self) -> Iterator[str]:
        """All of them, in the order in which they were added."""
        with temporary_disk(PURPOSE):
            self._file.seek(0)
            for line in self._file:
                yield json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What was not written yet is not wanted any more.
        with suppress(OSError):
            self._file.close()


@dataclass(frozen=True, slots=True)
class Removed:
    """What became of records without an image.

    Attributes:
        removed: images of which every record was removed.
        there: images that are there after all, and keep theirs.
        unknown: images of which the store did not say.
    """

    removed: int = 0
    there: int = 0
    unknown: int = 0


def remove(
    orphans: Orphans,
    publisher: Publisher,
    source: Store,
    tell: Callable[[Removed], None],
    announced: Aside | None = None,
) -> None:
    """Remove the records of images that are gone, each after the store has said so of that image.

    Args:
        orphans: the images.
        publisher: of the generation whose records are removed.
        source: where the images lie.
        tell: is told of every few what became of them; what it raises ends this.
        announced: where changes are announced, if anywhere.
    """

    def forget(key: str) -> str:
        try:
            return "removed" if publisher.forget(ImageRef(source.bucket, key), source) else "there"
        except (Unavailable, Rejected):
            return "unknown"

    keys = iter(orphans)
    with ThreadPoolExecutor(THREADS, thread_name_prefix="orphan") as pool:
        while batch := list(islice(keys, BATCH)):
            told = list(pool.map(forget, batch))
            if announced is not None:
                # All of them: where the store broke off, some of a record may be gone.
                announced.add([Change(publisher.generation, source.bucket, key) for key in batch])
            tell(Removed(told.count("removed"), told.count("there"), told.count("unknown")))
