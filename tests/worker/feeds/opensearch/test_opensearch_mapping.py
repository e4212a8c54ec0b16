"""What indices are made of, and how documents and searches look in them."""

import json
from typing import Any

import numpy as np
import pytest

from tasks.errors import Unavailable
from tasks.feeding.document import Term
from tasks.records import Embedding
from tasks.searching.ports import Filters, WordQuery
from tests.worker.feeds.opensearch.indexed_documents import document, full, unit
from worker.feeds.opensearch import queries
from worker.feeds.opensearch.mapping import Engine, engine, letters_template, template, vector_field
from worker.feeds.opensearch.source import FIELDS, from_source, to_source

PLAIN = Engine(elastic=False, knn=False, nori=False)
WHOLE = Engine(elastic=False, knn=True, nori=True)
ELASTIC = Engine(elastic=True, knn=True, nori=False)


def row(node: str, component: str) -> dict[str, str]:
    return {"name": node, "component": component, "version": "3.1.0"}


def test_a_plugin_counts_if_every_node_has_it() -> None:
    root = {"version": {"distribution": "opensearch", "number": "3.1.0"}}
    both = [row(node, plugin) for node in "ab" for plugin in ("opensearch-knn", "analysis-nori")]
    assert engine(root, both) == WHOLE
    assert engine(root, both[:3]) == Engine(elastic=False, knn=True, nori=False)
    assert engine(root, []) == PLAIN


def test_elasticsearch_says_no_distribution_and_has_vectors_always() -> None:
    assert engine({"version": {"number": "8.15.0", "build_flavor": "default"}}, []) == ELASTIC


def test_opensearch_is_known_though_it_says_it_were_elasticsearch() -> None:
    """As on Amazon's domains in compatibility mode."""
    root = {"version": {"number": "7.10.2"}, "tagline": "The OpenSearch Project: https://opensearch.org/"}
    assert not engine(root, []).elastic
    assert engine({"version": {"number": "8.1.0"}, "tagline": "You Know, for Search"}, []).elastic


def test_korean_is_taken_apart_by_nori_where_the_cluster_has_it() -> None:
    def korean(made: dict[str, Any]) -> str:
        return str(made["template"]["settings"]["analysis"]["analyzer"]["stockmeta_ko"]["type"])

    assert korean(template("photos", WHOLE)) == "nori"
    assert korean(template("photos", PLAIN)) == "cjk"


def test_only_opensearch_with_the_plugin_is_told_of_knn() -> None:
    assert [
        template("photos", each)["template"]["settings"]["index"].get("knn") for each in (PLAIN, WHOLE, ELASTIC)
    ] == [
        None,
        True,
        None,
    ]


