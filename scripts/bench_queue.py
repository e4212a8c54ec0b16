"""What the queue costs: a worker against `stockmeta tag`, from an upload to its sidecar, and a message by itself.

All on one machine, in one run: SeaweedFS as the store, Valkey as Redis, worker and listener as processes of their own.

1. Throughput. `stockmeta tag` on a folder, then a worker on the same photographs out of the store, in turn. Each time
   both are new processes with a new output. A worker's time is from the first message until the ledger is empty and
   all sidecars are there; that of `tag` is what it says itself. The store and Redis run on the same cores, which in
   production they would not: so the ratio is given once more with their processor time, spread over the cores, taken
   off the worker's time.
2. Latency, from the start of the PUT until a HEAD finds the sidecar: store, notification, listener, Redis, worker,
   store.
3. The queue alone: a worker whose images end at once.
"""

import argparse
import os
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import WEB_SIDE, random_vit, resized
from bench_latency import latency
from bench_overhead import overhead
from bench_stand import Stand, clean_environment, run_counting, stand, until

from tasks.messages import UPLOADS, TagMessage
from tasks.records import ImageRef
from worker.commands.demo import packaged_photographs
from worker.settings import load_settings

MESSAGE = 64
"""References a message, as `backfill` and a bulk upload send."""

SUMMARY = re.compile(r"\((\d+\.\d+) a second\)")
CORES = os.cpu_count() or 1


@dataclass(frozen=True)
class Round:
    """One round of both.

    Attributes:
        tag: images a second of `stockmeta tag`.
        worker: images a second of a worker.
        alone: the same, with the servers' processor time taken off.
        tag_cpu: processor time an image, in seconds, of `stockmeta tag` without its start; the others likewise.
        batch: images that the worker encoded together, on average.
    """

    tag: float
    worker: float
    alone: float
    tag_cpu: float
    worker_cpu: float
    store_cpu: float
    redis_cpu: float
    batch: float


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="a folder of JPEGs; default: enlarged demo photographs")
    parser.add_argument("--model", help="as for stockmeta tag; default: ViT-B-32 with random weights")
    parser.add_argument("--images", type=int, default=768, help="number of photographs of a round")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of throughput; 0: not")
    parser.add_argument("--single", type=int, default=40, help="uploads one at a time; 0: no latency")
    parser.add_argument("--steady", type=int, default=100, help="uploads at --rate; 0: none")
    parser.add_argument("--rate", type=float, default=5.0, help="of these, a second")
    parser.add_argument("--bookkeeping", type=int, default=6400, help="images of the queue alone; 0: not")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stockmeta-bench-") as folder:
        scratch = Path(folder)
        model = given.model or f"local-dir:{random_vit(scratch / 'model')}"
        files = photographs(given.photos, scratch, given.images)
        print(f"{given.model or 'ViT-B-32, random weights'}, {CORES} cores, {len(files)} photographs")
        stages: list[Callable[[], list[str]]] = []
        if given.rounds:
            stages.append(lambda: throughput(files, scratch, model, given.rounds))
        if given.single:
            stages.append(lambda: latency(files, scratch / "latency", model, given.single, given.steady, given.rate))
        if given.bookkeeping:
            stages.append(lambda: overhead(given.bookkeeping, MESSAGE))
        for stage in stages:
            print("\n".join(stage()), flush=True)
    return 0


def photographs(photos: Path | None, scratch: Path, count: int) -> list[Path]:
    """At most `count` JPEGs of a folder, or as many web-size ones made of the demo's."""
    if photos is not None:
        found = [path for path in sorted(photos.iterdir()) if path.suffix.lower() in (".jpg", ".jpeg")][:count]
        (scratch / "photographs").mkdir()
        return [Path(shutil.copy(path, scratch / "photographs")) for path in found]
    originals = sorted(packaged_photographs(scratch / "demo").iterdir())
    print("the photographs are demo photographs, reduced to web size")
    return resized(originals, scratch / "photographs", count, lambda size: WEB_SIDE / max(size))


