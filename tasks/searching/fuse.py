"""Lists of results made one by where documents stand in them, since scores of words and of vectors do not compare.

Reciprocal rank fusion: Cormack, Clarke and Buettcher 2009, "Reciprocal rank fusion outperforms Condorcet and individual
rank learning methods", SIGIR.
"""

from collections.abc import Sequence
from typing import NamedTuple

K = 60
"""Of the paper: how little more the first place counts than the next."""


class Place(NamedTuple):
    """A document in a list of results, and how much its place there counts, above 0 up to 1."""

    id: str
    weight: float = 1.0


class Fused(NamedTuple):
    """A document of the lists.

    Attributes:
        score: above 0 up to 1: first in every list, with full weight.
        ranks: its place in each list, from 1; `None` where it is not in it.
    """

    id: str
    score: float
    ranks: tuple[int | None, ...]


def fuse(lists: Sequence[Sequence[Place]]) -> list[Fused]:
    """Each document once, the best first; of equals, the one that stands first in an earlier list."""
    ranks: dict[str, list[int | None]] = {}
    sums: dict[str, float] = {}
    for number, places in enumerate(lists):
        for rank, (id_, weight) in enumerate(places, 1):
            mine = ranks.setdefault(id_, [None] * len(lists))
            # Twice in one list: the first place counts.
            if mine[number] is None:
                mine[number] = rank
                sums[id_] = sums.get(id_, 0.0) + weight / (K + rank)
    most = len(lists) / (K + 1)
    found = [Fused(id_, sums[id_] / most, tuple(mine)) for id_, mine in ranks.items()]
    # Stable: the order of equals is that of the lists.
    return sorted(found, key=lambda one: -one.score)
