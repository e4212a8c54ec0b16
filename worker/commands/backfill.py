"""`stockmeta backfill`: brings a library up to date, and ends."""

import os
import signal
import socket
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from tasks.backfill import EVERY, UNDONE, Backfill, Plan, Sweep
from tasks.bulk import Progress, Result
from tasks.errors import ConfigurationError, Unavailable
from tasks.feeder import Control, Feed, Feeder
from tasks.generation import Current, promote, read_current
from tasks.generations import Sight
from tasks.messages import BACKFILL
from tasks.publish import Publisher
from tasks.reconcile import Reconciler, State
from tasks.redo import Redo
from tasks.shards import LANES
from tasks.shards import Sweep as Listing
from worker import console
from worker.bulk_library import locate
from worker.bulk_progress import shown
from worker.key_list import KeySweep, read_keys
from worker.library import Library
from worker.queue.connection import redis_errors
from worker.queue.heartbeat import WorkerState, workers
from worker.queue.runs import FeederState, RedisCrew
from worker.rescoring import require_stored, stored_for
from worker.session import Session, session
from worker.settings import Settings
from worker.storage.local import LocalStore

OK, NOT_ALL = 0, 1
POLL_SECONDS = 0.2
SAY_SECONDS = 60.0

Only = Literal["missing", "stale", "failed"]


@dataclass(frozen=True)
class Options:
    """What the command line says; see `worker.cli_bulk`.

    Attributes:
        keys: a file with keys, or `-`; `null` if NUL ends them.
        rescore: whether only stored embeddings are scored again, where they may be.
        stored: the generation that has them; default: the one that serves.
    """

    library: str
    dry_run: bool = False
    only: Only | None = None
    retry_failed: bool = False
    limit: int | None = None
    sample: int | None = None
    force: bool = False
    rate: float | None = None
    window: int = 64
    lanes: int | None = None
    generation: str | None = None
    promote: bool = False
    thorough: bool = False
    max_orphans: float = 1.0
    keys: str | None = None
    null: bool = False
    inventory: str | None = None
    report: Path | None = None
    as_json: bool = False
    rescore: bool = False
    stored: str | None = None


def run(settings: Settings, options: Options) -> int:
    """Bring a library up to date; returns the exit status. Raises `ConfigurationError`, `Unavailable`."""
    _check(options)
    settings, library = locate(settings, options.library)
    if options.dry_run:
        return _told(_dry_run(settings, library, options))
    control, name = Control(), uuid.uuid4().hex
    with _signals(control) as received:
        with session(settings, open_new=True) as here:
            generation = _generation(here, library, options, control)
            result = None
            if generation is not None:
                result = _run(here, library, options, control, generation, name)
            # Below the block our own worker ends what it has in hand, and goes.
        if result is None:
            return 128 + (received or [signal.SIGTERM])[0]
        result = _promoted(result, library, options)
        status = _told(result)
    return 128 + received[0] if result.interrupted and received else status


def _check(options: Options) -> None:
    if options.force and (options.only or options.retry_failed):
        raise ConfigurationError("--force does everything again; leave --only and --retry-failed out")
    if options.limit is not None and options.sample is not None:
        raise ConfigurationError("say --limit or --sample, not both")
    if options.keys is not None and options.inventory is not None:
        raise ConfigurationError("say --keys or --inventory, not both")


def _run(here: Session, library: Library, options: Options, control: Control, generation: str, name: str) -> Result:
    stored = _stored(library, options, generation)
    redo = _redo(options)
    feed = Feed(name, generation, options.window, options.rate, stored, redo)
    state = FeederState(library.source.bucket, generation, socket.gethostname(), os.getpid())
    crew = RedisCrew(here.client, state)
    with ExitStack() as stack:
        stack.callback(_quietly, lambda: crew.leave(name))
        tell = stack.enter_context(shown())
        feeder = Feeder(feed, here.queue, crew, control, tell, here.check)
        return _backfill(library, options, generation, stored, feeder).run(name)


