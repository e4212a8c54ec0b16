"""A document as it is stored: its JSON, deflated, and its embedding as the bytes of float16 beside it."""

import base64
import zlib
from typing import Final

import msgspec
import numpy as np

from tasks.feeding.document import Document
from tasks.records import Embedding

_NAME: Final = b',"embedding":{'

_LEVEL: Final = 1
"""Of deflate: a third of the size for 50 microseconds; more effort takes three times as long for a tenth less."""


def packed(document: Document) -> tuple[bytes, bytes | None]:
    """The body and the vector. Raises `ValueError` if the embedding is not one."""
    text = document.to_json().encode()
    vector = None
    if document.embedding is not None:
        vector = _vector(document.embedding)
        # Cut out of the text, since a copy of the document without it takes as long as all the rest. In a text of JSON
        # these quotes are a name and no content, which would have them escaped.
        start = text.index(_NAME)
        text = text[:start] + text[text.index(b"}", start) + 1 :]
    return zlib.compress(text, _LEVEL), vector


def unpacked(body: bytes, vector: bytes | None) -> Document:
    """Inverse of `packed`. Raises `ValueError` or `zlib.error` if the body was not made by it."""
    text = zlib.decompress(body)
    if vector is not None:
        embedding = Embedding(len(vector) // 2, base64.b64encode(vector).decode("ascii"))
        text = text.rstrip()[:-1] + b',"embedding":' + msgspec.json.encode(embedding) + b"}"
    return Document.from_json(text)


def _vector(embedding: Embedding) -> bytes:
    data = base64.b64decode(embedding.float16, validate=True)
    if len(data) != 2 * embedding.dimensions or not data:
        raise ValueError(f"the embedding has {len(data)} bytes and not {embedding.dimensions} values of float16")
    if not 0.9 < float(np.linalg.norm(np.frombuffer(data, dtype="<f2").astype(np.float32))) < 1.1:
        raise ValueError("the embedding is not of unit length")
    return data
