"""One thread that encodes and scores, in batches made of whatever images are ready, whoever sent them.

An image whose embedding is stored already takes its place in a batch with that, and is only scored.
"""

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.errors import Unavailable
from tasks.observe import Observer, Silent
from tasks.ports import Embeddings, Encoded, Encoder, Generator, Pixels
from tasks.records import Candidate, Embedding
from taxonomy.categories import Categorizer
from taxonomy.review import Reviewer
from taxonomy.score import Scorer, blocks

logger = logging.getLogger(__name__)

Values = NDArray[np.float32]
Arrival = tuple[Pixels | Embedding, "Future[Scored]"]
"""What is to be scored, and who waits for it: a picture, or the embedding of one that was encoded before."""


class Scored(NamedTuple):
    """One image's embedding as stored, and its values for every concept (m,) and every scheme's categories (k,).

    `flags` are the shares of the review flags' prompts, (p,); `candidates` are generated captions.
    """

    stored: Embedding
    vector: Values
    raw: Values
    chance: Values
    score: Values
    categories: Mapping[str, Values]
    flags: Values
    candidates: Sequence[Candidate] = ()


@dataclass(frozen=True)
class Judge:
    """Pixels to scores: n images in, n results out, in order. With a `generator`, captions too."""

    encoder: Encoder
    scorer: Scorer
    categorizers: Sequence[Categorizer]
    reviewer: Reviewer
    generator: Generator | None = None

    def probe(self) -> None:
        """Judge a picture that no model refuses. Raises whatever a model or a device that fails raises."""
        size = self.encoder.preprocess.size
        ramp = np.linspace(0, 255, size * size * 3).astype(np.uint8).reshape(1, size, size, 3)
        encoded = self.encoder.encode(ramp)
        self.rescore([Embedding.pack(row) for row in encoded.embeddings])
        if self.generator is not None:
            self.generator.generate(ramp, encoded)

    def judge(self, pixels: Pixels) -> list[Scored]:
        """Encode uint8 (n, size, size, 3) and score it."""
        encoded = self.encoder.encode(pixels)
        scored = self.rescore([Embedding.pack(row) for row in encoded.embeddings])
        if self.generator is None:
            return scored
        generated = self._generate(self.generator, pixels, encoded)
        return [one._replace(candidates=found) for one, found in zip(scored, generated, strict=True)]

    def _generate(self, generator: Generator, pixels: Pixels, encoded: Encoded) -> Sequence[Sequence[Candidate]]:
        """Candidates for n images. A picture on which the generator fails has none, and loses nothing else by it.

        Raises what the generator raises if it fails on any picture: then it is the model or its device.
        """
        try:
            found = generator.generate(pixels, encoded)
            if len(found) != len(pixels):
                raise ValueError(f"{len(pixels)} images went in and captions for {len(found)} came out")
            return found
        except Exception as error:  # noqa: BLE001 - models fail in every way; a caption is no reason to lose keywords
            if len(pixels) == 1:
                self.probe()
                logger.warning("no caption is generated for a picture: %s: %s", type(error).__name__, error)
                return [()]
            logger.warning("captions for a batch of %d failed (%s); trying halves", len(pixels), error)
        half = len(pixels) // 2
        parts = (slice(0, half), slice(half, None))
        return [one for part in parts for one in self._generate(generator, pixels[part], _part(encoded, part))]

    def rescore(self, stored: Sequence[Embedding]) -> list[Scored]:
        """Score embeddings in their stored form, which is the only one that is ever scored."""
        vectors: Embeddings = np.stack([embedding.unpack() for embedding in stored])
        scored = itertools.chain.from_iterable(map(self._block, blocks(vectors)))
        return [Scored(embedding, *rest) for embedding, rest in zip(stored, scored, strict=True)]

    def _block(
        self, rows: Embeddings
    ) -> "Iterator[tuple[Values, Values, Values, Values, Mapping[str, Values], Values]]":
        """Score a few (n, d); every product is exact, so that nothing depends on what else is in a batch."""
        scores = self.scorer.block(rows)
        categories = {c.scheme.name: c.score(scores.chance, rows) for c in self.categorizers}
        flags = self.reviewer.score(rows)
        for i, row in enumerate(rows):
            schemes = {scheme: values[i] for scheme, values in categories.items()}
            yield row, scores.raw[i], scores.chance[i], scores.score[i], schemes, flags[i]


def _part(encoded: Encoded, part: slice) -> Encoded:
    return Encoded(encoded.embeddings[part], None if encoded.tokens is None else encoded.tokens[part])


class Slot:
    """A place in a coming batch, held while an image is fetched and decoded."""

    def __init__(self, inference: "Inference") -> None:
        self._inference = inference
        self._held = True

    def submit(self, seen: Pixels | Embedding) -> "Future[Scored]":
        """Hand over uint8 (size, size, 3), or an embedding as stored."""
        future: Future[Scored] = Future()
        self._held = False
        self._inference.arrive((seen, future))
        return future

    def give_up(self) -> None:
        """Stop holding the place, if it is still held."""
        if self._held:
            self._held = False
            self._inference.arrive(None)


