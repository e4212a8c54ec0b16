"""What a bulk run tells of itself: of one listing, while it runs, and at its end. Plain values, for reports."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Phase = Literal["listing", "waiting", "paused", "ended"]


@dataclass(frozen=True, slots=True)
class Counts:
    """What one listing found: the truth about the library at that time.

    Attributes:
        images: objects that are images of the library, with all of the following but `orphans` and `objects`.
        current: with metadata of their content.
        missing: without a record.
        stale: with a record of another content.
        terminal: with a record that says why there is none.
        refused: images that can have no record, by reason.
        both: with metadata and a terminal record of the same content, which was put right; counted as `current`, too.
        orphans: records without an image.
        others: objects of the listing that are no images.
        looked: images whose record was read to know.
        unstored: images that were to be done and were not: nothing is stored of them, and no pixels are to be read.
        sent: images that were given to workers, or would be in a dry run.
        bytes: of the images that were sent.
        records: records of any kind that were listed.
        complete: whether the whole library was listed.
        requests: to S3 for this listing, and bytes, by the names of `tasks.traffic.Traffic.to_counts`.
        seconds: that it took, with what waited for workers.
    """

    images: int = 0
    current: int = 0
    missing: int = 0
    stale: int = 0
    terminal: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    both: int = 0
    orphans: int = 0
    others: int = 0
    looked: int = 0
    unstored: int = 0
    sent: int = 0
    bytes: int = 0
    records: int = 0
    complete: bool = False
    requests: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Progress:
    """A bulk run that is under way.

    Attributes:
        number: of the pass, from 1.
        counts: of this pass's listing so far.
        sent: images given to workers, in all passes.
        outcomes: images that ended, by `status` or `status/reason`, in all passes.
        open: messages that have not ended.
        seconds: since the run began.
        per_second: images that ended, over the last minute.
        workers: that were heard of and make the generation.
        note: what the run waits for, if it is not the work; or what an operator has to know.
        expected: images of the whole library, where that is known from an earlier pass, or was counted ahead.
    """

    phase: Phase
    number: int
    counts: Counts
    sent: int = 0
    outcomes: Mapping[str, int] = field(default_factory=dict)
    open: int = 0
    seconds: float = 0.0
    per_second: float = 0.0
    workers: int = 0
    note: str | None = None
    expected: int | None = None

    @property
    def ended(self) -> int:
        """Images that ended, in all passes."""
        return sum(self.outcomes.values())


def without_metadata(outcomes: Mapping[str, int]) -> dict[str, int]:
    """Those outcomes that somebody may have to do something about."""
    fine = {"failed/vanished"}
    bad = ("rejected", "failed")
    return {name: count for name, count in outcomes.items() if name.partition("/")[0] in bad and name not in fine}


@dataclass(frozen=True, slots=True)
class Kept:
    """Records without an image that were not removed, and why."""

    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An image that ended without metadata, as its terminal record says; `detail` is for a person."""

    key: str
    status: str
    reason: str
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """A bulk run that is over.

    Attributes:
        run: its id.
        library: as the command line named it.
        generation: that it filled; `None` in a dry run that no generation is known for.
        started: seconds since 1970; `ended` likewise.
        passes: one listing each; the last one's counts are how the library is left.
        outcomes: images that ended, by `status` or `status/reason`.
        removed: orphaned records that were removed.
        kept: those that were not.
        not_ended: images that were sent and of which nobody knows what became.
        converged: whether the last listing was complete and found nothing to do.
        interrupted: whether it was stopped before its end; run again, it goes on.
        dry_run: whether nothing was sent.
        notes: what an operator has to know, one sentence each.
        promoted: whether the generation was made the serving one.
        requests: of workers to S3, and bytes, in the same form as a listing's; less what was done of images alone.
        unfinished: images that ended without metadata in this run; of very many, the first ones.
    """

    run: str
    library: str
    generation: str | None
    started: float
    ended: float
    passes: tuple[Counts, ...]
    outcomes: Mapping[str, int] = field(default_factory=dict)
    removed: int = 0
    kept: tuple[Kept, ...] = ()
    not_ended: int = 0
    converged: bool = False
    interrupted: bool = False
    dry_run: bool = False
    notes: tuple[str, ...] = ()
    promoted: bool = False
    requests: Mapping[str, int] = field(default_factory=dict)
    unfinished: tuple[Unfinished, ...] = ()

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.started

    @property
    def rejected(self) -> int:
        """Images that ended without metadata in this run; those that were deleted meanwhile are not among them."""
        return sum(without_metadata(self.outcomes).values())
