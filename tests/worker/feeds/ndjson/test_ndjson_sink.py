"""Which files serve, generation by generation."""

import pytest

from tasks.errors import ConfigurationError, Unavailable
from tasks.feeding.ports import Index
from tasks.ports import Fetched
from tests.worker.feeds.ndjson.ndjson_feeds import BUCKET, GENERATION, FailingStore, manifest, names, put, read, sink
from worker.feeds.ndjson.index import NdjsonIndex
from worker.feeds.ndjson.replay import documents
from worker.feeds.ndjson.sink import NdjsonSink
from worker.storage.memory import MemoryStore

OTHER = "ba9876543210"


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore("files")


def test_nothing_serves_before_it_is_said(store: MemoryStore) -> None:
    made = sink(store)
    index = made.open(GENERATION)
    index.deliver([put("a.jpg")])
    index.completed()
    assert made.serving() is None
    with pytest.raises(ConfigurationError, match="nothing serves below 'photos/'"):
        read(store)
    made.serve(index)
    made.serve(index)
    assert made.serving() == GENERATION
    assert read(store) == {"a.jpg": 1}


def test_another_generation_serves_in_one_step_and_the_first_stays(store: MemoryStore) -> None:
    made = sink(store)
    first = made.open(GENERATION)
    first.deliver([put("a.jpg", 1)])
    made.serve(first)
    second = made.open(OTHER)
    second.deliver([put("a.jpg", 2)])
    second.commit()
    assert read(store) == {"a.jpg": 1}
    made.serve(second)
    assert read(store) == {"a.jpg": 2}
    made.serve(made.open(GENERATION))
    assert read(store) == {"a.jpg": 1}


def test_one_anew_is_beside_the_one_that_serves_until_it_does(store: MemoryStore) -> None:
    made = sink(store)
    first = made.open(GENERATION)
    first.deliver([put("a.jpg", 1), put("b.jpg", 1)])
    first.completed()
    made.serve(first)
    begun = made.open(GENERATION, anew=True)
    assert list(begun.listed()) == []
    begun.deliver([put("c.jpg", 1)])
    begun.commit()
    assert sorted(found.key for found in sink(store).open(GENERATION).listed()) == ["a.jpg", "b.jpg"]
    third = made.open(GENERATION, anew=True)
    third.deliver([put("b.jpg", 1)])
    third.completed()
    assert read(store) == {"a.jpg": 1, "b.jpg": 1}
    made.serve(third)
    assert read(store) == {"b.jpg": 1}
    folders = {name.split("/")[1] for name in names(store, f"{BUCKET}/")}
    assert folders == {"serving.json", f"{GENERATION}-3"}
    with pytest.raises(ConfigurationError, match="another feed writes"):
        _deliver_and_commit(begun)
    assert [found.key for found in sink(store).open(GENERATION).listed()] == ["b.jpg"]


def _deliver_and_commit(index: Index) -> None:
    index.deliver([put("z.jpg")])
    index.commit()


def test_what_somebody_put_beside_the_files_stays(store: MemoryStore) -> None:
    made = sink(store)
    first = made.open(GENERATION)
    first.deliver([put("a.jpg")])
    made.serve(first)
    theirs = [f"photos/{GENERATION}/{name}" for name in ("README.md", "snapshot-1.ndjson.gz", "more/x")]
    for key in theirs:
        store.put(key, b"theirs", if_match=None)
    anew = made.open(GENERATION, anew=True)
    anew.deliver([put("b.jpg")])
    made.serve(anew)
    assert names(store, f"photos/{GENERATION}/") == sorted(theirs)
    # Their folder is not taken for an index.
    assert {found.key for found in sink(store).open(GENERATION).listed()} == {"b.jpg"}


@pytest.mark.parametrize("replaced", [True, False])
def test_files_that_go_while_they_are_read_are_no_damage(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch, replaced: bool
) -> None:
    made = sink(store)
    first = made.open(GENERATION)
    first.deliver([put("a.jpg")])
    made.serve(first)
    fetch = store.fetch

    def fetched(key: str) -> Fetched:
        monkeypatch.undo()
        if replaced:
            made.serve(made.open(GENERATION, anew=True))
        else:
            first.deliver([put("b.jpg")])
            first.commit()
            store.delete(key, if_match=fetch(key).stat.etag)
        return fetch(key)

    monkeypatch.setattr(store, "fetch", fetched)
    other = sink(store)
    with pytest.raises(Unavailable, match="another feed wrote to"):
        other.open(GENERATION)
    if replaced:
        assert not list(other.open(GENERATION).listed())


