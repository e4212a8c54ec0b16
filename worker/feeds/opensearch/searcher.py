"""Searches in the index that serves."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.errors import ConfigurationError, Unavailable
from tasks.feeding.document import Document
from tasks.searching.ports import Filters, Ranked, WordQuery
from worker.feeds.opensearch import names, queries
from worker.feeds.opensearch.access import Access, Patience
from worker.feeds.opensearch.client import Client
from worker.feeds.opensearch.mapping import META, Engine
from worker.feeds.opensearch.source import FIELDS, from_source

logger = logging.getLogger(__name__)

ASKED = 500
"""Documents fetched in one request."""

NO_VECTORS = (
    "the index %s has no vectors to search: the cluster has no k-NN plugin, or had none when the index was made; "
    "this search goes by words alone"
)


class OpenSearchSearcher:
    """`tasks.searching.ports.Searcher`, over the alias that a feed serves.

    Args:
        access: the cluster, and who we are there.
        bucket: of the library; `prefix` too.
        alias: as it was given to the feed; by default made of bucket and prefix.
        patience: how long the cluster is waited for.

    Raises:
        ConfigurationError: nothing serves under that alias, or it is none of ours.
        Unavailable: the cluster does not answer.
    """

    def __init__(
        self, access: Access, bucket: str, prefix: str = "", alias: str | None = None, patience: Patience | None = None
    ) -> None:
        self._alias = names.checked(alias or names.default_name(bucket, prefix))
        self._client = Client(access, patience)
        self._told = False
        try:
            mappings = self._mappings()
            self.generation: str = self._about(mappings, bucket, prefix)["generation"]
            self._vectors = _vectors(mappings["properties"])
            self.model = self._model()
        except BaseException:
            self.close()
            raise

    def by_words(self, query: WordQuery, filters: Filters, limit: int) -> Sequence[Ranked]:
        """See `Searcher`."""
        if not query.text.strip() and not query.concepts and not query.rest:
            return ()
        hits = self._search(queries.by_words(query, filters, limit))
        return [Ranked(hit["_id"], hit["_score"], tuple(hit.get("matched_queries", ()))) for hit in hits]

    def by_vector(self, vector: NDArray[np.float32], filters: Filters, limit: int) -> Sequence[Ranked]:
        """See `Searcher`. Nothing where the index has no field of vectors, which is logged the first time."""
        if self._vectors is None:
            if not self._told:
                self._told = True
                logger.warning(NO_VECTORS, self._alias)
            return ()
        hits = self._search(queries.by_vector(vector, filters, limit, self._vectors))
        return [Ranked(hit["_id"], queries.cosine(hit["_score"]), ()) for hit in hits]

    def documents(self, ids: Sequence[str]) -> Mapping[str, Document]:
        """See `Searcher`."""
        found: dict[str, Document] = {}
        for start in range(0, len(ids), ASKED):
            asked = {"ids": list(ids[start : start + ASKED])}
            answer = self._client.need(
                "POST", f"/{self._alias}/_mget", asked, having="docs", _source_includes=",".join(FIELDS)
            )
            found |= {each["_id"]: from_source(each["_source"]) for each in answer["docs"] if each.get("found")}
        return found

    def close(self) -> None:
        """See `Searcher`."""
        self._client.close()

    def _search(self, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        answer = self._client.need("POST", f"/{self._alias}/_search", body, having="hits")
        if answer.get("timed_out") or answer["_shards"]["failed"]:
            raise Unavailable(f"OpenSearch at {self._client.url} searched only a part of {self._alias}")
        hits: list[dict[str, Any]] = answer["hits"]["hits"]
        return hits

    def _mappings(self) -> dict[str, Any]:
        answer = self._client.get(f"/{self._alias}/_mapping")
        if not answer:
            raise ConfigurationError(
                f"there is nothing to search under {self._alias!r} at {self._client.url}: run "
                "`stockmeta feed opensearch LIBRARY` first"
            )
        (index, *others) = answer.values()
        if others:
            raise ConfigurationError(f"{self._alias!r} stands for several indices: {', '.join(answer)}")
        mappings: dict[str, Any] = index["mappings"]
        return mappings

    def _about(self, mappings: Mapping[str, Any], bucket: str, prefix: str) -> dict[str, Any]:
        about: dict[str, Any] | None = mappings.get("_meta", {}).get(META)
        if about is None:
            raise ConfigurationError(f"what {self._alias!r} stands for is no index of stockmeta's")
        if (about["bucket"], about["prefix"]) != (bucket, prefix):
            raise ConfigurationError(
                f"{self._alias!r} stands for an index of the library {about['bucket']}/{about['prefix']}, and not of "
                "this one; say which name its feed was given"
            )
        return about

    def _model(self) -> str | None:
        body = {"size": 1, "_source": ["model"], "query": {"exists": {"field": "model"}}, "track_total_hits": False}
        for hit in self._search(body):
            return str(hit["_source"]["model"])
        return None


def _vectors(properties: Mapping[str, Any]) -> Engine | None:
    """What kind of vectors the index has, if any: read off its mapping, which needs no right to ask for more."""
    kind = properties.get("vector", {}).get("type")
    return None if kind is None else Engine(elastic=kind == "dense_vector", knn=True, nori=False)
