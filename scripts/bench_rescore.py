"""Scoring stored embeddings again, held against tagging: the same photographs, the same machine, one run.

1. A whole worker, from the first message until every image has its sidecar and the queue is empty: tagging into a first
   generation, then re-scoring that into a second from its sidecars, then into a third from its packs. In a folder, with
   every write brought to the disk, and on SeaweedFS, which runs on the same cores: so its processor time is given too,
   and the ratio without it.
2. Packed embeddings to scores, in this process: read and score, against decode, encode and score.

The policies of the generations differ in nothing but the number of keywords.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from bench_queue import photographs
from bench_stand import Stand, stand, until

from tasks.generations.pointer import promote, read_current
from tasks.messages import BACKFILL, TagMessage
from tasks.ports import Decoded, Pixels, Stat
from tasks.records import Embedding, ImageRef
from tasks.rescoring.packs import manifest_key, prefix, read_shard
from worker.library import Library, open_library
from worker.packing import Packer
from worker.runtime import Model, load_model, make_decoder
from worker.settings import Settings, load_settings

MESSAGE = 64
AHEAD = 64
"""Photographs that are decoded before the model asks for them."""
CORES = os.cpu_count() or 1
GENERATIONS = (("tagged", 30), ("re-scored from sidecars", 29), ("re-scored from packs", 28))
"""What each generation is, and the number of keywords that makes it another one."""


@dataclass(frozen=True)
class Took:
    """Seconds of one pass, and processor seconds of the worker and of the store meanwhile."""

    seconds: float
    worker: float
    store: float

    @property
    def alone(self) -> float:
        """Without the store, which in production runs on other machines."""
        return self.seconds - self.store / CORES


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--photos", type=Path, help="a folder of JPEGs, repeated under other names; default: the demo's"
    )
    parser.add_argument("--model", default="starter", help="as for stockmeta tag")
    parser.add_argument("--images", type=int, default=2000, help="number of photographs")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stockmeta-bench-") as name:
        scratch = Path(name)
        files = repeated(photographs(given.photos, scratch, given.images), given.images, scratch / "library")
        print(f"{given.model}, {CORES} cores, {len(files)} photographs")
        with stand(scratch / "stand", given.model) as place:
            folder = whole(place, files, scratch, {"library": str(files[0].parent)})
            print("\n".join(told("folder", len(files), folder)), flush=True)
            place.upload(files)
            os.environ.update(place.environment)
            store = whole(place, files, scratch, {"library": f"s3://{place.bucket}"})
            print("\n".join(told("SeaweedFS", len(files), store)), flush=True)
        print("\n".join(scores(files, given.model)), flush=True)
    return 0


def repeated(files: Sequence[Path], count: int, folder: Path) -> list[Path]:
    """So many files of a folder of its own, each photograph as often as it takes."""
    folder.mkdir()
    names = [folder / f"{place:05}-{files[place % len(files)].name}" for place in range(count)]
    return [Path(shutil.copy(files[place % len(files)], name)) for place, name in enumerate(names)]


def whole(place: Stand, files: Sequence[Path], scratch: Path, where: dict[str, object]) -> list[Took]:
    """Fill the three generations, one worker after the other."""
    library = open_library(load_settings(**where))
    took: list[Took] = []
    stored: str | None = None
    for number, (_, most) in enumerate(GENERATIONS):
        policy = scratch / f"{most}.toml"
        policy.write_text(f"[keywords]\nmax = {most}\n", encoding="utf-8")
        if number == 2:
            assert stored is not None
            Packer(library.sidecars, library.layout, stored, library.source.bucket).run()
        took.append(_pass(place, library, policy, stored, len(files), where))
        current = read_current(library.sidecars, library.layout)
        stored = stored or current.serving
        if current.filling is not None:
            # The next one may only be opened when none is being filled.
            promote(library.sidecars, library.layout, current.filling)
    return took


def _pass(
    place: Stand, library: Library, policy: Path, stored: str | None, images: int, where: dict[str, object]
) -> Took:
    with place.worker_of((BACKFILL,), options=["--open-generation"], policy=policy, **where) as worker:
        current = read_current(library.sidecars, library.layout)
        generation = current.filling or current.serving
        assert generation is not None
        refs = [ImageRef(library.source.bucket, stat.key, stat.etag) for stat in _images(library)]
        if stored is None:
            refs = [replace(ref, etag=None) for ref in refs]
        start, cpu, store = time.perf_counter(), worker.cpu, place.servers_cpu()[0]
        for first in range(0, len(refs), MESSAGE):
            message = TagMessage(tuple(refs[first : first + MESSAGE]), generation, stored=stored, new=True)
            place.queue.send(message, BACKFILL)
        until(lambda: worker.alive and place.drained(), 600 + images, "all images have ended", pause=0.05)
        took = Took(time.perf_counter() - start, worker.cpu - cpu, place.servers_cpu()[0] - store)
    done = library.layout.prefix("done", generation, library.source.bucket)
    if (found := sum(1 for _ in library.sidecars.list(done))) != images:
        raise RuntimeError(f"{found} of {images} images have a sidecar; see {worker.log}")
    return took


def _images(library: Library) -> Iterator[Stat]:
    return (stat for stat in library.source.list(library.prefix) if library.owns(stat.key))


def told(where: str, images: int, took: Sequence[Took]) -> list[str]:
    """Lines of figures."""
    lines = [f"{where}, {images} images, whole workers:"]
    for (what, _), one in zip(GENERATIONS, took, strict=True):
        lines.append(
            f"  {what:24} {images / one.seconds:8.1f} images a second, {took[0].seconds / one.seconds:5.1f} times; "
            f"without the store's processor time {took[0].alone / one.alone:5.1f} times; processor time an image: "
            f"worker {1000 * one.worker / images:.2f} ms, store {1000 * one.store / images:.2f} ms"
        )
    return lines


def scores(files: Sequence[Path], name: str) -> list[str]:
    """Packed embeddings to scores, against files to scores; of the first library, which is a folder."""
    settings = load_settings(model=name, library=str(files[0].parent))
    library, model = open_library(settings), load_model(settings)
    generation = next(generation for generation in _generations(library) if _is_packed(library, generation))
    model.judge.probe()
    start = time.perf_counter()
    fresh = sum(len(model.judge.judge(pixels)) for pixels in _pixels(settings, model, files))
    tagged = time.perf_counter() - start
    start = time.perf_counter()
    again = sum(len(model.judge.rescore(batch)) for batch in _packed(library, generation))
    rescored = time.perf_counter() - start
    if (fresh, again) != (len(files), len(files)):
        raise RuntimeError(f"{fresh} and {again} of {len(files)} photographs have scores")
    return [
        "to scores, no words and no records:",
        f"  decode, encode, score    {fresh / tagged:8.1f} images a second",
        f"  packed embeddings        {again / rescored:8.1f} images a second, {tagged / rescored:5.1f} times",
    ]


def _pixels(settings: Settings, model: Model, files: Sequence[Path]) -> Iterator[Pixels]:
    """Batches of pixels, decoded by as many processes as there are cores while the model is at work."""
    decoder = make_decoder(settings, model.encoder)
    waiting: deque[Future[Decoded]] = deque()
    left = iter(files)
    try:
        while True:
            waiting.extend(decoder.submit(path) for path in islice(left, AHEAD - len(waiting)))
            batch = [waiting.popleft().result().pixels for _ in range(min(len(waiting), model.encoder.batch))]
            if not batch:
                return
            yield np.stack(batch)
    finally:
        decoder.close()


def _packed(library: Library, generation: str) -> Iterator[list[Embedding]]:
    """Batches of embeddings, with all else of each row made sense of, as a worker does."""
    found = library.sidecars.list(prefix(library.layout, generation, library.source.bucket))
    for key in [stat.key for stat in found if stat.key.endswith(".zip")]:
        read = library.sidecars.read(key)
        assert read is not None
        shard = read_shard(read[0])
        rows = (shard.row(place).stored.embedding for place in range(len(shard.lines)))
        while batch := list(islice(rows, MESSAGE)):
            yield batch


def _generations(library: Library) -> Iterator[str]:
    current = read_current(library.sidecars, library.layout)
    return iter((*current.written, *current.previous))


def _is_packed(library: Library, generation: str) -> bool:
    return library.sidecars.read(manifest_key(library.layout, generation, library.source.bucket)) is not None


if __name__ == "__main__":
    sys.exit(main())
