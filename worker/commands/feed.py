"""`stockmeta feed`: keeps a search index equal to the sidecars, once or from now on."""

import json
import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

from tasks.bulk.feed import Control
from tasks.errors import ConfigurationError, Unavailable
from tasks.feeding.changes import ChangeStream
from tasks.feeding.follow import Follower, Pace
from tasks.feeding.once import Once, Plan, Report
from tasks.feeding.reconcile import MOST_REMOVED, Compared, Difference
from tasks.generations.pointer import read_current
from worker import console
from worker.bulk.library import locate
from worker.feeding import FOLLOWING_ATTEMPTS, Feeding, Target, change_stream, feeding
from worker.generations.found import require
from worker.http import HttpServer, make_app
from worker.library import Library
from worker.logs import configure
from worker.memory import one_heap
from worker.metrics import Metrics
from worker.probes import Pulse
from worker.settings import Settings
from worker.stopping import signals, stopped_by_signals

logger = logging.getLogger(__name__)

SCHEMA = "stockmeta-feed/1"
TROUBLES = ("refused", "broken", "unsettled", "kept")
STILL_SECONDS = 900.0
"""After so long without a turn of its loop a feed is taken for dead."""


@dataclass(frozen=True)
class Options:
    """What the command line says; see `worker.cli_feed`.

    Attributes:
        reconcile_minutes: between two comparisons; default: 60, or 1 without a broker.
        commit_seconds: between two commits of a feed that follows; default: the sink's.
    """

    library: str
    target: Target
    full: bool = False
    verify: bool = False
    dry_run: bool = False
    follow: bool = False
    generation: str | None = None
    max_removed: float = MOST_REMOVED
    reconcile_minutes: float | None = None
    commit_seconds: float | None = None


def run(settings: Settings, options: Options) -> int:
    """Feed an index; returns the exit status. Raises `ConfigurationError`, `Unavailable`."""
    _check(options)
    if options.follow:
        return _follow(settings, options)
    # What runs once reads no changes, so it may be of any library.
    settings, library = locate(settings.model_copy(update={"broker_url": None}), options.library)
    if options.generation is not None:
        options = replace(options, generation=require(library, options.generation))
    control = Control()
    with signals(control) as received, feeding(settings, library, options.target, control.stop.wait) as wired:
        try:
            report = _once(wired, options, control)
        except Unavailable as error:
            if not received:
                raise
            console.say(str(error))
            return _interrupted(received[0])
    console.emit(json.dumps(_told(report, library, options), ensure_ascii=False))
    for line in (summary(report), *report.notes):
        console.say(line)
    if report.interrupted and received:
        return _interrupted(received[0])
    return 1 if report.differences else 0


def _interrupted(number: int) -> int:
    """What a signal ends the command with."""
    if number != signal.SIGINT:
        # Of Ctrl-C `worker.cli.main` says so, for all commands.
        console.say("interrupted; run the same command again to go on")
    return 128 + number


def summary(report: Report) -> str:
    """The run in one line."""
    found = f"{report.missing:,} missing, {report.stale:,} stale and {report.extra:,} extra documents"
    if report.dry_run:
        return f"{found} of {report.sidecars:,} sidecars; nothing was changed"
    why = ", ".join(f"{getattr(report, name):,} {name}" for name in TROUBLES if getattr(report, name))
    remain = "the run was interrupted" if report.interrupted else "the index equals the sidecars"
    if report.differences:
        remain = f"{report.differences:,} differences remain ({why or 'not kept'})"
    return f"{found} found; {report.put:,} written, {report.removed:,} removed; {remain}"


def _check(options: Options) -> None:
    if options.follow and (options.full or options.verify or options.dry_run or options.generation):
        raise ConfigurationError(
            "--follow goes on with what there is: leave --full, --verify, --dry-run and --generation out, or run those "
            "by themselves"
        )
    if options.full and options.dry_run:
        raise ConfigurationError("--full writes all documents anew, and --dry-run none: say one of them")


def _once(wired: Feeding, options: Options, control: Control) -> Report:
    plan = Plan(options.generation, options.full, options.verify, options.dry_run, options.max_removed)
    with console.bars() as bars:

        def progress(compared: Compared) -> None:
            bars.update("compared", max(compared.sidecars, compared.documents), None)
            bars.update("put right", compared.outcomes.total(), None)

        tell = _emit if options.verify else None
        once = Once(wired.sidecars, wired.sink, wired.deliverer, plan, control.stop.is_set, tell, progress)
        return once.run()


def _emit(difference: Difference) -> None:
    line = difference._asdict()
    if difference.reason is None:
        del line["reason"]
    console.emit(json.dumps(line, ensure_ascii=False))


def _told(report: Report, library: Library, options: Options) -> dict[str, object]:
    """The command's result."""
    asked = library.meter.total.to_counts()
    return {"schema": SCHEMA, "library": options.library, **asdict(report), "requests": asked}


def _follow(settings: Settings, options: Options) -> int:
    configure(settings.log_format, min(logging.INFO, logging.getLogger().level))
    one_heap()
    # Of each try; the feed itself says once that it waits, and for how long it did.
    logging.getLogger("worker.feeds.opensearch.client").setLevel(logging.ERROR)
    settings, library = locate(settings, options.library)
    with (
        stopped_by_signals() as stop,
        feeding(settings, library, options.target, stop.wait, FOLLOWING_ATTEMPTS) as wired,
        change_stream(settings, library, options.target, wired.sink) as stream,
    ):
        if stream is None:
            why = "STOCKMETA_CHANGES_KEPT is 0" if settings.broker_url else "no broker is configured"
            logger.warning("%s: what changes is found by comparing with the listing alone", why)
        _serve(settings, library, options, wired, stream, stop)
    logger.info("stopped")
    return 0


def _serve(
    settings: Settings,
    library: Library,
    options: Options,
    wired: Feeding,
    stream: ChangeStream | None,
    stop: threading.Event,
) -> None:
    metrics = Metrics()
    metrics.count(library.meter)
    watcher = metrics.feed(options.target.kind, None if stream is None else stream.backlog)
    pulse = Pulse(STILL_SECONDS)
    follower = Follower(
        wired.sidecars,
        wired.sink,
        wired.deliverer,
        stream,
        stop,
        _pace(options, broker=stream is not None),
        most_removed=options.max_removed,
        watcher=watcher,
        beat=pulse.beat,
    )

    def index() -> str:
        if follower.index_patience.trouble:
            raise Unavailable(follower.index_patience.trouble)
        return "answers"

    def redis() -> str:
        if follower.stream_patience.trouble:
            raise Unavailable(follower.stream_patience.trouble)
        return "answers" if stream is not None else "not configured"

    def store() -> str:
        current = read_current(library.sidecars, library.layout)
        return ", ".join(current.written) or "no generation yet"

    app = make_app({"feed": pulse.check}, {"index": index, "redis": redis, "store": store}, metrics.registry)
    with _served(settings, app):
        logger.info("feeding %s", wired.sink.name)
        follower.run()


@contextmanager
def _served(settings: Settings, app: object) -> Iterator[None]:
    if settings.http_port is None:
        yield
        return
    with HttpServer(app, settings.http_host, settings.http_port):  # type: ignore[arg-type]
        yield


def _pace(options: Options, *, broker: bool) -> Pace:
    minutes = options.reconcile_minutes
    if minutes is None:
        minutes = 60.0 if broker else 1.0
    commit = options.target.commit_seconds if options.commit_seconds is None else options.commit_seconds
    return Pace(commit=commit, compare=60.0 * minutes)
