"""Rows of packs, for tests."""

from dataclasses import replace
from typing import Any

import numpy as np

from tasks.records import Color, Embedding, Image, Visual
from tasks.rescoring.packs import Row
from tasks.rescoring.stored import Stored

VISUAL = Visual("0123456789abcdef", (Color("#aabbcc", 0.5), Color("#000000", 0.25)), "landscape")


def row(key: str, seed: int = 0, **more: Any) -> Row:
    vector = np.random.default_rng(seed).standard_normal(8).astype(np.float32)
    stored = Stored(
        Image("photos", key, f'"{seed}"', bytes=9, width=4, height=3, stored_width=4, stored_height=3, format="JPEG"),
        VISUAL,
        Embedding.pack(vector / np.linalg.norm(vector)),
    )
    return Row(replace(stored, **more), f'"sidecar-{seed}"')
