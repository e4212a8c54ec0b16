"""What it costs to find what is missing: listings, their merge, and the feeder behind it.

1. A library that is generated, not stored: ten million keys in a stub that speaks the store's Protocol, every second
   one done. The whole feeder runs on it, with a queue that is a list and workers that end whatever is in it fifty times
   a second: keys a second, resident memory, and the most messages that were open.
2. The sweep alone over a part of it, with one lane and with several, and the stub alone.
3. Small objects in SeaweedFS, every second one with a sidecar: listed and merged with one lane and with several. The
   server runs on the same cores.

Required: memory at half and at the end within 5 % of that at the beginning, and never more messages than the window.
"""

import argparse
import http.client
import os
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tasks.bulk.backfill import Backfill, Plan
from tasks.bulk.feed import Control, Feed
from tasks.bulk.feeder import Feeder
from tasks.bulk.results import Progress
from tasks.layout import Layout
from tasks.listing.order import Order
from tasks.listing.reconcile import Reconciler
from tasks.listing.shards import Sweep
from tasks.messages import TagMessage
from tasks.ports import Stat
from tasks.publish import Publisher
from tasks.records import ImageRef
from tests.servers import REGION, Server, seaweed_server
from worker.library import Library
from worker.storage.s3 import S3Store
from worker.storage.s3_client import S3Options

GENERATION = "0" * 12
FOLDER = 10_000
"""Images in a folder of the generated library."""
WINDOW = 64
LANES = (1, 8)
FLAT = 1.05
LAYOUT = Layout()
RECORDS = LAYOUT.prefix("done", GENERATION, "pictures")


def main() -> int:
    """Returns the exit status: 1 if memory grew, or the window did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=10_000_000, help="of the generated library")
    parser.add_argument("--objects", type=int, default=200_000, help="in SeaweedFS; 0 leaves it out")
    given = parser.parse_args()
    good = fed(given.keys)
    lanes_compared(min(given.keys, 2_000_000))
    if given.objects:
        with tempfile.TemporaryDirectory(prefix="stockmeta-bench-") as folder, seaweed_server(Path(folder)) as server:
            on_seaweed(server, given.objects)
    return 0 if good else 1


def fed(keys: int) -> bool:
    """Run the feeder over the generated library; returns whether memory stayed flat and the window held."""
    library, queue = generated(keys), Instant()
    seen: list[tuple[int, float]] = []

    def tell(progress: Progress) -> None:
        if progress.phase == "listing":
            seen.append((progress.counts.images, resident()))

    began, cpu = time.perf_counter(), time.process_time()
    with queue:
        feeder = Feeder(Feed("bench", GENERATION, WINDOW), queue, queue, Control(), tell)
        publisher = Publisher(library.sidecars, LAYOUT, GENERATION)
        reconciler = Reconciler(library.source, library.sidecars, LAYOUT, GENERATION)
        plan = Plan("generated", once=True)
        result = Backfill(plan, library.source, publisher, reconciler, lambda: sweep(library, 8), feeder).run("bench")
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    counts = result.passes[0]
    assert (counts.images, counts.missing, counts.current) == (keys, keys - keys // 2, keys // 2)
    assert sum(result.outcomes.values()) == counts.missing
    memory = [next(mib for images, mib in seen if images >= part * keys) for part in (0.05, 0.5)] + [seen[-1][1]]
    print(
        f"generated: {keys:,} images, {counts.current:,} records, {counts.missing:,} images sent in "
        f"{queue.received:,} messages: {seconds:.0f} s, {keys / seconds:,.0f} images a second, "
        f"{cpu / keys * 1e6:.1f} µs of processor time an image\n"
        f"  resident memory at 5 %, at half and at the end: {', '.join(f'{mib:.1f}' for mib in memory)} MiB\n"
        f"  most messages open: {queue.most} of {WINDOW}\n"
        f"  extrapolated, not measured: 100 million images in {100e6 / keys * seconds / 60:.0f} minutes, "
        f"{100e6 / keys * cpu / 60:.0f} of them of processor time, if S3 gives them as fast",
        flush=True,
    )
    return max(memory) <= FLAT * memory[0] and queue.most <= WINDOW


def lanes_compared(keys: int) -> None:
    """Time the sweep without a feeder, and the stub without a sweep."""
    library = generated(keys)
    began = time.perf_counter()
    both = sum(1 for _ in library.source.list()) + sum(1 for _ in library.source.list(RECORDS))
    stub = time.perf_counter() - began
    print(f"sweep alone, {keys:,} images; the stub takes {both / stub:,.0f} keys a second", flush=True)
    for lanes in LANES:
        seconds, found = timed(lambda lanes=lanes: sum(1 for _ in sweep(library, lanes)))  # type: ignore[misc]
        assert found == keys
        print(f"  {lanes} lanes: {both / seconds:,.0f} keys a second, {keys / seconds:,.0f} images", flush=True)


def on_seaweed(server: Server, objects: int) -> None:
    """Fill a bucket, then list and merge it."""
    bucket = server.make_bucket()
    images = [f"{number % 50:03}/{number // 50:06}.jpg" for number in range(objects)]
    records = [LAYOUT.done(GENERATION, ImageRef(bucket, key)) for key in images[::2]]
    began = time.perf_counter()
    # Images first: a record as old as its image would have to be read.
    fill(server, bucket, images)
    fill(server, bucket, records)
    keys = len(images) + len(records)
    filled = keys / (time.perf_counter() - began)
    os.environ.update(server.environment)
    store = S3Store(bucket, S3Options(endpoint=server.endpoint, region=REGION, addressing="path", connections=16))
    library = Library(store, "", store, LAYOUT)
    print(f"SeaweedFS: {keys:,} keys, written at {filled:,.0f} a second", flush=True)
    for turn in range(2):
        for lanes in LANES:
            before = store.meter.total.list
            cpu = time.process_time()
            seconds, found = timed(lambda lanes=lanes: sum(1 for _ in sweep(library, lanes)))  # type: ignore[misc]
            cpu = time.process_time() - cpu
            assert found == objects
            print(
                f"  turn {turn + 1}, {lanes} lanes: {keys / seconds:,.0f} keys a second, {cpu / keys * 1e6:.1f} µs of "
                f"our processor time a key, {store.meter.total.list - before} requests",
                flush=True,
            )
    store.close()


def fill(server: Server, bucket: str, keys: list[str]) -> None:
    """Write objects of one byte by SeaweedFS's own interface, which is faster than S3's."""

    def write(part: list[str]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.ports[3], timeout=60)
        for key in part:
            connection.request("PUT", f"/buckets/{bucket}/{quote(key)}", b"x", {"Content-Type": "image/jpeg"})
            response = connection.getresponse()
            response.read()
            assert response.status < 300, response.status
        connection.close()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, [keys[begin::4] for begin in range(4)]))


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what came of it."""
    began = time.perf_counter()
    result = action()
    return time.perf_counter() - began, result