def test_vectors_are_searched_by_cosine() -> None:
    assert vector_field(WHOLE, 384) == {
        "type": "knn_vector",
        "dimension": 384,
        "method": {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"},
    }
    assert vector_field(ELASTIC, 384) == {"type": "dense_vector", "dims": 384, "index": True, "similarity": "cosine"}


def test_of_two_templates_that_fit_the_longer_name_wins() -> None:
    def priority(made: dict[str, Any]) -> int:
        return int(made["priority"])

    assert priority(template("photos-2024", PLAIN)) > priority(template("photos", PLAIN))
    assert priority(letters_template("photos")) > priority(template("photos", PLAIN))
    # Also the one of a library whose name begins like that of the dead letters.
    assert priority(letters_template("photos")) > priority(template("photos-dead", PLAIN))


def test_every_field_of_a_document_is_in_the_mapping_and_nothing_else_is_delivered() -> None:
    properties = template("photos", PLAIN)["template"]["mappings"]["properties"]
    assert set(FIELDS) <= set(properties)
    assert set(json.loads(to_source(full(), vector=True))) == set(properties) | {"vector"}


@pytest.mark.parametrize("made", [document("a.jpg"), full(), full("숲/a b.jpg", 2)])
def test_a_document_comes_back_as_it_was(made: Any) -> None:
    assert from_source(json.loads(to_source(made, vector=False))) == made


def test_what_is_no_document_is_told() -> None:
    with pytest.raises(Unavailable, match="none of ours"):
        from_source({"key": "a.jpg"})


def test_what_is_made_of_a_document_to_be_searched() -> None:
    source = json.loads(to_source(full(), vector=True))
    assert source["labels"] == {"en": ["beach", "dog", "Rex"], "ko": ["해변", "개"], "de": ["Strand"]}
    assert source["concepts"] == {"sm:beach": 0.9, "sm:dog": 0.5} and source["concept_ids"] == ["sm:beach", "sm:dog"]
    assert source["category_ids"] == ["adobe:1", "iptc:20000500"]
    assert np.allclose(source["vector"], unit(1), atol=1e-3) and "vector" not in json.loads(
        to_source(full(), vector=False)
    )


def test_concepts_that_no_rank_feature_can_be_are_left_out_or_renamed() -> None:
    terms = (
        Term(1, "a.b", {"en": "x"}, 0.5, "generated"),
        Term(2, "a.b", {"en": "x"}, 0.7, "generated"),
        Term(3, "zero", {"en": "y"}, 0.0, "generated"),
    )
    source = json.loads(to_source(document("a.jpg", keywords=terms), vector=False))
    assert source["concepts"] == {"a_b": 0.7} and source["concept_ids"] == ["a.b", "zero"]
    (part, _) = queries.by_words(WordQuery("x", "en", {"a.b": 1.0}), Filters(), 10)["query"]["bool"]["should"]
    assert part["rank_feature"]["field"] == "concepts.a_b"


def test_half_a_character_is_told_before_it_is_sent() -> None:
    with pytest.raises(ValueError):
        to_source(document("a.jpg", title="\ud800"), vector=False)


def test_words_are_searched_by_concept_and_in_the_language_asked_for() -> None:
    query = WordQuery("해변 렉스", "ko", {"sm:beach": 1.0, "sm:coast": 0.5}, ("렉스",))
    body = queries.by_words(query, Filters(), 20)
    beach, coast, word, whole = body["query"]["bool"]["should"]
    assert beach["rank_feature"]["_name"] == "sm:beach"
    assert beach["rank_feature"]["boost"] == 2 * coast["rank_feature"]["boost"]
    assert "labels.ko^2" in word["multi_match"]["fields"] and "title.ko" in word["multi_match"]["fields"]
    assert whole["multi_match"]["boost"] < word["multi_match"]["boost"]
    assert body["size"] == 20 and body["query"]["bool"]["minimum_should_match"] == 1


def test_filters_apply_to_both_kinds_of_search() -> None:
    filters = Filters((("adobe", "1"), ("iptc", "2")), "landscape", ("blue", "red"), False, "2024/")
    required = [
        {"term": {"category_ids": "adobe:1"}},
        {"term": {"category_ids": "iptc:2"}},
        {"term": {"color_names": "blue"}},
        {"term": {"color_names": "red"}},
        {"term": {"orientation": "landscape"}},
        {"term": {"people": False}},
        {"prefix": {"key": "2024/"}},
    ]
    assert list(queries.clauses(filters)) == required
    assert queries.by_words(WordQuery("x", "en", {}), filters, 5)["query"]["bool"]["filter"] == required
    vector = np.array([1, 0], dtype=np.float32)
    assert queries.by_vector(vector, filters, 5, WHOLE)["query"]["knn"]["vector"]["filter"] == {
        "bool": {"filter": required}
    }
    assert queries.by_vector(vector, filters, 5, ELASTIC)["knn"]["filter"] == {"bool": {"filter": required}}


def test_a_search_by_vector_has_the_form_of_either_engine() -> None:
    """As documented: docs.opensearch.org, "Efficient k-NN filtering"; elastic.co, "kNN search"."""
    vector = np.array([0.6, -0.8], dtype=np.float32)
    assert queries.by_vector(vector, Filters(), 5, WHOLE) == {
        "size": 5,
        "_source": False,
        "query": {"knn": {"vector": {"vector": [0.6, -0.8], "k": 5}}},
    }
    assert queries.by_vector(vector, Filters(), 5, ELASTIC) == {
        "size": 5,
        "_source": False,
        "knn": {"field": "vector", "query_vector": [0.6, -0.8], "k": 5, "num_candidates": 100},
    }
    assert queries.cosine(1.0) == 1.0 and queries.cosine(0.5) == 0.0


def test_the_stored_vector_is_within_what_float16_can_tell() -> None:
    packed = Embedding.pack(unit(3, 384))
    source = json.loads(to_source(document("a.jpg", embedding=packed), vector=True))
    assert np.abs(np.array(source["vector"]) - packed.unpack()).max() < 1e-6
