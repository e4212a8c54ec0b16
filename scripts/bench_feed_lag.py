"""How far an index lags behind: from the commit of a sidecar until a search sees its document, seen from outside."""

import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from bench_feed_library import GENERATION, LAYOUT, Sidecars, fill_seaweed, key_of
from bench_stand import clean_environment, cpu_of, until

from tasks.errors import StockmetaError
from tasks.feeding.changes import Change
from tasks.feeding.document import document_id
from tasks.generations.pointer import open_generation
from tasks.messages import TagMessage
from tasks.records import ImageRef
from tasks.searching.ports import Filters, WordQuery
from tests.faults.cluster import Cluster
from tests.servers import Server
from worker.celery_settings import make_sender
from worker.feeds.local.searcher import LocalSearcher
from worker.feeds.opensearch.names import default_name
from worker.library import open_library
from worker.queue.connection import connect
from worker.queue.redis_queue import RedisQueue
from worker.settings import Settings

LOOK = 0.05
"""Seconds between two looks of the observer."""
AFTER = 60.0
"""Seconds to wait for the last documents."""
BEFORE = 2000
"""Documents that are there before."""

Look = Callable[[Sequence[str]], set[str]]
"""Which of some documents, by id, a search sees."""


@dataclass
class Observed:
    """When each document was committed, and what a search has not seen yet.

    Attributes:
        waiting: times of commits, by id.
        lags: seconds, of those that were seen.
    """

    look: Look
    waiting: dict[str, float] = field(default_factory=dict)
    lags: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def committed(self, name: str) -> None:
        """Now."""
        with self.lock:
            self.waiting[name] = time.monotonic()

    def watch(self, over: threading.Event) -> None:
        """Look until it is over."""
        while not over.wait(LOOK):
            with self.lock:
                names = list(itertools.islice(self.waiting, 500))
            # A search while the index is replaced, say.
            with suppress(StockmetaError):
                found = self.look(names) if names else set()
                now = time.monotonic()
                with self.lock:
                    self.lags += [now - self.waiting.pop(name) for name in found]


def lag(
    sink: str, settings: Settings, server: Server, cluster: Cluster, scratch: Path, rate: float, seconds: float
) -> str:
    """A line of figures: percentiles of the lag at so many commits a second, for so long."""
    bucket = server.make_bucket()
    settings = settings.model_copy(update={"library": f"s3://{bucket}"})
    library = open_library(settings)
    open_generation(library.sidecars, LAYOUT, GENERATION)
    fill_seaweed(server, bucket, BEFORE)
    folder, alias = scratch / f"lag-{sink}", default_name(bucket)
    look = of_folder(folder) if sink == "local" else of_cluster(cluster, alias)
    first = [document_id(bucket, key_of(number)) for number in range(0, BEFORE, 500)]
    with following(sink, settings, server, folder, scratch) as feed:
        until(lambda: _alive(feed) and len(look(first)) == len(first), 120, "the index is filled")
        observed, over = Observed(look), threading.Event()
        watcher = threading.Thread(target=observed.watch, args=(over,))
        watcher.start()
        cpu = cpu_of(feed.pid)
        late = commit(settings, bucket, observed, rate, seconds)
        with suppress(RuntimeError):
            until(lambda: not observed.waiting, AFTER, "all are seen")
        cpu = cpu_of(feed.pid) - cpu
        over.set()
        watcher.join()
        used = feed.memory_info()
        memory, of_files = used.rss / (1 << 20), used.shared / (1 << 20)
    lags = sorted(observed.lags)
    p50, p95 = (lags[int(part * (len(lags) - 1))] for part in (0.5, 0.95))
    return (
        f"  {sink:<11} {len(lags):,} documents, {len(observed.waiting)} never seen: p50 {p50:.2f} s, p95 {p95:.2f} s, "
        f"at most {lags[-1]:.2f} s; the feed took {1000 * cpu / len(lags):.1f} ms of processor time a document and has "
        f"{memory:.0f} MiB, {of_files:.0f} of them of files (commits were up to {late:.2f} s late)"
    )


def commit(settings: Settings, bucket: str, observed: Observed, rate: float, seconds: float) -> float:
    """Put sidecars at a rate, and announce each as a worker does; returns how late a commit was at most."""
    library, sidecars = open_library(settings), Sidecars(bucket)
    client, sender = connect(settings), make_sender(settings)
    queue = RedisQueue(sender, client, settings.changes_kept)
    late = [0.0]
    began = time.monotonic()

    def one(number: int) -> None:
        due = began + number / rate
        time.sleep(max(0.0, due - time.monotonic()))
        ref = ImageRef(bucket, key_of(BEFORE + number))
        library.sidecars.put(LAYOUT.done(GENERATION, ref), sidecars.body(BEFORE + number), if_match=None)
        late.append(time.monotonic() - due)
        observed.committed(document_id(bucket, ref.key))
        queue.done(TagMessage((ref,)), None, [Change(GENERATION, bucket, ref.key)])

    with client, ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(int(rate * seconds))))
    sender.close()
    return max(late)


def of_folder(folder: Path) -> Look:
    """Documents of an embedded index that a search for the name of their file finds."""
    searchers: list[LocalSearcher] = []

    def look(names: Sequence[str]) -> set[str]:
        try:
            if not searchers:
                searchers.append(LocalSearcher(folder))
            there = searchers[0].documents(names)
            return {name for name, document in there.items() if finds(name, document.key)}
        except StockmetaError:
            return set()

    def finds(name: str, key: str) -> bool:
        word = key.rpartition("/")[2].removesuffix(".jpg")
        hits = searchers[0].by_words(WordQuery(word, "en", {}, (word,)), Filters(), 1)
        return any(hit.id == name for hit in hits)

    return look


def of_cluster(cluster: Cluster, alias: str) -> Look:
    """Documents of an index in a cluster, as a search sees them: not by id, which would not wait for a refresh."""

    def look(names: Sequence[str]) -> set[str]:
        body = {"size": len(names), "query": {"terms": {"id": list(names)}}, "_source": False}
        answer = cluster.http.post(f"/{alias}/_search", json=body)
        return {hit["_id"] for hit in answer.json()["hits"]["hits"]} if answer.is_success else set()

    return look


@contextmanager
def following(sink: str, settings: Settings, server: Server, folder: Path, scratch: Path) -> Iterator[psutil.Popen]:
    """`stockmeta feed ... --follow`."""
    command = ["feed", sink, str(settings.library), "--follow", *(["--index", str(folder)] if sink == "local" else [])]
    log = scratch / f"lag-{sink}.log"
    with log.open("wb") as file:
        process = psutil.Popen(
            [sys.executable, "-P", "-m", "worker.cli", *command],
            env={**environment(settings), **server.environment},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        yield process
    except RuntimeError as error:
        raise RuntimeError(f"{error}:\n{log.read_text()[-3000:]}") from error
    finally:
        process.terminate()
        process.wait(60)


def environment(settings: Settings) -> Mapping[str, str]:
    """Of a command of ours, but for the way to the store."""
    return clean_environment() | settings.to_environment()


def _alive(process: psutil.Popen) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"the feed ended with {process.poll()}")
    return True
