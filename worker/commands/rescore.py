"""`stockmeta rescore`: a new vocabulary, policy or threshold, from stored embeddings.

It is a backfill that sends only images of which something is stored; see `worker.commands.backfill`.
"""

from dataclasses import replace

from tasks.errors import ConfigurationError
from tasks.generations.pointer import read_current, withdraw
from worker import console
from worker.bulk.library import locate
from worker.commands import backfill
from worker.commands.backfill import Options
from worker.generations.found import require
from worker.rescoring import NotReusable
from worker.settings import Settings


def run(settings: Settings, options: Options) -> int:
    """Score a library again; returns the exit status.

    Raises:
        ConfigurationError: nothing that is stored may be used; says why, and leaves the library as it was.
        Unavailable: the store or the queue does not answer.
    """
    _, library = locate(settings, options.library)
    stored = None if options.stored is None else require(library, options.stored)
    before = read_current(library.sidecars, library.layout)
    if before.serving is None:
        # Told here, since our own worker would open its generation as the library's first.
        raise ConfigurationError("nothing was tagged here yet, so nothing is stored: run `stockmeta backfill`")
    try:
        return backfill.run(settings, replace(options, rescore=True, stored=stored))
    except NotReusable as refusal:
        if settings.broker_url is None and refusal.generation not in before.written:
            # Our own worker had opened it; nobody is to write it.
            withdraw(library.sidecars, library.layout, refusal.generation)
            console.say(f"generation {refusal.generation} is not filled after all")
        raise
