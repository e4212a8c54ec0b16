"""What every encoder is held to: pixels of one shape in, rows of unit length out; and how identities are spelt."""

import hashlib
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.ports import Embeddings, Encoder, Pixels


def check_pixels(pixels: Pixels, size: int) -> None:
    """Raises `ValueError` unless `pixels` is uint8 (n, size, size, 3)."""
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1:] != (size, size, 3):
        raise ValueError(f"expected uint8 (n, {size}, {size}, 3), got {pixels.dtype} {pixels.shape}")


def unit(vectors: NDArray[np.floating]) -> Embeddings:
    """Rows (n, d) scaled to unit length, float32. Raises `ValueError` for a row that has no direction."""
    rows = np.asarray(vectors, dtype=np.float64)
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    if not np.isfinite(norms).all() or (norms == 0).any():
        raise ValueError("a model gave an embedding without a direction (zero or not a number)")
    scaled: Embeddings = (rows / norms).astype(np.float32)
    return scaled


def file_sha256(path: Path) -> str:
    """Of the file's bytes, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(*parts: object) -> str:
    """Sha256, hex, of anything that JSON can hold; the same in every process and on every machine."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def scoring_identity(encoder: Encoder) -> str:
    """Changes when the encoder would give the same picture other scores; 16 hex digits. A calibration names it."""
    prompts = list(encoder.prompts), list(encoder.concept_prompts)
    return digest(encoder.fingerprint, encoder.text_fingerprint, prompts, encoder.logit_scale)[:16]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to, moved onto `path` when the block succeeds and removed when it fails.

    Readers see the old file or the new one, never a half; of two writers at once the last one wins.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
