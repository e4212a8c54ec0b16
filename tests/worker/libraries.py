"""Libraries with records and without images, for tests of what reads records."""

from collections.abc import Iterable
from typing import Any

from tasks.generations.pointer import open_generation
from tasks.layout import Layout
from tasks.records import Color, Embedding, Image, ImageRef, Keyword, Record, Source, Status, Visual
from worker.library import Library
from worker.storage.memory import MemoryStore

GENERATION = "0123456789ab"
BUCKET = "photos"


def keyword(rank: int, name: str, source: Source = Source.VOCABULARY, **labels: str) -> Keyword:
    return Keyword(rank, f"c-{name.replace(' ', '-')}", {"en": name, **labels}, 0.5, 0.1, source)


def record(key: str = "a.jpg", keywords: Iterable[Keyword | str] = ("tree",), **changes: Any) -> Record:
    """A record of a JPEG of 12 megapixels that was tagged."""
    words = [word if isinstance(word, Keyword) else keyword(rank, word) for rank, word in enumerate(keywords, 1)]
    image = Image(
        BUCKET,
        key,
        changes.pop("etag", '"1"'),
        bytes=4_000_000,
        width=changes.pop("width", 4000),
        height=changes.pop("height", 3000),
        stored_width=4000,
        stored_height=3000,
        format=changes.pop("format", "JPEG"),
        sha256="0" * 64,
    )
    plain: dict[str, Any] = {
        "status": Status.TAGGED,
        "generation": GENERATION,
        "revision": 1,
        "created_at": "2026-11-22T00:00:00+00:00",
        "updated_at": "2026-11-22T00:00:00+00:00",
        "title": "Bare tree in a field",
        "caption": "A bare tree in a field under a clear sky.",
        "alt_text": "A bare tree in a field",
        "visual": Visual("0" * 16, (Color("#aabbcc", 1.0),), "landscape"),
        "embedding": Embedding(2, "AAAAAA=="),
        "model": "fake",
        "engine": "fake",
        "taxonomy": "test",
    }
    return Record(image=image, keywords=tuple(words), **(plain | changes))


def library(records: Iterable[Record] = (), prefix: str = "") -> Library:
    """A library in memory, its sidecars in a bucket of their own."""
    made = Library(MemoryStore(BUCKET), prefix, MemoryStore("sidecars"), Layout(""))
    open_generation(made.sidecars, made.layout, GENERATION)
    for each in records:
        path = made.layout.done(GENERATION, ImageRef(BUCKET, each.image.key))
        made.sidecars.put(path, each.to_json().encode(), if_match=None)
    return made
