"""What renditions save, and what they cost in quality: the same photographs out of a real S3 server, both ways.

Photographs whose longer side is above that of the renditions are taken from a folder; the renditions are made here.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from tasks.records import ImageRef, Record
from tasks.tag import tag_many
from tasks.traffic import Traffic
from tests.servers import Server, seaweed_server
from worker.library import Library, open_library
from worker.runtime import Model, Runtime, load_model
from worker.settings import Settings, load_settings

TEMPLATE = "previews/{stem}_1000.jpg"
READ = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".avif"})


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--side", type=int, default=1000, help="longer side of the renditions, pixels")
    parser.add_argument("--times", type=int, default=8, help="how often each photograph is in the library")
    arguments = parser.parse_args()
    photographs = list(_photographs(arguments.photos, arguments.side))
    with tempfile.TemporaryDirectory() as folder, seaweed_server(Path(folder)) as server:
        bucket = _fill(server, photographs, arguments.times)
        os.environ.update(server.environment)
        without, originals = _run(bucket, None)
        with_, renditions = _run(bucket, TEMPLATE)
    pairs = [(originals[key], renditions[key]) for key in originals if renditions[key].image.rendition]
    print(json.dumps({"photographs": len(photographs), "originals": without, "renditions": with_, **_quality(pairs)}))
    return 0


def _photographs(folder: Path, side: int) -> Iterator[tuple[str, bytes, bytes]]:
    """Name, file and rendition."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in READ:
            continue
        try:
            with Image.open(path) as image:
                if max(image.size) <= side:
                    continue
                upright = _opaque(ImageOps.exif_transpose(image))
                profile = image.info.get("icc_profile")
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            continue
        upright.thumbnail((side, side), Image.Resampling.LANCZOS)
        file = BytesIO()
        upright.save(file, "JPEG", quality=85, icc_profile=profile)
        yield path.name, path.read_bytes(), file.getvalue()


def _opaque(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image.convert("RGBA"))
    return white.convert("RGB")


def _fill(server: Server, photographs: Sequence[tuple[str, bytes, bytes]], times: int) -> str:
    bucket, client = server.make_bucket(), server.s3()
    for copy in range(times):
        for number, (name, original, rendition) in enumerate(photographs):
            stem, _, ext = name.rpartition(".")
            key = f"{copy}/{number:04}-{stem}"
            client.put_object(Bucket=bucket, Key=f"{key}.{ext}", Body=original)
            client.put_object(Bucket=bucket, Key=f"previews/{key}_1000.jpg", Body=rendition)
    return bucket


def _run(bucket: str, template: str | None) -> tuple[dict[str, Any], dict[str, Record]]:
    """Figures, and records by key."""
    settings = load_settings(
        library=f"s3://{bucket}", output=f"s3://{bucket}/out-{bool(template)}", rendition=template or None
    )
    library = open_library(settings)
    model = load_model(settings)
    refs = [
        ImageRef(bucket, stat.key)
        for stat in library.source.list()
        if library.owns(stat.key) and not stat.key.startswith(("previews/", "out-"))
    ]
    with _runtime(settings, model, library) as runtime:
        runtime.probe()
        before, start = library.meter.total, time.perf_counter()
        records = {outcome.ref.key: outcome.record for outcome in tag_many(runtime.tagger, refs, settings.threads)}
        seconds = time.perf_counter() - start
    return _figures(library.meter.total - before, records, seconds), records


def _runtime(settings: Settings, model: Model, library: Library) -> Runtime:
    sources = {library.source.bucket: library.source}
    return Runtime(settings, model, sources, (library.sidecars, library.layout))


def _figures(traffic: Traffic, records: dict[str, Record], seconds: float) -> dict[str, Any]:
    count = len(records)
    return {
        "images": count,
        "tagged": sum(record.status.done for record in records.values()),
        "of renditions": sum(record.image.rendition is not None for record in records.values()),
        "images a second": round(count / seconds, 1),
        "KB read an image": round(traffic.read / count / 1000, 1),
        "KB written an image": round(traffic.written / count / 1000, 1),
        "requests an image": {name: round(getattr(traffic, name) / count, 2) for name in ("get", "head", "put")},
    }


def _quality(pairs: Sequence[tuple[Record, Record]]) -> dict[str, Any]:
    """How alike two records of one photograph are; copies count once."""
    once = {original.image.etag: (original, rendition) for original, rendition in pairs}
    cosines, shared, first = [], [], 0
    for original, rendition in once.values():
        if original.embedding is None or rendition.embedding is None:
            continue
        one, other = (embedding.unpack() for embedding in (original.embedding, rendition.embedding))
        cosines.append(float(one @ other / np.linalg.norm(one) / np.linalg.norm(other)))
        words, others = ([keyword.id for keyword in record.keywords[:5]] for record in (original, rendition))
        if words or others:
            shared.append(len(set(words) & set(others)) / max(len(words), len(others)))
            first += words[:1] == others[:1]
    return {
        "compared": len(cosines),
        "cosine": {
            "mean": round(float(np.mean(cosines)), 4),
            "5 %": round(float(np.percentile(cosines, 5)), 4),
            "least": round(min(cosines), 4),
        },
        "of the first five keywords in common": round(float(np.mean(shared)), 3),
        "same first keyword": round(first / len(shared), 3),
    }


if __name__ == "__main__":
    sys.exit(main())
