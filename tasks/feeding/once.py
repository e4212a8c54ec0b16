"""An index is brought to what the sidecars say, once, and that ends: `stockmeta feed` without `--follow`."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tasks.errors import ConfigurationError
from tasks.feeding.compare import Sidecars
from tasks.feeding.deliver import Deliverer, What
from tasks.feeding.ports import Index, Sink
from tasks.feeding.reconcile import MOST_REMOVED, Compared, Difference, Reconciliation, Tell
from tasks.generations.pointer import read_current

COMMIT_SECONDS = 5.0
LISTING_SECONDS = 0.2
ALL = 100.0
"""Percent."""
LOOKED_AT = 10_000
"""Images that were put right by the second comparison, and are looked at a third time."""


class Stopped(Exception):
    """The operator has ended the run."""


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        generation: which; `None`: the one that serves.
        full: all documents anew, in a new index beside the one that searches use.
        verify: compare again afterwards.
        dry_run: only compare.
        most_removed: percent of the index that may be removed.
    """

    generation: str | None = None
    full: bool = False
    verify: bool = False
    dry_run: bool = False
    most_removed: float = MOST_REMOVED


@dataclass(frozen=True, kw_only=True)
class Report:
    """What became of a run; as JSON, the command's result.

    Attributes:
        sidecars: as the last listing showed them, and `documents` in the index then.
        missing: sidecars without a document, `stale` documents made of something else, `extra` ones without a sidecar.
        refused: documents that the index does not take; it keeps them as dead letters.
        broken: sidecars that make no document.
        unsettled: still changing at the last look.
        kept: documents that were not removed unasked.
        differences: that remain, as far as is known; after `verify` as the second comparison found them.
        served: searches use this index.
    """

    sink: str
    generation: str
    dry_run: bool
    full: bool
    verified: bool
    interrupted: bool
    sidecars: int
    documents: int
    missing: int
    stale: int
    extra: int
    put: int
    removed: int
    refused: int
    broken: int
    unsettled: int
    kept: int
    differences: int
    served: bool
    seconds: float
    notes: tuple[str, ...] = field(default=())


class Once:
    """One run.

    Args:
        sidecars: of the library.
        sink: where to.
        deliverer: of the same library.
        plan: what to do.
        stopped: whether the operator has ended it.
        tell: is told of each image that differed.
        progress: is told how far a comparison has come.
    """

    def __init__(
        self,
        sidecars: Sidecars,
        sink: Sink,
        deliverer: Deliverer,
        plan: Plan,
        stopped: Callable[[], bool] = lambda: False,
        tell: Tell | None = None,
        progress: Callable[[Compared], None] = lambda _: None,
    ) -> None:
        self._sidecars, self._sink, self._deliverer, self._plan = sidecars, sink, deliverer, plan
        self._stopped, self._tell, self._progress = stopped, tell, progress
        self._passes: list[Compared] = []
        self._notes: list[str] = []
        self._acted: list[str] = []
        self._unkept = 0
        self._swapped = False

    def run(self) -> Report:
        """Compare, put right, and let searches use the index if they should.

        Raises:
            ConfigurationError: nothing was tagged yet, or as the sink says.
            Unavailable: the index or the store does not answer; run again, it goes on where this one ended.
        """
        began, interrupted = time.monotonic(), False
        generation, served = self._generation()
        index = self._sink.open(generation, anew=self._plan.full)
        try:
            self._bring_up(index, serving=served)
        except Stopped:
            interrupted = True
        return self._report(index, time.monotonic() - began, interrupted=interrupted)

    def _generation(self) -> tuple[str, bool]:
        """The one to feed, and whether it serves."""
        current = read_current(self._sidecars.store, self._sidecars.layout)
        generation = self._plan.generation or current.serving
        if generation is None:
            bucket, root = self._sidecars.store.bucket, self._sidecars.layout.root or "/"
            raise ConfigurationError(
                f"there are no sidecars in {bucket!r} below {root!r}: run `stockmeta backfill` first, or say with "
                "--output where they lie"
            )
        return generation, generation == current.serving

    def _bring_up(self, index: Index, *, serving: bool) -> None:
        plan = self._plan
        self._compare(index)
        if plan.dry_run:
            return
        serves = self._sink.serving()
        swaps = serving and (plan.full or serves != index.generation)
        if swaps and serves is not None and not self._passes[-1].sidecars and plan.most_removed < ALL:
            # Nothing was removed, and yet nothing would be found any more.
            raise ConfigurationError(
                f"generation {index.generation} has no sidecar at all, so searches keep the index that they use: see "
                "where the sidecars are; if all images are meant to be gone, say --max-removed 100"
            )
        index.completed()
        if swaps:
            self._sink.serve(index)
            self._swapped = True
        elif not serving:
            self._notes.append(f"generation {index.generation} does not serve, so searches do not use its index")
        if plan.verify or (swaps and plan.full):
            # What a feed that follows delivered meanwhile went to the index that this one replaces.
            self._acted = []
            self._compare(index)
        if plan.verify:
            # What was put right a second time: written since, or the index did not keep what it was given.
            again = self._deliverer.deliver(index, self._acted)
            self._unkept = sum(what in ("put", "removed") for what in again.outcomes.values())
            index.commit()

    def _compare(self, index: Index) -> None:
        plan = self._plan
        deliverer = None if plan.dry_run else self._deliverer
        run = Reconciliation(self._sidecars, index, deliverer, plan.most_removed, self._differs)
        committed = time.monotonic()
        try:
            while run.turn(LISTING_SECONDS):
                self._progress(run.compared)
                if self._stopped():
                    raise Stopped
                if not plan.dry_run and time.monotonic() - committed >= COMMIT_SECONDS:
                    index.commit()
                    committed = time.monotonic()
        finally:
            self._passes.append(run.compared)
            run.close()
            if not plan.dry_run:
                index.commit()

    def _differs(self, difference: Difference) -> None:
        if difference.outcome in ("put", "removed") and len(self._acted) < LOOKED_AT:
            self._acted.append(difference.key)
        # What the first comparison could not put right was told by then.
        if self._tell is not None and (not self._passes or difference.outcome in ("put", "removed")):
            self._tell(difference)

    def _report(self, index: Index, seconds: float, *, interrupted: bool) -> Report:
        first, last = self._passes[0], self._passes[-1]
        outcomes = Counter[What]()
        for one in self._passes:
            outcomes += one.outcomes
        if last.kept:
            self._notes.append(
                f"{last.kept} documents have no sidecar, more than {self._plan.most_removed:g} % of the index; "
                "they were not removed unasked: look at them (--verify --dry-run), then say --max-removed 100"
            )
        return Report(
            sink=self._sink.name,
            generation=index.generation,
            dry_run=self._plan.dry_run,
            full=self._plan.full,
            verified=self._plan.verify and len(self._passes) > 1 and last.complete,
            interrupted=interrupted,
            sidecars=last.sidecars,
            documents=last.documents,
            missing=first.found["missing"],
            stale=first.found["stale"],
            extra=first.found["extra"],
            put=outcomes["put"],
            removed=outcomes["removed"],
            refused=last.outcomes["refused"],
            broken=last.outcomes["broken"],
            unsettled=last.outcomes["unsettled"],
            kept=last.kept,
            differences=last.differences if self._plan.dry_run else last.remaining + self._unkept,
            # The one that was to be replaced serves the same generation.
            served=self._sink.serving() == index.generation and (self._swapped or not self._plan.full),
            seconds=round(seconds, 3),
            notes=tuple(self._notes),
        )
