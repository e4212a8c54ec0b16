"""What is delivered is in the files, whatever fails."""

import gzip
import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import ConfigurationError, Unavailable
from tasks.feeding.ports import Index, Indexed, Operation, Put
from tests.worker.feeds.ndjson.ndjson_feeds import (
    BUCKET,
    GENERATION,
    FailingStore,
    document,
    lines,
    manifest,
    names,
    put,
    read,
    remove,
    sink,
)
from worker.feeds.ndjson import compaction
from worker.feeds.ndjson import index as index_module
from worker.feeds.ndjson import lines as lines_module
from worker.feeds.ndjson.index import NdjsonIndex
from worker.feeds.ndjson.sink import NdjsonSink
from worker.storage.memory import MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore("files")


@pytest.fixture
def index(store: MemoryStore) -> Iterator[Index]:
    made = sink(store)
    opened = made.open(GENERATION)
    made.serve(opened)
    yield opened
    made.close()


def again(store: Any) -> Index:
    """As another process sees it."""
    return sink(store).open(GENERATION)


def test_what_is_delivered_is_read_after_a_commit(store: MemoryStore, index: Index) -> None:
    found = index.deliver([put("b.jpg", 5), put("a.jpg", 7)])
    assert (found.put, found.removed, found.outrun, found.refused) == (2, 0, (), ())
    assert index.indexed(["a.jpg", "c.jpg"]) == {"a.jpg": Indexed("a.jpg", '1:"a.jpg-7"', 7)}
    assert read(store) == {}
    index.commit()
    assert read(store) == {"a.jpg": 7, "b.jpg": 5}
    assert list(again(store).listed()) == [Indexed("a.jpg", '1:"a.jpg-7"', 7), Indexed("b.jpg", '1:"b.jpg-5"', 5)]


def test_lines_are_as_documented(store: MemoryStore, index: Index) -> None:
    index.deliver([put("a.jpg", 7)])
    index.commit()
    index.deliver([remove("a.jpg", 8)])
    index.commit()
    (first, second) = manifest(store)["files"]
    (line,) = lines(store, first["name"])
    made = document("a.jpg", 7)
    assert {name: line[name] for name in ("op", "id", "key", "version")} == {
        "op": "put",
        "id": made.id,
        "key": "a.jpg",
        "version": 7,
    }
    assert line["document"]["tag"] == made.tag
    assert lines(store, second["name"]) == [{"op": "remove", "id": made.id, "key": "a.jpg", "version": 8}]
    assert (first["kind"], first["documents"], first["removed"], first["first"], first["last"]) == (
        "snapshot",
        1,
        0,
        7,
        7,
    )
    assert (second["kind"], second["documents"], second["removed"]) == ("changes", 0, 1)


def test_the_manifest_says_what_counts(store: MemoryStore, index: Index) -> None:
    assert not index.complete
    index.deliver([put("a.jpg", 7)])
    index.completed()
    assert index.complete
    assert again(store).complete
    found = manifest(store)
    assert (found["schema"], found["generation"], found["complete"], found["documents"]) == (
        "stockmeta-ndjson/1",
        GENERATION,
        True,
        1,
    )
    assert found["library"] == {"bucket": BUCKET, "prefix": ""}
    assert found["document"] == {"schema": "stockmeta-document/1", "version": 1}
    (file,) = found["files"]
    data = store.read(f"{BUCKET}/{GENERATION}/{file['name']}")
    assert data is not None
    assert file["bytes"] == len(data[0])


def test_same_content_gives_same_bytes(store: MemoryStore, index: Index) -> None:
    other = MemoryStore("other")
    second = sink(other).open(GENERATION)
    for each in (index, second):
        each.deliver([put("a.jpg", 7), put("b.jpg", 9)])
        each.commit()
    name = f"{BUCKET}/{GENERATION}/snapshot-000000.ndjson.gz"
    one, two = store.read(name), other.read(name)
    assert one and two
    assert one[0] == two[0]
    assert gzip.decompress(one[0]).count(b"\n") == 2


@pytest.mark.parametrize("version", [6, 7])
def test_what_is_as_old_or_older_is_outrun(index: Index, version: int) -> None:
    index.deliver([put("a.jpg", 7)])
    found = index.deliver([put("a.jpg", version), remove("b.jpg", 1)])
    assert (found.put, found.removed, found.outrun) == (0, 0, ("a.jpg",))
    assert index.deliver([remove("a.jpg", version)]).outrun == ("a.jpg",)
    assert index.indexed(["a.jpg"])["a.jpg"].version == 7


