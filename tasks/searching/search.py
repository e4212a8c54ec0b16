"""A search, in a straight line: understand, ask by words and by vectors, fuse, fold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tasks.feeding.document import Document
from tasks.searching.fold import Folded, fold
from tasks.searching.fuse import Fused, Place, fuse
from tasks.searching.matching import Match, Parts
from tasks.searching.meaning import Meaning
from tasks.searching.ports import Filters, Ranked, Searcher
from tasks.searching.understand import Understanding, Understood

LEAST_DEPTH, MOST_DEPTH = 100, 1000
OVERSAMPLED = 3
"""Results asked for, of each list, for one that is wanted: what folds, and what stands high in one list only."""

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody searches for.

    Attributes:
        text: in any language; empty where only `like` counts.
        like: direction of a picture (d,) of unit length that hits resemble.
        without: ids of documents that are no hits, such as that picture's own.
        language: two letters; default: by the script.
        words_only: no vectors of the text.
        folded: whether near-duplicates are one hit.
    """

    text: str = ""
    like: Vector | None = None
    without: frozenset[str] = frozenset()
    filters: Filters = field(default_factory=Filters)
    limit: int = 20
    language: str | None = None
    words_only: bool = False
    folded: bool = True


@dataclass(frozen=True, slots=True)
class Hit:
    """A document that was found.

    Attributes:
        score: above 0 up to 1, of the fusion; comparable within one search only.
        why: by what, in words: `keyword: dog`, `picture: 0.43` (cosine).
        ranks: its place among the hits by words, by the text's vector, by the picture's.
        duplicates: documents that look the same, folded into this one.
    """

    rank: int
    score: float
    why: tuple[str, ...]
    ranks: Mapping[str, int]
    document: Document
    duplicates: tuple[Document, ...] = ()


@dataclass(frozen=True, slots=True)
class Results:
    """The hits, and what the text was taken to mean.

    Attributes:
        lists: names of the lists that were fused: `words`, `text`, `like`.
    """

    understood: Understood
    hits: tuple[Hit, ...]
    lists: tuple[str, ...]


@dataclass(frozen=True)
class Search:
    """Searches one index. Safe to use from one thread at a time."""

    searcher: Searcher
    understanding: Understanding
    meaning: Meaning

    def find(self, asked: Asked) -> Results:
        """The best hits. Raises `Unavailable`, and what loading the text encoder raises."""
        understood = self.understanding.understand(asked.text, asked.language)
        parts = Parts.of(understood, self.understanding)
        vectors = self._vectors(asked, understood)
        most = max(MOST_DEPTH, asked.limit)
        depth = min(max(LEAST_DEPTH, OVERSAMPLED * asked.limit), most)
        while True:
            lists = self._lists(understood, parts, vectors, asked.filters, depth)
            documents = self.searcher.documents(list({one.id for ranked in lists.values() for one in ranked}))
            hits = tuple(_Found(asked, parts, lists, documents).hits())
            more = depth < most and any(len(ranked) >= depth for ranked in lists.values())
            if len(hits) >= asked.limit or not more:
                return Results(understood, hits, tuple(lists))
            # So much has folded that the next ones are wanted, too.
            depth = most

    def _lists(
        self, understood: Understood, parts: Parts, vectors: Mapping[str, Vector], filters: Filters, depth: int
    ) -> dict[str, Sequence[Ranked]]:
        lists: dict[str, Sequence[Ranked]] = {}
        if parts:
            lists["words"] = self.searcher.by_words(parts.query(understood), filters, depth)
        for name, vector in vectors.items():
            if near := self.searcher.by_vector(vector, filters, depth):
                # Without vectors, as in a cluster without the plugin, words have the whole say.
                lists[name] = near
        return lists

    def _vectors(self, asked: Asked, understood: Understood) -> dict[str, Vector]:
        vectors: dict[str, Vector] = {}
        if not asked.words_only and (direction := self.meaning.direction(understood)) is not None:
            vectors["text"] = direction
        if asked.like is not None:
            vectors["like"] = asked.like
        return vectors


class _Found:
    """Lists of results, on their way to hits."""

    def __init__(
        self, asked: Asked, parts: Parts, lists: Mapping[str, Sequence[Ranked]], documents: Mapping[str, Document]
    ) -> None:
        self._asked = asked
        # A document may have gone between the two requests.
        self._lists = {
            name: [one for one in ranked if one.id in documents and one.id not in asked.without]
            for name, ranked in lists.items()
        }
        self._documents, self._parts = documents, parts
        self._matches: dict[str, Match] = {}
        self._cosines = {
            name: {one.id: one.score for one in self._lists[name]} for name in ("text", "like") if name in lists
        }

    def hits(self) -> list[Hit]:
        fused = fuse(
            [[Place(one.id, self._weight(name, one)) for one in ranked] for name, ranked in self._lists.items()]
        )
        by_id = {one.id: one for one in fused}
        if self._asked.folded:
            kept = fold((one.id, self._documents[one.id].phash) for one in fused)
        else:
            kept = [Folded(one.id) for one in fused]
        return [self._hit(rank, by_id[one.id], one) for rank, one in enumerate(kept[: self._asked.limit], 1)]

    def _weight(self, name: str, one: Ranked) -> float:
        """A place among the hits by words counts as much as the document has of the query, squared.

        Measured on labelled photographs (docs/quality.md): one word in common with a sentence says little.
        """
        if name != "words":
            return 1.0
        # What it found has at least one of the words.
        return float(max(self._match(one.id).share, self._parts.least) ** 2)

    def _match(self, id_: str) -> Match:
        if id_ not in self._matches:
            self._matches[id_] = self._parts.match(self._documents[id_])
        return self._matches[id_]

    def _hit(self, rank: int, fused: Fused, folded: Folded) -> Hit:
        why = list(self._match(fused.id).why)
        why += [
            f"{'picture' if name == 'text' else 'alike'}: {cosines[fused.id]:.2f}"
            for name, cosines in self._cosines.items()
            if fused.id in cosines
        ]
        ranks = {name: place for name, place in zip(self._lists, fused.ranks, strict=True) if place is not None}
        others = tuple(self._documents[id_] for id_ in folded.duplicates)
        return Hit(rank, round(fused.score, 4), tuple(why), ranks, self._documents[fused.id], others)