class Inference:
    """The batching thread.

    A batch leaves when it is full, or when no image is on its way to it: a lone upload never waits, and a bulk run gets
    full batches. `patience` bounds the wait for an image whose decoding takes long.

    Args:
        judge: what to do with a batch.
        batch: at most so many images at once.
        patience: seconds that the first image of a batch waits at most.
        observer: is told of batches.
        on_broken: called once, in the inference thread, when the model or its device fails on a picture that was no
            trouble before.
    """

    def __init__(
        self,
        judge: Judge,
        batch: int,
        patience: float = 0.5,
        observer: Observer | None = None,
        on_broken: Callable[[], None] = lambda: None,
    ) -> None:
        self._judge = judge
        self._observer = observer or Silent()
        self._on_broken = on_broken
        self.broken: str | None = None
        self._busy_since: float | None = None
        self._batch = batch
        self._patience = patience
        self._changed = threading.Condition()
        self._pending: deque[Arrival] = deque()
        self._coming = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)
        self._thread.start()

    @contextmanager
    def slot(self) -> Iterator[Slot]:
        """Announce an image; leaving without `submit` gives the place up."""
        with self._changed:
            self._coming += 1
        slot = Slot(self)
        try:
            yield slot
        finally:
            slot.give_up()

    @property
    def busy_seconds(self) -> float:
        """How long the model has been at one batch; 0 while it is at none. A device may hang instead of failing."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def arrive(self, arrival: Arrival | None) -> None:
        """An announced image is here, or (`None`) will not come."""
        with self._changed:
            self._coming -= 1
            if arrival is not None:
                if self._closed:
                    raise Unavailable("the inference thread has been stopped")
                self._pending.append(arrival)
            self._changed.notify()

    def close(self, *, wait: bool = True) -> None:
        """Finish what has arrived, then stop; return when that is done, or, without `wait`, at once."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if wait:
            self._thread.join()

    def _run(self) -> None:
        while batch := self._collect():
            self._busy_since = time.monotonic()
            self._process(batch)
            self._busy_since = None

    def _collect(self) -> list[Arrival]:
        """Wait for a batch; an empty one means that there will be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._pending or self._closed)
            leave = time.monotonic() + self._patience
            while 0 < len(self._pending) < self._batch and self._coming and not self._closed:
                if (left := leave - time.monotonic()) <= 0:
                    break
                self._changed.wait(left)
            return [self._pending.popleft() for _ in range(min(self._batch, len(self._pending)))]

    def _process(self, batch: Sequence[Arrival]) -> bool:
        """Judge a batch; where that fails, its halves: memory may be short, and one image must not fail others.

        Returns whether every image passed in the end.
        """
        start = time.perf_counter()
        try:
            results = self._judged([seen for seen, _ in batch])
        except Exception as error:  # noqa: BLE001 - told to whoever waits for the image
            self._observer.batch_failed(len(batch))
            if len(batch) == 1:
                batch[0][1].set_exception(self._verdict(error))
                return False
            logger.warning("a batch of %d failed (%s); trying halves", len(batch), error)
            return self._halve(batch)
        self._observer.batch(len(batch), time.perf_counter() - start)
        for (_, future), result in zip(batch, results, strict=True):
            future.set_result(result)
        return True

    def _judged(self, batch: Sequence[Pixels | Embedding]) -> list[Scored]:
        """A result each, in order; pictures are encoded together, and nothing depends on what else is in the batch."""
        pictures = [seen for seen in batch if not isinstance(seen, Embedding)]
        stored = [seen for seen in batch if isinstance(seen, Embedding)]
        fresh = self._judge.judge(np.stack(pictures)) if pictures else []
        again = self._judge.rescore(stored) if stored else []
        if (len(fresh), len(again)) != (len(pictures), len(stored)):
            raise ValueError(f"{len(batch)} images went in and {len(fresh) + len(again)} results came out")
        results = {True: iter(again), False: iter(fresh)}
        return [next(results[isinstance(seen, Embedding)]) for seen in batch]

    def _halve(self, batch: Sequence[Arrival]) -> bool:
        half = len(batch) // 2
        # Not `and`, which would leave the second half out.
        passed = [self._process(batch[:half]), self._process(batch[half:])]
        if all(passed) and half < self._batch:
            # No image was at fault, so it was the size; what failed once would fail every time.
            self._batch = max(half, 1)
            logger.warning("batches have at most %d images from now on", self._batch)
        return all(passed)

    def _verdict(self, error: Exception) -> Exception:
        """Whose fault it is that a single image failed: its own, if another picture passes; else the device's."""
        logger.error("the encoder failed on a single image", exc_info=error)
        if self.broken is None:
            try:
                self._judge.probe()
            except Exception as general:  # noqa: BLE001 - devices fail in every way
                self.broken = f"{type(general).__name__}: {general}"
                logger.critical("the model does not work any more: %s", self.broken)
                self._on_broken()
            else:
                return ValueError(f"the encoder fails on this image: {type(error).__name__}: {error}")
        unavailable = Unavailable(f"the model does not work: {self.broken}")
        unavailable.__cause__ = error
        return unavailable
