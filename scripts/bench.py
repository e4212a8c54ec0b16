"""Images a second from files to sidecars, beside what bounds it and beside a plain loop, all in one run.

The bound: the cores do nothing but decode and run the model. Bare decode is Pillow's reduced-scale decode and resize,
one process a core; bare forward is the engine on pixels that are ready, all cores; the bound is
1 / (1 / decode + 1 / forward) images a second. The plain loop is open_clip with its own transform, PyTorch fp32,
batches of 32, as its README shows it.

Weights do not matter for speed: without `--model`, a ViT-B-32 with random weights is made.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from tasks.layout import FOLDER_KEYS, Layout
from tasks.ports import Preprocess
from tasks.tag import tag_many
from worker.commands.demo import packaged_photographs
from worker.inputs import Inputs
from worker.runtime import Model, Runtime, load_model
from worker.settings import Settings, load_settings
from worker.storage.local import LocalStore

WEB_SIDE = 640
LARGE_PIXELS = 14_000_000
QUALITY = 90
PLAIN_BATCH = 32


@dataclass(frozen=True)
class Case:
    """Files of about one size."""

    name: str
    files: list[Path]
    plain: int
    """How many of them the plain loop gets: it is slow, and its rate does not depend on how many."""


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="a folder of photographs; default: enlarged demo photographs")
    parser.add_argument("--model", help="as for stockmeta tag; default: ViT-B-32 with random weights")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is measured, in turn")
    parser.add_argument("--web", type=int, default=768, help="number of web-size photographs")
    parser.add_argument("--large", type=int, default=160, help="number of 14-megapixel photographs")
    parser.add_argument("--memory", type=int, default=2000, help="images over which memory is watched; 0: not")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stockmeta-bench-") as folder:
        scratch = Path(folder)
        settings = load_settings(model=given.model or f"local-dir:{random_vit(scratch / 'model')}")
        model = load_model(settings)
        print(
            f"{model.provenance.model} on {model.provenance.engine}, {os.cpu_count()} cores, medians of {given.rounds}"
        )
        for case in cases(given.photos, scratch, given.web, given.large):
            for line in measure(case, settings, model, scratch / "out", given.rounds):
                print(line, flush=True)
            if given.memory:
                print(memory(case.files, settings, model, given.memory), flush=True)
                given.memory = 0
    return 0


def cases(photos: Path | None, scratch: Path, web: int, large: int) -> list[Case]:
    """Web-size and 14-megapixel photographs; or the folder's own, as they are."""
    if photos is not None:
        files = [path for path in sorted(photos.rglob("*")) if path.suffix.lower() in (".jpg", ".jpeg")]
        return [Case(f"{len(files)} photographs of {photos.name}", files, min(len(files), 4 * PLAIN_BATCH))]
    originals = sorted(packaged_photographs(scratch / "demo").iterdir())
    print("the photographs are demo photographs, reduced and enlarged")
    small = resized(originals, scratch / "web", web, lambda size: WEB_SIDE / max(size))
    big = resized(originals, scratch / "large", large, lambda size: (LARGE_PIXELS / (size[0] * size[1])) ** 0.5)
    return [
        Case(f"{web} web-size photographs ({WEB_SIDE} pixels)", small, 4 * PLAIN_BATCH),
        Case(f"{large} baseline JPEGs of 14 megapixels", big, PLAIN_BATCH),
    ]


def resized(
    originals: Sequence[Path], folder: Path, count: int, scale: Callable[[tuple[int, int]], float]
) -> list[Path]:
    """`count` baseline JPEGs made from the originals in turn; further rounds are copies."""
    folder.mkdir()
    made: list[Path] = []
    for i in range(count):
        path = folder / f"{i:05}.jpg"
        if i < len(originals):
            with Image.open(originals[i]) as image:
                factor = scale(image.size)
                size = [round(side * factor) for side in image.size]
                image.convert("RGB").resize(size, Image.Resampling.BICUBIC).save(path, quality=QUALITY)  # type: ignore[arg-type]
        else:
            shutil.copyfile(made[i % len(originals)], path)
        made.append(path)
    return made


def measure(case: Case, settings: Settings, model: Model, out: Path, rounds: int) -> list[str]:
    """Lines of figures; every round measures everything, so that a slow minute hits all alike."""
    rates: dict[str, list[float]] = {}
    stages: list[tuple[str, Callable[[], float]]] = [
        ("bare decode", lambda: bare_decode(case.files, model.encoder.preprocess)),
        ("bare forward", lambda: bare_forward(model, len(case.files))),
        ("stockmeta", lambda: whole(case.files, settings, model, out)),
        ("plain loop", lambda: plain_loop(case.files[: case.plain], settings.model)),
    ]
    for _ in range(rounds):
        for name, stage in stages:
            rates.setdefault(name, []).append(stage())
    middle = {name: statistics.median(values) for name, values in rates.items()}
    bounds = [1 / (1 / d + 1 / f) for d, f in zip(rates["bare decode"], rates["bare forward"], strict=True)]
    of_bound = statistics.median(r / b for r, b in zip(rates["stockmeta"], bounds, strict=True))
    against = statistics.median(r / p for r, p in zip(rates["stockmeta"], rates["plain loop"], strict=True))
    lines = [f"{case.name}:"]
    lines += [f"  {name:14} {rate:8.1f} images a second" for name, rate in middle.items()]
    lines.append(
        f"  the bound      {statistics.median(bounds):8.1f} images a second; stockmeta reaches {of_bound:.2f} of it"
    )
    lines.append(f"  stockmeta is {against:.1f} times the plain loop")
    return lines


