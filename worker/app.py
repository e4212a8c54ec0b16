"""The Celery application. Importing it defines the application and does nothing else.

`celery -A worker.app worker` runs a worker: the model is loaded at its start, not at import.
"""

import logging
from pathlib import Path
from typing import Any

from celery import Celery
from celery.signals import worker_init, worker_shutdown

from tasks.errors import ConfigurationError
from tasks.layout import FOLDER_KEYS, OUTPUT_ROOT, Layout
from worker.celery_settings import celery_settings
from worker.settings import Settings, load_settings

logger = logging.getLogger(__name__)


def _settings() -> dict[str, Any]:
    return celery_settings(load_settings())


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
    source = LocalStore(Path(settings.library))
    if settings.output is None:
        sidecars = source, Layout(OUTPUT_ROOT, FOLDER_KEYS)
    else:
        Path(settings.output).mkdir(parents=True, exist_ok=True)
        sidecars = LocalStore(Path(settings.output)), Layout("", FOLDER_KEYS)
    return Runtime(settings, load_model(settings), {source.bucket: source}, sidecars)


@worker_shutdown.connect
def _close(**_: Any) -> None:
    if app.stockmeta is not None:
        app.stockmeta.close()
