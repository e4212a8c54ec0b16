"""Where commands that change records themselves announce it: to the feeds of the configured broker, if there is one."""

from collections.abc import Iterator
from contextlib import contextmanager

from tasks.feeding.announce import Aside
from worker.queue.changes import RedisAnnouncer
from worker.queue.connection import connect
from worker.settings import Settings


@contextmanager
def announcing(settings: Settings) -> Iterator[Aside]:
    """Announce what is added in the block; nothing without a broker. Raises `ConfigurationError` for no Redis URL."""
    if settings.broker_url is None or not settings.changes_kept:
        yield Aside()
        return
    with connect(settings) as client, Aside(RedisAnnouncer(client, settings.changes_kept)) as aside:
        yield aside
