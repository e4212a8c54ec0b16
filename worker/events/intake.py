"""Where all events end: what belongs to the library goes to the queue, grouped; the rest is counted."""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from tasks.generations.pointer import Current
from tasks.layout import Layout, is_image
from tasks.messages import UPLOADS, Queue, TagMessage
from tasks.records import ImageRef
from tasks.renditions import Renditions

logger = logging.getLogger(__name__)

GROUP = 64
"""Images in a message: about 10 kB."""
MAX_KEY = 1024
"""Bytes of UTF-8 in a key; no store holds more."""


class Drop(StrEnum):
    """Why an event became no message; part of logs and metrics."""

    BUCKET = "other_bucket"
    PREFIX = "outside_library"
    OUTPUT = "own_output"
    NO_IMAGE = "no_image"
    RENDITION = "rendition"
    KEY = "impossible_key"
    DUPLICATE = "duplicate"
    IGNORED = "no_change"
    UNKNOWN = "unknown_form"


@dataclass(frozen=True, slots=True)
class Scope:
    """What belongs to a library.

    Attributes:
        bucket: the images' bucket.
        prefix: what their keys begin with.
        outputs: the layout of the outputs where they lie in the same bucket, else `None`.
        extensions: of images, lower case, without dots.
        renditions: what is named like one is no image of its own; `None` where there are none.
    """

    bucket: str
    prefix: str
    outputs: Layout | None
    extensions: Collection[str]
    renditions: Renditions | None = None

    def refuse(self, ref: ImageRef) -> Drop | None:
        """Why an object is none of the library's images; `None` if it is one.

        A sidecar is refused here by name, whatever rules the event source has: else each would bring forth the next.
        """
        if ref.bucket != self.bucket:
            return Drop.BUCKET
        if not _is_possible(ref.key):
            return Drop.KEY
        if self.outputs is not None and self.outputs.is_output(ref.key):
            return Drop.OUTPUT
        if not ref.key.startswith(self.prefix):
            return Drop.PREFIX
        if not is_image(ref.key, self.extensions):
            return Drop.NO_IMAGE
        return Drop.RENDITION if self.renditions and self.renditions.is_rendition(ref.key) else None


class Tally:
    """Counts of what came and what became of it, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._accepted = 0
        self._dropped: Counter[Drop] = Counter()

    @property
    def accepted(self) -> int:
        """Images that were sent to the queue."""
        return self._accepted

    @property
    def dropped(self) -> dict[Drop, int]:
        """Events that became nothing, by reason."""
        with self._lock:
            return dict(self._dropped)

    def accept(self, images: int) -> None:
        """Count images that were sent."""
        with self._lock:
            self._accepted += images

    def drop(self, reason: Drop, events: int = 1) -> None:
        """Count events that were not taken."""
        if events:
            with self._lock:
                self._dropped[reason] += events

    def __str__(self) -> str:
        dropped = self.dropped
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(dropped.items()))
        return f"{self.accepted} images sent to the queue, {sum(dropped.values())} events dropped" + (
            f" ({reasons})" if reasons else ""
        )


class Intake:
    """Takes events from any source, from any thread.

    Args:
        scope: what belongs to the library.
        queue: where messages go.
        current: reads which generations uploads are written to; raises `Unavailable`.
        tally: counts.
    """

    def __init__(self, scope: Scope, queue: Queue, current: Callable[[], Current], tally: Tally) -> None:
        self.tally = tally
        self._scope = scope
        self._queue = queue
        self._current = current

    def take(self, refs: Iterable[ImageRef]) -> int:
        """Send messages for those that belong to the library; returns how many images that are.

        One message for each generation that is written, so that an upload while one is being filled is in both.

        Raises:
            Unavailable: not all were sent. Taken again, some are sent twice, which does no harm.
        """
        wanted, dropped = self._sorted(refs)
        if wanted:
            generations: tuple[str | None, ...] = self._current().written or (None,)
            for start in range(0, len(wanted), GROUP):
                for generation in generations:
                    self._queue.send(TagMessage(wanted[start : start + GROUP], generation), UPLOADS)
        # Counted last, and so once, however often a source has to come again.
        self.tally.accept(len(wanted))
        for reason, events in dropped.items():
            self.tally.drop(reason, events)
        return len(wanted)

    def _sorted(self, refs: Iterable[ImageRef]) -> tuple[tuple[ImageRef, ...], Counter[Drop]]:
        """The library's images, each once and without its ETag, which may be older than what is there; the others."""
        wanted: dict[ImageRef, None] = {}
        dropped: Counter[Drop] = Counter()
        for ref in refs:
            plain = ImageRef(ref.bucket, ref.key)
            reason = self._scope.refuse(plain) or (Drop.DUPLICATE if plain in wanted else None)
            if reason is None:
                wanted[plain] = None
                continue
            dropped[reason] += 1
            if reason is Drop.KEY:
                logger.warning("an event names a key that no store can hold", extra={"key": ascii(ref.key[:MAX_KEY])})
        return tuple(wanted), dropped


def _is_possible(key: str) -> bool:
    """Whether a key can name one object: `..` would name another one, and half a character none."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return False
    parts = key.split("/")
    return 0 < size <= MAX_KEY and "\0" not in key and ".." not in parts and "." not in parts
