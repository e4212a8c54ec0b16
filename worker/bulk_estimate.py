"""How fast images will be worked on, for the estimate of a dry run: as workers say, or as it was tried here."""

import time
from collections.abc import Sequence
from typing import NamedTuple

from tasks.bulk import Result
from tasks.cost import Estimate, Pace, Prices, Way, estimate
from tasks.records import ImageRef
from tasks.tag import tag_many
from worker.library import Library
from worker.queue.heartbeat import WorkerState
from worker.runtime import Model, Runtime
from worker.settings import Settings
from worker.storage.local import LocalStore

SAMPLE = 16
"""Images that are tried at most."""


class Measured(NamedTuple):
    """What a trial showed; `record_bytes` is the mean of a record."""

    pace: Pace
    record_bytes: int


def heard_pace(heard: Sequence[WorkerState]) -> Pace | None:
    """What live workers did over the last minute; `None` where they did nothing."""
    per_second = round(sum(worker.per_second for worker in heard), 2)
    if not per_second:
        return None
    number = f"{len(heard)} live workers say" if len(heard) > 1 else "a live worker says"
    return Pace(per_second, f"as {number} of the last minute, of all their queues")


def measure(settings: Settings, model: Model, library: Library, refs: Sequence[ImageRef]) -> Measured | None:
    """Tag images in memory and commit nothing; `None` where none could be tagged.

    Args:
        settings: what the operator decided.
        model: loaded.
        library: whose images.
        refs: which; at most `SAMPLE` are taken.
    """
    with Runtime(settings, model, {library.source.bucket: library.source}) as runtime:
        # What only the first image waits for, such as the decoders' start.
        runtime.probe()
        start = time.perf_counter()
        outcomes = list(tag_many(runtime.tagger, refs[:SAMPLE], settings.threads))
        seconds = time.perf_counter() - start
    sizes = [len(outcome.record.to_json().encode()) for outcome in outcomes if outcome.record.status.done]
    if not sizes:
        return None
    pace = Pace(round(len(outcomes) / seconds, 2), f"measured here, on {len(outcomes)} of them, in memory")
    return Measured(pace, sum(sizes) // len(sizes))


def estimated(
    result: Result, way: Way, library: Library, settings: Settings, pace: Pace | None, record_bytes: int | None = None
) -> Estimate:
    """What a run would cost of which `result` is the dry one."""
    return estimate(
        result.passes[0],
        way,
        prices=prices(settings),
        pace=pace,
        billed=not (isinstance(library.source, LocalStore) and isinstance(library.sidecars, LocalStore)),
        record_bytes=record_bytes,
    )


def prices(settings: Settings) -> Prices:
    """As the operator gave them."""
    return Prices(put=settings.price_put, get=settings.price_get)
