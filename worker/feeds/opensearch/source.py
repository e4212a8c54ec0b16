"""A document as an index holds it, and back: its own fields, and beside them what is made of them to be searched."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import msgspec
import numpy as np

from tasks.errors import Unavailable
from tasks.feeding.document import Document

FIELDS = tuple(field.name for field in fields(Document))
"""The document's own."""


def to_source(document: Document, *, vector: bool) -> bytes:
    """JSON in one line.

    Args:
        document: what to index.
        vector: whether the index has a field for vectors.

    Raises:
        ValueError: it holds text that is none (half of a surrogate pair), which no JSON can.
    """
    body = msgspec.to_builtins(document)
    body["labels"] = _labels(document)
    body["concepts"], body["concept_ids"] = _concepts(document)
    body["category_ids"] = [f"{scheme}:{each.id}" for scheme, found in document.categories.items() for each in found]
    if vector and document.embedding is not None:
        # Six decimals: float16 has no more to tell below 1, and its exact decimal form is twice as long.
        body["vector"] = np.round(document.embedding.unpack().astype(np.float64), 6).tolist()
    return msgspec.json.encode(body)


def from_source(source: Mapping[str, Any]) -> Document:
    """Inverse of `to_source`. Raises `Unavailable` where the index holds something else."""
    try:
        return msgspec.convert(source, Document)
    except msgspec.ValidationError as error:
        raise Unavailable(f"the index holds a document that is none of ours: {error}") from error


def feature(concept: str) -> str:
    """The name of a concept in a field of rank features, where dots are refused."""
    return concept.replace(".", "_")


def _labels(document: Document) -> dict[str, list[str]]:
    labels: dict[str, list[str]] = {}
    for term in document.keywords:
        for language, label in term.labels.items():
            # A dot would make an object of it.
            labels.setdefault(feature(language), []).append(label)
    return labels


def _concepts(document: Document) -> tuple[dict[str, float], list[str]]:
    """Weights by concept, the greatest where one comes twice; what weighs nothing cannot be a rank feature."""
    weights: dict[str, float] = {}
    for term in document.keywords:
        if term.concept and term.weight > 0:
            name = feature(term.concept)
            weights[name] = max(term.weight, weights.get(name, 0.0))
    return weights, list(dict.fromkeys(term.concept for term in document.keywords if term.concept))
