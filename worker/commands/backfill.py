"""`stockmeta backfill`: brings a library up to date, and ends."""

import os
import shlex
import signal
import socket
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO, Literal

from tasks.bulk.ahead import Ahead
from tasks.bulk.backfill import EVERY, UNDONE, Backfill, Plan
from tasks.bulk.feed import Control, Feed
from tasks.bulk.feeder import Feeder
from tasks.bulk.results import Progress, Result
from tasks.bulk.tally import Sweep
from tasks.errors import ConfigurationError, Unavailable
from tasks.feeding.announce import Aside
from tasks.generations.description import Sight
from tasks.generations.pointer import promote, read_current
from tasks.listing.reconcile import MARGIN_SECONDS, SERVERS_SECONDS, Reconciler, State
from tasks.publish import Publisher
from tasks.redo import Redo
from worker import console
from worker.announcing import announcing
from worker.bulk.estimate import estimated
from worker.bulk.generation import expected, require_kept, to_fill
from worker.bulk.inventory import Inventory
from worker.bulk.key_list import KeySweep, read_keys
from worker.bulk.library import locate
from worker.bulk.progress import shown
from worker.bulk.sweeps import open_inventory, open_sweep
from worker.bulk.told import told
from worker.commands.generation import require_as_many
from worker.library import Library
from worker.priority import follow_nice
from worker.queue.runs import FeederState, RedisCrew
from worker.rescoring import require_stored, stored_for
from worker.session import Session, session
from worker.settings import Settings
from worker.stopping import signals
from worker.vocabulary import load_wording

Only = Literal["missing", "stale", "failed"]


