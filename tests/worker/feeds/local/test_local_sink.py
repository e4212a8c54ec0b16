import multiprocessing
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import ConfigurationError
from tasks.feeding.ports import Delivered, Indexed, Operation, Put, Remove
from tests.worker.feeds.local.made import DIMENSIONS, GENERATION, contents, document
from worker.feeds.local.index import LocalIndex
from worker.feeds.local.rows import Rows
from worker.feeds.local.sink import LocalSink


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def sink(folder: Path) -> Iterator[LocalSink]:
    made = LocalSink(folder, "b")
    yield made
    made.close()


def test_what_was_delivered_is_there_at_once_and_after_opening_again(folder: Path, sink: LocalSink) -> None:
    index = sink.open(GENERATION)
    assert not index.complete
    assert index.deliver([Put(document("a", version=3)), Put(document("b", seed=None))]) == Delivered(put=2)
    assert index.indexed(["a", "b", "c"]) == {"a": Indexed("a", "1:3", 3), "b": Indexed("b", "1:1", 1)}
    index.commit()
    index.completed()
    sink.close()
    again = LocalSink(folder, "b")
    index = again.open(GENERATION)
    assert index.complete
    assert list(index.listed()) == [Indexed("a", "1:3", 3), Indexed("b", "1:1", 1)]
    assert contents(index.folder) == ({"a": "1:3", "b": "1:1"}, {"a", "b"}, {"a"})
    again.close()


def test_a_version_as_new_or_newer_outruns(sink: LocalSink) -> None:
    index = sink.open(GENERATION)
    index.deliver([Put(document("a", version=5))])
    assert index.deliver([Put(document("a", version=5, tag="other"))]) == Delivered(outrun=("a",))
    assert index.deliver([Remove("a", 5)]) == Delivered(outrun=("a",))
    assert index.deliver([Remove("a", 6)]) == Delivered(removed=1)
    assert index.indexed(["a"]) == {}
    assert index.deliver([Put(document("a", version=6))]) == Delivered(outrun=("a",))
    assert index.deliver([Remove("a", 6)]) == Delivered(outrun=("a",))
    assert index.deliver([Put(document("a", version=7))]) == Delivered(put=1)


def test_forced_counts_on_from_what_is_there(sink: LocalSink) -> None:
    index = sink.open(GENERATION)
    # Nothing was there: the version of a removal is a clock, and far above any revision.
    assert index.deliver([Remove("a", 10**15)]) == Delivered()
    assert index.deliver([Put(document("a", version=2))]) == Delivered(outrun=("a",))
    assert index.deliver([Put(document("a", version=2), forced=True)]) == Delivered(put=1)
    assert index.indexed(["a"]) == {"a": Indexed("a", "1:2", 10**15 + 1)}
    assert index.deliver([Put(document("a", version=10**16), forced=True)]) == Delivered(put=1)
    assert index.indexed(["a"])["a"].version == 10**16


def test_listed_is_in_the_order_of_bytes(sink: LocalSink) -> None:
    keys = ["b", "a/b", "a-b", "a", "Z", "é", "강/아", "\U0001f600", "\uffee", "a//"]
    index = sink.open(GENERATION)
    index.deliver([Put(document(key, seed=None)) for key in keys])
    listed = [each.key for each in index.listed()]
    assert listed == sorted(keys, key=str.encode)
    # UTF-16, and with it JavaScript and Java, would have another order for the last two.
    assert listed[-2:] == ["\uffee", "\U0001f600"]


