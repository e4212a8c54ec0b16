"""Sidecars for the measurements of feeds: in size and shape like real ones, and the same each time."""

import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

import numpy as np

from tasks.generations.pointer import open_generation
from tasks.layout import Layout
from tasks.listing.order import Order
from tasks.ports import Stat
from tasks.records import Category, Color, Embedding, Flag, Image, Keyword, Record, Source, Status, Visual
from tests.servers import Server
from worker.storage.local import LocalStore

GENERATION = "0123456789ab"
LAYOUT = Layout()
CONCEPTS, TEMPLATES = 3000, 64
FOLDER = 1000
"""Images in a folder of a library."""


def key_of(number: int) -> str:
    """Of the nth image; the keys are in the order of their numbers."""
    return f"{number // FOLDER:05}/{number:09}.jpg"


class Sidecars:
    """Bodies of sidecars of one bucket.

    Args:
        bucket: of the images.
        keywords: of each.
        dimensions: of its embedding.
    """

    def __init__(self, bucket: str, keywords: int = 40, dimensions: int = 512) -> None:
        self._bucket, self._keywords, self._dimensions = bucket, keywords, dimensions
        self._chance = np.random.default_rng(7)
        # Concepts as often as in libraries: a few everywhere, most hardly ever (Zipf).
        weights = 1 / np.arange(1, CONCEPTS + 1)
        self._weights = weights / weights.sum()
        self._templates = [self._template() for _ in range(TEMPLATES)]

    def body(self, number: int, revision: int = 1) -> bytes:
        """The sidecar of the nth image."""
        before, after = self._templates[number % TEMPLATES]
        key, digest = json.dumps(key_of(number)).encode(), f"{number:032x}".encode()
        for name, value in ((b'"KEY"', key), (b"DIGEST", digest), (b'"revision":1', b'"revision":%d' % revision)):
            before = before.replace(name, value)
        return before + _vector(number % 4096, self._dimensions).encode() + after

    def _template(self) -> tuple[bytes, bytes]:
        found = self._chance.choice(CONCEPTS, self._keywords, replace=False, p=self._weights)
        keywords = tuple(
            Keyword(rank, f"c:{concept}", _labels(concept), round(0.9 / rank, 4), 0.1, Source.VOCABULARY)
            for rank, concept in enumerate(found, 1)
        )
        categories = {scheme: (Category("7", "Food and drink", 0.61),) for scheme in ("adobe", "shutterstock", "iptc")}
        colors = tuple(Color(f"#{n:02x}80{255 - n:02x}", 0.2) for n in range(0, 250, 50))
        image = Image(self._bucket, "KEY", '"DIGEST"', bytes=4_000_000, width=6000, height=4000, stored_width=6000,
                      stored_height=4000, format="JPEG", sha256="0" * 64)  # fmt: skip
        record = Record(
            status=Status.TAGGED, image=replace(image, etag="DIGEST"), generation=GENERATION, revision=1,
            created_at="2026-11-22T00:00:00.000+00:00", updated_at="2026-11-22T00:00:00.000+00:00",
            title="Two words and a thing on a table in the morning", caption="Two words and a thing on a wooden table.",
            alt_text="A thing", keywords=keywords, categories=categories,
            flags=(Flag("people", "no", "nothing says so"),), visual=Visual("0" * 16, colors, "landscape"),
            embedding=Embedding(self._dimensions, "VECTOR"), model="fake", engine="numpy fp32", taxonomy="1",
            timings_ms={"fetch": 1.0, "decode": 20.0, "encode": 10.0, "score": 1.0},
        )  # fmt: skip
        before, _, after = record.to_json().encode().partition(b"VECTOR")
        return before, after


def _labels(concept: int) -> dict[str, str]:
    return {"en": f"word{concept} thing", "ko": f"낱말{concept}"}


@lru_cache(4096)
def _vector(seed: int, dimensions: int) -> str:
    made = np.random.default_rng(seed).standard_normal(dimensions).astype(np.float32)
    return Embedding.pack(made / np.linalg.norm(made)).float16


def fill_folder(folder: Path, count: int) -> int:
    """Write so many sidecars of a folder library; returns the bytes of one."""
    store = LocalStore(folder)
    sidecars = Sidecars(store.bucket)
    open_generation(store, LAYOUT, GENERATION)
    root = folder / LAYOUT.prefix("done", GENERATION, store.bucket)
    for number in range(count):
        path = root / f"{key_of(number)}.json"
        if number % FOLDER == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(sidecars.body(number))
    return len(sidecars.body(0))


def fill_seaweed(server: Server, bucket: str, count: int) -> None:
    """Write so many into a bucket, by SeaweedFS's own interface, which is faster than S3's."""
    sidecars = Sidecars(bucket)

    def write(numbers: range) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.ports[3], timeout=60)
        for number in numbers:
            path = LAYOUT.prefix("done", GENERATION, bucket, key_of(number)) + ".json"
            body = sidecars.body(number)
            connection.request("PUT", f"/buckets/{bucket}/{quote(path)}", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            response.read()
            assert response.status < 300, response.status
        connection.close()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, [range(first, count, 4) for first in range(4)]))


@dataclass
class Generated:
    """A store of sidecars that are made when they are read: as many as one likes, and none of them anywhere.

    Attributes:
        count: how many.
    """

    count: int
    sidecars: Sidecars
    bucket: str = "pictures"
    order: Order = "bytes"

    def list(self, prefix: str = "", *, without: str = "") -> Iterator[Stat]:  # noqa: ARG002 - a Protocol's
        """All sidecars, or nothing."""
        root = LAYOUT.prefix("done", GENERATION, self.bucket)
        if not prefix.startswith(root):
            return
        for number in range(self.count):
            yield Stat(f"{root}{key_of(number)}.json", f'"{number:x}"', 10_000, 1e9)

    def read(self, key: str) -> tuple[bytes, str] | None:
        """A sidecar; nothing else is there."""
        root = LAYOUT.prefix("done", GENERATION, self.bucket)
        if not key.startswith(root):
            return None
        number = int(key[-18:-9])
        return self.sidecars.body(number), f'"{number:x}"'