def _backfill(
    library: Library,
    options: Options,
    generation: str,
    stored: str | None,
    feeder: Feeder | None = None,
    tell: Callable[[Progress], None] | None = None,
) -> Backfill:
    """Wire a run."""
    whole = options.keys is None and options.inventory is None
    everything = options.only is None and options.limit is None and options.sample is None
    plan = Plan(
        library=options.library,
        only=_chosen(options),
        limit=options.limit,
        sample=options.sample,
        remove=whole and everything and not options.rescore,
        max_orphans=options.max_orphans,
        once=options.keys is not None,
        dry_run=options.dry_run,
        stored_only=options.rescore,
    )
    reconciler = Reconciler(
        library.source,
        library.sidecars,
        library.layout,
        generation,
        thorough=options.thorough,
        read_terminal=_redo(options) is not None,
        settle=not options.dry_run,
        listed=options.keys is None,
    )
    publisher = Publisher(library.sidecars, library.layout, generation)
    return Backfill(
        plan,
        library.source,
        publisher,
        reconciler,
        lambda: _sweep(library, options, generation, stored),
        feeder,
        tell,
        asked=lambda: library.meter.total,
    )


def _sweep(library: Library, options: Options, generation: str, stored: str | None) -> Sweep:
    """A passage through the library."""
    if options.keys is not None:
        file = sys.stdin.buffer if options.keys == "-" else _opened(Path(options.keys))
        return KeySweep(library, read_keys(file, null=options.null), stored=stored is not None)
    lanes = options.lanes or (1 if isinstance(library.source, LocalStore) else LANES)
    return Listing(library, generation, stored, lanes)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise ConfigurationError(f"--keys {path}: it cannot be read: {error.strerror}") from error


def _chosen(options: Options) -> frozenset[State]:
    """What is given to workers."""
    if options.force:
        return EVERY
    if options.only is not None:
        return frozenset({State.TERMINAL if options.only == "failed" else State(options.only)})
    return UNDONE | {State.TERMINAL} if options.retry_failed else UNDONE


def _redo(options: Options) -> Redo | None:
    """What is done again although it is committed."""
    if options.force:
        return Redo("all", time.time())
    return Redo("failed", time.time()) if options.retry_failed or options.only == "failed" else None


def _stored(library: Library, options: Options, generation: str, sight: Sight | None = None) -> str | None:
    """The generation whose stored embeddings may be scored again for this one, if any."""
    if options.rescore:
        return require_stored(library, generation, options.stored, sight)
    return None if options.force else stored_for(library, generation, sight)


def _generation(here: Session, library: Library, options: Options, control: Control) -> str | None:
    """The generation to fill: the one that is named, or that workers make; `None` if the run is ended before.

    Raises:
        ConfigurationError: nobody could ever make it.
        Unavailable: our own worker ended.
    """
    said = time.monotonic() - SAY_SECONDS + 5.0
    while not control.stop.is_set():
        here.check()
        heard = _heard(here)
        if heard:
            _same_library(heard, library)
        current = read_current(library.sidecars, library.layout) if heard or options.generation else Current()
        if found := _to_fill(current, {worker.generation for worker in heard}, options.generation):
            _can_make(here, heard, found)
            return found
        if options.generation is not None and (here.worker is None or heard):
            raise ConfigurationError(
                f"--generation {options.generation}: it neither serves nor is being filled; "
                "start a worker that makes it with --open-generation"
            )
        if here.worker is None and time.monotonic() - said > SAY_SECONDS:
            console.say("no worker is heard of that takes backfills; waiting for one: stockmeta worker --library ...")
            said = time.monotonic()
        control.stop.wait(POLL_SECONDS)
    return None


def _heard(here: Session) -> list[WorkerState]:
    """Workers that take backfills and say what they make."""
    with redis_errors("the workers could not be asked"):
        return [worker for worker in workers(here.client) if worker.generation and BACKFILL in worker.queues]


def _to_fill(current: Current, made: set[str], named: str | None) -> str | None:
    """The one that is named if it is kept, else what workers make of those that are kept, the newest first."""
    kept = [generation for generation in (current.filling, current.serving) if generation is not None]
    if named is not None:
        return named if named in kept else None
    return next((generation for generation in kept if generation in made), None)


