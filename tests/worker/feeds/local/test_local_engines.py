import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import tantivy

from tasks.errors import ConfigurationError, Unavailable
from tasks.feeding.document import Document
from tasks.feeding.ports import Put, Remove
from tests.worker.feeds.local.made import GENERATION, Contents, contents, document
from worker.feeds.local import errors, terms
from worker.feeds.local.index import LocalIndex
from worker.feeds.local.rows import Changed
from worker.feeds.local.text import Text
from worker.feeds.local.vectors import Vectors

KEYS = [f"k{i}" for i in range(30)]
EXPECTED = Contents(dict.fromkeys(KEYS, "1:1"), set(KEYS), set(KEYS))


def opened(folder: Path) -> LocalIndex:
    return LocalIndex(folder, GENERATION, "b", few=20)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[LocalIndex]:
    made = opened(tmp_path)
    made.deliver([Put(document(key, seed=i)) for i, key in enumerate(KEYS)])
    made.commit()
    yield made
    made.close()


def vectors(folder: Path) -> Path:
    [found] = folder.glob("vectors*")
    return found


def test_a_text_that_is_gone_is_made_again(index: LocalIndex) -> None:
    index.close()
    shutil.rmtree(index.folder / "text")
    again = opened(index.folder)
    assert contents(index.folder) == EXPECTED
    again.close()


