"""The Celery application. Importing it defines the application and does nothing else.

`celery -A worker.app worker` runs a worker: the model is loaded at its start, not at import.
"""

import logging
from typing import Any

from celery import Celery
from celery.signals import worker_init, worker_shutdown

from tasks.errors import ConfigurationError
from tasks.layout import FOLDER_KEYS, OUTPUT_ROOT, Layout
from worker.settings import Settings, drop_celery_variables, load_settings

logger = logging.getLogger(__name__)


def _settings() -> dict[str, Any]:
    """What Celery and its Redis transport must be told; each line says what happens otherwise."""
    settings = load_settings()
    if settings.broker_url is None:
        raise ConfigurationError("the queue needs STOCKMETA_BROKER_URL, such as redis://localhost:6379/0")
    drop_celery_variables()
    return {
        "broker_url": settings.broker_url.get_secret_value(),
        # Model and decoder are shared by all tasks of a process: a forked child would have neither.
        "worker_pool": "threads",
        # A message is acknowledged after the commit, so that a killed worker's work is done again. The task
        # puts back what did not end: one that raises is acknowledged, and would lose its images.
        "task_acks_late": True,
        # Fetching ahead would keep messages from idle workers.
        "worker_prefetch_multiplier": 1,
        # The bucket holds the results; result keys in Redis would pile up (celery#7801).
        "task_ignore_result": True,
        "accept_content": ["json"],
        "task_serializer": "json",
        # A Redis restart would otherwise cancel and repeat what is under way.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # Celery would redirect prints, and with them the logs of libraries, to its log at WARNING.
        "worker_redirect_stdouts": False,
        "worker_hijack_root_logger": False,
        "task_default_queue": "uploads",
        "broker_transport_options": {
            # At least three times a message's deadline, or long messages are delivered again and again.
            "visibility_timeout": 3600,
            # Unacknowledged messages of dead workers are looked for every ten seconds instead of about 100.
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            # A frozen Redis must become an error, not a hang.
            "socket_timeout": 30,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
        },
    }


class Application(Celery):
    """Celery, with the place where tasks find the runtime."""

    stockmeta: Any = None


app = Application("stockmeta", include=["tasks.jobs"])
app.add_defaults(_settings)


@worker_init.connect
def _load(**_: Any) -> None:
    """Build the runtime before the first message is taken, and hang it on the application, where tasks find it."""
    try:
        app.stockmeta = _runtime(load_settings())
    except Exception as error:
        # Celery logs what a signal's receiver raises and goes on: a worker without a model, which loses every message.
        logger.exception("the worker cannot start")
        raise SystemExit(2) from error


def _runtime(settings: Settings) -> Any:
    from worker.runtime import Runtime, load_model
    from worker.storage.local import LocalStore

    if settings.library is None:
        raise ConfigurationError("a worker needs to know its library: set STOCKMETA_LIBRARY to a folder")
    source = LocalStore(settings.library)
    if settings.output is None:
        sidecars = source, Layout(OUTPUT_ROOT, FOLDER_KEYS)
    else:
        settings.output.mkdir(parents=True, exist_ok=True)
        sidecars = LocalStore(settings.output), Layout("", FOLDER_KEYS)
    return Runtime(settings, load_model(settings), {source.bucket: source}, sidecars)


@worker_shutdown.connect
def _close(**_: Any) -> None:
    if app.stockmeta is not None:
        app.stockmeta.close()
