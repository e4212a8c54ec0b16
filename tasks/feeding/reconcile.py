"""An index is compared with the sidecars and put right, in turns, so that whoever drives it can do other things too."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from tasks.errors import StockmetaError
from tasks.feeding.compare import Kind, Sidecars
from tasks.feeding.deliver import Deliverer, What
from tasks.feeding.ports import Index
from tasks.listing.orphans import Orphans

BATCH = 500
"""Images that are put right at once."""
ROWS = 20_000
"""Rows compared in one turn, where little differs: some tens of milliseconds."""
ALWAYS_REMOVED = 10
"""Documents without a sidecar that are removed however few there are in all."""
MOST_REMOVED = 1.0
"""Percent of an index that a comparison removes unasked, of images that are there."""
MOST_GONE = 50.0
"""Percent of images that are gone or failed: with more it is likely to be another library in this one's place."""
REMAINING: tuple[What, ...] = ("refused", "broken", "unsettled")
"""Outcomes after which an image still differs."""
LOOKS = 16
"""Images that are looked at at once."""


class Difference(NamedTuple):
    """An image of which index and sidecars differed, and what became of it.

    Attributes:
        outcome: `found` where nothing was done, `kept` of a document that was not removed unasked.
        reason: why it still differs, if it does.
    """

    key: str
    difference: Kind
    outcome: What | str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """What a comparison found, and what became of it.

    Attributes:
        documents: in the index, and `sidecars` in the store, as they were listed.
        found: differences between the listings, by kind.
        outcomes: what became of them.
        kept: documents without a sidecar that were not removed unasked.
        complete: both sides were read to their ends.
    """

    documents: int
    sidecars: int
    found: Counter[Kind]
    outcomes: Counter[What]
    kept: int = 0
    complete: bool = False

    @property
    def differences(self) -> int:
        """Between the listings."""
        return self.found.total()

    @property
    def remaining(self) -> int:
        """Images that still differ, as far as is known."""
        return self.kept + sum(self.outcomes[what] for what in REMAINING)


Tell = Callable[[Difference], None]


class _Different(NamedTuple):
    """An image that differs, and whether people may have decided about it."""

    key: str
    kind: Kind
    decided: bool


