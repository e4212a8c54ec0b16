"""The way of one image, in a straight line: fetch, decode, encode and score, find words, commit."""

import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from tasks.errors import Conflict, Reason, Rejected, Unavailable, Vanished
from tasks.inference import Inference, Scored
from tasks.ports import Captioner, Decoded, Decoder, Stat, Store
from tasks.publish import Publisher
from tasks.records import Category, Flag, Image, ImageRef, Keyword, Outcome, Record, Source, Status
from taxonomy.categories import Categorizer
from taxonomy.policy import Chooser, Chosen

logger = logging.getLogger(__name__)

REPLACEMENTS = 2
"""How often an image may be replaced under our hands in one run before it is left to the next."""

FLAGS = ("mature", "minor", "brand", "text")
"""What a person should look at before an image is sold. No encoder is asked yet, and the record says so."""


@dataclass(frozen=True)
class Provenance:
    """What a record says of how it was made."""

    generation: str
    model: str
    engine: str
    taxonomy: str


@dataclass(frozen=True)
class Tagger:
    """Tags one image at a time; many threads may call `tag` together, and share batches.

    Attributes:
        sources: stores by bucket; what is in none of them is refused.
        publisher: where to commit; `None` keeps records in memory only.
        retry_terminal: whether an earlier rejection is tried again, or counts as done.
    """

    sources: Mapping[str, Store]
    decoder: Decoder
    inference: Inference
    chooser: Chooser
    categorizers: tuple[Categorizer, ...]
    captioner: Captioner
    provenance: Provenance
    publisher: Publisher | None = None
    retry_terminal: bool = False

    def tag(self, ref: ImageRef) -> Outcome:
        """Work on one image to its end.

        Raises:
            Rejected: its key is too long for a record, or lies among the outputs.
            Vanished: it is gone, or not the one that was asked for any more.
            Unavailable: something outside did not answer; nothing is committed.
        """
        source = self.sources.get(ref.bucket)
        if source is None:
            # Not `Vanished`, which would end the image: this worker was told of another library.
            raise Unavailable(f"there is no {ref.bucket!r} here")
        if self.publisher:
            if self.publisher.sidecars is source and self.publisher.layout.is_output(ref.key):
                raise Rejected(Reason.KEY_INVALID, "it lies among the outputs, which are never taken for input")
            self.publisher.layout.check(ref)
        stat = source.stat(ref.key, ref.etag)
        before = self.publisher.current(ref, stat.etag) if self.publisher else None
        if before and (before.status.done or not self.retry_terminal):
            return Outcome(ref, before, cached=True)
        record = self._work(ref, stat, source)
        return Outcome(ref, self.publisher.publish(record, source) if self.publisher else record)

    def attempt(self, ref: ImageRef) -> Outcome:
        """`tag`, with every trouble as an outcome: what is not committed has a record whose status is `failed`.

        An image that was replaced while it was worked on is worked on again, unless one version of it was asked for.
        """
        status = Status.FAILED
        try:
            for _ in range(REPLACEMENTS):
                with suppress(Vanished):
                    return self.tag(ref)
                if ref.etag is not None:
                    break
            return self.tag(ref)
        except Rejected as error:
            # Of the key itself: such an image can have no record, so it is reported every time.
            status, reason, detail = Status.REJECTED, error.reason.value, error.detail
        except Vanished as error:
            reason, detail = "vanished", str(error)
        except Conflict as error:
            reason, detail = "conflict", str(error)
        except Unavailable as error:
            reason, detail = "unavailable", str(error)
        except Exception as error:
            logger.exception("a bug, met at image %r", ref.key)
            reason, detail = "internal_error", f"{type(error).__name__}: {error}"
        blank = self._blank(Image(ref.bucket, ref.key, ref.etag), status)
        return Outcome(ref, replace(blank, reason=reason, detail=detail), committed=False)

    def _work(self, ref: ImageRef, stat: Stat, source: Store) -> Record:
        clock = _Clock()
        try:
            with self.inference.slot() as slot:
                with clock.time("fetch"):
                    body = source.fetch(ref.key, stat.etag).body
                with clock.time("decode"):
                    decoded = self.decoder.submit(body).result()
                scoring = slot.submit(decoded.pixels)
        except Rejected as rejection:
            image = Image(ref.bucket, ref.key, stat.etag, bytes=stat.size)
            blank = self._blank(image, Status.REJECTED)
            return replace(blank, reason=rejection.reason.value, detail=rejection.detail)
        with clock.time("encode"):
            scored = scoring.result()
        with clock.time("caption"):
            record = self._describe(ref, stat, decoded, scored)
        return replace(record, timings_ms=clock.milliseconds)

    def _describe(self, ref: ImageRef, stat: Stat, decoded: Decoded, scored: Scored) -> Record:
        chosen = self.chooser.choose(scored.raw, scored.chance, scored.score)
        words = self.captioner.caption(scored.vector, chosen)
        image = Image(
            bucket=ref.bucket,
            key=ref.key,
            etag=stat.etag,
            bytes=decoded.file_size,
            width=decoded.width,
            height=decoded.height,
            stored_width=decoded.stored_width,
            stored_height=decoded.stored_height,
            format=decoded.format,
            sha256=decoded.sha256,
        )
        return replace(
            self._blank(image, Status.TAGGED if chosen else Status.EMPTY),
            reason=None if chosen else "no_evidence",
            detail=None if chosen else "Nothing in the vocabulary is certain enough for this picture.",
            title=words.title if words else None,
            caption=words.caption if words else None,
            alt_text=words.alt_text if words else None,
            keywords=tuple(self._keyword(rank, word) for rank, word in enumerate(chosen, 1)),
            categories=self._categories(scored) if chosen else {},
            flags=tuple(Flag(name, "not assessed", "this version asks no encoder for it") for name in FLAGS),
            visual=decoded.visual,
            embedding=scored.stored,
        )

    def _keyword(self, rank: int, word: Chosen) -> Keyword:
        labels = self.chooser.vocabulary.labels(word.concept, self.chooser.policy.languages)
        return Keyword(rank, word.concept.id, labels, word.score, word.raw, Source(word.source))

    def _categories(self, scored: Scored) -> dict[str, tuple[Category, ...]]:
        return {
            categorizer.scheme.name: tuple(
                Category(row.id, row.label, score)
                for row, score in categorizer.choose(scored.categories[categorizer.scheme.name])
            )
            for categorizer in self.categorizers
        }

    def _blank(self, image: Image, status: Status) -> Record:
        now = datetime.now(UTC)
        return Record(
            status=status,
            image=image,
            generation=self.provenance.generation,
            revision=int(now.timestamp() * 1e6),
            created_at=now.isoformat(timespec="milliseconds"),
            updated_at=now.isoformat(timespec="milliseconds"),
            model=self.provenance.model,
            engine=self.provenance.engine,
            taxonomy=self.provenance.taxonomy,
        )


class _Clock:
    """Milliseconds by stage; waiting for a free process or a batch counts, as it does for whoever waits."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.milliseconds[stage] = round((time.perf_counter() - start) * 1000, 1)


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
