"""Agencies' and IPTC's categories, from concepts and from the picture itself.

`data/categories/<scheme>.tsv` is one scheme: id, label, concepts (names whose whole subtree belongs there, `|` between
them; the nearest one above a concept wins) and prompt (what to compare the picture with). `schemes.tsv` lists the
schemes and how many categories an image may have in each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from taxonomy.choose import DECIMALS
from taxonomy.concepts import TaxonomyError, Vocabulary
from taxonomy.files import read_table
from taxonomy.score import Floats, softmax

MAPPED = 0.75
"""Weight of what the keywords say; the rest is the picture compared with the category's own prompt."""
LEAST = 0.2
"""No category below this: an image with no evidence for any gets none."""
SECOND = 0.5
"""Further categories need this share of the best one's score."""


@dataclass(frozen=True, slots=True)
class CategoryRow:
    """One category: `concepts` are names in the shipped vocabulary."""

    id: str
    label: str
    concepts: tuple[str, ...]
    prompt: str


@dataclass(frozen=True, slots=True)
class Scheme:
    """A list of categories, of which an image may have `most`."""

    name: str
    most: int
    rows: tuple[CategoryRow, ...]


def load_schemes() -> tuple[Scheme, ...]:
    """All shipped schemes, in the order of `schemes.tsv`."""
    folder = files("taxonomy") / "data" / "categories"
    return tuple(
        Scheme(entry["scheme"], int(entry["most"]), _rows(entry["scheme"]))
        for _, entry in read_table(folder / "schemes.tsv", ("scheme", "most"), ("scheme", "most"))
    )


def _rows(scheme: str) -> tuple[CategoryRow, ...]:
    path = files("taxonomy") / "data" / "categories" / f"{scheme}.tsv"
    return tuple(
        CategoryRow(row["id"], row["label"], tuple(name for name in row["concepts"].split("|") if name), row["prompt"])
        for _, row in read_table(path, ("id", "label", "prompt"), ("id", "label", "concepts", "prompt"))
    )


class Categorizer:
    """Gives an image its categories in one scheme.

    Args:
        scheme: k categories.
        vocabulary: m concepts, whose chances `choose` is given.
        prompts: embeddings of the categories' prompts, (k, d), unit length.
        references: as in `Scorer`.
        logit_scale: inverse temperature.
    """

    def __init__(
        self, scheme: Scheme, vocabulary: Vocabulary, prompts: Floats, references: Floats | None, logit_scale: float
    ) -> None:
        self.scheme = scheme
        self._prompts = np.asarray(prompts)
        self._mean = np.zeros(len(scheme.rows), np.float32)
        if references is not None:
            self._mean = (np.asarray(references) @ self._prompts.T).mean(axis=0)
        self._logit_scale = logit_scale
        self._membership = _membership(scheme, vocabulary)

    def score(self, chance: Floats, embeddings: Floats) -> Floats:
        """Scores (n, k), rows sum to at most 1, from chances (n, m) and unit vectors (n, d)."""
        direct = softmax((embeddings @ self._prompts.T - self._mean) * self._logit_scale)
        if not self._membership.any():
            return direct
        mapped: Floats = MAPPED * (chance @ self._membership) + (1 - MAPPED) * direct
        return mapped

    def choose(self, scores: NDArray[np.float32]) -> list[tuple[CategoryRow, float]]:
        """The categories of one image from its scores (k,), the best first."""
        rounded = np.round(scores.astype(np.float64), DECIMALS)
        order = sorted(range(len(rounded)), key=lambda i: (-rounded[i], i))[: self.scheme.most]
        floor = max(LEAST, SECOND * rounded[order[0]])
        return [(self.scheme.rows[i], float(rounded[i])) for i in order if rounded[i] >= floor]


def _membership(scheme: Scheme, vocabulary: Vocabulary) -> Floats:
    """Share of each concept that belongs to each category, (m, k); several categories share a concept equally."""
    targets: dict[str, list[int]] = {}
    for position, row in enumerate(scheme.rows):
        for name in row.concepts:
            targets.setdefault(name, []).append(position)
    membership = np.zeros((len(vocabulary.concepts), len(scheme.rows)), np.float32)
    if vocabulary.flat:
        return membership
    for i, concept in enumerate(vocabulary.concepts):
        for above in (concept, *vocabulary.ancestors(concept)):
            if found := targets.get(above.name):
                membership[i, found] = 1 / len(found)
                break
    return membership


def check(schemes: Sequence[Scheme], vocabulary: Vocabulary) -> None:
    """Raise `TaxonomyError` for a category that names a concept which is not there."""
    for scheme in schemes:
        for row in scheme.rows:
            for name in row.concepts:
                if name not in vocabulary.by_name:
                    raise TaxonomyError(f"{scheme.name}: {row.label!r} names {name!r}, which is not a concept")