def resident() -> float:
    """Resident memory of this process, MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def sweep(library: Library, lanes: int) -> Sweep:
    """A passage through a library."""
    return Sweep(library, GENERATION, lanes=lanes)


def generated(keys: int) -> Library:
    """A library with so many images."""
    store: Any = Generated(keys)
    return Library(store, "", store, LAYOUT)


@dataclass
class Generated:
    """A store of images in folders, every second one with a record; it knows listings only."""

    keys: int
    bucket: str = "pictures"
    order: Order = "bytes"

    def list(self, prefix: str = "", *, without: str = "") -> Iterator[Stat]:  # noqa: ARG002 - images alone
        """Keys of the library, or of its records, or of one of their folders."""
        root, step, end = (RECORDS, 2, ".jpg.json") if prefix.startswith(RECORDS) else ("", 1, ".jpg")
        if not root and prefix.startswith(LAYOUT.root):
            return
        folder = prefix.removeprefix(root)
        numbers = range(0, self.keys, step)
        if folder:
            first = int(folder[:-1]) * FOLDER
            numbers = range(first, min(first + FOLDER, self.keys), step)
        modified = 2e9 if root else 1e9
        for number in numbers:
            yield Stat(f"{root}{number // FOLDER:05}/{number:09}{end}", '"0123456789abcdef"', 1000, modified)

    def walk(self, prefix: str = "") -> Iterator[Stat | str]:
        """Folders, or what is in one."""
        root = RECORDS if prefix.startswith(RECORDS) else ""
        if prefix == root:
            yield from (f"{root}{number:05}/" for number in range(-(-self.keys // FOLDER)))
        else:
            yield from self.list(prefix)


@dataclass
class Instant:
    """A queue that is a list, with workers that end everything in it fifty times a second."""

    waiting: "deque[TagMessage]" = field(default_factory=deque)
    received: int = 0
    ended: int = 0
    most: int = 0

    def send(self, message: TagMessage, queue: str) -> None:  # noqa: ARG002 - a Protocol's
        """Take a message."""
        self.waiting.append(message)
        self.received += 1
        self.most = max(self.most, len(self.waiting))

    def begin(self, run: str) -> None:
        """Nothing to do."""

    def outcomes(self, run: str) -> Mapping[str, int] | None:  # noqa: ARG002 - a Protocol's
        """All that ended."""
        return {"tagged": self.ended}

    def open(self) -> int:
        """Messages that wait."""
        return len(self.waiting)

    def workers(self, generation: str) -> int:  # noqa: ARG002 - a Protocol's
        """One."""
        return 1

    def beat(self, run: str) -> int:  # noqa: ARG002 - a Protocol's
        """Nobody else."""
        return 0

    def __enter__(self) -> "Instant":
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stop.wait(0.02):
            for _ in range(len(self.waiting)):
                # Counted before it leaves, as the ledger does.
                self.ended += len(self.waiting[0].refs)
                self.waiting.popleft()


if __name__ == "__main__":
    sys.exit(main())
