"""An index in memory that keeps the contract of `tasks.searching.ports.Searcher`: exact, and simple."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tasks.feeding.document import Document, Term, document_id
from tasks.records import Embedding
from tasks.searching.ports import Filters, Ranked, WordQuery
from tasks.searching.understand import words

GENERATION = "0123456789ab"


def document(
    key: str, *concepts: str, vector: Sequence[float] | None = None, phash: str | None = None, **fields: object
) -> Document:
    """A document with the concepts of these ids, the best first; labels are the ids' last parts."""
    keywords = tuple(
        Term(rank, id_, {"en": id_.rpartition(":")[2]}, 1 / rank, "generated") for rank, id_ in enumerate(concepts, 1)
    )
    return Document(
        id=document_id("photos", key),
        tag="1",
        version=1,
        bucket="photos",
        key=key,
        etag='"1"',
        generation=GENERATION,
        status="tagged",
        categories={},
        created_at="2026-11-22T00:00:00+00:00",
        updated_at="2026-11-22T00:00:00+00:00",
        model="fake",
        phash=phash,
        embedding=None if vector is None else Embedding.pack(np.array(vector, np.float32)),
        **{"keywords": keywords} | fields,  # type: ignore[arg-type]
    )


@dataclass
class MemorySearcher:
    """The documents, and what was asked."""

    contents: Sequence[Document]
    generation: str = GENERATION
    model: str | None = "fake"
    asked: list[WordQuery] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)

    def by_words(self, query: WordQuery, filters: Filters, limit: int) -> Sequence[Ranked]:
        self.asked.append(query)
        self.depths.append(limit)
        found = [Ranked(each.id, self._score(query, each)) for each in self._passing(filters)]
        return sorted((one for one in found if one.score), key=lambda one: (-one.score, one.id))[:limit]

    def by_vector(self, vector: NDArray[np.float32], filters: Filters, limit: int) -> Sequence[Ranked]:
        there = [each for each in self._passing(filters) if each.embedding is not None]
        found = [Ranked(each.id, float(each.embedding.unpack() @ vector)) for each in there if each.embedding]
        return sorted(found, key=lambda one: (-one.score, one.id))[:limit]

    def documents(self, ids: Sequence[str]) -> Mapping[str, Document]:
        return {each.id: each for each in self.contents if each.id in set(ids)}

    def close(self) -> None:
        """Nothing is open."""

    def _score(self, query: WordQuery, one: Document) -> float:
        score = sum(query.concepts.get(term.concept or "", 0) * term.weight for term in one.keywords)
        texts = words(" ".join([one.title or "", one.caption or "", *(term.labels["en"] for term in one.keywords)]))
        return score + 0.1 * sum(word in texts for word in query.rest) + 0.01 * len({*words(query.text)} & {*texts})

    def _passing(self, filters: Filters) -> list[Document]:
        return [
            each
            for each in self.contents
            if each.key.startswith(filters.prefix)
            and filters.orientation in (None, each.orientation)
            and filters.people in (None, each.people)
        ]
