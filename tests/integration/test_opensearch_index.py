"""The sink and the index against osmem-server: an index that is kept, listed, served and begun anew."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from osmem_server import OsmemServer

from tasks.errors import ConfigurationError, Unavailable
from tasks.feeding.document import Term, document_id
from tasks.feeding.ports import Delivered, Indexed, Put, Remove
from tests.faults.proxy import Rule
from tests.integration.opensearch_stage import Stage, counting, error, instead, running, said, staged
from tests.worker.feeds.opensearch.indexed_documents import BUCKET, GENERATION, document, full
from worker.feeds.opensearch import listing
from worker.feeds.opensearch.mapping import Engine, vector_field
from worker.feeds.opensearch.sink import OpenSearchSink
from worker.feeds.opensearch.source import FIELDS, from_source

OTHER = "ba9876543210"


@pytest.fixture(scope="module")
def server() -> Iterator[OsmemServer]:
    with running() as server:
        yield server


@pytest.fixture
def stage(server: OsmemServer) -> Iterator[Stage]:
    with staged(server) as stage:
        yield stage


@pytest.fixture
def sink(stage: Stage) -> Iterator[OpenSearchSink]:
    sink = stage.sink()
    yield sink
    sink.close()


def test_a_document_is_put_found_listed_and_removed(stage: Stage, sink: OpenSearchSink) -> None:
    index = sink.open(GENERATION)
    assert index.generation == GENERATION and not index.complete
    assert index.deliver([Put(full("a.jpg", 7)), Put(document("b.jpg", 8))]) == Delivered(put=2)
    # As of now, and not of the last refresh.
    assert index.indexed(["a.jpg", "b.jpg", "c.jpg"]) == {
        "a.jpg": Indexed("a.jpg", "1:etag-7", 7),
        "b.jpg": Indexed("b.jpg", "1:etag-8", 8),
    }
    assert index.deliver([Remove("a.jpg", 8), Remove("c.jpg", 5)]) == Delivered(removed=1)
    assert list(index.listed()) == [Indexed("b.jpg", "1:etag-8", 8)]


def test_what_is_as_new_or_newer_is_not_replaced(sink: OpenSearchSink) -> None:
    index = sink.open(GENERATION)
    index.deliver([Put(document("a.jpg", 7))])
    assert index.deliver([Put(document("a.jpg", 7, tag="else"))]) == Delivered(outrun=("a.jpg",))
    assert index.deliver([Put(document("a.jpg", 6))]) == Delivered(outrun=("a.jpg",))
    assert index.deliver([Remove("a.jpg", 7)]) == Delivered(outrun=("a.jpg",))
    assert index.indexed(["a.jpg"])["a.jpg"].tag == "1:etag-7"


def test_a_removed_document_stays_removed_when_an_older_one_arrives_late(sink: OpenSearchSink) -> None:
    index = sink.open(GENERATION)
    index.deliver([Remove("never-seen.jpg", 100)])
    assert index.deliver([Put(document("never-seen.jpg", 99))]) == Delivered(outrun=("never-seen.jpg",))
    assert index.deliver([Put(document("never-seen.jpg", 101))]) == Delivered(put=1)


def test_a_forced_document_is_written_whatever_the_index_has(sink: OpenSearchSink) -> None:
    index = sink.open(GENERATION)
    index.deliver([Put(document("a.jpg", 70))])
    assert index.deliver([Put(document("a.jpg", 7), forced=True)]) == Delivered(put=1)
    indexed = index.indexed(["a.jpg"])["a.jpg"]
    assert indexed.tag == "1:etag-7" and indexed.version > 70
    # Whatever comes later has a greater version than what the index counted up to.
    assert index.deliver([Put(document("a.jpg", 1_700_000_000_000_000))]) == Delivered(put=1)


def test_a_forced_document_of_which_the_index_knows_nothing_keeps_its_version(sink: OpenSearchSink) -> None:
    index = sink.open(GENERATION)
    assert index.deliver([Put(document("a.jpg", 70), forced=True)]) == Delivered(put=1)
    assert index.deliver([Put(document("a.jpg", 60))]) == Delivered(outrun=("a.jpg",))
    # Also after a removal that is newer.
    index.deliver([Remove("b.jpg", 80)])
    assert index.deliver([Put(document("b.jpg", 70), forced=True)]) == Delivered(put=1)
    assert index.indexed(["b.jpg"])["b.jpg"].version == 81


def test_every_field_comes_back_as_it_was(stage: Stage, sink: OpenSearchSink) -> None:
    index = sink.open(GENERATION)
    put = full("숲/강아지 1.jpg")
    index.deliver([Put(put)])
    source = stage.ask("GET", f"/{index.physical}/_doc/{put.id}?_source_includes={','.join(FIELDS)}")["_source"]
    assert from_source(source) == put


def test_keys_are_listed_in_the_order_of_their_bytes(sink: OpenSearchSink) -> None:
    keys = ["a b.jpg", "a/b.jpg", "a-b.jpg", "A.jpg", "é.jpg", "한.jpg", "\uffee.jpg", "😀.jpg", "~.jpg", 'q"\\n.jpg']
    index = sink.open(GENERATION)
    index.deliver([Put(document(key)) for key in keys])
    assert [indexed.key for indexed in index.listed()] == sorted(keys, key=str.encode)


def test_a_listing_in_pages_has_each_document_once_as_of_its_beginning(
    sink: OpenSearchSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "PAGE", 3)
    index = sink.open(GENERATION)
    keys = [f"{n:02}.jpg" for n in range(10)]
    index.deliver([Put(document(key)) for key in keys])
    listed = listing.listed(index._client, index.physical, index._engine, page=3)
    seen = [next(listed).key]
    index.deliver([Put(document("05b.jpg")), Remove("07.jpg", 9)])
    index.commit()
    assert seen + [indexed.key for indexed in listed] == keys


def test_a_listing_goes_on_when_its_point_in_time_is_over(stage: Stage, sink: OpenSearchSink) -> None:
    index = sink.open(GENERATION)
    keys = [f"{n:02}.jpg" for n in range(10)]
    index.deliver([Put(document(key)) for key in keys])
    listed = listing.listed(index._client, index.physical, index._engine, page=3)
    seen = [next(listed).key]
    stage.ask("DELETE", "/_search/point_in_time/_all")
    assert seen + [indexed.key for indexed in listed] == keys


def test_complete_is_kept_across_processes(stage: Stage, sink: OpenSearchSink) -> None:
    index = sink.open(GENERATION)
    again = stage.sink().open(GENERATION)
    assert not again.complete
    index.completed()
    assert index.complete and again.complete and stage.sink().open(GENERATION).complete
    assert again.physical == index.physical


def test_the_mapping_is_strict_and_what_was_not_asked_for_is_refused(stage: Stage, sink: OpenSearchSink) -> None:
    index = sink.open(GENERATION)
    mappings = stage.ask("GET", f"/{index.physical}/_mapping")[index.physical]["mappings"]
    assert mappings["dynamic"] == "strict"
    settings = stage.ask("GET", f"/{index.physical}/_settings")[index.physical]["settings"]["index"]
    assert settings["gc_deletes"] == "1h"
    # Languages are not known beforehand: each gets its own field of text.
    index.deliver([Put(full("a.jpg"))])
    labels = stage.ask("GET", f"/{index.physical}/_mapping")[index.physical]["mappings"]["properties"]["labels"]
    assert set(labels["properties"]) == {"en", "ko", "de"} and labels["properties"]["de"]["type"] == "text"


def test_generations_have_indices_of_their_own_and_searches_change_over_in_one_request(
    stage: Stage, sink: OpenSearchSink
) -> None:
    assert sink.serving() is None
    first, second = sink.open(GENERATION), sink.open(OTHER)
    sink.serve(first)
    assert sink.serving() == GENERATION
    seen, rule = counting("POST /_aliases")
    with stage.proxy.rule(rule):
        sink.serve(second)
    assert len(seen) == 1 and sink.serving() == OTHER
    assert list(stage.ask("GET", f"/_alias/{stage.alias}")) == [second.physical]
    # To go back to.
    sink.serve(first)
    assert sink.serving() == GENERATION


def test_one_that_is_begun_anew_replaces_the_one_in_use_when_it_serves(stage: Stage, sink: OpenSearchSink) -> None:
    old = sink.open(GENERATION)
    old.deliver([Put(document("a.jpg"))])
    old.completed()
    sink.serve(old)
    interrupted = sink.open(GENERATION, anew=True)
    anew = sink.open(GENERATION, anew=True)
    assert len({old.physical, interrupted.physical, anew.physical}) == 3
    assert not list(anew.listed()) and not anew.complete and old.complete
    # Until then a feed goes on with the one in use, whatever was begun beside it.
    assert sink.open(GENERATION).physical == old.physical
    sink.serve(anew)
    assert set(stage.ask("GET", f"/{stage.alias}-{GENERATION}-*/_mapping")) == {anew.physical}
    assert sink.open(GENERATION).physical == anew.physical
    with pytest.raises(Unavailable):
        old.deliver([Put(document("a.jpg", 2))])


def test_an_index_that_was_deleted_does_not_come_back_by_itself(stage: Stage, sink: OpenSearchSink) -> None:
    index = sink.open(GENERATION)
    stage.ask("DELETE", f"/{index.physical}")
    with pytest.raises(Unavailable, match="no such index"):
        index.deliver([Put(document("a.jpg"))])
    with pytest.raises(Unavailable):
        index.deliver([Remove("a.jpg", 5), Remove("b.jpg", 5)])
    with pytest.raises(Unavailable):
        index.indexed(["a.jpg"])
    with pytest.raises(Unavailable):
        list(index.listed())
    with pytest.raises(Unavailable):
        index.commit()
    assert stage.ask("GET", f"/{stage.alias}-{GENERATION}-*/_mapping") == {}
    assert f"{index.physical}-writes" not in stage.ask("GET", "/_all/_mapping")
    assert sink.open(GENERATION).deliver([Put(document("a.jpg"))]) == Delivered(put=1)


def test_an_index_named_like_the_alias_is_never_touched(stage: Stage, sink: OpenSearchSink) -> None:
    index = sink.open(GENERATION)
    stage.ask("PUT", f"/{stage.alias}")
    with pytest.raises(ConfigurationError, match="has to be free for the alias"):
        sink.serve(index)
    with pytest.raises(ConfigurationError, match="has to be free for the alias"):
        sink.open(GENERATION)
    assert stage.alias in stage.ask("GET", f"/{stage.alias}")


@pytest.mark.parametrize("anew", [False, True])
@pytest.mark.parametrize("generation", [GENERATION, OTHER])
def test_the_index_of_another_library_is_never_written_nor_replaced(
    stage: Stage, sink: OpenSearchSink, generation: str, anew: bool
) -> None:
    index = sink.open(GENERATION)
    index.deliver([Put(document("a.jpg"))])
    sink.serve(index)
    other = stage.sink(bucket="another")
    with pytest.raises(ConfigurationError, match=f"holds the library {BUCKET}/"):
        other.open(generation, anew=anew)
    other.close()
    assert sink.serving() == GENERATION and set(index.indexed(["a.jpg"])) == {"a.jpg"}


def test_an_alias_of_something_else_is_not_taken_away(stage: Stage, sink: OpenSearchSink) -> None:
    index = sink.open(GENERATION)
    theirs = f"{stage.alias}x"
    stage.ask("PUT", f"/{theirs}", {"aliases": {stage.alias: {}}})
    for attempt in (lambda: sink.serve(index), lambda: sink.open(GENERATION)):
        with pytest.raises(ConfigurationError, match=f"{theirs}, .* is none of stockmeta's"):
            attempt()
    assert list(stage.ask("GET", f"/_alias/{stage.alias}")) == [theirs]


def test_of_the_indices_that_are_named_alike_only_ours_are_removed(stage: Stage, sink: OpenSearchSink) -> None:
    sink.open(GENERATION)
    anew = sink.open(GENERATION, anew=True)
    theirs = [f"{stage.alias}-{GENERATION}-{ending}" for ending in ("0", "01", "old", "1-2")]
    for name in theirs:
        stage.ask("PUT", f"/{name}")
    # Of our own name, and made since we looked.
    stage.ask("DELETE", f"/{stage.alias}-{GENERATION}-1")
    stage.ask("PUT", f"/{stage.alias}-{GENERATION}-1")
    sink.serve(anew)
    assert set(stage.ask("GET", f"/{stage.alias}-{GENERATION}-*/_mapping")) == {
        *theirs,
        f"{stage.alias}-{GENERATION}-1",
        anew.physical,
    }


def test_an_index_that_is_being_copied_goes_the_next_time(stage: Stage, sink: OpenSearchSink) -> None:
    sink.serve(sink.open(GENERATION))
    anew = sink.open(GENERATION, anew=True)
    copied = said("400 Bad Request", error("snapshot_in_progress_exception", "Cannot delete indices"))
    with stage.proxy.rule(instead(copied, 1, "POST /_aliases")):
        sink.serve(anew)
    assert list(stage.ask("GET", f"/_alias/{stage.alias}")) == [anew.physical]
    assert len(stage.ask("GET", f"/{stage.alias}-{GENERATION}-*/_mapping")) == 2
    sink.serve(anew)
    assert list(stage.ask("GET", f"/{stage.alias}-{GENERATION}-*/_mapping")) == [anew.physical]


def test_an_index_that_goes_cannot_be_served_instead(stage: Stage, sink: OpenSearchSink) -> None:
    old = sink.open(GENERATION)
    sink.serve(old)
    anew = sink.open(GENERATION, anew=True)
    seen, rule = counting("(POST /_aliases|DELETE)")
    with stage.proxy.rule(rule):
        sink.serve(anew)
    assert len(seen) == 1
    with pytest.raises(Unavailable):
        sink.serve(old)
    assert list(stage.ask("GET", f"/_alias/{stage.alias}")) == [anew.physical]


def test_a_closed_index_is_told_and_makes_no_dead_letters(stage: Stage, sink: OpenSearchSink) -> None:
    index = sink.open(GENERATION)
    stage.ask("POST", f"/{index.physical}/_close")
    for operation in (Put(document("a.jpg")), Remove("a.jpg", 1)):
        with pytest.raises(ConfigurationError, match=f"{index.physical}-writes.*_open"):
            index.deliver([operation])
    assert stage.letters() == {}
    # Its name is not taken for a free one.
    assert sink.open(GENERATION).physical == index.physical
    stage.ask("POST", f"/{index.physical}/_open")
    assert index.deliver([Put(document("a.jpg"))]) == Delivered(put=1)


def test_what_is_in_the_place_of_dead_letters_is_not_written_to(stage: Stage, sink: OpenSearchSink) -> None:
    stage.ask("PUT", f"/{stage.alias}-dead-letters")
    with pytest.raises(ConfigurationError, match="dead-letters' is to hold what is refused"):
        sink.open(GENERATION)


def test_a_document_that_no_feed_wrote_is_told(stage: Stage, sink: OpenSearchSink) -> None:
    index = sink.open(GENERATION)
    index.deliver([Put(document("a.jpg"))])
    for stray in ({"title": "x"}, {"key": "a.jpg"}):
        stage.ask("POST", f"/{index.physical}/_doc/stray", stray)
        with pytest.raises(ConfigurationError, match=r"'stray'|'[0-9a-f]{64}'"):
            list(index.listed())


def test_an_index_of_another_version_is_to_be_filled_anew(stage: Stage, sink: OpenSearchSink) -> None:
    index = sink.open(GENERATION)
    meta = stage.ask("GET", f"/{index.physical}/_mapping")[index.physical]["mappings"]["_meta"]
    meta["stockmeta"]["mapping"] = 0
    stage.ask("PUT", f"/{index.physical}/_mapping", {"_meta": meta})
    with pytest.raises(ConfigurationError, match="--full"):
        sink.open(GENERATION)
    anew = sink.open(GENERATION, anew=True)
    anew.deliver([Put(document("a.jpg"))])
    sink.serve(anew)
    assert sink.open(GENERATION).physical == anew.physical


def test_an_operators_template_comes_first(stage: Stage, sink: OpenSearchSink) -> None:
    sink.open(GENERATION)
    (ours,) = stage.ask("GET", f"/_index_template/{stage.alias}")["index_templates"]
    theirs = ours["index_template"] | {"priority": 1000}
    theirs["template"]["settings"]["index"]["number_of_replicas"] = "3"
    stage.ask("PUT", f"/_index_template/{stage.alias}-own", theirs)
    anew = sink.open(GENERATION, anew=True)
    settings = stage.ask("GET", f"/{anew.physical}/_settings")[anew.physical]["settings"]["index"]
    assert settings["number_of_replicas"] == "3"


def test_a_template_that_lacks_what_is_needed_is_told(stage: Stage, sink: OpenSearchSink) -> None:
    theirs = {"index_patterns": [f"{stage.alias}-*"], "priority": 1000, "template": {}}
    stage.ask("PUT", f"/_index_template/{stage.alias}-own", theirs)
    with pytest.raises(ConfigurationError, match="key, tag, concepts"):
        sink.open(GENERATION)


def test_names_that_begin_alike_have_templates_of_their_own(stage: Stage) -> None:
    short, long = stage.sink(), stage.sink(alias=f"{stage.alias}-2024")
    short.open(GENERATION)
    assert long.open(GENERATION).deliver([Put(document("a.jpg"))]) == Delivered(put=1)
    assert not list(short.open(GENERATION).listed())
    short.close()
    long.close()


def test_bulks_are_bounded_in_operations_and_in_bytes(stage: Stage, sink: OpenSearchSink) -> None:
    index = sink.open(GENERATION)
    seen, rule = counting()
    with stage.proxy.rule(rule):
        index.deliver([Put(document(f"{n}.jpg")) for n in range(1001)])
        assert len(seen) == 3
        index._bulk.size = 50_000
        index.deliver([Put(document(f"{n}.jpg", 2, caption="x " * 5_000)) for n in range(12)])
        assert len(seen) == 3 + 3
    assert len(list(index.listed())) == 1001


def test_of_a_bad_document_only_it_is_refused_and_its_letter_stays_until_it_is_taken(
    stage: Stage, sink: OpenSearchSink
) -> None:
    index = sink.open(GENERATION)
    delivered = index.deliver(
        [Put(document("a.jpg")), Put(document("bad.jpg", width=3_000_000_000)), Put(document("c.jpg"))]
    )
    assert delivered.put == 2
    (refused,) = delivered.refused
    assert refused.key == "bad.jpg" and refused.kind == "mapper_parsing_exception" and "width" in refused.reason
    assert set(index.indexed(["a.jpg", "bad.jpg", "c.jpg"])) == {"a.jpg", "c.jpg"}
    letter = stage.letters()["bad.jpg"]
    assert letter["id"] == document_id(BUCKET, "bad.jpg") and letter["generation"] == GENERATION
    assert letter["tag"] == "1:etag-1" and letter["reason"] == refused.reason and letter["at"].endswith("Z")
    index.commit()
    index.deliver([Put(document("bad.jpg", 2))])
    assert not stage.letters()


def test_a_letter_goes_with_its_image(stage: Stage, sink: OpenSearchSink) -> None:
    index = sink.open(GENERATION)
    index.deliver([Put(document("bad.jpg", created_at="yesterday"))])
    assert set(stage.letters()) == {"bad.jpg"}
    assert index.deliver([Remove("bad.jpg", 5)]) == Delivered()
    assert not stage.letters()


def test_a_letter_of_another_process_goes_after_the_next_comparison(stage: Stage, sink: OpenSearchSink) -> None:
    index = sink.open(GENERATION)
    index.commit()
    other = stage.sink()
    refusing = other.open(GENERATION)
    refusing.deliver([Put(document("gone.jpg", width=1 << 40)), Put(document("still.jpg", width=1 << 40))])
    stage.letters()
    assert not list(index.listed())
    index.deliver([Put(document("still.jpg", width=1 << 40))])
    index.completed()
    assert set(stage.letters()) == {"still.jpg"}
    other.close()


def test_text_that_is_none_is_refused_before_it_is_sent(stage: Stage, sink: OpenSearchSink) -> None:
    index = sink.open(GENERATION)
    delivered = index.deliver([Put(document("a.jpg", title="half \ud800")), Put(document("b.jpg"))])
    assert delivered.put == 1 and delivered.refused[0].key == "a.jpg"
    assert set(stage.letters()) == {"a.jpg"}


def test_letters_of_two_generations_do_not_mix(stage: Stage, sink: OpenSearchSink) -> None:
    one, two = sink.open(GENERATION), sink.open(OTHER)
    one.deliver([Put(document("bad.jpg", width=1 << 40))])
    two.deliver([Put(document("bad.jpg"))])
    assert stage.letters()["bad.jpg"]["generation"] == GENERATION


def test_requests_are_compressed(stage: Stage, sink: OpenSearchSink) -> None:
    index = sink.open(GENERATION)
    seen, rule = counting()
    with stage.proxy.rule(rule):
        index.deliver([Put(document("a.jpg"))])
    assert b"content-encoding: gzip" in seen[0].lower() and json.dumps("a.jpg").encode() not in seen[0]


def with_plugins(stage: Stage, *plugins: str) -> Rule:
    rows = [{"name": "node", "component": plugin, "version": "3.1.0"} for plugin in plugins]
    return instead(said("200 OK", rows), 9, "GET /_cat/plugins")


def test_where_the_plugin_is_vectors_get_a_field_with_the_first_of_them(stage: Stage, sink: OpenSearchSink) -> None:
    with stage.proxy.rule(with_plugins(stage, "opensearch-knn")):
        index = sink.open(GENERATION)
    settings = stage.ask("GET", f"/{index.physical}/_settings")[index.physical]["settings"]["index"]
    assert settings["knn"] == "true"

    def properties() -> Any:
        return stage.ask("GET", f"/{index.physical}/_mapping")[index.physical]["mappings"]["properties"]

    assert index.deliver([Put(document("none.jpg"))]).put == 1 and "vector" not in properties()
    # Another process that opened it before knows of no field either.
    other = stage.sink()
    with stage.proxy.rule(with_plugins(stage, "opensearch-knn")):
        second = other.open(GENERATION)
    assert index.deliver([Put(full("a.jpg"))]).put == 1
    assert (properties()["vector"]["type"], properties()["vector"]["dimension"]) == ("knn_vector", 8)
    assert second.deliver([Put(full("b.jpg"))]).put == 1
    source = stage.ask("GET", f"/{index.physical}/_doc/{document_id(BUCKET, 'b.jpg')}")["_source"]
    # It is kept once, in the form that documents have.
    assert "vector" not in source and from_source(source) == full("b.jpg")
    other.close()


def test_without_the_plugin_vectors_are_kept_and_not_indexed(stage: Stage, sink: OpenSearchSink) -> None:
    index = sink.open(GENERATION)
    index.deliver([Put(full("a.jpg"))])
    mappings = stage.ask("GET", f"/{index.physical}/_mapping")[index.physical]["mappings"]
    assert "vector" not in mappings["properties"] and not mappings["_meta"]["stockmeta"]["vectors"]
    source = stage.ask("GET", f"/{index.physical}/_doc/{document_id(BUCKET, 'a.jpg')}")["_source"]
    assert from_source(source).embedding == full("a.jpg").embedding


def test_a_field_of_vectors_that_is_refused_is_told(stage: Stage, sink: OpenSearchSink) -> None:
    with stage.proxy.rule(with_plugins(stage, "opensearch-knn")):
        index = sink.open(GENERATION)
    refused = said("400 Bad Request", error("mapper_parsing_exception", "Dimension value cannot be greater than 4"))
    with (
        stage.proxy.rule(instead(refused, 1, r"PUT /[^ ]+/_mapping")),
        pytest.raises(ConfigurationError, match="cannot be greater than 4"),
    ):
        index.deliver([Put(full("a.jpg"))])


def test_the_cluster_gives_up_on_a_shard_before_we_give_up_on_the_cluster(stage: Stage) -> None:
    sink = stage.sink(read=30.0)
    index = sink.open(GENERATION)
    seen, rule = counting()
    with stage.proxy.rule(rule):
        index.deliver([Put(document("a.jpg"))])
    assert b"timeout=15s" in seen[0] and b"require_alias=true" in seen[0]
    sink.close()


def test_a_model_with_other_dimensions_costs_only_its_own_documents(stage: Stage, sink: OpenSearchSink) -> None:
    with stage.proxy.rule(with_plugins(stage, "opensearch-knn")):
        index = sink.open(GENERATION)
    path = f"/{index.physical}/_mapping"
    # What another process did in the meantime.
    stage.ask("PUT", path, {"properties": {"vector": vector_field(Engine(False, True, False), 16)}})
    refused = said("400 Bad Request", error("illegal_argument_exception", "Mapper for [vector] conflicts"))
    item = {"status": 400, "error": {"type": "mapper_parsing_exception", "reason": "Vector dimension mismatch"}}
    answer = said("200 OK", {"errors": True, "items": [{"index": item}]})
    with stage.proxy.rule(instead(refused, 1, r"PUT /[^ ]+/_mapping"), instead(answer, 1)):
        assert [each.reason for each in index.deliver([Put(full("a.jpg"))]).refused] == ["Vector dimension mismatch"]


def test_elasticsearch_is_asked_in_its_own_words(stage: Stage, sink: OpenSearchSink) -> None:
    """As far as osmem goes along: it has no `_pit` and no `dense_vector`."""
    root = {"version": {"number": "8.15.0", "build_flavor": "default"}, "tagline": "You Know, for Search"}
    seen, rule = counting(r"POST /[^ ]+/_pit")
    with stage.proxy.rule(instead(said("200 OK", root, "X-Elastic-Product: Elasticsearch"), 9, "GET / "), rule):
        index = sink.open(GENERATION)
        index.deliver([Put(document(key)) for key in ("a.jpg", "b.jpg")])
        assert [each.key for each in index.listed()] == ["a.jpg", "b.jpg"]
    assert len(seen) == 1
    settings = stage.ask("GET", f"/{index.physical}/_settings")[index.physical]["settings"]["index"]
    assert "knn" not in settings


def test_an_index_that_is_made_again_is_told_from_the_one_before(stage: Stage, sink: OpenSearchSink) -> None:
    first = sink.open(GENERATION)
    assert sink.open(GENERATION).name == first.name == stage.sink().open(GENERATION).name
    stage.ask("DELETE", f"/{first.physical}")
    second = sink.open(GENERATION)
    assert second.physical == first.physical and second.name != first.name
    # What was compared was not this one.
    with pytest.raises(Unavailable, match="made anew"):
        first.completed()
    assert not second.complete


def test_a_label_that_looks_like_a_date_is_a_word(stage: Stage, sink: OpenSearchSink) -> None:
    index = sink.open(GENERATION)
    terms = (Term(1, None, {"fr": "2024/01/01"}, 1.0, "human"),)
    assert index.deliver([Put(document("a.jpg", keywords=terms))]).put == 1
    words = (Term(1, None, {"fr": "plage"}, 1.0, "human"),)
    assert index.deliver([Put(document("b.jpg", keywords=words))]).put == 1
