"""Memory of a comparison that delivers documents which are generated. A program of its own, so that it is alone."""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench_feed_library import GENERATION, LAYOUT, Generated, Sidecars

from tasks.feeding import compare
from tasks.feeding.deliver import Deliverer
from tasks.feeding.documents import Maker
from tasks.feeding.ports import Delivered, Index, Indexed, Operation
from tasks.feeding.reconcile import Reconciliation
from worker.bulk.sorting import sort_on_disk
from worker.feeds.local.sink import LocalSink
from worker.feeds.ndjson.sink import NdjsonSink
from worker.storage.local import LocalStore

BUCKET = "pictures"
PARTS = (0.1, 0.5, 1.0)
DIMENSIONS, KEYWORDS = 64, 10
"""Less than real ones have, so that a million of them take minutes."""


def memory(sink: str, documents: int) -> str:
    """A line of figures, of a process of its own."""
    command = [sys.executable, __file__, sink, str(documents)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.rstrip()


@dataclass
class Discarding:
    """An index that takes everything and has nothing."""

    generation: str = GENERATION
    complete: bool = False

    def completed(self) -> None:
        """Nothing."""

    def indexed(self, keys: Sequence[str]) -> Mapping[str, Indexed]:  # noqa: ARG002 - a Protocol's
        """Nothing."""
        return {}

    def deliver(self, operations: Sequence[Operation]) -> Delivered:
        """Take them."""
        return Delivered(put=len(operations))

    def listed(self) -> Iterator[Indexed]:
        """Nothing."""
        return iter(())

    def commit(self) -> None:
        """Nothing."""


@dataclass
class Watched:
    """An index, and how much memory this process had when so many documents had been delivered."""

    index: Index
    every: int
    delivered: int = 0
    seen: list[tuple[int, float]] = field(default_factory=list)

    def deliver(self, operations: Sequence[Operation]) -> Delivered:
        """As the index does."""
        done = self.index.deliver(operations)
        self.delivered += len(operations)
        if self.delivered // self.every != (self.delivered - len(operations)) // self.every:
            self.index.commit()
            self.seen.append((self.delivered, resident()))
        return done

    def __getattr__(self, name: str) -> Any:
        return getattr(self.index, name)


def resident() -> float:
    """Resident memory of this process, MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sink", choices=("none", "ndjson", "local"))
    parser.add_argument("documents", type=int)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stockmeta-bench-") as folder:
        print(_measured(given.sink, given.documents, Path(folder)))
    return 0


def _measured(name: str, documents: int, folder: Path) -> str:
    store: Any = Generated(documents, Sidecars(BUCKET, KEYWORDS, DIMENSIONS), BUCKET)
    library = compare.Sidecars(store, LAYOUT, BUCKET, "", sort_on_disk)
    sink = LocalSink(folder / "index", BUCKET) if name == "local" else None
    if name == "ndjson":
        sink = NdjsonSink(LocalStore(folder), "out/", BUCKET)  # type: ignore[assignment]  # either is a `Sink`
    watched: Any = Watched(sink.open(GENERATION) if sink else Discarding(), max(1, documents // 20))
    deliverer = Deliverer(store, LAYOUT, BUCKET, Maker(), reads=1)
    run = Reconciliation(library, watched, deliverer)
    began, cpu = time.perf_counter(), time.process_time()
    while run.turn(1.0):
        pass
    watched.commit()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    assert run.compared.outcomes["put"] == documents, run.compared
    run.close()
    if sink:
        sink.close()
    found = [next(mib for count, mib in watched.seen if count >= part * documents) for part in PARTS]
    told = ", ".join(f"{mib:.0f}" for mib in found)
    return (
        f"  {name:<8} {documents:>9,} documents: {told} MiB at 10, 50 and 100 %; "
        f"{documents / seconds:,.0f} documents a second, {cpu / documents * 1e6:.0f} µs of processor time each"
    )


if __name__ == "__main__":
    sys.exit(main())
