"""Counts of one listing while it goes on."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import Event
from typing import Protocol

from tasks.bulk.results import Counts
from tasks.listing.merge import Found
from tasks.listing.reconcile import State, Verdict
from tasks.traffic import Traffic


class Sweep(Protocol):
    """One passage through a library; `tasks.listing.shards.Sweep` is one. It ends with `Stopped` once `stop` is set."""

    complete: bool
    objects: int
    stop: Event

    def __iter__(self) -> Iterator[Found]:
        """What is found. Raises `Unavailable`, `ConfigurationError`."""


@dataclass
class Tally:
    """Counts of one listing while it goes on; `asked` tells what this process has asked of S3 so far."""

    asked: Callable[[], Traffic] = Traffic
    states: Counter[State] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    both: int = 0
    looked: int = 0
    unstored: int = 0
    sent: int = 0
    bytes: int = 0
    records: int = 0
    began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._before = self.asked()

    def add(self, verdict: Verdict) -> None:
        """Count one finding; what is sent is counted by whoever sends it."""
        self.states[verdict.state] += 1
        self.looked += verdict.looked
        self.both += verdict.both
        self.records += (verdict.found.done is not None) + (verdict.found.failed is not None)
        if verdict.reason is not None:
            self.refused[verdict.reason] += 1

    def counts(self, sweep: Sweep) -> Counts:
        """All of it as it is now."""
        states = self.states
        images = states.total() - states[State.ORPHAN]
        return Counts(
            images=images,
            current=states[State.CURRENT],
            missing=states[State.MISSING],
            stale=states[State.STALE],
            terminal=states[State.TERMINAL],
            refused=dict(self.refused),
            both=self.both,
            orphans=states[State.ORPHAN],
            others=max(0, sweep.objects - images),
            looked=self.looked,
            unstored=self.unstored,
            sent=self.sent,
            bytes=self.bytes,
            records=self.records,
            complete=sweep.complete,
            requests=(self.asked() - self._before).to_counts(),
            seconds=time.monotonic() - self.began,
        )


def draw(drawn: list[Verdict], verdict: Verdict, size: int, seen: int) -> None:
    """Keep a fair sample of all that was seen so far (Vitter 1985, algorithm R)."""
    if len(drawn) < size:
        drawn.append(verdict)
    elif (place := random.randrange(seen)) < size:  # noqa: S311 - no secret
        drawn[place] = verdict
