"""`stockmeta listen`: events from a store become messages for the workers, until the listener is told to stop."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from tasks.errors import ConfigurationError, Unavailable
from tasks.generations.pointer import read_current
from tasks.messages import Queue
from worker.celery_settings import make_sender
from worker.events.committed import committed_below
from worker.events.folder import FolderSource
from worker.events.generations import RecentCurrent
from worker.events.intake import Intake, Scope, Tally
from worker.http import HttpServer, make_app
from worker.library import Library, open_library
from worker.logs import configure
from worker.metrics import Metrics
from worker.queue.connection import connect, redis_errors
from worker.queue.redis_queue import RedisQueue
from worker.settings import Settings
from worker.stopping import stopped_by_signals
from worker.storage.local import LocalStore

logger = logging.getLogger(__name__)

REPORT_SECONDS = 60.0


@dataclass(frozen=True)
class Listener:
    """What every source needs.

    Attributes:
        library: whose events these are.
        scope: what belongs to it.
        current: the generations that are written.
        intake: takes events.
        ping: raises `Unavailable` when Redis does not answer.
        stop: set when it is time to end.
    """

    library: Library
    scope: Scope
    current: RecentCurrent
    intake: Intake
    ping: Callable[[], str]
    stop: threading.Event


def sqs(settings: Settings, queue_url: str) -> int:
    """Listen to an SQS queue until a signal comes; returns the exit status. Raises `ConfigurationError`."""
    # boto3 takes a third of a second to import, which the others need not pay.
    from worker.events import sqs as source

    with _listening(settings, "sqs") as listener:
        if isinstance(listener.library.source, LocalStore):
            raise ConfigurationError(
                "the library is a folder, and SQS tells of buckets: set STOCKMETA_LIBRARY to s3://…"
            )
        client = source.connect(queue_url, settings.s3_region)
        with ExitStack() as stack:
            stack.callback(client.close)
            listening = source.SqsSource(client, queue_url, listener.intake, listener.stop)
            listening.check()
            logger.info("listening to %s", queue_url)
            listening.run()
    return 0


def webhook(settings: Settings, host: str, port: int, *, hold: float, insecure: bool) -> int:
    """Take events over HTTP until a signal comes; returns the exit status. Raises `ConfigurationError`."""
    from worker.events.serving import listening, serve
    from worker.events.webhook import make_app

    secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else ""
    if bool(secret) is insecure:
        raise ConfigurationError(
            "STOCKMETA_WEBHOOK_SECRET is set and --insecure given: leave one of them out"
            if secret
            else "set STOCKMETA_WEBHOOK_SECRET to what senders present, or say --insecure to take events from anybody"
        )
    with _listening(settings, "webhook") as listener:
        socket = listening(host, port)
        if insecure:
            logger.warning("taking events from anybody who can reach %s: they cost work, and can name any image", host)
        logger.info("listening on http://%s:%d/", host, socket.getsockname()[1])
        app = make_app(listener.intake, secret or None, listener.ping, hold=hold, stop=listener.stop)
        serve(app, socket, listener.stop)
    return 0


def folder(settings: Settings, *, settle: float, poll: bool) -> int:
    """Watch the library's folder until a signal comes; returns the exit status. Raises `ConfigurationError`."""
    with _listening(settings, "folder") as listener:
        library = listener.library
        if not isinstance(library.source, LocalStore):
            raise ConfigurationError(f"{settings.library} is no folder; use listen sqs or listen webhook")

        def below(prefix: str) -> Iterator[str]:
            return committed_below(library.sidecars, library.layout, listener.current(), library.source.bucket, prefix)

        root = library.source.root
        source = FolderSource(root, listener.scope, listener.intake, below, listener.stop, settle=settle, poll=poll)
        source.run(lambda: logger.info("listening to the folder %s", root))
    return 0


@contextmanager
def _listening(settings: Settings, source: str) -> Iterator[Listener]:
    """All that sources share: the library, the queue, logs, metrics, and signals. Raises `ConfigurationError`."""
    configure(settings.log_format, min(logging.INFO, logging.getLogger().level))
    sender, client = make_sender(settings), connect(settings)
    library = open_library(settings)
    scope = _scope(library)
    tally = Tally()

    def read() -> str:
        current = read_current(library.sidecars, library.layout)
        return ", ".join(current.written) or "no generation yet"

    def ping() -> str:
        with redis_errors("the queue cannot be reached"):
            client.ping()
        return "answers"

    try:
        read()
    except Unavailable as error:
        logger.warning("the library does not answer yet, going on: %s", error)
    current = RecentCurrent(lambda: read_current(library.sidecars, library.layout))
    queue: Queue = RedisQueue(sender, client)
    with ExitStack() as stack:
        stack.callback(sender.close)
        stack.callback(client.close)
        stop = stack.enter_context(stopped_by_signals())
        if settings.http_port is not None:
            metrics = Metrics()
            metrics.listen(source, tally)
            app = make_app({}, {"redis": ping, "store": read}, metrics.registry)
            stack.enter_context(HttpServer(app, settings.http_host, settings.http_port))
        stack.enter_context(_reporting(tally, stop))
        yield Listener(library, scope, current, Intake(scope, queue, current, tally), ping, stop)


def _scope(library: Library) -> Scope:
    outputs = library.layout if library.sidecars is library.source else None
    return Scope(library.source.bucket, library.prefix, outputs, library.extensions, library.renditions)


@contextmanager
def _reporting(tally: Tally, stop: threading.Event) -> Iterator[None]:
    """A line about what came, every minute in which something did, and at the end."""

    def report() -> None:
        before = ""
        while not stop.wait(REPORT_SECONDS):
            if (now := str(tally)) != before:
                logger.info("%s", now)
                before = now

    threading.Thread(target=report, name="report", daemon=True).start()
    try:
        yield
    finally:
        stop.set()
        logger.info("stopped: %s", tally)