def _can_make(here: Session, heard: list[WorkerState], generation: str) -> None:
    if here.worker is not None and heard and all(worker.generation != generation for worker in heard):
        raise ConfigurationError(
            f"--generation {generation}: with these settings a worker makes {heard[0].generation}; give the model, the "
            "vocabulary, the policy and so on that it was made with"
        )


def _same_library(heard: list[WorkerState], library: Library) -> None:
    """Raise `ConfigurationError` if no worker has these images."""
    named = {worker.bucket for worker in heard}
    if "" not in named and library.source.bucket not in named:
        raise ConfigurationError(
            f"the images lie in {library.source.bucket!r}, and workers have {', '.join(sorted(named))}: name their "
            "library or a part of it; of a folder, the same one, with STOCKMETA_LIBRARY set as it is for them"
        )


def _dry_run(settings: Settings, library: Library, options: Options) -> Result:
    generation, sight = (options.generation, None) if options.generation else _would_fill(settings, library)
    stored = _stored(library, options, generation, sight)
    with shown() as tell:
        return _backfill(library, options, generation, stored, tell=tell).run("dry run")


def _would_fill(settings: Settings, library: Library) -> tuple[str, Sight | None]:
    """The generation that a run would fill, as far as can be known without one, and what it sees if it is not there."""
    current = read_current(library.sidecars, library.layout)
    if settings.broker_url is not None:
        with session(settings) as here, suppress(Unavailable):
            found = _to_fill(current, {worker.generation for worker in _heard(here)}, None)
            if found is not None:
                return found, None
        found = current.filling or current.serving
        if found is not None:
            console.say(f"no worker is heard of; counting for generation {found}")
            return found, None
    # What our own worker would make is known only from the model itself.
    from worker.runtime import load_model

    made = load_model(settings).description
    return made.generation, made.sight


def _promoted(result: Result, library: Library, options: Options) -> Result:
    """Let a generation serve that is complete, if asked; else say how."""
    generation = result.generation
    current = read_current(library.sidecars, library.layout)
    if generation is None or not result.converged or current.serving in (None, generation):
        return result
    if options.promote:
        promote(library.sidecars, library.layout, generation)
        return replace(result, promoted=True)
    how = f"stockmeta generation promote {generation}"
    note = f"generation {generation} is complete, and {current.serving} serves; to let the new one serve: {how}"
    return replace(result, notes=(*result.notes, note))


def _told(result: Result) -> int:
    """Give the report; returns the exit status."""
    for note in result.notes:
        console.say(note)
    console.emit(msgspec.json.encode(result).decode())
    if result.interrupted:
        console.say("interrupted; run the same command again to go on")
    return status(result)


def status(result: Result) -> int:
    """The exit status of a run that was not interrupted."""
    back = sum(kept.count for kept in result.kept if kept.reason in ("too_many", "empty_listing", "unknown"))
    last = result.passes[-1] if result.passes else None
    broken = last is None or (not last.complete and not last.sent)
    unstored = last is not None and last.unstored
    return NOT_ALL if result.rejected or result.not_ended or back or broken or unstored else OK


@contextmanager
def _signals(control: Control) -> Iterator[list[int]]:
    """SIGINT and SIGTERM end the run, SIGUSR1 pauses it, SIGUSR2 has it go on; gives those that ended it."""
    received: list[int] = []

    def end(number: int, _: object) -> None:
        received.append(number)
        control.paused.clear()
        control.stop.set()

    actions = {
        signal.SIGINT: end,
        signal.SIGTERM: end,
        signal.SIGUSR1: lambda *_: control.paused.set(),
        signal.SIGUSR2: lambda *_: control.paused.clear(),
    }
    before = {number: signal.signal(number, action) for number, action in actions.items()}
    try:
        yield received
    finally:
        for number, action in before.items():
            signal.signal(number, action)


def _quietly(action: Callable[[], None]) -> None:
    with suppress(Unavailable):
        action()
