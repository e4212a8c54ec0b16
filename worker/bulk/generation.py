"""Which generation a bulk run fills: the one that is named, or that workers make."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.bulk.feed import Control
from tasks.errors import ConfigurationError, Unavailable
from tasks.generations.pointer import Current, read_current
from tasks.messages import BACKFILL
from worker import console
from worker.library import Library
from worker.queue.connection import redis_errors
from worker.queue.heartbeat import WorkerState, workers
from worker.session import Session, session
from worker.settings import Settings

if TYPE_CHECKING:
    from worker.runtime import Model

POLL_SECONDS = 0.2
SAY_SECONDS, FIRST_SECONDS = 60.0, 5.0
"""So often it is said that nobody is there; and the first time after so long."""


@dataclass(frozen=True)
class Expected:
    """What a run would fill.

    Attributes:
        heard: workers that make it, as far as any are heard of.
        model: that our own worker would load, where there is no broker.
    """

    generation: str
    heard: Sequence[WorkerState] = ()
    model: "Model | None" = None


def to_fill(here: Session, library: Library, named: str | None, control: Control) -> str | None:
    """The generation to fill, once somebody is there who makes it; `None` if the run is ended before.

    With a queue that is not our own, one that is named is filled whether or not a worker is heard of yet.

    Raises:
        ConfigurationError: it is not kept, or workers have another library.
        Unavailable: our own worker ended.
    """
    said = time.monotonic() - SAY_SECONDS + FIRST_SECONDS
    while not control.stop.is_set():
        here.check()
        trouble = "no worker is heard of that takes backfills; start one: stockmeta worker --library ..."
        try:
            found = _found(here, library, named)
        except Unavailable as error:
            found, trouble = None, str(error)
        if found is not None:
            return found
        if time.monotonic() - said > SAY_SECONDS:
            ours = "the worker is loading its model, which takes longer the first time"
            console.say(f"{trouble}; waiting" if here.worker is None else ours)
            said = time.monotonic()
        control.stop.wait(POLL_SECONDS)
    return None


def _found(here: Session, library: Library, named: str | None) -> str | None:
    heard = _heard(here)
    if not heard and (named is None or here.worker is not None):
        return None
    _same_library(heard, library)
    kept = read_current(library.sidecars, library.layout)
    found = _chosen(kept, {worker.generation for worker in heard}, named)
    if found is None:
        require_kept(library, named)
    return found


def require_kept(library: Library, named: str | None) -> None:
    """Raise if a generation is named that neither serves nor is being filled.

    Raises:
        ConfigurationError: that, or a pointer that is not understood.
        Unavailable: the store does not answer, or there is no such bucket.
    """
    # Read whether or not one is named: so a wrong bucket is told before a worker is started for it.
    written = read_current(library.sidecars, library.layout).written
    if named is not None and named not in written:
        raise ConfigurationError(
            f"--generation {named}: it neither serves nor is being filled; "
            "a worker that makes it opens it with --open-generation"
        )


def expected(settings: Settings, library: Library, named: str | None) -> Expected:
    """What a run would fill, and who would do it; starts nothing. Raises `ConfigurationError`, `Unavailable`."""
    kept = read_current(library.sidecars, library.layout)
    if settings.broker_url is not None:
        heard: list[WorkerState] = []
        with session(settings) as here, suppress(Unavailable):
            heard = _heard(here)
        found = _chosen(kept, {worker.generation for worker in heard}, named) or named
        if found is None and (found := kept.filling or kept.serving) is not None:
            console.say(f"no worker is heard of; counted for generation {found}")
        if found is not None:
            return Expected(found, heard=tuple(worker for worker in heard if worker.generation == found))
    elif named is not None:
        return Expected(named)
    # What our own worker would make is known only from the model itself.
    from worker.runtime import load_model

    model = load_model(settings)
    return Expected(model.provenance.generation, model=model)


def _heard(here: Session) -> list[WorkerState]:
    """Workers that take backfills and say what they make."""
    with redis_errors("the workers could not be asked"):
        return [worker for worker in workers(here.client) if worker.generation and BACKFILL in worker.queues]


def _chosen(current: Current, made: set[str], named: str | None) -> str | None:
    """The one that is named if it is kept, else what workers make of those that are kept, the newest first."""
    kept = [generation for generation in (current.filling, current.serving) if generation is not None]
    if named is not None:
        return named if named in kept else None
    return next((generation for generation in kept if generation in made), None)


def _same_library(heard: Sequence[WorkerState], library: Library) -> None:
    """Raise `ConfigurationError` if no worker has these images."""
    named = {worker.bucket for worker in heard}
    if heard and "" not in named and library.source.bucket not in named:
        raise ConfigurationError(
            f"the images lie in {library.source.bucket!r}, and workers have {', '.join(sorted(named))}: name their "
            "library or a part of it; of a folder, the same one, with STOCKMETA_LIBRARY set as it is for them"
        )
