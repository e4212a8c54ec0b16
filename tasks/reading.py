"""From an image to pixels: out of the original, or out of a rendition of it and the original's start."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from tasks.budget import Budget
from tasks.errors import Reason, Rejected, Vanished
from tasks.observe import Observer
from tasks.ports import Decoded, Decoder, Fetched, Pixels, Start, Stat, Store
from tasks.records import Embedded, Image, ImageRef, Visual
from tasks.renditions import Renditions

logger = logging.getLogger(__name__)

START = 256 << 10
"""Bytes of an original that are read beside a rendition: where a JPEG says what it is, and who made it."""

MOST = 8 << 20
"""Bytes of a rendition. Something larger is none: the template names the wrong files, and memory has to hold many."""


class Clock:
    """Milliseconds by stage; waiting for a free process or a batch counts, as it does for whoever waits."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        """Add what the block takes to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            taken = (time.perf_counter() - start) * 1000
            self.milliseconds[stage] = round(self.milliseconds.get(stage, 0.0) + taken, 1)


class Reading(NamedTuple):
    """What was read of an image."""

    image: Image
    pixels: Pixels
    visual: Visual
    embedded: Embedded | None


@dataclass(frozen=True)
class Reader:
    """Reads images.

    Attributes:
        max_bytes: a larger original is refused, unread.
        budget: bytes of files in memory at once.
        observer: is told what became of renditions.
        renditions: where they lie; `None`: originals are read.
    """

    decoder: Decoder
    max_bytes: int
    budget: Budget
    observer: Observer
    renditions: Renditions | None = None
    clock: Clock = field(default_factory=Clock)

    def read(self, ref: ImageRef, stat: Stat, source: Store) -> Reading:
        """One image, whose state is `stat`.

        Raises:
            Rejected: the image is at fault.
            Vanished: it is gone, or (`Replaced`) not the one that was looked at.
            Unavailable: something outside did not answer.
        """
        # An empty original has no start, and no picture whatever lies beside it.
        key = self.renditions.of(ref.key) if self.renditions and stat.size else None
        if key is not None:
            result, reading = self._rendition(key, ref, stat, source)
            self.observer.rendition(result)
            if reading is not None:
                return reading
        return self._original(ref, stat, source)

    def _original(self, ref: ImageRef, stat: Stat, source: Store) -> Reading:
        if stat.size > self.max_bytes:
            raise Rejected(Reason.TOO_MANY_BYTES, f"it has {stat.size} bytes, and {self.max_bytes} are allowed")
        with self.budget.hold(stat.size):
            with self.clock.time("fetch"):
                body = source.fetch(ref.key, stat.etag).body
            with self.clock.time("decode"):
                decoded = self.decoder.submit(body).result()
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
        return Reading(image, decoded.pixels, decoded.visual, decoded.embedded)

    def _rendition(self, key: str, ref: ImageRef, stat: Stat, source: Store) -> tuple[str, Reading | None]:
        """What became of the rendition, and what was read if it stands for the original as it is now."""
        most = min(MOST, self.max_bytes)
        with self.budget.hold(most + START):
            with self.clock.time("fetch"):
                result, found = self._fetched(key, stat, source, most)
                if found is None:
                    return result, None
                # Pinned, so that what is said of the original is said of the one that the record will name.
                start = Start(source.fetch_start(ref.key, START, etag=stat.etag), stat.size)
            try:
                with self.clock.time("decode"):
                    decoded = self.decoder.submit(found.body, start).result()
            except Rejected as unfit:
                logger.debug("the original is read instead of %r: %s", key, unfit.detail, extra={"key": ref.key})
                return "unfit", None
        return "used", _of_rendition(key, ref, stat, decoded)

    @staticmethod
    def _fetched(key: str, stat: Stat, source: Store, most: int) -> tuple[str, Fetched | None]:
        try:
            found = source.fetch(key, most=most)
        except Vanished:
            return "missing", None
        except Rejected:
            return "unfit", None
        made, written = found.stat.modified, stat.modified
        if made is None or written is None or made < written:
            return "older", None
        return "", found


def _of_rendition(key: str, ref: ImageRef, stat: Stat, decoded: Decoded) -> Reading:
    header = decoded.original
    assert header is not None
    image = Image(
        bucket=ref.bucket,
        key=ref.key,
        etag=stat.etag,
        bytes=stat.size,
        width=header.width,
        height=header.height,
        stored_width=header.stored_width,
        stored_height=header.stored_height,
        format=header.format,
        rendition=key,
    )
    return Reading(image, decoded.pixels, decoded.visual, header.embedded)
