"""The way of one image, in a straight line: fetch, decode, encode and score, find words, commit."""

import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace

from tasks.budget import Budget
from tasks.describe import Describer, blank, unfinished
from tasks.errors import Conflict, Reason, Rejected, Replaced, Unavailable, Vanished
from tasks.inference import Inference
from tasks.observe import Observer, Silent
from tasks.own_writes import adopted, is_own
from tasks.ports import Decoder, Stat, Store
from tasks.publish import NOTHING, Publisher, Seen
from tasks.reading import Clock, Reader
from tasks.records import Image, ImageRef, Outcome, Record, Status
from tasks.redo import Redo, wanted
from tasks.renditions import Renditions
from tasks.rescoring.rescore import Rescorer

logger = logging.getLogger(__name__)

REPLACEMENTS = 2
"""How often an image may be replaced under our hands in one run before it is left to the next."""


@dataclass(frozen=True)
class Tagger:
    """Tags one image at a time; many threads may call `tag` together, and share batches.

    Attributes:
        sources: stores by bucket; what is in none of them is refused.
        publisher: where to commit; `None` keeps records in memory only.
        retry_terminal: whether an earlier rejection is tried again, or counts as done.
        max_bytes: larger files are refused unread.
        budget: bytes of files in memory at once.
        observer: is told how long a commit takes.
        rescorer: finds what other generations have stored; `None`: every image is read.
        renditions: where smaller versions lie that are read instead of the originals; `None`: nowhere.
    """

    sources: Mapping[str, Store]
    decoder: Decoder
    inference: Inference
    describer: Describer
    publisher: Publisher | None = None
    retry_terminal: bool = False
    max_bytes: int = 100 << 20
    budget: Budget = field(default_factory=lambda: Budget(1 << 30))
    observer: Observer = field(default_factory=Silent)
    rescorer: Rescorer | None = None
    renditions: Renditions | None = None

    def tag(self, ref: ImageRef, *, redo: Redo | None = None, stored: str | None = None, new: bool = False) -> Outcome:
        """Work on one image to its end; what is committed counts as done, unless `redo` asks for it.

        Args:
            ref: which.
            redo: what is worked on though it is committed.
            stored: the generation whose record of the same content may stand in for the pixels.
            new: a listing showed no record of it: none is looked for before the work, which saves two requests of
                seven; what is scored again, with its ETag given, costs three. Where there is one by now, the commit
                finds it.

        Raises:
            Rejected: its key is too long for a record, or lies among the outputs.
            Vanished: it is gone, or (`Replaced`) not the one that was asked for any more.
            Unavailable: something outside did not answer; nothing is committed.
        """
        source = self._source(ref)
        if self.publisher is None:
            return Outcome(ref, self._work(ref, source.stat(ref.key, ref.etag), source))
        if self.publisher.sidecars is source and self.publisher.layout.is_output(ref.key):
            raise Rejected(Reason.KEY_INVALID, "it lies among the outputs, which are never taken for input")
        self.publisher.layout.check(ref)
        rescored = self._rescored(ref, ref.etag, stored) if new and redo is None else None
        if rescored is not None:
            # There is a record by now, or an outdated one that the listing missed: the ordinary way looks at it.
            with suppress(Conflict):
                start = time.perf_counter()
                committed = self.publisher.publish_first(rescored, source)
                self.observer.stage("commit", time.perf_counter() - start)
                return Outcome(ref, committed)
            new = False
        stat = source.stat(ref.key, ref.etag)
        seen = NOTHING if new else self.publisher.look(ref, stat.etag)
        again = seen.current is not None and wanted(redo, seen.current)
        if seen.current and not again and (seen.current.status.done or not self.retry_terminal):
            if not seen.current.status.done and seen.done.etag is not None:
                self.publisher.settle(ref, source, stat.etag)
            return Outcome(ref, seen.current, cached=True)
        if not again and (own := self._own(ref, stat, source, seen)):
            return Outcome(ref, self.publisher.publish(own, source, seen), cached=True)
        if rescored is None and (not new or ref.etag is None):
            rescored = self._rescored(ref, stat.etag, stored)
        record = rescored or self._work(ref, stat, source)
        start = time.perf_counter()
        committed = self.publisher.publish(record, source, seen, redo=redo)
        # Not in the record's own timings: it is written before it can know.
        self.observer.stage("commit", time.perf_counter() - start)
        return Outcome(ref, committed)

    def attempt(
        self, ref: ImageRef, *, redo: Redo | None = None, stored: str | None = None, new: bool = False
    ) -> Outcome:
        """`tag`, with every trouble as an outcome: what is not committed has a record whose status is `failed`.

        An image that was replaced while it was worked on is worked on again, unless one version of it was asked for.
        The records of an image that is gone are removed.
        """
        status = Status.FAILED
        try:
            return self._persist(ref, redo, stored, new=new)
        except Rejected as error:
            # Of the key itself: such an image can have no record, so it is reported every time.
            status, reason, detail = Status.REJECTED, error.reason.value, error.detail
        except Replaced as error:
            reason, detail = "replaced", str(error)
        except Vanished as error:
            reason, detail = "vanished", str(error)
        except Conflict as error:
            reason, detail = "conflict", str(error)
        except Unavailable as error:
            reason, detail = "unavailable", str(error)
        except Exception as error:
            logger.exception("a bug, met at an image", extra={"bucket": ref.bucket, "key": ref.key})
            reason, detail = "internal_error", f"{type(error).__name__}: {error}"
        return unfinished(self.describer.provenance, ref, status, reason, detail)

    def committed(self, ref: ImageRef, *, redo: Redo | None = None) -> Outcome | None:
        """What is committed for an image as it is now, if nothing is left to do for it. Raises as `tag` does.

        For what a worker had in hand that died: what it left half done at the commit is brought to its end.
        """
        source = self._source(ref)
        stat = source.stat(ref.key, ref.etag)
        record = None if self.publisher is None else self.publisher.settle(ref, source, stat.etag)
        return None if record is None or wanted(redo, record) else Outcome(ref, record, cached=True)

    def _persist(self, ref: ImageRef, redo: Redo | None, stored: str | None, *, new: bool) -> Outcome:
        for replacements in range(REPLACEMENTS + 1):
            try:
                return self.tag(ref, redo=redo, stored=stored, new=new and not replacements)
            except Replaced:
                if ref.etag is not None or replacements == REPLACEMENTS:
                    raise
            except Vanished as gone:
                if self.publisher is None or self.publisher.forget(ref, self._source(ref)):
                    raise
                if replacements == REPLACEMENTS:
                    raise Replaced(f"{gone}; then it was there again") from gone
        raise AssertionError("the last round returns or raises")

    def _source(self, ref: ImageRef) -> Store:
        source = self.sources.get(ref.bucket)
        if source is None:
            # Not `Vanished`, which would end the image: this worker was told of another library.
            raise Unavailable(f"there is no {ref.bucket!r} here")
        return source

    def _own(self, ref: ImageRef, stat: Stat, source: Store, seen: Seen) -> Record | None:
        """The record that there is, if the image is new only because `stockmeta write --in-place` wrote it."""
        before = seen.done.record
        if before is None or before.written is None or stat.size > self.max_bytes:
            return None
        with self.budget.hold(stat.size):
            try:
                own = is_own(before, source.fetch(ref.key, stat.etag).body)
            except OSError as error:
                raise Unavailable(f"{ref.bucket}: {ref.key!r}: {error.strerror}") from error
        return adopted(before, stat) if own else None

    def _rescored(self, ref: ImageRef, etag: str | None, stored: str | None) -> Record | None:
        """The record made of what another generation has stored of this content; `None`: the image has to be read."""
        if self.rescorer is None or stored is None or etag is None:
            return None
        clock = Clock()
        with self.inference.slot() as slot:
            with clock.time("fetch"):
                found = self.rescorer.find(ref, etag, stored)
            if found is None:
                return None
            scoring = slot.submit(found.embedding)
        with clock.time("encode"):
            scored = scoring.result()._replace(candidates=found.candidates)
        with clock.time("caption"):
            record = self.describer.describe(found.image, found.visual, scored, found.embedded)
        return replace(record, written=found.written, timings_ms=clock.milliseconds)

    def _work(self, ref: ImageRef, stat: Stat, source: Store) -> Record:
        clock = Clock()
        reader = Reader(self.decoder, self.max_bytes, self.budget, self.observer, self.renditions, clock)
        try:
            with self.inference.slot() as slot:
                found = reader.read(ref, stat, source)
                scoring = slot.submit(found.pixels)
        except Rejected as rejection:
            image = Image(ref.bucket, ref.key, stat.etag, bytes=stat.size)
            rejected = blank(self.describer.provenance, image, Status.REJECTED)
            return replace(rejected, reason=rejection.reason.value, detail=rejection.detail)
        with clock.time("encode"):
            scored = scoring.result()
        with clock.time("caption"):
            record = self.describer.describe(found.image, found.visual, scored, found.embedded)
        return replace(record, timings_ms=clock.milliseconds)


def tag_many(tagger: Tagger, refs: Iterable[ImageRef], threads: int) -> Iterator[Outcome]:
    """Tag any number of images, at most `threads` at once; outcomes come in the order of the references.

    `refs` is read only as far ahead as `threads`, so that it may be a listing of millions.
    """
    waiting: deque[Future[Outcome]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="image")
    trouble: Exception | None = None
    try:
        try:
            for ref in refs:
                waiting.append(pool.submit(tagger.attempt, ref))
                if len(waiting) >= 2 * threads:
                    yield waiting.popleft().result()
        except Exception as error:  # noqa: BLE001 - raised again below
            # Of the listing: what was listed before it is finished first.
            trouble = error
        while waiting:
            yield waiting.popleft().result()
        if trouble is not None:
            raise trouble
    finally:
        # Reached early when the caller stops, as at Ctrl-C: what has not begun does not begin, and what has is not
        # waited for; it ends when the decoder is closed.
        pool.shutdown(wait=False, cancel_futures=True)
