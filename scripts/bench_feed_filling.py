"""Documents a second into each kind of index, and where the time goes."""

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench_feed_library import GENERATION, key_of
from bench_stand import run_counting

from tasks.feeding.compare import Sidecars
from tasks.feeding.deliver import READS, Deliverer
from tasks.feeding.document import Document, document_tag
from tasks.feeding.documents import Maker
from tasks.feeding.ports import Index, Put, Sink
from tasks.feeding.reconcile import BATCH, Reconciliation
from tasks.recorded import Sidecar, read_sidecar
from tasks.records import ImageRef
from tests.faults.cluster import Cluster
from worker.bulk.sorting import sort_on_disk
from worker.feeds.local.sink import LocalSink
from worker.feeds.ndjson.sink import NdjsonSink
from worker.feeds.opensearch.access import Access
from worker.feeds.opensearch.sink import OpenSearchSink
from worker.library import Library
from worker.storage.local import LocalStore

SINKS = ("local", "ndjson", "opensearch")


@dataclass
class Place:
    """A library whose sidecars are there.

    Attributes:
        name: in the table.
        library: opened; `url` is how a command names it.
        environment: of a command.
    """

    name: str
    library: Library
    url: str
    environment: Mapping[str, str]
    count: int


@dataclass
class Pieces:
    """Seconds of one filling, piece by piece, one after the other."""

    reading: float = 0.0
    making: float = 0.0
    delivering: float = 0.0
    committing: float = 0.0
    compared: float = 0.0

    @property
    def filling(self) -> float:
        """All of it but the comparison."""
        return self.reading + self.making + self.delivering + self.committing


@dataclass
class Timer:
    """Adds up the time of blocks, by name."""

    pieces: Pieces = field(default_factory=Pieces)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Time a block."""
        began = time.perf_counter()
        yield
        setattr(self.pieces, name, getattr(self.pieces, name) + time.perf_counter() - began)


def filling(place: Place, name: str, cluster: Cluster, scratch: Path) -> str:
    """A line of figures, of a kind of index."""
    folder = scratch / f"{place.name}-{name}"
    folder.mkdir()
    before = cluster.cpu
    pieces = piecewise(place, opened(name, place.library, folder / "pieces", cluster))
    osmem = (cluster.cpu - before) / place.count
    seconds, cpu = by_command(place, name, folder, cluster)
    shutil.rmtree(folder)
    return _line(place, name, pieces, seconds, cpu, osmem)


def _line(place: Place, name: str, pieces: Pieces, seconds: float, cpu: float, osmem: float) -> str:
    def of_all(part: float) -> str:
        return f"{100 * part / pieces.filling:3.0f} %"

    rate, piecewise, compared = (place.count / part for part in (seconds, pieces.filling, pieces.compared))
    return (
        f"  {place.name:<10} {name:<11} {rate:7,.0f} {1e6 * cpu / place.count:7,.0f} {piecewise:9,.0f} "
        f"{of_all(pieces.reading):>8} {of_all(pieces.making):>7} {of_all(pieces.delivering + pieces.committing):>11} "
        f"{compared:11,.0f}" + (f"   (and osmem {1e6 * osmem:,.0f} µs)" if name == "opensearch" else "")
    )


HEADINGS = (
    f"  {'sidecars':<10} {'index':<11} {'command':>7} {'µs each':>7} {'piecewise':>9} {'reading':>8} {'making':>7} "
    f"{'delivering':>11} {'comparing':>11}"
)


def piecewise(place: Place, sink: Sink) -> Pieces:
    """Fill an index from nothing as a feed does, but one piece after the other, with a clock to each."""
    library, maker, timer = place.library, Maker(), Timer()
    with ThreadPoolExecutor(READS) as pool:
        index = sink.open(GENERATION, anew=True)

        def read(key: str) -> Sidecar:
            found = read_sidecar(library.sidecars, library.layout, GENERATION, ImageRef(library.source.bucket, key))
            assert found is not None
            return found

        folder = isinstance(library.sidecars, LocalStore)
        for first in range(0, place.count, BATCH):
            keys = [key_of(number) for number in range(first, min(first + BATCH, place.count))]
            with timer.of("reading"):
                found = list(map(read, keys) if folder else pool.map(read, keys))
            with timer.of("making"):
                made = [maker.document(each.record, None, document_tag(each.etag, None)) for each in found]
            with timer.of("delivering"):
                deliver(index, made)
        with timer.of("committing"):
            index.commit()
        index.completed()
        sink.serve(index)
        with timer.of("compared"):
            compare(library, index)
    sink.close()
    return timer.pieces


def deliver(index: Index, documents: Sequence[Document]) -> None:
    """What the index has is asked first, as always."""
    assert not index.indexed([document.key for document in documents])
    assert index.deliver([Put(document) for document in documents]).put == len(documents)


def compare(library: Library, index: Index) -> None:
    """A comparison that finds nothing."""
    sidecars = Sidecars(library.sidecars, library.layout, library.source.bucket, "", sort_on_disk)
    run = Reconciliation(sidecars, index, Deliverer(library.sidecars, library.layout, sidecars.bucket, Maker(), 1))
    while run.turn(10.0):
        pass
    assert run.compared.complete and not run.compared.differences
    run.close()


def opened(name: str, library: Library, folder: Path, cluster: Cluster) -> Sink:
    """An index of a kind, in a place of its own."""
    bucket = library.source.bucket
    if name == "local":
        return LocalSink(folder, bucket)
    if name == "ndjson":
        folder.mkdir(parents=True)
        return NdjsonSink(LocalStore(folder), "", bucket)
    alias = f"pieces-{folder.parent.name.lower()}"
    return OpenSearchSink(Access(f"http://127.0.0.1:{cluster.port}"), bucket, alias=alias)


def by_command(place: Place, name: str, folder: Path, cluster: Cluster) -> tuple[float, float]:
    """`stockmeta feed ... --full` as a process: seconds, start and all, and processor time."""
    where = {"local": ["--index", str(folder / "index")], "ndjson": ["--out", str(folder / "files")]}.get(name, [])
    environment = {**place.environment, "STOCKMETA_OPENSEARCH_URL": f"http://127.0.0.1:{cluster.port}"}
    began = time.perf_counter()
    cpu = run_counting(["feed", name, place.url, "--full", *where], environment, folder / "log")
    return time.perf_counter() - began, cpu
