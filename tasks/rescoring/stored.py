"""What a re-score takes from an earlier record: all that was seen of the image, and nothing that was said of it."""

import base64
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.records import Candidate, Embedded, Embedding, Image, Record, Visual

UNIT = 0.01
"""How far the length of a vector may be from 1: rounding to float16 takes a thousandth."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What one image's record holds of the image itself.

    Attributes:
        image: as the record has it, with the ETag of the content that was read.
        candidates: generated captions.
        written: as in `Record`.
    """

    image: Image
    visual: Visual
    embedding: Embedding
    embedded: Embedded | None = None
    candidates: tuple[Candidate, ...] = ()
    written: str | None = None


def stored_in(record: Record) -> Stored | None:
    """What a record has stored; `None` for a terminal one, and for one without all that a fresh look would find."""
    if not record.status.done or record.visual is None or record.embedding is None:
        return None
    return Stored(
        record.image, record.visual, record.embedding, record.embedded, tuple(record.candidates), record.written
    )


def vector_of(embedding: Embedding, dimensions: int) -> NDArray[np.float16] | None:
    """The stored numbers (d,), if they are a unit vector of so many dimensions; else `None`.

    One that is anything else would fail the whole batch that it is in, or be scored as if it were a picture.
    """
    try:
        data = base64.b64decode(embedding.float16, validate=True)
    except ValueError:
        return None
    if embedding.dimensions != dimensions or len(data) != 2 * dimensions:
        return None
    vector = np.frombuffer(data, "<f2")
    length = float(np.linalg.norm(vector.astype(np.float32)))
    # Of what is not finite this is false, too.
    return vector if abs(length - 1) <= UNIT else None