def bare_decode(files: Sequence[Path], preprocess: Preprocess) -> float:
    """Images a second of nothing but decoding, one process a core."""
    jobs = [(str(path), preprocess.size) for path in files]
    context = multiprocessing.get_context("spawn")
    with context.Pool(os.cpu_count()) as pool:
        pool.map(decode_only, jobs[:8])  # the processes have started and imported
        start = time.perf_counter()
        for _ in pool.imap_unordered(decode_only, jobs, chunksize=4):
            pass
        return len(jobs) / (time.perf_counter() - start)


def decode_only(job: tuple[str, int]) -> int:
    """Pillow at its best: reduced scale, to at least twice the model's size, then one resize of the centre."""
    path, size = job
    with Image.open(path) as image:
        image.draft("RGB", (2 * size, 2 * size))
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        small = image.convert("RGB").resize(
            (size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side)
        )
        return int(np.asarray(small)[0, 0, 0])


def bare_forward(model: Model, count: int) -> float:
    """Images a second of nothing but the encoder, on ready pixels."""
    encoder = model.encoder
    size = encoder.preprocess.size
    pixels = np.random.default_rng(0).integers(0, 256, (encoder.batch, size, size, 3), dtype=np.uint8)
    encoder.encode(pixels)
    batches = max(8, min(count, 512) // encoder.batch)
    start = time.perf_counter()
    for _ in range(batches):
        encoder.encode(pixels)
    return batches * encoder.batch / (time.perf_counter() - start)


def whole(files: Sequence[Path], settings: Settings, model: Model, out: Path) -> float:
    """Images a second from files to sidecars; the start of the decoder processes is not counted, as in `tag`."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    inputs = Inputs(files, settings.image_extensions)
    with Runtime(settings, model, inputs.stores, (LocalStore(out), Layout("", FOLDER_KEYS))) as runtime:
        warm = [runtime.tagger.decoder.submit(path) for path in files[:8]]
        for future in warm:
            future.result()
        start = time.perf_counter()
        outcomes = list(tag_many(runtime.tagger, inputs, settings.threads))
        seconds = time.perf_counter() - start
    wrong = [outcome.record.detail for outcome in outcomes if not outcome.record.status.done]
    if wrong or sum(1 for _ in out.rglob("*.jpg.json")) != len(files):
        raise SystemExit(f"{len(wrong)} of {len(files)} were not tagged, the first: {wrong[:1]}")
    return len(files) / seconds


def memory(files: Sequence[Path], settings: Settings, model: Model, count: int) -> str:
    """Resident memory of this process and of its decoders, after a tenth of the images and after all of them."""
    inputs = Inputs(files, settings.image_extensions)
    this = psutil.Process()

    def resident() -> tuple[float, float]:
        children = [child.memory_info().rss for child in this.children(recursive=True)]
        return this.memory_info().rss / 1e6, sum(children) / 1e6

    seen: list[tuple[float, float]] = []
    with Runtime(settings, model, inputs.stores) as runtime:
        refs = itertools.islice(itertools.cycle(list(inputs)), count)
        for done, _ in enumerate(tag_many(runtime.tagger, refs, settings.threads), 1):
            if done in (count // 10, count):
                seen.append(resident())
    (first, first_children), (last, last_children) = seen
    return (
        f"  memory after {count // 10} images {first:.0f} MB and {first_children:.0f} MB in the decoders, "
        f"after {count} {last:.0f} and {last_children:.0f}"
    )


def plain_loop(files: Sequence[Path], name: str) -> float:
    """Images a second of the loop that everybody writes: no sidecars, no safety, PyTorch fp32."""
    import open_clip
    import torch

    source = name if name.startswith(("local-dir:", "hf-hub:")) else None
    architecture, _, tag = name.partition("/")
    network, _, transform = open_clip.create_model_and_transforms(source or architecture, None if source else tag)
    network.eval()
    words = torch.nn.functional.normalize(torch.randn(1500, network.visual.output_dim), dim=1)
    start = time.perf_counter()
    with torch.no_grad():
        for i in range(0, len(files), PLAIN_BATCH):
            batch = torch.stack([transform(Image.open(path)) for path in files[i : i + PLAIN_BATCH]])
            features = network.encode_image(batch, normalize=True)
            (features @ words.T).topk(10)
    return len(files) / (time.perf_counter() - start)


def random_vit(folder: Path) -> Path:
    """A ViT-B-32 with seeded random weights, as a folder that open_clip and we can load."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    folder.mkdir()
    torch.manual_seed(0)
    config = open_clip.get_model_config("ViT-B-32")
    network = open_clip.create_model("ViT-B-32")
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, folder / "open_clip_model.safetensors")
    preprocess = {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD}
    text = json.dumps({"model_cfg": config, "preprocess_cfg": preprocess})
    (folder / "open_clip_config.json").write_text(text, encoding="utf-8")
    return folder


if __name__ == "__main__":
    sys.exit(main())
