"""What an index is made of: the templates, as OpenSearch and Elasticsearch take them. Pure functions.

A template, and not the body of the request that makes an index, so that an operator's own, of a higher priority, takes
its place: other analyzers, shards, replicas. What this library relies on is in `REQUIRED`.
"""

from dataclasses import dataclass
from typing import Any

from tasks.feeding.document import VERSION
from worker.feeds.opensearch import names

MAPPING = 1
"""Of the mapping below; raised when indices that were made by an older one cannot hold what is delivered."""

PRIORITY = 150
"""Above the built-in templates of Elasticsearch (100)."""

LETTERS = "stockmeta_dead_letters"
META = "stockmeta"

DATE = {"type": "date", "format": "strict_date_optional_time"}
RAW = {"type": "keyword", "ignore_above": 1024}

REQUIRED = {"key": "keyword", "tag": "keyword", "concepts": "rank_features", "embedding": "object"}
"""Fields without which an index cannot be fed, and their types."""


@dataclass(frozen=True, slots=True)
class Engine:
    """What a cluster is, and can.

    Attributes:
        elastic: Elasticsearch, or OpenSearch.
        knn: whether vectors can be searched: Elasticsearch always, OpenSearch with the plugin `opensearch-knn`.
        nori: whether the plugin `analysis-nori`, for Korean, is on every node.
    """

    elastic: bool
    knn: bool
    nori: bool


def engine(root: dict[str, Any], plugins: list[dict[str, str]]) -> Engine:
    """Out of the answers to `GET /` and `GET /_cat/plugins?format=json`, which has a row for each plugin and node."""
    # With `compatibility.override_main_response_version` an OpenSearch 1 or 2 says 7.10.2, and no distribution.
    says = f"{root.get('version', {}).get('distribution', '')} {root.get('tagline', '')}"
    elastic = "opensearch" not in says.lower()
    nodes = {row["name"] for row in plugins}
    have = {
        component: bool(nodes) and nodes == {row["name"] for row in plugins if row["component"] == component}
        for component in ("opensearch-knn", "analysis-nori")
    }
    return Engine(elastic, knn=elastic or have["opensearch-knn"], nori=have["analysis-nori"])


def template(name: str, engine: Engine) -> dict[str, Any]:
    """The composable index template of a library's indices. A longer name is the more specific pattern, so it wins."""
    index: dict[str, Any] = {
        # Versions of removed documents have to outlive whatever may still arrive late.
        "gc_deletes": "1h",
    }
    if engine.knn and not engine.elastic:
        index["knn"] = True
    return {
        "index_patterns": [f"{name}-*"],
        "priority": PRIORITY + len(name),
        "template": {"settings": {"index": index, "analysis": _analysis(engine)}, "mappings": _mappings()},
        "version": MAPPING,
        "_meta": {"made_by": "stockmeta"},
    }


def letters_template(name: str) -> dict[str, Any]:
    """The template of the index of dead letters."""
    return {
        "index_patterns": [names.dead_letters(name)],
        "priority": PRIORITY + len(names.dead_letters(name)),
        "template": {
            "settings": {"index": {"number_of_shards": 1}},
            "mappings": {
                "dynamic": False,
                "_meta": {LETTERS: MAPPING},
                "properties": {
                    **_each("id key generation kind tag", _type("keyword")),
                    "version": _type("long"),
                    "reason": _type("text"),
                    "at": _type("date"),
                },
            },
        },
        "version": MAPPING,
        "_meta": {"made_by": "stockmeta"},
    }


def meta(bucket: str, prefix: str, generation: str, made: str, *, vectors: bool) -> dict[str, Any]:
    """What a new index says of itself, in its mapping.

    Args:
        bucket: of the library.
        prefix: of the library.
        generation: of its documents.
        made: tells it from others that had its name.
        vectors: whether it can have a field for them.
    """
    return {
        META: {
            "bucket": bucket,
            "prefix": prefix,
            "generation": generation,
            "made": made,
            "complete": False,
            "vectors": vectors,
            "document": VERSION,
            "mapping": MAPPING,
        }
    }


def vector_field(engine: Engine, dimensions: int) -> dict[str, Any]:
    """The field of unit vectors, (d,), once it is known how long they are."""
    if engine.elastic:
        return {"type": "dense_vector", "dims": dimensions, "index": True, "similarity": "cosine"}
    # Lucene's, since only it has filters and cosine in every 2.x and 3.x.
    method = {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"}
    return {"type": "knn_vector", "dimension": dimensions, "method": method}


def _analysis(engine: Engine) -> dict[str, Any]:
    korean = {"type": "nori", "decompound_mode": "mixed"} if engine.nori else {"type": "cjk"}
    return {"analyzer": {"stockmeta_en": {"type": "english"}, "stockmeta_ko": korean}}


def _mappings() -> dict[str, Any]:
    return {
        # A document that has something else is refused, instead of changing the mapping for all.
        "dynamic": "strict",
        # A label such as 2024/01/01 is a word all the same.
        "date_detection": False,
        # It is there in half the bytes and exactly: `embedding`.
        "_source": {"excludes": ["vector"]},
        "dynamic_templates": [{"labels": {"path_match": "labels.*", "mapping": {"type": "text"}}}],
        "properties": _properties(),
    }


def _properties() -> dict[str, Any]:
    text = {**_type("text"), "analyzer": "stockmeta_en"}
    korean = {**_type("text"), "analyzer": "stockmeta_ko"}
    return {
        **_each("schema id bucket key tag etag generation status", _type("keyword")),
        **_each("format orientation color_names phash sha256 flags country_code", _type("keyword")),
        **_each("model taxonomy concept_ids category_ids", _type("keyword")),
        **_each("title caption alt_text", {**text, "fields": {"ko": korean}}),
        **_each("creators copyright location city state country", {**_type("text"), "fields": {"raw": RAW}}),
        **_each("keywords categories colors embedding", {**_type("object"), "enabled": False}),
        **_each("created_at updated_at", DATE),
        # As cameras and people wrote it; what is no date is kept and not indexed.
        "taken": {**DATE, "ignore_malformed": True},
        **_each("width height", _type("integer")),
        **_each("file_size version", _type("long")),
        "megapixels": _type("float"),
        "people": _type("boolean"),
        "concepts": _type("rank_features"),
        "labels": {**_type("object"), "dynamic": True, "properties": {"en": text, "ko": korean}},
    }


def _type(kind: str) -> dict[str, Any]:
    return {"type": kind}


def _each(fields: str, form: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return dict.fromkeys(fields.split(), form)
