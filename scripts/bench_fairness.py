"""How long uploads take while a backfill runs, against how long they take without one.

All on one machine: SeaweedFS, Redis, the listener for the store's notifications, a worker for uploads, and a worker for
the backfill as docs/backfill.md has it: niced, with batches of 8; so is `stockmeta backfill`. An upload's time is from
the start of its PUT until a HEAD finds its sidecar. The backfill pauses and goes on in turns, so that whatever else the
machine does harms uploads with and without one alike.

Required: p95 during the backfill is at most twice the p95 without one, plus one batch of the backfill's.
"""

import argparse
import math
import os
import re
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx
import psutil
from bench_latency import SECRET, Upload, Uploads, generation_of, notifications
from bench_queue import photographs
from bench_stand import Process, Stand, stand, until

from tasks.messages import BACKFILL, SUSPECTS, UPLOADS
from tests.servers import free_ports
from worker.queue.ledger import LEDGERS

CORES = os.cpu_count() or 1
OLD = "old/"
"""Prefix of what is there before the backfill."""

BATCH = 8
WINDOW = "2"
"""Messages: few, so that a backfill that pauses is soon at rest."""

WARM, ROUNDS = 40, 5
BUCKET = re.compile(r'^stockmeta_batch_seconds_bucket\{le="(\S+)"\} (\S+)', re.M)


def main() -> int:
    """Returns the exit status: 1 if uploads have to wait for too long."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="a folder of JPEGs; default: enlarged demo photographs")
    parser.add_argument("--model", default="starter", help="as for stockmeta tag; default: starter")
    parser.add_argument("--uploads", type=int, default=200, help="uploads with and without a backfill")
    parser.add_argument("--rate", type=float, default=4.0, help="of these, a second")
    parser.add_argument("--backlog", type=int, default=4000, help="images for the backfill")
    given = parser.parse_args()
    # Ended from outside, it ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(prefix="stockmeta-bench-") as folder:
        files = photographs(given.photos, Path(folder), 256)
        print(f"{given.model}, {CORES} cores, {given.uploads} uploads at {given.rate:g} a second", flush=True)
        measured = fairness(files, Path(folder) / "fairness", given.model, given.uploads, given.rate, given.backlog)
    print("\n".join(measured.lines()))
    return 0 if measured.fair else 1


class Busy:
    """What the backfill's worker did while uploads went on: used as a context manager, any number of times."""

    def __init__(self, worker: Process) -> None:
        self._worker = worker
        self.seconds = self.images = 0.0
        self._batches = Counter[float]()
        self._early: tuple[float, float, dict[float, float]] = (0.0, 0.0, {})

    @property
    def batches(self) -> float:
        """How many there were."""
        return self._batches[math.inf]

    @property
    def batch(self) -> float:
        """p95 of the seconds of a batch, straight within a bucket of the histogram, as Prometheus has it."""
        low = below = 0.0
        wanted = 0.95 * self.batches
        for high, upto in sorted(self._batches.items()):
            if upto >= wanted and upto > below:
                return low if high == math.inf else low + (high - low) * (wanted - below) / (upto - below)
            low, below = high, upto
        raise RuntimeError("the backfill's worker had no batch")

    def __enter__(self) -> None:
        self._early = self._look()

    def __exit__(self, *error: object) -> None:
        now, images, histogram = self._look()
        then, before, early = self._early
        self.seconds += now - then
        self.images += images - before
        self._batches.update({bound: count - early[bound] for bound, count in histogram.items()})

    def _look(self) -> tuple[float, float, dict[float, float]]:
        """Now; images in batches so far; and how many batches took no longer than so many seconds."""
        page = metrics(self._worker)
        images = re.search(r"^stockmeta_batch_images_sum (\S+)", page, re.M)
        assert images is not None
        return time.perf_counter(), float(images[1]), {float(le): float(count) for le, count in BUCKET.findall(page)}


