"""Documents to index, small and whole."""

from typing import Any

import numpy as np

from tasks.feeding.document import Document, Term, document_id
from tasks.records import Category, Color, Embedding

BUCKET = "photos"
GENERATION = "0123456789ab"


def document(key: str, version: int = 1, **fields: Any) -> Document:
    """A document of `key`, made of the sidecar `etag-<version>`."""
    given: dict[str, Any] = {
        "id": document_id(BUCKET, key),
        "tag": f"1:etag-{version}",
        "version": version,
        "bucket": BUCKET,
        "key": key,
        "etag": "abc",
        "generation": GENERATION,
        "status": "tagged",
        "categories": {},
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-02T00:00:00.123Z",
    }
    return Document(**{**given, **fields})


def full(key: str = "beach.jpg", version: int = 1, **fields: Any) -> Document:
    """One in which every field says something."""
    return document(
        key,
        version,
        title="Dogs running on a beach",
        caption="Two dogs run along the water.",
        alt_text="Two dogs",
        keywords=(
            Term(1, "sm:beach", {"en": "beach", "ko": "해변", "de": "Strand"}, 0.9, "generated"),
            Term(2, "sm:dog", {"en": "dog", "ko": "개"}, 0.5, "embedded"),
            Term(3, None, {"en": "Rex"}, 1.0, "human"),
        ),
        categories={"adobe": (Category("1", "Animals", 0.9),), "iptc": (Category("20000500", "leisure", 0.4),)},
        width=6000,
        height=4000,
        megapixels=24.0,
        file_size=7_400_000,
        format="JPEG",
        orientation="landscape",
        colors=(Color("#2244aa", 0.5),),
        color_names=("blue",),
        phash="0123456789abcdef",
        sha256="0" * 64,
        people=False,
        flags=("logo",),
        creators=("김 사진",),
        copyright="© 2024",
        location="Haeundae",
        city="Busan",
        country="Korea",
        country_code="KR",
        taken="2024-05",
        model="starter",
        taxonomy="1",
        embedding=Embedding.pack(unit(1)),
        **fields,
    )


def unit(seed: int, dimensions: int = 8) -> "np.ndarray[Any, np.dtype[np.float32]]":
    """A unit vector, (d,)."""
    vector = np.random.default_rng(seed).standard_normal(dimensions).astype(np.float32)
    return vector / np.linalg.norm(vector)
