"""What a feeder needs: how images are given, who works on them, and what the operator wants."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from tasks.redo import Redo


class Stopped(Exception):
    """The operator has ended the run."""


class Crew(Protocol):
    """What the queue tells of a run and of those who work on it. Methods raise `Unavailable`."""

    def begin(self, run: str) -> None:
        """Open a run's counts; nothing happens to counts that there are."""

    def outcomes(self, run: str) -> Mapping[str, int] | None:
        """A run's counts: images that ended, by name of the outcome, and what they cost (`tasks.traffic.divided`).

        `None`: the queue was wiped, and knows nothing of the run.
        """

    def open(self) -> int:
        """Messages of backfills and suspects that have not ended, and all that are put off."""

    def workers(self, generation: str) -> int:
        """How many workers were heard of that make a generation and take backfills."""

    def beat(self, run: str) -> int:
        """Say that this run goes on; returns how many others feed the same library and generation."""


@dataclass
class Control:
    """What the operator wants: set from signal handlers, heeded by the feeder."""

    stop: threading.Event = field(default_factory=threading.Event)
    paused: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Feed:
    """How images are given to workers.

    Attributes:
        run: its id.
        generation: what workers are to make.
        window: messages that may be open at a time.
        rate: images a second at most; `None`: as fast as they end.
        stored: the generation whose embeddings may be scored again, if any.
        redo: what is done again although it is committed.
    """

    run: str
    generation: str
    window: int = 64
    rate: float | None = None
    stored: str | None = None
    redo: Redo | None = None
