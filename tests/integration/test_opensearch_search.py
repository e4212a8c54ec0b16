"""Searches by words in osmem-server; it has no vectors to search, so that the form of those is a unit test."""

import logging
from collections.abc import Iterator

import pytest
from osmem_server import OsmemServer

from tasks.errors import ConfigurationError
from tasks.feeding.document import Term, document_id
from tasks.feeding.ports import Put
from tasks.records import Category
from tasks.searching.ports import Filters, WordQuery
from tests.integration.opensearch_stage import Stage, running, staged
from tests.worker.feeds.opensearch.indexed_documents import BUCKET, GENERATION, document, full, unit
from worker.feeds.opensearch.searcher import OpenSearchSearcher

DOCUMENTS = {
    "2024/beach.jpg": full("2024/beach.jpg"),
    "2024/dog.jpg": document(
        "2024/dog.jpg",
        keywords=(Term(1, "sm:dog", {"en": "dog", "ko": "개"}, 0.9, "generated"),),
        orientation="portrait",
        people=True,
        color_names=("red", "white"),
        model="starter",
    ),
    "2025/city.jpg": document(
        "2025/city.jpg",
        title="Streets of Busan at night",
        keywords=(Term(1, None, {"en": "skyline"}, 1.0, "human"),),
        categories={"adobe": (Category("2", "Buildings", 0.9),)},
        orientation="landscape",
        people=False,
        model="starter",
    ),
}
NONE = Filters()
KEYS = {document_id(BUCKET, key): key for key in DOCUMENTS}


@pytest.fixture(scope="module")
def server() -> Iterator[OsmemServer]:
    with running() as server:
        yield server


@pytest.fixture(scope="module")
def stage(server: OsmemServer) -> Iterator[Stage]:
    with staged(server) as stage:
        sink = stage.sink()
        index = sink.open(GENERATION)
        index.deliver([Put(each) for each in DOCUMENTS.values()])
        index.commit()
        sink.serve(index)
        sink.close()
        yield stage


@pytest.fixture
def searcher(stage: Stage) -> Iterator[OpenSearchSearcher]:
    access, patience = stage.access()
    searcher = OpenSearchSearcher(access, BUCKET, "", stage.alias, patience)
    yield searcher
    searcher.close()


def found(searcher: OpenSearchSearcher, query: WordQuery, filters: Filters = NONE) -> list[str]:
    return [KEYS[each.id] for each in searcher.by_words(query, filters, 10)]


def test_it_tells_of_which_generation_and_model_it_is(searcher: OpenSearchSearcher) -> None:
    assert (searcher.generation, searcher.model) == (GENERATION, "starter")


def test_concepts_are_ranked_by_how_much_they_say_of_the_picture(searcher: OpenSearchSearcher) -> None:
    assert found(searcher, WordQuery("dog", "en", {"sm:dog": 1.0})) == ["2024/dog.jpg", "2024/beach.jpg"]
    assert found(searcher, WordQuery("dog beach", "en", {"sm:dog": 1.0, "sm:beach": 1.0})) == [
        "2024/beach.jpg",
        "2024/dog.jpg",
    ]


def test_other_words_are_found_in_texts_whatever_their_form(searcher: OpenSearchSearcher) -> None:
    assert found(searcher, WordQuery("skylines", "en", {}, ("skylines",))) == ["2025/city.jpg"]
    assert found(searcher, WordQuery("street", "en", {}, ("street",))) == ["2025/city.jpg"]
    assert found(searcher, WordQuery("nothing such", "en", {}, ("nothing", "such"))) == []
    assert found(searcher, WordQuery("  ", "en", {})) == []


def test_korean_words_are_found_in_korean_labels(searcher: OpenSearchSearcher) -> None:
    assert found(searcher, WordQuery("해변", "ko", {}, ("해변",))) == ["2024/beach.jpg"]


def test_a_hit_tells_what_it_was_found_by(searcher: OpenSearchSearcher) -> None:
    hits = searcher.by_words(WordQuery("dog Rex", "en", {"sm:dog": 1.0}, ("rex",)), NONE, 10)
    assert {KEYS[hit.id]: set(hit.why) for hit in hits} == {
        "2024/beach.jpg": {"sm:dog", "rex", "dog Rex"},
        "2024/dog.jpg": {"sm:dog", "dog Rex"},
    }
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


@pytest.mark.parametrize(
    ("filters", "keys"),
    [
        (Filters(orientation="portrait"), ["2024/dog.jpg"]),
        (Filters(people=True), ["2024/dog.jpg"]),
        (Filters(people=False), ["2024/beach.jpg"]),
        (Filters(colors=("red", "white")), ["2024/dog.jpg"]),
        (Filters(colors=("red", "blue")), []),
        (Filters(categories=(("adobe", "1"), ("iptc", "20000500"))), ["2024/beach.jpg"]),
        (Filters(prefix="2024/b"), ["2024/beach.jpg"]),
        (Filters(prefix="2025/"), []),
    ],
)
def test_filters(searcher: OpenSearchSearcher, filters: Filters, keys: list[str]) -> None:
    assert found(searcher, WordQuery("dog", "en", {"sm:dog": 1.0}), filters) == keys


def test_documents_come_back_whole(searcher: OpenSearchSearcher) -> None:
    ids = [*KEYS, "0" * 64]
    assert searcher.documents(ids) == {document_id(BUCKET, key): each for key, each in DOCUMENTS.items()}


def test_without_vectors_it_is_said_once_and_words_go_on(
    searcher: OpenSearchSearcher, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="worker.feeds.opensearch.searcher"):
        assert searcher.by_vector(unit(1), NONE, 5) == ()
        assert searcher.by_vector(unit(2), NONE, 5) == ()
    assert len(caplog.records) == 1 and "no vectors" in caplog.text


def test_where_nothing_serves_it_is_said_what_to_do(stage: Stage) -> None:
    access, patience = stage.access()
    with pytest.raises(ConfigurationError, match="stockmeta feed opensearch"):
        OpenSearchSearcher(access, BUCKET, "", "stockmeta-nothing-there", patience)
    stage.ask("PUT", "/stockmeta-foreign")
    with pytest.raises(ConfigurationError, match="no index of stockmeta's"):
        OpenSearchSearcher(access, BUCKET, "", "stockmeta-foreign", patience)
    with pytest.raises(ConfigurationError, match=f"the library {BUCKET}/, and not of this one"):
        OpenSearchSearcher(access, BUCKET, "2024/", stage.alias, patience)