def throughput(files: Sequence[Path], scratch: Path, model: str, rounds: int) -> list[str]:
    """Lines of figures: medians of the rounds, and of each round's ratios."""
    nothing = scratch / "nothing"
    nothing.mkdir()
    # The first may convert the model and embed the vocabulary.
    _, tag_start = [_tag(nothing, scratch, name, model)[1] for name in ("first", "start")]
    with stand(scratch / "throughput", model) as place:
        keys = place.upload(files)
        done = [_round(place, files, keys, scratch, model, number, tag_start) for number in range(rounds)]
    return _lines(done)


def _round(
    place: Stand, files: Sequence[Path], keys: Sequence[str], scratch: Path, model: str, number: int, tag_start: float
) -> Round:
    tag, tag_cpu = _tag(files[0].parent, scratch, str(number), model)
    output = f"round-{number}"
    with place.worker(output) as worker:
        before, worker_before = place.servers_cpu(), worker.cpu
        start = time.perf_counter()
        for first in range(0, len(keys), MESSAGE):
            refs = tuple(ImageRef(place.bucket, key) for key in keys[first : first + MESSAGE])
            place.queue.send(TagMessage(refs), UPLOADS)
        until(lambda: worker.alive and place.drained(), 60 + len(keys), "all images have ended", pause=0.1)
        seconds = time.perf_counter() - start
        after, worker_after = place.servers_cpu(), worker.cpu
        batch = place.images_a_batch(worker)
    if (found := place.sidecars(output)) != len(keys):
        raise RuntimeError(f"{found} of {len(keys)} images have a sidecar; see {worker.log}")
    store, redis = (late - early for late, early in zip(after, before, strict=True))
    count = len(keys)
    return Round(
        tag=tag,
        worker=count / seconds,
        alone=count / (seconds - (store + redis) / CORES),
        tag_cpu=(tag_cpu - tag_start) / count,
        worker_cpu=(worker_after - worker_before) / count,
        store_cpu=store / count,
        redis_cpu=redis / count,
        batch=batch,
    )


def _tag(photos: Path, scratch: Path, name: str, model: str) -> tuple[float, float]:
    """`stockmeta tag` in a process of its own: images a second by its own words, and processor seconds in all."""
    log = scratch / f"tag-{name}.log"
    environment = clean_environment() | load_settings(model=model).to_environment()
    cpu = run_counting(["tag", str(photos), "--out", str(scratch / f"out-{name}")], environment, log)
    found = SUMMARY.search(log.read_text(encoding="utf-8"))
    assert found is not None, f"no summary in {log}"
    return float(found[1]), cpu


def _lines(done: Sequence[Round]) -> list[str]:
    def median(figure: Callable[[Round], float]) -> float:
        return statistics.median(map(figure, done))

    def ratios(figure: Callable[[Round], float]) -> str:
        all_of_them = ", ".join(f"{figure(one) / one.tag:.2f}" for one in done)
        return f"{median(lambda one: figure(one) / one.tag):.2f} of stockmeta tag ({all_of_them})"

    costs = {
        "stockmeta tag": lambda one: one.tag_cpu,
        "the worker": lambda one: one.worker_cpu,
        "the store": lambda one: one.store_cpu,
        "Redis": lambda one: one.redis_cpu,
    }
    return [
        f"throughput, medians of {len(done)} rounds, messages of {MESSAGE}:",
        f"  stockmeta tag          {median(lambda one: one.tag):8.1f} images a second",
        f"  worker                 {median(lambda one: one.worker):8.1f} images a second, "
        + ratios(lambda one: one.worker),
        f"  without the servers    {median(lambda one: one.alone):8.1f} images a second, "
        + ratios(lambda one: one.alone),
        "  processor time an image: "
        + ", ".join(f"{name} {1000 * median(cost):.1f} ms" for name, cost in costs.items()),
        f"  the worker's batches have {median(lambda one: one.batch):.1f} images",
    ]


if __name__ == "__main__":
    sys.exit(main())