class Reconciliation:
    """One comparison of an index with the sidecars.

    What a listing shows is a hint like any other: each difference is looked at again by the deliverer, so that changes
    that are delivered meanwhile do no harm. Documents without a sidecar come last, when it is known how many there are.

    Args:
        sidecars: what the index is to be equal to.
        index: what is put right.
        deliverer: puts it right; `None`: only look.
        most_removed: percent of the index that may be removed where images are there and their sidecars are not; a
            library that seems to be gone may be a mistake.
        tell: is told of each image that differed.
    """

    def __init__(
        self,
        sidecars: Sidecars,
        index: Index,
        deliverer: Deliverer | None,
        most_removed: float = MOST_REMOVED,
        tell: Tell | None = None,
    ) -> None:
        self.index = index
        self._sidecars, self._deliverer = sidecars, deliverer
        self._most, self._tell = most_removed, tell
        self._outcomes: Counter[What] = Counter()
        self._batch: list[_Different] = []
        self._extra = Orphans()
        self._comparison = sidecars.compare(index)
        self._begin()

    @property
    def compared(self) -> Compared:
        """What was found so far."""
        found, outcomes = Counter(self._found), Counter(self._outcomes)
        return Compared(self._documents, self._listed, found, outcomes, self._kept, self._complete)

    def turn(self, wait: float = 0.0) -> bool:
        """Do a piece of the work; returns whether there is more.

        Waits so many seconds for a listing to begin. After `Unavailable` the next turn goes on, with the same images,
        or from the beginning where a listing broke off.

        Raises:
            Unavailable: the index or the store does not answer.
            ConfigurationError: as the deliverer and the comparison say.
        """
        if not self._batch:
            try:
                if not self._comparison.ready(wait):
                    return True
                batch = next(self._batches, None)
            except StockmetaError:
                self._begin()
                raise
            if batch is None:
                if not self._complete:
                    # It could not begin again when it broke off.
                    self._begin()
                return not self._complete
            self._batch = batch
        if self._batch:
            self._deliver(self._batch)
            self._batch = []
        return True

    def close(self) -> None:
        """End the listings, and let go of files."""
        self._comparison.close()
        self._extra.__exit__(None, None, None)

    def _begin(self) -> None:
        """From the first row. What was put right already is found equal then."""
        self.close()
        # Nothing of what was closed is read on, where the rest of this fails.
        self._batches: Iterator[list[_Different]] = iter(())
        self._documents = self._listed = self._kept = 0
        for what in REMAINING:
            # These are met again.
            del self._outcomes[what]
        self._found: Counter[Kind] = Counter()
        self._complete = False
        self._batch = []
        self._extra = Orphans()
        self._comparison = self._sidecars.compare(self.index)
        self._batches = self._compare()

    def _compare(self) -> Iterator[list[_Different]]:
        """What differs, some at a time; nothing now and then, where all is equal for long."""
        batch: list[_Different] = []
        for number, row in enumerate(self._comparison, 1):
            self._documents += row.document is not None
            self._listed += row.sidecar is not None
            if kind := row.difference:
                self._found[kind] += 1
                if kind == "extra":
                    self._extra.add(row.key)
                else:
                    batch.append(_Different(row.key, kind, row.human is not None))
            if len(batch) == BATCH or number % ROWS == 0:
                yield batch
                batch = []
        self._complete = True
        yield batch
        yield from self._leaving()

    def _leaving(self) -> Iterator[list[_Different]]:
        """Documents without a sidecar: those that may go."""
        few = max(ALWAYS_REMOVED, self._documents * self._most / 100)
        many = self._documents * max(MOST_GONE, self._most) / 100
        if self._deliverer is None or not few < self._extra.count <= many:
            yield from self._left(self._extra, few)
            return
        with Orphans() as left:
            for keys in _batches(self._extra):
                ended = self._ended(keys)
                for key in keys:
                    if key not in ended:
                        left.add(key)
                yield [_Different(key, "extra", True) for key in ended]
            yield from self._left(left, few)

    def _left(self, extra: Orphans, few: float) -> Iterator[list[_Different]]:
        """Documents of which it is not known why they have no sidecar, if they are few."""
        if self._deliverer is None or extra.count <= few:
            for keys in _batches(extra):
                yield [_Different(key, "extra", True) for key in keys]
            return
        self._kept = extra.count
        for key in extra:
            self._say(Difference(key, "extra", "kept", "too many to be removed unasked"))

    def _ended(self, keys: Sequence[str]) -> list[str]:
        with ThreadPoolExecutor(LOOKS, thread_name_prefix="gone") as pool:
            ended = pool.map(lambda key: self._sidecars.ended(self.index.generation, key), keys)
            return [key for key, ends in zip(keys, ended, strict=True) if ends]

    def _deliver(self, batch: Sequence[_Different]) -> None:
        if self._deliverer is None:
            for row in batch:
                self._say(Difference(row.key, row.kind, "found"))
            return
        undecided = {row.key for row in batch if not row.decided}
        result = self._deliverer.deliver(self.index, [row.key for row in batch], undecided)
        self._outcomes += Counter(result.outcomes.values())
        reasons = {trouble.key: f"{trouble.kind}: {trouble.reason}" for trouble in result.troubles}
        for row in batch:
            outcome = result.outcomes[row.key]
            if outcome != "same":
                self._say(Difference(row.key, row.kind, outcome, reasons.get(row.key)))

    def _say(self, difference: Difference) -> None:
        if self._tell is not None:
            self._tell(difference)


def _batches(keys: Iterable[str]) -> Iterator[list[str]]:
    left = iter(keys)
    while batch := list(islice(left, BATCH)):
        yield batch