def test_a_removal_leaves_a_tombstone_and_what_is_forced_comes_back(store: MemoryStore, index: Index) -> None:
    index.deliver([put("a.jpg", 7)])
    assert index.deliver([remove("a.jpg", 100)]).removed == 1
    assert index.indexed(["a.jpg"]) == {}
    assert index.deliver([remove("a.jpg", 101)]) == index.deliver([remove("b.jpg", 101)])
    assert index.deliver([put("a.jpg", 8)]).outrun == ("a.jpg",)
    assert index.deliver([put("a.jpg", 8, forced=True)]).put == 1
    assert index.indexed(["a.jpg"]) == {"a.jpg": Indexed("a.jpg", '1:"a.jpg-8"', 102)}
    index.commit()
    assert read(store) == {"a.jpg": 8}
    assert again(store).indexed(["a.jpg"])["a.jpg"].version == 102


def test_what_was_never_there_leaves_no_line(store: MemoryStore, index: Index) -> None:
    index.deliver([remove("a.jpg", 9)])
    index.commit()
    assert manifest(store)["files"] == []
    assert index.deliver([put("a.jpg", 9)]).outrun == ("a.jpg",)


def test_keys_come_in_the_order_of_bytes(index: Index) -> None:
    keys = ["b", "a/b", "a b", "ä", "한", "𝄞", "Z", "￿"]
    index.deliver([put(key) for key in keys])
    assert [found.key for found in index.listed()] == sorted(keys, key=lambda key: key.encode())


def test_a_feed_that_finds_nothing_to_do_writes_nothing(store: MemoryStore, index: Index) -> None:
    index.deliver([put("a.jpg", 7)])
    index.completed()
    before = manifest(store)
    other = again(store)
    assert other.deliver([put("a.jpg", 7)]).outrun == ("a.jpg",)
    other.commit()
    other.completed()
    assert manifest(store) == before
    index.deliver([put("a.jpg", 8)])
    index.commit()
    assert read(store) == {"a.jpg": 8}


def test_opening_and_looking_writes_nothing(store: MemoryStore) -> None:
    index = again(store)
    assert (index.complete, list(index.listed()), index.indexed(["a.jpg"])) == (False, [], {})
    index.commit()
    assert names(store) == []


def test_the_second_of_two_writers_is_told(store: MemoryStore, index: Index) -> None:
    index.deliver([put("a.jpg", 1)])
    index.commit()
    other = again(store)
    other.deliver([put("b.jpg", 1)])
    other.commit()
    index.deliver([put("c.jpg", 1)])
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="another feed writes to 'photos/0123456789ab/' in 'files'"):
            index.commit()
    assert read(store) == {"a.jpg": 1, "b.jpg": 1}
    other.deliver([put("d.jpg", 1)])
    other.commit()
    assert read(store) == {"a.jpg": 1, "b.jpg": 1, "d.jpg": 1}
    third = again(store)
    third.deliver([put("e.jpg", 1)])
    third.commit()
    assert read(store) == {"a.jpg": 1, "b.jpg": 1, "d.jpg": 1, "e.jpg": 1}
    assert len(names(store, f"{BUCKET}/{GENERATION}/")) == 1 + len(manifest(store)["files"])


def test_two_who_begin_at_once_do_not_both_write(store: MemoryStore) -> None:
    one, two = again(store), again(store)
    one.deliver([put("a.jpg", 1)])
    two.deliver([put("b.jpg", 1)])
    one.commit()
    with pytest.raises(ConfigurationError, match="another feed"):
        two.commit()


def test_what_a_killed_feed_left_is_removed_by_the_next_that_writes(store: MemoryStore, index: Index) -> None:
    index.deliver([put("a.jpg", 1)])
    index.commit()
    left = f"{BUCKET}/{GENERATION}/changes-000007.ndjson.gz"
    store.put(left, b"half", if_match=None)
    store.put(f"{BUCKET}/{GENERATION}/NOTES.txt", b"an operator's", if_match=None)
    other = again(store)
    assert left in names(store)
    other.deliver([put("b.jpg", 1)])
    other.commit()
    assert left not in names(store)
    assert f"{BUCKET}/{GENERATION}/NOTES.txt" in names(store)
    assert manifest(store)["files"][-1]["name"] == "snapshot-000008.ndjson.gz"


@pytest.mark.parametrize("failure", ["before", "after"])
@pytest.mark.parametrize("at", range(4))
def test_a_store_that_fails_loses_nothing_and_doubles_nothing(failure: str, at: int) -> None:
    """The writes: the manifest with the writer, a file, the manifest with the file, the one that is complete."""
    store = FailingStore()
    made = sink(store)
    index = made.open(GENERATION)
    store.failures = iter([""] * at + [failure])
    index.deliver([put("a.jpg", 1), put("b.jpg", 1)])
    with pytest.raises(Unavailable):
        index.completed()
    index.deliver([put("c.jpg", 1)])
    index.completed()
    made.serve(index)
    assert read(store) == {"a.jpg": 1, "b.jpg": 1, "c.jpg": 1}
    assert manifest(store)["documents"] == 3
    assert sum(file["documents"] for file in manifest(store)["files"]) == 3
    assert again(store).complete