@dataclass(frozen=True)
class Options:
    """What the command line says; see `worker.cli_bulk`.

    Attributes:
        keys: a file with keys, or `-`; `null` if NUL ends them.
        assume_rate: images a second, for the estimate of a dry run.
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
    assume_rate: float | None = None
    report: Path | None = None
    as_json: bool = False
    rescore: bool = False
    stored: str | None = None


def run(settings: Settings, options: Options) -> int:
    """Bring a library up to date; returns the exit status. Raises `ConfigurationError`, `Unavailable`."""
    _check(options)
    follow_nice()
    settings, library = locate(settings, options.library)
    inventory = options.inventory and open_inventory(options.inventory, library, settings)
    listed = partial(_sweep, library, options, inventory or None)
    if options.dry_run:
        return _dry_run(settings, library, options, listed)
    if settings.broker_url is None:
        # Here, since a worker would say what is wrong many seconds later.
        require_kept(library, options.generation)
        load_wording(settings)
        console.say("no broker is configured; starting a queue and a worker of its own, which loads its model first")
    control, result = Control(), None
    with signals(control) as received:
        # One that is named is there already: no worker has to open another.
        with session(settings, open_new=options.generation is None) as here, announcing(settings) as announced:
            generation = to_fill(here, library, options.generation, control)
            if generation is not None:
                result = _run(here, library, options, control, generation, listed, announced)
            # Where this block ends our own worker ends what it has in hand, and goes.
        status = 0
        if result is not None:
            result = _promoted(result, library, options)
            status = max(told(result, library, settings, options.report), _unfinished(result, library, options))
    if received and (result is None or result.interrupted):
        if received[0] != signal.SIGINT:
            # Of Ctrl-C `worker.cli.main` says so, for all commands.
            console.say("interrupted; run the same command again to go on")
        return 128 + received[0]
    return status


def _check(options: Options) -> None:
    if options.force and (options.only or options.retry_failed):
        raise ConfigurationError("--force does everything again; leave --only and --retry-failed out")
    if options.limit is not None and options.sample is not None:
        raise ConfigurationError("say --limit or --sample, not both")
    if options.keys is not None and options.inventory is not None:
        raise ConfigurationError("say --keys or --inventory, not both")


def _run(
    here: Session,
    library: Library,
    options: Options,
    control: Control,
    generation: str,
    listed: Callable[[str, str | None], Sweep],
    announced: Aside,
) -> Result:
    stored = _stored(library, options, generation)
    name = uuid.uuid4().hex
    feed = Feed(name, generation, options.window, options.rate, stored, _redo(options))
    state = FeederState(library.source.bucket, generation, socket.gethostname(), os.getpid())
    crew = RedisCrew(here.client, state)
    with ExitStack() as stack:
        stack.callback(_quietly, lambda: crew.leave(name))
        tell = stack.enter_context(shown(as_json=options.as_json))
        ahead = Ahead(library.images) if options.keys is None and options.inventory is None else None
        if ahead is not None:
            stack.callback(ahead.close)
        feeder = Feeder(feed, here.queue, crew, control, tell, here.check, ahead)
        sweep = partial(listed, generation, stored)
        return _backfill(library, options, generation, sweep, feeder, announced=announced).run(name)


def _backfill(
    library: Library,
    options: Options,
    generation: str,
    sweep: Callable[[], Sweep],
    feeder: Feeder | None = None,
    tell: Callable[[Progress], None] | None = None,
    announced: Aside | None = None,
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
        dated=options.inventory is not None,
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
        margin=_margin(library),
    )
    publisher = Publisher(library.sidecars, library.layout, generation)
    return Backfill(
        plan,
        library.source,
        publisher,
        reconciler,
        sweep,
        feeder,
        tell,
        asked=lambda: library.meter.total,
        announced=announced,
    )


def _margin(library: Library) -> float:
    """How far apart the clocks may be that write the times of images and of records."""
    if library.source is library.sidecars:
        return 0.0
    return SERVERS_SECONDS if type(library.source) is type(library.sidecars) else MARGIN_SECONDS


def _sweep(
    library: Library, options: Options, inventory: Inventory | None, generation: str, stored: str | None
) -> Sweep:
    """A passage through the library."""
    if options.keys is not None:
        file = sys.stdin.buffer if options.keys == "-" else _opened(Path(options.keys))
        return KeySweep(library, read_keys(file, null=options.null), stored=stored is not None)
    return open_sweep(library, generation, stored, options.lanes, inventory)


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


def _dry_run(settings: Settings, library: Library, options: Options, listed: Callable[[str, str | None], Sweep]) -> int:
    """Count, estimate and tell; returns the exit status."""
    found = expected(settings, library, options.generation)
    sight = None if found.model is None else found.model.description.sight
    stored = _stored(library, options, found.generation, sight)
    with shown(as_json=options.as_json) as tell:
        dry = _backfill(library, options, found.generation, partial(listed, found.generation, stored), tell=tell)
        result = dry.run("dry run")
    counts = result.passes[0]
    due = estimated(counts, found, stored, dry.first, library, settings, options.assume_rate)
    return told(result, library, settings, options.report, due)


def _promoted(result: Result, library: Library, options: Options) -> Result:
    """Let a generation serve that is complete, if asked; else say how."""
    generation = result.generation
    current = read_current(library.sidecars, library.layout)
    if generation is None or not result.converged or current.serving in (None, generation):
        return result
    how = f"stockmeta generation promote {shlex.quote(options.library)} {generation}"
    note = f"generation {generation} is complete, and {current.serving} serves; to let the new one serve: {how}"
    if options.only is not None or options.keys is not None:
        # Complete as far as it was asked for, which may be little.
        note = f"generation {generation} does not serve: what was asked for is done, and more may be missing"
    elif options.promote:
        try:
            # A part of a library may be complete, and the rest not.
            require_as_many(library, generation, current.serving)
        except ConfigurationError as refused:
            note = f"generation {generation} was not promoted: {refused}"
        else:
            promote(library.sidecars, library.layout, generation)
            return replace(result, promoted=True)
    return replace(result, notes=(*result.notes, note))


def _unfinished(result: Result, library: Library, options: Options) -> int:
    """1 if the run broke off, or did not do what was asked at its end."""
    broken = options.limit is None and not (result.passes and result.passes[-1].complete)
    serves = read_current(library.sidecars, library.layout).serving == result.generation
    return 1 if broken or (options.promote and not serves) else 0


def _quietly(action: Callable[[], None]) -> None:
    with suppress(Unavailable):
        action()