def test_the_index_may_be_written_to_while_it_is_listed(sink: LocalSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.feeds.local.rows._PAGE", 3)
    index = sink.open(GENERATION)
    index.deliver([Put(document(f"k{i}", seed=None)) for i in range(10)])
    seen = []
    for each in index.listed():
        seen.append(each.key)
        index.deliver([Remove(each.key, 2)])
    index.commit()
    assert seen == [f"k{i}" for i in range(10)]
    assert list(index.listed()) == []


def test_a_document_whose_vector_does_not_fit_is_refused_alone(sink: LocalSink) -> None:
    index = sink.open(GENERATION)
    good, bad = document("good"), document("bad", seed=None)
    short = type(good.embedding)(8, good.embedding.float16[:16])
    of_another_model = type(bad)(**{name: getattr(bad, name) for name in bad.__slots__} | {"embedding": short})
    result = index.deliver([Put(good), Put(of_another_model)])
    assert result.put == 1
    assert [(each.key, each.kind) for each in result.refused] == [("bad", "embedding")]
    assert f"{DIMENSIONS}" in result.refused[0].reason
    with sqlite3.connect(index.folder / "documents.sqlite") as connection:
        assert connection.execute("SELECT key, kind FROM dead_letters").fetchall() == [(b"bad", "embedding")]
        index.deliver([Put(bad)])
        assert connection.execute("SELECT key, kind FROM dead_letters").fetchall() == []


def test_a_key_that_is_no_text_is_refused_as_such(sink: LocalSink) -> None:
    key = b"caf\xe9.jpg".decode(errors="surrogateescape")
    index = sink.open(GENERATION)
    [refused] = index.deliver([Put(document(key))]).refused
    assert (refused.key, refused.kind) == (key, "text")
    assert index.deliver([Remove(key, 1)]) == Delivered()
    assert index.indexed([key]) == {}


def test_versions_of_what_was_removed_are_kept_for_a_day(sink: LocalSink, monkeypatch: pytest.MonkeyPatch) -> None:
    index = sink.open(GENERATION)
    index.deliver([Put(document("a")), Put(document("b"))])
    index.deliver([Remove("a", 9)])
    index.commit()
    assert index.deliver([Put(document("a", version=8))]) == Delivered(outrun=("a",))
    now = __import__("time").time()
    monkeypatch.setattr("worker.feeds.local.index.time.time", lambda: now + 23 * 3600)
    index.commit()
    assert index.deliver([Put(document("a", version=8))]) == Delivered(outrun=("a",))
    monkeypatch.setattr("worker.feeds.local.index.time.time", lambda: now + 25 * 3600)
    index.commit()
    assert index.deliver([Put(document("a", version=8))]) == Delivered(put=1)
    assert set(index.indexed(["a", "b"])) == {"a", "b"}


def test_an_index_has_one_writer(folder: Path, sink: LocalSink) -> None:
    sink.open(GENERATION)
    other = LocalSink(folder, "b")
    with pytest.raises(ConfigurationError, match=rf"process {os.getpid()} on .*one writer"):
        other.open(GENERATION)
    assert other.serving() is None
    sink.close()
    other.open(GENERATION)
    other.close()


def test_a_dead_writer_holds_no_lock(folder: Path) -> None:
    def write_and_die() -> None:
        LocalSink(folder, "b").open(GENERATION).deliver([Put(document("a"))])
        os._exit(9)

    process = multiprocessing.get_context("fork").Process(target=write_and_die)
    process.start()
    process.join(20)
    assert process.exitcode == 9
    sink = LocalSink(folder, "b")
    assert [each.key for each in sink.open(GENERATION).listed()] == ["a"]
    sink.close()


def test_a_folder_belongs_to_one_library(folder: Path, sink: LocalSink) -> None:
    sink.open(GENERATION)
    with pytest.raises(ConfigurationError, match="another library, bucket 'b' and prefix ''"):
        LocalSink(folder, "b", "2024/")
    with pytest.raises(ConfigurationError, match="another library"):
        LocalSink(folder, "c")


def test_a_folder_of_something_else_is_left_alone(folder: Path) -> None:
    folder.mkdir()
    (folder / "holiday.jpg").write_bytes(b"jpeg")
    with pytest.raises(ConfigurationError, match="empty folder"):
        LocalSink(folder, "b").open(GENERATION)
    assert [each.name for each in folder.iterdir()] == ["holiday.jpg"]


def test_a_file_in_the_way_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="Not a directory"):
        LocalSink(tmp_path / "file" / "index", "b").open(GENERATION)


def test_nothing_serves_until_it_is_said(sink: LocalSink) -> None:
    index = sink.open(GENERATION)
    assert sink.serving() is None
    sink.serve(index)
    assert sink.serving() == GENERATION
    assert sink.open(GENERATION) is index


def test_anew_begins_empty_beside_what_serves_and_replaces_it(folder: Path, sink: LocalSink) -> None:
    old = sink.open(GENERATION)
    old.deliver([Put(document("old"))])
    old.commit()
    old.completed()
    sink.serve(old)
    new = sink.open(GENERATION, anew=True)
    assert (list(new.listed()), new.complete) == ([], False)
    assert [each.key for each in old.listed()] == ["old"]
    assert sink.open(GENERATION) is old
    sink.serve(new)
    assert sink.open(GENERATION) is new
    assert not old.folder.exists()
    assert sorted(each.name for each in folder.iterdir() if each.is_dir()) == [f"{GENERATION}-2"]


@pytest.mark.parametrize("anew", [True, False])
def test_one_that_was_never_finished_goes_with_the_next(folder: Path, sink: LocalSink, *, anew: bool) -> None:
    sink.serve(sink.open(GENERATION))
    unfinished = sink.open(GENERATION, anew=True)
    unfinished.deliver([Put(document("unfinished"))])
    assert sink.open(GENERATION).folder.name == GENERATION
    assert unfinished.folder.exists()
    sink.close()
    again = LocalSink(folder, "b")
    assert list(again.open(GENERATION, anew=anew).listed()) == []
    there = [GENERATION, f"{GENERATION}-2"] if anew else [GENERATION]
    assert sorted(each.name for each in folder.iterdir() if each.is_dir()) == there
    again.close()