class Backfill:
    """`stockmeta backfill`, which goes on and pauses in turns."""

    def __init__(self, place: Stand) -> None:
        self._place = place
        self._process: psutil.Popen | None = None
        self._stack = ExitStack()

    def go_on(self) -> None:
        """Return when its first messages are in hand."""
        if self._process is None:
            command = self._place.command(
                "backfill", f"s3://{self._place.bucket}/{OLD}", "--window", WINDOW, niced=True
            )
            self._process = self._stack.enter_context(command)
        else:
            self._process.send_signal(signal.SIGUSR2)
        until(lambda: self._place.redis.zcard(LEDGERS[BACKFILL]) > 0, 120, "the backfill is under way")

    def pause(self) -> None:
        """Return when all that it sent has ended. Raises `RuntimeError` if it has ended itself."""
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError("the backfill ended before the uploads did: give it a larger --backlog")
        self._process.send_signal(signal.SIGUSR1)
        until(self._place.drained, 120, "the backfill is at rest")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()


@dataclass(frozen=True)
class Measured:
    """What came out.

    Attributes:
        idle: uploads without a backfill.
        busy: uploads during one.
        backfill: what it did meanwhile.
        stages: where the uploads' time went, as lines.
    """

    idle: Sequence[Upload]
    busy: Sequence[Upload]
    backfill: Busy
    stages: Sequence[str]

    @property
    def bound(self) -> float:
        """Seconds that p95 may be."""
        return 2 * p95(self.idle) + self.backfill.batch

    @property
    def fair(self) -> bool:
        """Whether it is no more."""
        return p95(self.busy) <= self.bound

    def lines(self) -> list[str]:
        """As text."""
        idle, busy, slow = p95(self.idle), p95(self.busy), self.backfill
        return [
            _line("no backfill", self.idle),
            _line("a backfill", self.busy),
            *self.stages,
            f"  the backfill did {slow.images / slow.seconds:.1f} images a second meanwhile, in batches of "
            f"{slow.images / max(1.0, slow.batches):.1f}; p95 of one batch {slow.batch:.3f} s",
            f"  p95 is {busy / idle:.2f} times that without a backfill; required: {busy:.3f} s <= "
            f"2 x {idle:.3f} s + {slow.batch:.3f} s = {self.bound:.3f} s: {'held' if self.fair else 'NOT HELD'}",
        ]


def fairness(files: Sequence[Path], folder: Path, model: str, count: int, rate: float, backlog: int) -> Measured:
    """Measure. `backlog` images have to last for as long as the uploads do."""
    port = free_ports(1)[0]
    with stand(folder, model, notifications(port)) as place:
        _fill(place, files, backlog)
        with (
            place.worker_of([UPLOADS]),
            place.worker_of([BACKFILL, SUSPECTS], niced=True, batch=BATCH) as slow,
            place.listener(port, SECRET),
            Backfill(place) as backfill,
        ):
            until(place.drained, 60, "the queue is empty")
            uploads, meanwhile = Uploads(place, generation_of(place), files), Busy(slow)
            uploads.steadily(WARM, rate)
            idle: list[Upload] = []
            busy: list[Upload] = []
            for _ in range(ROUNDS):
                idle += uploads.steadily(count // ROUNDS, rate)
                backfill.go_on()
                with meanwhile:
                    busy += uploads.steadily(count // ROUNDS, rate)
                backfill.pause()
            stages = [uploads.stages(idle, "no backfill"), uploads.stages(busy, "a backfill")]
    return Measured(idle, busy, meanwhile, stages)


def p95(uploads: Sequence[Upload]) -> float:
    """Seconds."""
    return statistics.quantiles([upload.all for upload in uploads], n=20, method="inclusive")[-1]


def metrics(worker: Process) -> str:
    """What a worker tells Prometheus."""
    return httpx.get(f"{worker.url}/metrics", trust_env=False, timeout=60).text


def _fill(place: Stand, files: Sequence[Path], count: int) -> None:
    """Photographs that were there before, in turn, each under a key of its own."""
    bodies = [path.read_bytes() for path in files]

    def put(number: int) -> None:
        place.s3.put_object(Bucket=place.bucket, Key=f"{OLD}{number:05}.jpg", Body=bodies[number % len(bodies)])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(count)))


def _line(name: str, uploads: Sequence[Upload]) -> str:
    times = [upload.all for upload in uploads]
    return (
        f"  {name:12} p50 {statistics.median(times):6.3f} s, p95 {p95(uploads):6.3f} s, longest {max(times):6.3f} s, "
        f"of {len(times)}"
    )


if __name__ == "__main__":
    sys.exit(main())
