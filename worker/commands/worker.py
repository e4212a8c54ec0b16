"""`stockmeta worker`: runs a worker until it is told to stop."""

import logging
import os
import sys

from tasks.errors import ConfigurationError
from tasks.messages import QUEUES
from worker.app import app, set_up_logging
from worker.children import end_with_parent
from worker.priority import follow_nice
from worker.settings import Settings

STDOUT = 1
"""File descriptor. A worker has no results to print."""


def run(settings: Settings, queues: str, *, open_new: bool, with_parent: bool) -> int:
    """Work until SIGTERM or Ctrl-C; returns the exit status, or ends the process. Raises `ConfigurationError`."""
    names = [name.strip() for name in queues.split(",") if name.strip()]
    unknown = [name for name in names if name not in QUEUES]
    if unknown or not names:
        raise ConfigurationError(f"--queues {queues!r}: there are {', '.join(QUEUES)}")
    app.settings, app.open_new = settings, open_new
    set_up_logging()
    follow_nice()
    if with_parent:
        end_with_parent()
    if settings.log_format == "json":
        # At a signal Celery says a word on standard output, past all logging, and whoever collects logs reads both.
        os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)
    # What `celery -A worker.app worker` does, less what talks to other workers: nobody listens, and it costs Redis.
    worker = app.Worker(
        hostname=f"{'-'.join(names)}@{os.uname().nodename}",
        queues=names,
        loglevel="INFO",
        without_mingle=True,
        without_gossip=True,
        without_heartbeat=True,
        quiet=True,
    )
    worker.start()
    # Threads may still wait for a store that does not answer. Python would wait for them, past any grace period.
    logging.shutdown()
    sys.stderr.flush()
    os._exit(worker.exitcode or 0)