def test_generations_are_beside_each_other(sink: LocalSink) -> None:
    first, second = sink.open(GENERATION), sink.open("ba9876543210")
    first.deliver([Put(document("a"))])
    assert list(second.listed()) == []
    sink.serve(first)
    sink.serve(second)
    assert sink.serving() == "ba9876543210"
    assert first.folder.exists()


def test_a_generation_is_no_path(sink: LocalSink) -> None:
    with pytest.raises(ConfigurationError, match="no generation"):
        sink.open("../elsewhere")


def test_damaged_documents_are_said_to_be_and_made_anew(folder: Path, sink: LocalSink) -> None:
    index = sink.open(GENERATION)
    index.deliver([Put(document("a"))])
    sink.serve(index)
    sink.close()
    (index.folder / "documents.sqlite").write_bytes(b"no database" * 1000)
    again = LocalSink(folder, "b")
    with pytest.raises(ConfigurationError, match=r"documents\.sqlite is damaged .*--full"):
        again.open(GENERATION)
    new = again.open(GENERATION, anew=True)
    again.serve(new)
    assert list(again.open(GENERATION).listed()) == []
    again.close()


def test_a_damaged_pointer_is_said_to_be_and_replaced(folder: Path, sink: LocalSink) -> None:
    sink.serve(sink.open(GENERATION))
    (folder / "serving.json").write_text('{"generation": 7}')
    with pytest.raises(ConfigurationError, match="damaged"):
        sink.serving()
    sink.close()
    again = LocalSink(folder, "b")
    with pytest.raises(ConfigurationError, match="damaged"):
        again.serving()
    again.serve(again.open(GENERATION, anew=True))
    assert again.serving() == GENERATION
    again.close()


OPERATIONS = st.lists(
    st.lists(
        st.tuples(st.sampled_from("abcdef"), st.sampled_from(["put", "forced", "remove"]), st.integers(1, 6)),
        unique_by=lambda each: each[0],
        max_size=6,
    ),
    max_size=8,
)


class Model:
    """What the rules say, in a dictionary: version and tag by key."""

    def __init__(self) -> None:
        self.there: dict[str, tuple[int, str | None]] = {}

    def deliver(self, delivery: list[tuple[str, str, int]], number: int) -> tuple[str, ...]:
        """Returns the keys that are outrun."""
        outrun = []
        for key, what, version in delivery:
            present = self.there.get(key)
            if present is not None and what != "forced" and version <= present[0]:
                outrun.append(key)
            elif what == "remove":
                self.there[key] = (version, None)
            else:
                least = present[0] + 1 if present is not None and what == "forced" else 0
                self.there[key] = (max(version, least), f"{number}")
        return tuple(outrun)

    def listed(self) -> list[Indexed]:
        return [Indexed(key, tag, version) for key, (version, tag) in sorted(self.there.items()) if tag is not None]


@settings(max_examples=40)
@given(OPERATIONS)
def test_rows_do_what_the_rules_say(deliveries: list[list[tuple[str, str, int]]]) -> None:
    rows, model = Rows(Path(":memory:"), GENERATION, "b"), Model()
    for number, delivery in enumerate(deliveries):
        outrun = rows.deliver([_operation(*each, number) for each in delivery]).outrun
        assert outrun == model.deliver(delivery, number)
    assert list(rows.listed()) == model.listed()
    rows.close()


def test_words_and_vectors_follow_the_rows(folder: Path) -> None:
    sink, model, random = LocalSink(folder, "b", few=4), Model(), Random(1)  # noqa: S311 - of a test
    index = sink.open(GENERATION)
    for number in range(24):
        delivery = [
            (key, random.choice(["put", "put", "forced", "remove"]), number + random.randint(-1, 2))
            for key in random.sample("abcdefghijklmnop", 5)
        ]
        index.deliver([_operation(*each, number) for each in delivery])
        model.deliver(delivery, number)
        if number % 3 == 2:
            index.commit()
            live = {each.key: each.tag for each in model.listed()}
            assert contents(index.folder) == (live, set(live), set(live))
    assert list(index.listed()) == model.listed()
    assert list(index.folder.glob("vectors-*.usearch"))
    sink.close()


def _operation(key: str, what: str, version: int, number: int) -> Operation:
    if what == "remove":
        return Remove(key, version)
    return Put(document(key, version=version, tag=f"{number}", seed=ord(key) + number), forced=what == "forced")


def test_serve_wants_an_index_of_its_own(folder: Path, sink: LocalSink, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    stranger = LocalIndex(tmp_path / "elsewhere", GENERATION, "b")
    with pytest.raises(ValueError, match="of this sink"):
        sink.serve(stranger)
    stranger.close()