def test_an_answer_that_was_lost_is_known_after_more_failures() -> None:
    """What is there is our own, though two more writes failed since."""
    store = FailingStore()
    made = sink(store)
    index = made.open(GENERATION)
    made.serve(index)
    index.deliver([put("a.jpg", 1)])
    index.commit()
    # A file, its manifest, of which the answer is lost; and twice a file and a manifest that does not arrive.
    store.failures = iter(["", "after", "", "before", "", "before"])
    for version in range(2, 5):
        index.deliver([put("a.jpg", version)])
        with pytest.raises(Unavailable):
            index.commit()
    index.commit()
    assert read(store) == {"a.jpg": 4}
    assert [file["documents"] for file in manifest(store)["files"]] == [1, 1, 2]


@pytest.mark.parametrize("damage", ["gone", "other", "odd"])
def test_a_broken_file_is_named_with_what_to_do(store: MemoryStore, index: Index, damage: str) -> None:
    index.deliver([put("a.jpg", 1)])
    index.commit()
    name = f"{BUCKET}/{GENERATION}/snapshot-000000.ndjson.gz"
    found = store.read(name)
    assert found
    if damage == "gone":
        store.delete(name, if_match=found[1])
    elif damage == "other":
        store.put(name, found[0][:-1] + b"x", if_match=found[1])
    else:
        odd = gzip.compress(b'{"op": "put"}\n')
        store.put(name, odd, if_match=found[1])
        said = manifest(store)
        said["files"][0]["sha256"] = hashlib.sha256(odd).hexdigest()
        old = store.read(f"{BUCKET}/{GENERATION}/manifest.json")
        assert old
        store.put(f"{BUCKET}/{GENERATION}/manifest.json", json.dumps(said).encode(), if_match=old[1])
    for reading in (lambda: again(store), lambda: read(store)):
        with pytest.raises(ConfigurationError, match=r"snapshot-000000\.ndjson\.gz.* --full"):
            reading()


@pytest.mark.parametrize("name", ["serving.json", f"{GENERATION}/manifest.json"])
def test_a_manifest_that_is_none_is_named(store: MemoryStore, index: Index, name: str) -> None:
    index.commit()
    found = store.read(f"{BUCKET}/{name}")
    assert found
    store.put(f"{BUCKET}/{name}", b"{}", if_match=found[1])
    with pytest.raises(ConfigurationError, match=f"{name} cannot be understood"):
        again(store)


def test_many_documents_make_several_files(store: MemoryStore, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "MOST_LINES", 10)
    for start in range(0, 40, 5):
        index.deliver([put(f"{number:03d}.jpg") for number in range(start, start + 5)])
    index.completed()
    files = manifest(store)["files"]
    assert [(file["kind"], file["documents"]) for file in files] == [("snapshot", 10)] * 4
    assert len(read(store)) == 40


def test_more_changes_than_documents_become_a_snapshot_and_readers_of_the_old_one_go_on(
    store: MemoryStore, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "SPARE", 3)
    index.deliver([put("a.jpg", 1), put("b.jpg", 1), put("c.jpg", 1)])
    index.completed()
    index.deliver([remove("c.jpg", 2)])
    index.commit()
    for version in range(2, 6):
        index.deliver([put("a.jpg", version)])
        index.commit()
    before = manifest(store)
    index.deliver([put("a.jpg", 9)])
    index.commit()
    after = manifest(store)
    assert [file["kind"] for file in after["files"]] == ["snapshot"]
    assert after["documents"] == after["files"][0]["documents"] == 2
    assert read(store) == {"a.jpg": 9, "b.jpg": 1}
    folder = f"{BUCKET}/{GENERATION}"
    assert {f"{folder}/{file['name']}" for file in before["files"]} <= set(names(store))
    for version in range(10, 17):
        index.deliver([put("a.jpg", version)])
        index.commit()
    there = {name.rpartition("/")[2] for name in names(store, folder)}
    last = manifest(store)
    assert there == {"manifest.json", *last["superseded"], *(file["name"] for file in last["files"])}
    assert not {file["name"] for file in before["files"]} & there
    assert {found.key: found.version for found in again(store).listed()} == read(store) == {"a.jpg": 16, "b.jpg": 1}


def test_many_small_files_become_one(store: MemoryStore, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "MOST_FILES", 5)
    index.deliver([put(f"{number:03d}.jpg") for number in range(30)])
    index.completed()
    for number in range(5):
        index.deliver([put(f"{number % 2:03d}.jpg", number + 2)])
        index.commit()
    index.deliver([remove("020.jpg", 2)])
    index.commit()
    files = manifest(store)["files"]
    assert [(file["kind"], file["documents"], file["removed"]) for file in files] == [
        ("snapshot", 30, 0),
        ("changes", 2, 1),
    ]
    found = read(store)
    assert (found["000.jpg"], found["001.jpg"], len(found)) == (6, 5, 29)
    assert {each.key: each.version for each in again(store).listed()} == found


