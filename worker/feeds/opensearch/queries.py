"""Bodies of searches, as OpenSearch and Elasticsearch take them. Pure functions."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.searching.ports import Filters, WordQuery
from worker.feeds.opensearch.mapping import Engine
from worker.feeds.opensearch.source import feature

CONCEPT = 10.0
"""What a concept counts of a keyword that is certain, about as much as a rare word in a short text."""
PIVOT = 0.3
"""Weight of a keyword that counts half: saturation, S / (S + pivot), tells 0.1 from 0.4 better than 0.6 from 0.9."""
WHOLE = 0.3
"""What words count that are also part of a concept's name, for pictures that have them in a text alone."""

MOST_CLAUSES = 500
"""Of 1,024 that a query may have, by default."""

PLACES = ("location", "city", "state", "country")


def by_words(query: WordQuery, filters: Filters, limit: int) -> dict[str, Any]:
    """Pictures that have any of it: concepts by their weights, other words by BM25.

    Each part has a name, so that a hit tells what it was found by (`matched_queries`).
    """
    heaviest = sorted(query.concepts.items(), key=lambda each: (-each[1], each[0]))[:MOST_CLAUSES]
    parts = [_concept(concept, weight) for concept, weight in heaviest]
    parts += [_text(word, query.language, 1.0) for word in query.rest[:MOST_CLAUSES]]
    if query.text.strip() and (query.concepts or not query.rest):
        parts.append(_text(query.text, query.language, WHOLE))
    return {
        "size": limit,
        "_source": False,
        "track_total_hits": False,
        "query": {"bool": {"should": parts, "minimum_should_match": 1, "filter": list(clauses(filters))}},
        # Equal scores in one order, whichever copy of a shard answers.
        "sort": [{"_score": "desc"}, {"key": "asc"}],
        "track_scores": True,
    }


def by_vector(vector: NDArray[np.float32], filters: Filters, limit: int, engine: Engine) -> dict[str, Any]:
    """The nearest to a unit vector (d,); filters apply while the graph is searched, not after."""
    values = [round(float(value), 6) for value in vector]
    required = list(clauses(filters))
    given: dict[str, Any] = {"filter": {"bool": {"filter": required}}} if required else {}
    body: dict[str, Any] = {"size": limit, "_source": False}
    if engine.elastic:
        candidates = min(10_000, max(100, 2 * limit))
        nearest = {"field": "vector", "query_vector": values, "k": limit, "num_candidates": candidates}
        return {**body, "knn": {**nearest, **given}}
    return {**body, "query": {"knn": {"vector": {"vector": values, "k": limit, **given}}}}


def cosine(score: float) -> float:
    """Of a score of either engine, which is (1 + cosine) / 2."""
    return 2 * score - 1


def clauses(filters: Filters) -> Iterator[dict[str, Any]]:
    """What all hits have to be."""
    for scheme, number in filters.categories:
        yield {"term": {"category_ids": f"{scheme}:{number}"}}
    for color in filters.colors:
        yield {"term": {"color_names": color}}
    if filters.orientation is not None:
        yield {"term": {"orientation": filters.orientation}}
    if filters.people is not None:
        yield {"term": {"people": filters.people}}
    if filters.prefix:
        yield {"prefix": {"key": filters.prefix}}


def _concept(concept: str, weight: float) -> dict[str, Any]:
    return {
        "rank_feature": {
            "field": f"concepts.{feature(concept)}",
            "saturation": {"pivot": PIVOT},
            "boost": CONCEPT * weight,
            "_name": concept,
        }
    }


def _text(text: str, language: str, boost: float) -> dict[str, Any]:
    """Words in any of the texts; those of a language that has analysis of its own also where it may stand unmarked."""
    own = ".ko" if language == "ko" else ""
    fields = [f"labels.{feature(language)}^2", "labels.und^2"]
    fields += [f"{field}{own}" for field in ("title", "caption", "alt_text")]
    fields += [*PLACES, "creators"]
    return {
        "multi_match": {
            "query": text,
            "fields": fields,
            "type": "best_fields",
            "tie_breaker": 0.3,
            # A number or a date among the words is no error.
            "lenient": True,
            "boost": boost,
            "_name": text,
        }
    }
