"""A bulk run: what is missing or stale goes to workers, pass after pass, until a listing finds nothing more to do.

It may be killed anywhere: the next run's listing finds what is left. No image is ever worked on here.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace

from tasks.bulk.feed import Stopped
from tasks.bulk.feeder import Feeder
from tasks.bulk.results import Counts, Kept, Progress, Result, Unfinished
from tasks.bulk.tally import Sweep, Tally, draw
from tasks.errors import Unavailable
from tasks.feeding.announce import Aside
from tasks.listing.merge import Found
from tasks.listing.orphans import Orphans, Removed, remove
from tasks.listing.reconcile import MARGIN_SECONDS, Reconciler, State, Verdict
from tasks.ports import Store
from tasks.publish import Publisher
from tasks.records import ImageRef
from tasks.traffic import Traffic

logger = logging.getLogger(__name__)

PASSES = 3
NAMED = 1000
"""Images that are named in a result, one by one."""
FIRST = 16
TURN = 1000
"""Findings after which a listing that sends nothing tells how far it is."""

UNDONE = frozenset({State.MISSING, State.STALE})
EVERY = UNDONE | {State.CURRENT, State.TERMINAL}


@dataclass(frozen=True)
class Plan:
    """What a run is to do.

    Attributes:
        library: as the command line named it.
        only: what is given to workers.
        limit: at most so many images; then no listing is complete.
        sample: so many images, taken at random out of a whole listing.
        remove: whether records without an image are removed.
        max_orphans: removed only if they are at most so many percent of the records.
        once: whether one listing is all there is to be, as with a list of keys.
        dated: whether images were listed some days ago, as in an inventory.
        dry_run: whether only to look.
        stored_only: whether only images with a stored embedding are sent.
    """

    library: str
    only: frozenset[State] = UNDONE
    limit: int | None = None
    sample: int | None = None
    remove: bool = True
    max_orphans: float = 1.0
    once: bool = False
    dated: bool = False
    dry_run: bool = False
    stored_only: bool = False


class Backfill:
    """One run.

    Args:
        plan: what to do.
        source: where the images lie.
        publisher: of the generation that is filled.
        reconciler: tells what is missing.
        sweep: begins a passage through the library.
        feeder: gives images to workers; `None` in a dry run.
        tell: is told of a dry run's progress.
        asked: what this process has asked of S3 so far.
        announced: where records that are removed are announced, if anywhere.

    Attributes:
        first: of a dry run, the first images that are to be done, for a trial.
    """

    def __init__(
        self,
        plan: Plan,
        source: Store,
        publisher: Publisher,
        reconciler: Reconciler,
        sweep: Callable[[], Sweep],
        feeder: Feeder | None = None,
        tell: Callable[[Progress], None] | None = None,
        asked: Callable[[], Traffic] = Traffic,
        announced: Aside | None = None,
    ) -> None:
        self._asked, self._announced = asked, announced
        self._plan, self._source, self._publisher = plan, source, publisher
        self._reconciler, self._sweep = reconciler, sweep
        self._feeder, self._tell = feeder, tell
        self.first: list[ImageRef] = []
        self._passes: list[Counts] = []
        self._notes: list[str] = []
        self._removed = 0
        self._kept: Counter[str] = Counter()
        self._unfinished: dict[str, Unfinished] = {}

    def run(self, run: str) -> Result:
        """Work until nothing is found, or the operator ends it.

        Raises:
            ConfigurationError: a listing is in another order than its store names.
        """
        began, interrupted = time.time(), False
        try:
            self._run()
        except Stopped:
            interrupted = True
        except Unavailable as error:
            # Nobody will ever work on what is sent.
            self._notes.append(str(error))
            interrupted = self._feeder is not None and self._feeder.control.stop.is_set()
        feeder = self._feeder
        if feeder is not None:
            feeder.end()
        last = self._passes[-1] if self._passes else Counts()
        if last.unstored:
            self._notes.append(
                f"{last.unstored} images need a backfill, since nothing is stored of them: stockmeta backfill"
            )
        return Result(
            run=run,
            library=self._plan.library,
            generation=self._publisher.generation,
            started=began,
            ended=time.time(),
            passes=tuple(self._passes),
            outcomes=dict(feeder.outcomes) if feeder else {},
            requests=feeder.traffic.to_counts() if feeder else {},
            removed=self._removed,
            kept=tuple(Kept(reason, count) for reason, count in sorted(self._kept.items())),
            not_ended=feeder.left if feeder else 0,
            converged=not interrupted and last.complete and not last.sent and not last.unstored,
            interrupted=interrupted,
            dry_run=self._plan.dry_run,
            notes=tuple(dict.fromkeys(self._notes)),
            unfinished=tuple(self._unfinished.values()),
        )

    def _run(self) -> None:
        plan = self._plan
        for number in range(1, PASSES + 1):
            wiped = self._pass(number)
            last = self._passes[-1]
            if plan.dry_run or (last.complete and not last.sent):
                return
            if plan.once or plan.limit is not None or plan.sample is not None:
                return
            # What is gone would come up again and again.
            self._reconciler = replace(self._reconciler, dated=plan.dated)
            if self._feeder is not None and not wiped:
                # What was done again is done; a queue that was wiped may have lost some of it.
                self._feeder.redo = None
        self._notes.append(f"{PASSES} listings, and the last one still found something to do: run it again")

    def _pass(self, number: int) -> bool:
        """List, send, and wait; returns whether the queue was wiped meanwhile."""
        tally, sweep, feeder = Tally(self._asked), self._sweep(), self._feeder
        expected = self._passes[-1].images if self._passes and self._passes[-1].complete else None
        self._passes.append(Counts())
        redone = feeder.redo if feeder else None
        try:
            if feeder is not None:
                sweep.stop = feeder.control.stop
                feeder.begin(number, lambda: tally.counts(sweep), expected)
            self._unfinished.clear()
            with Orphans() as orphans:
                self._list(tally, sweep, orphans, first=number == 1 or redone is not None)
                self._put_away(tally.counts(sweep), orphans)
        except Unavailable as error:
            if feeder is not None:
                feeder.check()
            # A listing that broke off: what it gave is sent, and the next one gives the rest.
            self._notes.append(f"a listing broke off: {error}")
            logger.warning("a listing broke off: %s", error)
        finally:
            self._passes[-1] = tally.counts(sweep)
        if feeder is None:
            return False
        feeder.flush()
        feeder.wait()
        self._passes[-1] = replace(tally.counts(sweep), complete=sweep.complete)
        return feeder.wiped

    def _list(self, tally: Tally, sweep: Sweep, orphans: Orphans, *, first: bool) -> None:
        plan, chosen = self._plan, self._chosen(first=first)
        drawn: list[Verdict] = []
        eligible = 0
        with closing(_opened(sweep)) as found, closing(self._reconciler.verdicts(found)) as verdicts:
            for number, verdict in enumerate(verdicts, 1):
                tally.add(verdict)
                if verdict.state is State.ORPHAN:
                    orphans.add(verdict.found.key)
                elif verdict.state in chosen and plan.stored_only and not self._is_stored(verdict.found):
                    self._leave(verdict.found, tally)
                elif verdict.state in chosen:
                    eligible += 1
                    if plan.sample is not None:
                        draw(drawn, verdict, plan.sample, eligible)
                    else:
                        self._give(verdict, tally)
                        if tally.sent == plan.limit:
                            break
                if number % TURN == 0:
                    self._turn(tally, sweep)
        for verdict in drawn:
            self._give(verdict, tally)

    def _is_stored(self, found: Found) -> bool:
        """Whether something is stored of an image that was not surely replaced since."""
        if found.stored is None or found.image is None:
            return False
        if found.image.modified is None or found.stored.modified is None:
            return True
        margin = 0.0 if self._source is self._publisher.sidecars else MARGIN_SECONDS
        return found.image.modified <= found.stored.modified + margin

    def _leave(self, found: Found, tally: Tally) -> None:
        """Leave an image that no stored embedding stands for to a backfill."""
        tally.unstored += 1
        if tally.unstored <= NAMED:
            why = "nothing is stored of it" if found.stored is None else "what is stored is of an older content"
            self._unfinished[found.key] = Unfinished(found.key, "missing", "needs_backfill", why)

    def _chosen(self, *, first: bool) -> frozenset[State]:
        """What is given to workers: after the first pass what was done again is done."""
        return self._plan.only if first else self._plan.only & UNDONE

    def _give(self, verdict: Verdict, tally: Tally) -> None:
        image = verdict.found.image
        assert image is not None
        tally.sent += 1
        tally.bytes += image.size
        if self._feeder is None:
            if len(self.first) < FIRST:
                self.first.append(ImageRef(self._source.bucket, image.key, image.etag))
            return
        feed = self._feeder.feed
        stored = feed.stored is not None and verdict.found.stored is not None
        # Of a content for which no record was listed, workers need not look for one.
        new = verdict.state is State.MISSING
        ref = ImageRef(self._source.bucket, image.key, image.etag if stored and new else None)
        self._feeder.add(ref, suspect=verdict.crashed, stored=stored, new=new)

    def _turn(self, tally: Tally, sweep: Sweep) -> None:
        if self._feeder is not None:
            self._feeder.turn()
        elif self._tell is not None:
            counts = tally.counts(sweep)
            self._tell(Progress("listing", 1, counts, seconds=counts.seconds))

    def _put_away(self, counts: Counts, orphans: Orphans) -> None:
        """Remove what records there are without an image, if that is safe and wanted; say what stays and why."""
        self._kept.clear()
        if not orphans.count:
            return
        plan = self._plan
        most = counts.records * plan.max_orphans / 100
        if not plan.remove or plan.dry_run or not counts.complete:
            self._kept["not_asked"] = orphans.count
        elif not counts.images:
            self._kept["empty_listing"] = orphans.count
            self._notes.append(
                f"the listing shows no image at all, and {orphans.count} images have records; those stay. "
                "If the images are meant to be gone, remove the output folder by hand"
            )
        elif orphans.count > most:
            self._kept["too_many"] = orphans.count
            percent = 100 * orphans.count / counts.records
            self._notes.append(
                f"{orphans.count} images have records and were not listed, {percent:.3g} % of {counts.records} "
                f"records; more than {plan.max_orphans:g} % are not removed unasked: look at them, "
                f"then say --max-orphans {min(100, int(percent) + 1)}"
            )
        else:
            remove(orphans, self._publisher, self._source, self._put, self._announced)

    def _put(self, some: Removed) -> None:
        self._removed += some.removed
        self._kept += Counter({"there": some.there, "unknown": some.unknown})
        if self._feeder is not None:
            self._feeder.turn()


def _opened(sweep: Sweep) -> Generator[Found, None, None]:
    """The findings of a passage, as a generator that can be closed."""
    yield from sweep
