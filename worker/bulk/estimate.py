"""How fast images will be worked on, for the estimate of a dry run: as workers say, or as it was tried here."""

import time
from collections.abc import Sequence
from typing import NamedTuple

from tasks.bulk.cost import Estimate, Pace, Way, estimate
from tasks.bulk.results import Counts
from tasks.errors import Vanished
from tasks.records import ImageRef
from tasks.rescoring.packs import manifest_key
from tasks.tag import tag_many
from worker import console
from worker.bulk.generation import Expected
from worker.bulk.report import prices
from worker.library import Library
from worker.queue.heartbeat import WorkerState
from worker.runtime import Model, Runtime
from worker.settings import Settings
from worker.storage.local import LocalStore


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
        refs: which.
    """
    with Runtime(settings, model, {library.source.bucket: library.source}) as runtime:
        # What only the first image waits for, such as the decoders' start.
        runtime.probe()
        start = time.perf_counter()
        outcomes = list(tag_many(runtime.tagger, refs, settings.threads))
        seconds = time.perf_counter() - start
    sizes = [len(outcome.record.to_json().encode()) for outcome in outcomes if outcome.record.status.done]
    if not sizes:
        return None
    pace = Pace(round(len(outcomes) / seconds, 2), f"measured here, on {len(outcomes)} of them, in memory")
    return Measured(pace, sum(sizes) // len(sizes))


def estimated(
    counts: Counts,
    expected: Expected,
    stored: str | None,
    first: Sequence[ImageRef],
    library: Library,
    settings: Settings,
    assumed: float | None,
) -> Estimate:
    """What a run would cost.

    Args:
        counts: of the dry run's listing.
        expected: what it would fill, and who would do it.
        stored: the generation whose embeddings would be scored again.
        first: images to try, where nobody says how fast it goes.
        library: whose images.
        settings: what the operator decided.
        assumed: images a second, if the operator says so.
    """
    pace = Pace(assumed, "as you said") if assumed else heard_pace(expected.heard)
    record_bytes = None
    if pace is None and expected.model is not None and stored is None and first:
        console.say(f"trying {len(first)} images in memory, to know how long all will take")
        if (measured := measure(settings, expected.model, library, first)) is not None:
            pace, record_bytes = measured
    return estimate(
        counts,
        way_of(library, stored),
        prices=prices(settings),
        pace=pace,
        billed=not (isinstance(library.source, LocalStore) and isinstance(library.sidecars, LocalStore)),
        record_bytes=record_bytes,
    )


def way_of(library: Library, stored: str | None) -> Way:
    """How images would be worked on."""
    if stored is None:
        return "rendition" if library.renditions else "tag"
    try:
        library.sidecars.stat(manifest_key(library.layout, stored, library.source.bucket))
    except Vanished:
        return "rescore"
    return "packed"