@pytest.mark.parametrize(
    ("name", "damage"),
    [("meta.json", "cut"), ("meta.json", "gone"), ("*.term", "gone"), ("*.idx", "cut"), ("*.fast", "emptied")],
)
def test_a_text_that_is_broken_is_made_again(index: LocalIndex, name: str, damage: str) -> None:
    index.close()
    for path in (index.folder / "text").glob(name):
        data = path.read_bytes()
        path.unlink()
        if damage != "gone":
            path.write_bytes(data[: len(data) // 2] if damage == "cut" else b"")
    again = opened(index.folder)
    assert contents(index.folder) == EXPECTED
    again.deliver([Remove(KEYS[0], 2)])
    again.commit()
    assert KEYS[0] not in contents(index.folder).words
    again.close()


def test_a_text_of_other_rows_is_made_again(index: LocalIndex, tmp_path: Path) -> None:
    index.close()
    (tmp_path / "other").mkdir()
    other = opened(tmp_path / "other")
    other.deliver([Put(document("other"))])
    other.commit()
    other.close()
    shutil.rmtree(tmp_path / "other" / "text")
    shutil.copytree(index.folder / "text", tmp_path / "other" / "text")
    again = opened(tmp_path / "other")
    assert contents(tmp_path / "other").words == {"other"}
    again.close()


def test_a_text_of_another_version_is_made_again(index: LocalIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    index.close()
    made: list[int] = []
    original = Text.rebuild
    monkeypatch.setattr(Text, "rebuild", lambda self: (made.append(1), original(self)))
    opened(index.folder).close()
    assert not made
    monkeypatch.setattr("worker.feeds.local.text.FORMAT", 99)
    opened(index.folder).close()
    assert made
    assert contents(index.folder) == EXPECTED


@pytest.mark.parametrize("damage", ["cut", "emptied", "gone", "garbage"])
def test_vectors_that_are_broken_are_made_again(index: LocalIndex, damage: str) -> None:
    index.close()
    path = vectors(index.folder)
    data = path.read_bytes()
    path.unlink()
    if damage != "gone":
        # Of the same length as before it is only told by its checksum.
        path.write_bytes({"cut": data[: len(data) // 2], "emptied": b"", "garbage": b"\xff" * len(data)}[damage])
    again = opened(index.folder)
    assert contents(index.folder).documents == EXPECTED.documents
    more = [Put(document(f"m{i}", seed=100 + i)) for i in range(30)]
    again.deliver(more)
    again.commit()
    assert contents(index.folder).vectors == {*KEYS, *(each.document.key for each in more)}
    assert vectors(index.folder).name == "vectors-60.usearch"
    again.close()


def test_vectors_of_a_file_that_is_cut_are_found_in_the_rows(index: LocalIndex) -> None:
    path = vectors(index.folder)
    path.write_bytes(path.read_bytes()[:100])
    assert contents(index.folder) == EXPECTED


def test_what_was_being_written_when_it_was_killed_is_removed(index: LocalIndex) -> None:
    index.close()
    (index.folder / "vectors.unfinished").write_bytes(b"half")
    (index.folder / "vectors-99.usearch").write_bytes(b"never named by the rows")
    opened(index.folder).close()
    assert vectors(index.folder).name == "vectors-30.usearch"


def test_vectors_are_written_where_much_changed_and_overlaid_where_not(index: LocalIndex) -> None:
    assert vectors(index.folder).name == "vectors-30.usearch"
    index.deliver([Remove(KEYS[0], 2), Put(document(KEYS[1], version=2, seed=None)), Put(document("new", seed=99))])
    index.commit()
    assert vectors(index.folder).name == "vectors-30.usearch"
    assert contents(index.folder).vectors == {"new", *KEYS[2:]}
    # Nothing else is to come: what a reader would have to look at is worth a file.
    index.close()
    assert vectors(index.folder).name == "vectors-33.usearch"
    assert contents(index.folder).vectors == {"new", *KEYS[2:]}


def test_a_commit_that_failed_is_made_up_for_by_the_next(index: LocalIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise Unavailable("no space")

    with monkeypatch.context() as patched:
        patched.setattr(Text, "commit", fail)
        index.deliver([Put(document("a"))])
        with pytest.raises(Unavailable):
            index.commit()
    index.deliver([Put(document("b"))])
    index.commit()
    assert contents(index.folder).words == {"a", "b", *KEYS}


def test_an_error_that_is_kept_does_not_keep_the_text_locked(
    index: LocalIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.deliver([Put(document("a"))])
    kept = []
    for name in ("document", "state"):
        with monkeypatch.context() as patched:
            patched.setattr(f"worker.feeds.local.terms.{name}", lambda *_: [][0])
            try:
                index.commit()
            except Unavailable as error:
                kept.append(error)
    assert len(kept) == 2
    index.commit()
    assert contents(index.folder).words == {"a", *KEYS}


def test_what_catches_up_goes_on_where_it_was_killed(index: LocalIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    index.close()
    shutil.rmtree(index.folder / "text")
    vectors(index.folder).unlink()
    monkeypatch.setattr("worker.feeds.local.index._PAGE", 4)
    monkeypatch.setattr("worker.feeds.local.index._UNCOMMITTED", 10)
    monkeypatch.setattr("worker.feeds.local.vectors._PAGE", 4)
    monkeypatch.setattr("worker.feeds.local.vectors._UNSAVED", 10)
    original, brought_in = terms.document, Vectors._bring_in

    def killed(row: int, source: Document) -> tantivy.Document:
        if source.key == "k25":
            raise KeyboardInterrupt
        return original(row, source)

    def killed_too(self: Vectors, rows: Sequence[Changed]) -> None:
        if rows[-1].sequence > 25:
            raise KeyboardInterrupt
        brought_in(self, rows)

    with monkeypatch.context() as patched:
        patched.setattr("worker.feeds.local.terms.document", killed)
        with pytest.raises(KeyboardInterrupt):
            opened(index.folder)
    again = opened(index.folder)
    assert contents(index.folder).words == set(KEYS)
    with monkeypatch.context() as patched:
        patched.setattr(Vectors, "_bring_in", killed_too)
        with pytest.raises(KeyboardInterrupt):
            again.commit()
    again.abandon()
    assert vectors(index.folder).name == "vectors-24.usearch"
    opened(index.folder).close()
    assert contents(index.folder) == EXPECTED


def test_a_file_of_vectors_that_failed_is_made_up_for_by_the_next(
    index: LocalIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Path) -> None:
        raise OSError(28, "No space left on device")

    index.deliver([Put(document(f"m{i}", seed=100 + i)) for i in range(30)])
    with monkeypatch.context() as patched:
        patched.setattr("worker.feeds.local.graph.synced", fail)
        with pytest.raises(Unavailable, match="No space left"):
            index.commit()
    assert vectors(index.folder).name == "vectors-30.usearch"
    index.commit()
    assert vectors(index.folder).name == "vectors-60.usearch"


def test_an_update_that_leaves_the_vector_leaves_the_graph(index: LocalIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    index.deliver([Put(document(key, version=2, seed=i)) for i, key in enumerate(KEYS)])
    graph = index._vectors._graph
    removed: list[object] = []
    monkeypatch.setattr(graph, "remove", removed.append)
    index.commit()
    assert (removed, len(graph)) == ([], 30)


def test_a_delivery_that_fails_is_undone_and_those_before_stay(index: LocalIndex) -> None:
    index.deliver([Put(document("before"))])
    too_long = 1 << 70
    with pytest.raises(OverflowError):
        index.deliver([Put(document("now")), Remove("k0", too_long)])
    assert set(index.indexed(["before", "now", "k0"])) == {"before", "k0"}
    index.deliver([Put(document("after"))])


@pytest.mark.parametrize(
    ("statement", "kind", "words"),
    [
        ("SELECT * FROM nowhere", ConfigurationError, "--full"),
        ("ATTACH '/nonexistent/folder/file' AS other", ConfigurationError, "needs to be allowed to write"),
        ("BEGIN; PRAGMA max_page_count = 1; INSERT INTO t VALUES (zeroblob(1000000))", Unavailable, "full"),
    ],
)
def test_errors_of_sqlite_are_ours(tmp_path: Path, statement: str, kind: type[Exception], words: str) -> None:
    connection = sqlite3.connect(tmp_path / "d.sqlite", isolation_level=None)
    connection.execute("CREATE TABLE t (x)")
    with pytest.raises(kind, match=words), errors.database(tmp_path / "d.sqlite"):
        connection.executescript(statement)
    connection.close()


def test_a_locked_file_is_worth_another_try(tmp_path: Path) -> None:
    first, second = (sqlite3.connect(tmp_path / "d.sqlite", isolation_level=None, timeout=0) for _ in range(2))
    first.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Unavailable, match="locked"), errors.database(tmp_path / "d.sqlite"):
        second.execute("BEGIN EXCLUSIVE")
    first.close()
    second.close()


def test_errors_of_engines_are_ours_and_bugs_of_ours_are_not(tmp_path: Path) -> None:
    panic = type("PanicException", (BaseException,), {})
    for error in (ValueError("x"), RuntimeError("x"), panic("x")):
        with pytest.raises(Unavailable, match="x"), errors.engine(tmp_path):
            raise error
    for kind in ("PermissionDenied", "ReadOnlyFilesystem"):
        with pytest.raises(ConfigurationError, match="lock files"), errors.engine(tmp_path):
            raise ValueError(f"Failed to acquire Lockfile: IoError(Os {{ code: 13, kind: {kind} }})")
    with pytest.raises(KeyboardInterrupt), errors.engine(tmp_path):
        raise KeyboardInterrupt
    with pytest.raises(ConfigurationError), errors.engine(tmp_path):
        raise ConfigurationError("ours")


def test_rows_of_another_version_are_not_touched(index: LocalIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    index.close()
    monkeypatch.setattr("worker.feeds.local.schema.FORMAT", 2)
    with pytest.raises(ConfigurationError, match="another version"):
        opened(index.folder)
    monkeypatch.undo()
    opened(index.folder).close()
    assert contents(index.folder) == EXPECTED


def test_a_graph_of_vectors_is_let_go_of(index: LocalIndex) -> None:
    assert isinstance(index._vectors, Vectors)
    index.abandon()
    assert index._vectors._graph is None


def test_a_text_that_stumbles_over_its_own_files_is_made_anew(
    index: LocalIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, failed = Text.commit, []

    def once(self: Text, sequence: int) -> None:
        if not failed:
            failed.append(1)
            raise Unavailable("Failed to open file for write: 'FileAlreadyExists(\"x.7.del\")'")
        original(self, sequence)

    monkeypatch.setattr(Text, "commit", once)
    index.deliver([Put(document("a"))])
    index.commit()
    assert failed
    assert contents(index.folder).words == {"a", *KEYS}


def test_a_document_that_cannot_be_read_is_said_so(index: LocalIndex) -> None:
    with sqlite3.connect(index.folder / "documents.sqlite") as connection:
        connection.execute("UPDATE bodies SET body = x'00'")
    index.deliver([Put(document("a"))])
    index._text.rebuild()
    with pytest.raises(ConfigurationError, match=r"cannot be read .*--full"):
        index.commit()


def test_closing_does_not_fail_for_want_of_a_file_of_vectors(
    index: LocalIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Path) -> None:
        raise OSError(28, "No space left on device")

    index.deliver([Put(document(f"m{i}", seed=100 + i)) for i in range(10)])
    index.commit()
    monkeypatch.setattr("worker.feeds.local.graph.synced", fail)
    index.close()
    assert contents(index.folder).vectors == {*KEYS, *(f"m{i}" for i in range(10))}