def test_libraries_do_not_meet(store: MemoryStore) -> None:
    sinks = [NdjsonSink(store, "feeds/", BUCKET), NdjsonSink(store, "feeds/", BUCKET, "2024/"), sink(store)]
    assert len({each.name for each in sinks}) == 3
    for each in sinks:
        index = each.open(GENERATION)
        index.deliver([put(f"{each.name}.jpg")])
        each.serve(index)
    assert len(documents(store, "feeds/", BUCKET)) == 1
    assert {found.key for found in documents(store, "feeds/", BUCKET, "2024/").values()} == {f"{sinks[1].name}.jpg"}
    assert len(read(store)) == 1


@pytest.mark.parametrize("root", ["/feeds/", "feeds"])
def test_a_root_that_is_no_prefix_is_refused(store: MemoryStore, root: str) -> None:
    with pytest.raises(ConfigurationError, match="root"):
        NdjsonSink(store, root, BUCKET)


def test_what_was_not_committed_is_lost_when_closed(store: MemoryStore) -> None:
    made = sink(store)
    index = made.open(GENERATION)
    index.deliver([put("a.jpg")])
    made.close()
    assert names(store) == []


def test_a_library_without_images_is_served_too(store: MemoryStore) -> None:
    made = sink(store)
    made.serve(made.open(GENERATION))
    assert (read(store), manifest(store)["documents"]) == ({}, 0)


def test_an_open_index_is_given_again_until_somebody_else_writes(store: MemoryStore) -> None:
    made = sink(store)
    index = made.open(GENERATION)
    index.deliver([put("a.jpg")])
    assert made.open(GENERATION) is index
    index.commit()
    assert made.open(GENERATION) is index
    assert [found.key for found in index.listed()] == ["a.jpg"]
    other = sink(store).open(GENERATION)
    other.deliver([put("b.jpg")])
    other.commit()
    with pytest.raises(ConfigurationError, match="another feed writes"):
        _deliver_and_commit(index)
    after = made.open(GENERATION)
    assert after.name != index.name
    assert [found.key for found in after.listed()] == ["a.jpg", "b.jpg"]
    _deliver_and_commit(after)
    made.serve(after)
    assert sorted(read(store)) == ["a.jpg", "b.jpg", "z.jpg"]


def test_an_index_whose_answer_was_lost_goes_on() -> None:
    store = FailingStore()
    made = sink(store)
    index = made.open(GENERATION)
    index.deliver([put("a.jpg")])
    # The manifest with the writer, a file, and the manifest with the file.
    store.failures = iter(["", "", "after"])
    with pytest.raises(Unavailable):
        index.commit()
    assert made.open(GENERATION) is index
    index.commit()
    made.serve(index)
    assert read(store) == {"a.jpg": 1}


def test_an_index_whose_temporary_file_failed_is_read_again(store: MemoryStore) -> None:
    made = sink(store)
    index = made.open(GENERATION)
    index.deliver([put("a.jpg")])
    index.commit()
    assert isinstance(index, NdjsonIndex)
    index._state._database.execute("DROP TABLE known")
    with pytest.raises(ConfigurationError, match="TMPDIR"):
        index.deliver([put("b.jpg")])
    after = made.open(GENERATION)
    assert after is not index
    assert [found.key for found in after.listed()] == ["a.jpg"]


@pytest.mark.parametrize("name", ["manifest.json", "snapshot-000000.ndjson.gz"])
def test_what_is_broken_is_filled_anew(store: MemoryStore, name: str) -> None:
    made = sink(store)
    first = made.open(GENERATION)
    first.deliver([put("a.jpg")])
    made.serve(first)
    key = f"{BUCKET}/{GENERATION}/{name}"
    store.put(key, b"rubbish", if_match=store.stat(key).etag)
    with pytest.raises(ConfigurationError, match="--full"):
        sink(store).open(GENERATION)
    after = sink(store)
    index = after.open(GENERATION, anew=True)
    index.deliver([put("b.jpg")])
    after.serve(index)
    assert read(store) == {"b.jpg": 1}
    assert {found.split("/")[1] for found in names(store)} == {"serving.json", f"{GENERATION}-2"}
