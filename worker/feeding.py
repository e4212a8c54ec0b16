"""What a feed is wired of: a library's sidecars, a sink, and the stream of changes where there is a broker."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tasks.errors import ConfigurationError
from tasks.feeding.compare import Sidecars
from tasks.feeding.deliver import READS, Deliverer
from tasks.feeding.documents import Maker
from tasks.feeding.people import PeopleRule
from tasks.feeding.ports import Sink
from tasks.ports import Store
from worker.bulk.sorting import sort_on_disk
from worker.feeding_places import folder_id, index_folder
from worker.library import Library, Place, parse, s3_store
from worker.queue.changes import RedisChangeStream
from worker.queue.connection import connect
from worker.settings import Settings
from worker.storage.local import LocalStore
from worker.vocabulary import load_wording

logger = logging.getLogger(__name__)

Kind = Literal["local", "ndjson", "opensearch"]

ATTEMPTS = 6
"""Of a request to a cluster."""
FOLLOWING_ATTEMPTS = 3
"""The same before a feed that follows waits itself, and says so."""


@dataclass(frozen=True, slots=True)
class Target:
    """Which index is fed.

    Attributes:
        folder: of an embedded index; default: the library's own in the cache.
        out: a folder or `s3://bucket/prefix`, for files.
        url: of a cluster; `name` is that of the index there.
    """

    kind: Kind
    folder: Path | None = None
    out: str | None = None
    url: str | None = None
    name: str | None = None

    @property
    def commit_seconds(self) -> float:
        """How often what was delivered is made visible while a feed follows: files should not be many and small."""
        return 30.0 if self.kind == "ndjson" else 1.0


@dataclass(frozen=True)
class Feeding:
    """A feed, wired.

    Attributes:
        sidecars: of the library.
        deliverer: makes their documents.
        sink: where they go.
    """

    sidecars: Sidecars
    deliverer: Deliverer
    sink: Sink


@contextmanager
def feeding(
    settings: Settings,
    library: Library,
    target: Target,
    sleep: Callable[[float], object] = time.sleep,
    attempts: int = ATTEMPTS,
) -> Iterator[Feeding]:
    """A feed of a library.

    Args:
        settings: of the process.
        library: what is fed.
        target: where to.
        sleep: how a cluster is waited for; true when it is time to end.
        attempts: of a request to it.

    Raises:
        ConfigurationError: the words, the library or the sink are not as they have to be; what to do about it.
    """
    bucket = library.source.bucket
    maker = Maker(PeopleRule.of(load_wording(settings).vocabulary))
    sidecars = Sidecars(library.sidecars, library.layout, bucket, library.prefix, sort_on_disk, library.source)
    reads = 1 if isinstance(library.sidecars, LocalStore) else READS
    with ExitStack() as stack:
        deliverer = Deliverer(library.sidecars, library.layout, bucket, maker, reads)
        stack.callback(deliverer.close)
        sink = open_sink(settings, library, target, sleep, attempts)
        stack.callback(sink.close)
        yield Feeding(sidecars, deliverer, sink)


def open_sink(
    settings: Settings,
    library: Library,
    target: Target,
    sleep: Callable[[float], object] = time.sleep,
    attempts: int = ATTEMPTS,
) -> Sink:
    """The sink that a command names. Raises `ConfigurationError`."""
    bucket, prefix = library.source.bucket, library.prefix
    # Each of them takes libraries that the others need not pay for.
    if target.kind == "local":
        from worker.feeds.local.sink import LocalSink

        return LocalSink(index_folder(settings, library, target.folder), bucket, prefix)
    if target.kind == "ndjson":
        from worker.feeds.ndjson.sink import NdjsonSink

        store, root = _files(settings, library, target.out)
        return NdjsonSink(store, root, bucket, prefix)
    from worker.feeds.opensearch.access import Access, Patience
    from worker.feeds.opensearch.sink import OpenSearchSink

    password = settings.opensearch_password
    access = Access(
        target.url or settings.opensearch_url,
        settings.opensearch_user,
        None if password is None else password.get_secret_value(),
        settings.opensearch_ca,
    )
    return OpenSearchSink(access, bucket, prefix, target.name, Patience(attempts=attempts, sleep=sleep))


@contextmanager
def change_stream(
    settings: Settings, library: Library, target: Target, sink: Sink
) -> Iterator[RedisChangeStream | None]:
    """The changes that workers announce; `None` where they announce none. Raises `ConfigurationError`."""
    if settings.broker_url is None or not settings.changes_kept:
        yield None
        return
    name = reader_name(settings, library, target, sink)
    logger.info("changes are read as %s", name)
    with connect(settings) as client:
        yield RedisChangeStream(client, name)


def reader_name(settings: Settings, library: Library, target: Target, sink: Sink) -> str:
    """What an index is called by those who read changes for it, and by nobody else who has the same Redis.

    Two machines have indexes in folders of one path, two clusters have aliases of one name; were they called the same,
    each would get half of the changes.

    Raises `ConfigurationError`.
    """
    if target.kind == "local":
        return f"{sink.name}#{folder_id(index_folder(settings, library, target.folder))}"
    if target.kind == "ndjson":
        place = parse(target.out or "", "--out")
        return sink.name if isinstance(place, Place) else f"{sink.name}#{folder_id(place)}"
    return f"{sink.name}@{(target.url or settings.opensearch_url).rstrip('/')}"


def _files(settings: Settings, library: Library, out: str | None) -> tuple[Store, str]:
    """Where files go, and what their keys begin with."""
    if out is None:
        raise ConfigurationError("say with --out where the files go: a folder, or s3://bucket/prefix")
    place = parse(out, "--out")
    if isinstance(place, Place):
        for store in (library.source, library.sidecars):
            if store.bucket == place.bucket and not isinstance(store, LocalStore):
                return store, place.prefix
        return s3_store(place.bucket, settings), place.prefix
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"--out {out}: the folder cannot be made: {error.strerror}") from error
    # By its path, since the sink's name is made of it, and two folders of one name are two indexes.
    return LocalStore(place, str(place.resolve())), ""