def test_a_removal_that_came_twice_outlives_the_files_it_was_in(
    store: MemoryStore, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "MOST_FILES", 3)
    index.deliver([put("a.jpg"), put("b.jpg")])
    index.completed()
    index.deliver([remove("a.jpg", 2)])
    index.commit()
    index.deliver([remove("a.jpg", 3)])
    for version in range(2, 5):
        index.deliver([put("b.jpg", version)])
        index.commit()
    assert [file["kind"] for file in manifest(store)["files"]] == ["snapshot", "changes"]
    assert read(store) == {"b.jpg": 4} == {found.key: found.version for found in again(store).listed()}


def test_rewriting_goes_on_from_commit_to_commit_while_files_are_added(
    store: MemoryStore, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "COMMIT_SECONDS", 0.0)
    monkeypatch.setattr(compaction, "SPARE", 1_000_000)
    index.deliver([put("a.jpg", 1), put("b.jpg", 1), put("c.jpg", 1)])
    for version in range(2, 8):
        index.deliver([put("a.jpg", version), put(f"{version}.jpg")])
        index.commit()
    monkeypatch.setattr(compaction, "SPARE", 0)
    for version in range(8, 14):
        before = [file["name"] for file in manifest(store)["files"]]
        index.deliver([put("a.jpg", version), remove(f"{version - 6}.jpg", 2)])
        index.commit()
        assert [file["name"] for file in manifest(store)["files"]][: len(before)] == before
        assert read(store)["a.jpg"] == version
    monkeypatch.setattr(index_module, "COMMIT_SECONDS", 60.0)
    index.commit()
    files = manifest(store)["files"]
    assert [file["kind"] for file in files] == ["snapshot"] + ["changes"] * 5
    assert (
        read(store)
        == {"a.jpg": 13, "b.jpg": 1, "c.jpg": 1}
        == {found.key: found.version for found in again(store).listed()}
    )


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, list[Operation]]]:
    """Batches of operations, each followed by what may happen between two."""
    steps = []
    for _ in range(draw(st.integers(1, 12))):
        keys = draw(st.lists(st.sampled_from("abcdef"), unique=True, max_size=4))
        batch: list[Operation] = [
            put(key, draw(st.integers(1, 9)), forced=draw(st.booleans()))
            if draw(st.booleans())
            else remove(key, draw(st.integers(1, 9)))
            for key in keys
        ]
        steps.append((draw(st.sampled_from(["", "commit", "reopen", "fail", "lost"])), batch))
    return steps


@settings(max_examples=30)
@given(histories(), st.sampled_from([2, 1000]))
def test_any_history_reads_as_it_was_delivered(history: list[tuple[str, list[Operation]]], spare: int) -> None:
    """Against a dictionary that does the same by the rule of versions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compaction, "MOST_FILES", 2)
        patch.setattr(compaction, "SPARE", spare)
        patch.setattr(index_module, "COMMIT_SECONDS", 0.0)
        store = FailingStore()
        made: NdjsonSink = sink(store)
        index = made.open(GENERATION)
        made.serve(index)
        model: dict[str, tuple[int, str | None]] = {}
        for what, batch in history:
            outrun = index.deliver(batch).outrun
            for operation in batch:
                key = operation.document.key if isinstance(operation, Put) else operation.key
                version = operation.document.version if isinstance(operation, Put) else operation.version
                forced = isinstance(operation, Put) and operation.forced
                was = model.get(key, (0, None))[0]
                assert (key in outrun) == (was >= version and not forced)
                if key not in outrun:
                    tag = operation.document.tag if isinstance(operation, Put) else None
                    model[key] = (max(version, was + 1) if forced else version, tag)
            if what == "commit":
                index.commit()
            if what in ("fail", "lost"):
                store.failures = iter(["", "before"] if what == "fail" else ["", "after"])
                with suppress(Unavailable):
                    index.commit()
                store.failures = iter(())
            if what == "reopen":
                index.commit()
                made.close()
                made = sink(store)
                index = made.open(GENERATION)
                # Tombstones that no line tells, or that a snapshot left out, are not kept across processes.
                assert isinstance(index, NdjsonIndex)
                known = index._state.find(list(model))
                model = {key: (known[key].version, tag) for key, (_, tag) in model.items() if key in known}
        index.commit()
        live = {key: tag for key, (_, tag) in model.items() if tag}
        assert {found.key: found.tag for found in index.listed()} == live
        assert {found.key: found.tag for found in again(store).listed()} == live
        assert read(store).keys() == live.keys()
        made.close()
