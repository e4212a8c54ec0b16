"""What an image and its records are to each other: current, missing, stale, or records whose image is gone.

Mostly the times of two listings tell. An image that is not older than its record by the stores' clocks costs one
request, which compares ETags: whole seconds lie.
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from tasks.errors import Rejected, Unavailable, Vanished
from tasks.layout import SUFFIX, Layout
from tasks.listing.merge import Found
from tasks.ports import Stat, Store
from tasks.publish import Publisher
from tasks.records import ImageRef, Record, Status

READS = 16
"""Records that are read at once."""
MARGIN_SECONDS = 900.0
"""How far the clocks of two kinds of stores may be apart; Amazon refuses requests that are signed with more."""
SERVERS_SECONDS = 5.0
"""And those of two buckets of one service, or of two folders."""


class State(StrEnum):
    """What an image or a record is found to be."""

    CURRENT = "current"
    """It has metadata of its content."""
    MISSING = "missing"
    """It has no record."""
    STALE = "stale"
    """Its record is of another content, or cannot be read."""
    TERMINAL = "terminal"
    """It has a record that says why there is no metadata."""
    REFUSED = "refused"
    """Its key is too long for a record."""
    ORPHAN = "orphan"
    """A record whose image was not listed."""


class Verdict(NamedTuple):
    """What was found, and what it is.

    Attributes:
        reason: why it is refused.
        looked: whether its record was read to know.
        both: whether it had metadata and a terminal record at a time.
        crashed: whether the record says that the image brought workers down; told only of those that were read.
    """

    found: Found
    state: State
    reason: str | None = None
    looked: bool = False
    both: bool = False
    crashed: bool = False


@dataclass(frozen=True)
class Reconciler:
    """Says what is current, and what is not.

    Attributes:
        source: where the images lie.
        sidecars: where the records lie.
        layout: of the records.
        generation: the one that is filled.
        thorough: whether every record is read, whatever the times say. An object that was uploaded to S3 in parts has
            the time at which that began, and may be newer than it says.
        read_terminal: whether every terminal record is read, to know which of them brought workers down.
        settle: whether what a worker left half done at a commit is put right.
        listed: whether records were listed; else a record that is named may not be there.
        margin: how far the clocks of the two stores may be apart, seconds.
        dated: whether images were listed some days ago: what is to be done is looked at first, and what is gone by now
            left out.
    """

    source: Store
    sidecars: Store
    layout: Layout
    generation: str
    thorough: bool = False
    read_terminal: bool = False
    settle: bool = True
    listed: bool = True
    margin: float = 0.0
    dated: bool = False

    def verdicts(self, found: Iterable[Found]) -> Generator[Verdict, None, None]:
        """A verdict on each, not quite in order; at most twice `READS` of what has to be read are ahead of the reader.

        Raises what the listing raises, after what it gave before.
        """
        waiting: deque[Future[Verdict | None]] = deque()
        pool = ThreadPoolExecutor(READS, thread_name_prefix="record")
        safe = self._safe_length()
        try:
            for one in found:
                if not (one.image or one.done or one.failed):
                    # Left in the generation whose embeddings are used again: nothing to do in this one.
                    continue
                verdict = self._at_sight(one, safe)
                if verdict is not None:
                    yield verdict
                    continue
                waiting.append(pool.submit(self.look, one))
                while len(waiting) > 2 * READS or (waiting and waiting[0].done()):
                    yield from _known(waiting.popleft())
            while waiting:
                yield from _known(waiting.popleft())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _at_sight(self, found: Found, safe: int) -> Verdict | None:
        """What the listings say; `None` where they do not."""
        image, done, failed = found.image, found.done, found.failed
        if image is None:
            return Verdict(found, State.ORPHAN)
        if len(found.key) > safe:
            try:
                self.layout.check(ImageRef(self.source.bucket, found.key))
            except Rejected as refusal:
                return Verdict(found, State.REFUSED, refusal.reason.value)
        if done is None and failed is None:
            return None if self.dated else Verdict(found, State.MISSING)
        if self.thorough or (done is not None and failed is not None) or (failed is not None and self.read_terminal):
            return None
        record = done or failed
        assert record is not None
        if image.modified is None or record.modified is None or image.modified + self.margin >= record.modified:
            return None
        return Verdict(found, State.TERMINAL if done is None else State.CURRENT)

    def look(self, found: Found) -> Verdict | None:
        """What the records themselves say of an image that was listed; `None` if it is gone, where that is looked for.

        One that the store does not give now counts as stale: whoever works on the image looks again.
        """
        image = found.image
        assert image is not None
        if self.dated:
            try:
                found = found._replace(image=(image := self.source.stat(found.key)))
            except Vanished:
                return None
            except Unavailable:
                return Verdict(found, State.STALE, looked=True)
        ref = ImageRef(self.source.bucket, found.key)
        both = self.listed and found.done is not None and found.failed is not None
        try:
            there, done = self._matching(self.layout.done(self.generation, ref), found.done, image)
            failed = None
            if done is None:
                there_too, failed = self._matching(self.layout.failed(self.generation, ref), found.failed, image)
                there = there or there_too
            if both and self.settle and (done or failed):
                Publisher(self.sidecars, self.layout, self.generation).settle(ref, self.source, image.etag)
        except (Unavailable, Vanished):
            return Verdict(found, State.STALE, looked=True)
        if done is not None:
            return Verdict(found, State.CURRENT, looked=True, both=both)
        if failed is not None:
            return Verdict(found, State.TERMINAL, looked=True, both=both, crashed=failed.status is Status.FAILED)
        return Verdict(found, State.STALE if there else State.MISSING, looked=True)

    def _matching(self, path: str, listed: Stat | None, image: Stat) -> tuple[bool, Record | None]:
        """Whether there is a record at a path where one was listed, and it if it is of the image's content."""
        read = None if listed is None else self.sidecars.read(path)
        if read is None:
            return False, None
        try:
            record = Record.from_json(read[0])
        except ValueError:
            return True, None
        return True, record if record.image.etag == image.etag else None

    def _safe_length(self) -> int:
        """Characters of a key that fit whatever they are; longer ones are looked at one by one."""
        limits = self.layout.limits
        around = len(self.layout.prefix("failed", "0" * 12, self.source.bucket).encode()) + len(SUFFIX)
        rooms = [] if limits.path is None else [limits.path - around]
        rooms += [] if limits.component is None else [limits.component - len(SUFFIX)]
        # A character takes at most four bytes.
        return max(0, min(rooms)) // 4 if rooms else 1 << 30


def _known(looked: Future[Verdict | None]) -> Iterator[Verdict]:
    """The verdict, unless the image is gone."""
    verdict = looked.result()
    if verdict is not None:
        yield verdict
