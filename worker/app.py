"""The Celery application. Importing it defines the application and does nothing else.

`stockmeta worker` runs a worker, and so does `celery -A worker.app worker`: the model is loaded at its start, not at
import.
"""

import logging
import warnings
from typing import Any

from celery import Celery
from celery.exceptions import SecurityWarning
from celery.signals import setup_logging, worker_init, worker_ready, worker_shutdown, worker_shutting_down
from celery.worker import state

from tasks.errors import ConfigurationError, Unavailable
from tasks.messages import SUSPECTS
from worker import logs
from worker.celery_settings import celery_settings
from worker.settings import Settings, load_settings

logger = logging.getLogger(__name__)

PULSE_SECONDS = 5.0
FAILED, CANNOT_START = 1, 2


class Application(Celery):
    """Celery, with the place where tasks find the service, and what the command line decided."""

    stockmeta: Any = None
    settings: Settings | None = None
    open_new = False

    def decided(self) -> Settings:
        """The settings of the command line, or else of the environment. Raises `ConfigurationError`."""
        if self.settings is None:
            self.settings = load_settings()
        return self.settings


app = Application("stockmeta", include=["tasks.jobs"])
app.add_defaults(lambda: celery_settings(app.decided()))


@setup_logging.connect
def set_up_logging(**_: Any) -> None:
    """Our logs: Celery would set up its own."""
    # Its advice against root, six lines at every start, is in our own documentation.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    logs.configure(app.decided().log_format, logging.INFO)


@worker_init.connect
def _load(sender: Any, **_: Any) -> None:
    """Build the service before the first message is taken, and hang it on the application, where tasks find it."""
    from worker.service import WorkerService

    # Celery asks for logging only after this signal, and a start has things to tell.
    set_up_logging()
    try:
        queues = set(app.amqp.queues.consume_from)
        if queues != {SUSPECTS}:
            # They get a worker of their own: see `worker.children`.
            app.amqp.queues.deselect([SUSPECTS])
        else:
            # They go one at a time anyway; in hand, the others would only come closer to the visibility timeout.
            sender.concurrency = 1
        app.stockmeta = WorkerService(app, app.decided(), queues, open_new=app.open_new, on_broken=_end)
    # Celery logs what a signal's receiver raises and goes on: a worker without a model, which loses every message.
    except ConfigurationError as error:
        logger.error("the worker cannot start: %s", error)
        raise SystemExit(CANNOT_START) from error
    except Unavailable as error:
        logger.error("the worker cannot start now: %s", error)
        raise SystemExit(FAILED) from error
    except Exception as error:
        logger.exception("the worker cannot start")
        raise SystemExit(FAILED) from error


@worker_ready.connect
def _beat(sender: Any, **_: Any) -> None:
    sender.timer.call_repeatedly(PULSE_SECONDS, app.stockmeta.pulse.beat)
    logger.info("ready: takes messages from %s", ", ".join(sorted(app.amqp.queues.consume_from)))


@worker_shutting_down.connect
def _shut_down(**_: Any) -> None:
    if app.stockmeta is not None:
        app.stockmeta.shut_down()


@worker_shutdown.connect
def _close(**_: Any) -> None:
    # On the threads pool a worker whose decoder processes live on never ends.
    if app.stockmeta is not None:
        app.stockmeta.close()


def _end() -> None:
    """Have Celery's loop end the process, and a supervisor start it again."""
    state.should_stop = FAILED  # type: ignore[assignment]  # None until then, and Celery wants a status
