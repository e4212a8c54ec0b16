"""`stockmeta generation` on folders and in memory; its way with workers is tried in `tests/integration`."""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tasks.errors import ConfigurationError, Unavailable
from tasks.generations.description import Description, Sight, describe
from tasks.generations.pointer import Current, open_generation, promote, read_current, withdraw
from tasks.layout import Layout
from tasks.ports import Stat
from tasks.records import Image, ImageRef, Record, Status
from tests.worker.libraries import record
from worker import cli
from worker.broker import embedded_broker
from worker.cli_generation import split
from worker.commands import generation as command
from worker.generations.dropping import drop
from worker.library import Library, open_library
from worker.queue.connection import connect
from worker.queue.heartbeat import Heartbeat, WorkerState
from worker.settings import Settings, load_settings
from worker.storage.memory import MemoryStore

A, B, C = "a" * 12, "b" * 12, "c" * 12
BUCKET = "photos"


def made(name: str, **changes: Any) -> Description:
    plain = Description(
        generation=name,
        opened_at="2026-01-02T03:04:05.678+00:00",
        model="starter",
        engine="openvino bf16",
        taxonomy="0123",
        captioner="composed",
        languages=("en",),
        sight=Sight("e", "1", "1"),
        parts={"encoder": "e", "policy": "1"},
        settings={"max_keywords": "49"},
    )
    return replace(plain, **changes)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / BUCKET).mkdir()
    return load_settings(library=str(tmp_path / BUCKET))


@pytest.fixture
def library(settings: Settings) -> Library:
    """A serves with three records, B is being filled and has two, and people decided about one image."""
    library = open_library(settings)
    store, layout = library.sidecars, library.layout
    for name in (A, B):
        open_generation(store, layout, name)
        describe(store, layout, made(name, parts={"encoder": "e", "policy": name[0]}))
    for name, keys in ((A, ("one.jpg", "2026/two.jpg")), (B, ("one.jpg",))):
        for key in keys:
            write(library, name, key)
        rejected = terminal(name)
        store.put(layout.failed(name, ImageRef(BUCKET, "broken.jpg")), rejected.to_json().encode(), if_match=None)
    store.put(layout.human(ImageRef(BUCKET, "one.jpg")), b"{}", if_match=None)
    return library


def write(library: Library, name: str, key: str) -> None:
    text = replace(record(key), generation=name).to_json()
    library.sidecars.put(library.layout.done(name, ImageRef(BUCKET, key)), text.encode(), if_match=None)


def terminal(name: str) -> Record:
    return Record(
        status=Status.REJECTED,
        image=Image(BUCKET, "broken.jpg", '"1"'),
        generation=name,
        revision=1,
        created_at="2026-11-22T00:00:00+00:00",
        updated_at="2026-11-22T00:00:00+00:00",
        reason="truncated",
        detail="as told",
    )


def current(library: Library) -> Current:
    return read_current(library.sidecars, library.layout)


def keys(library: Library) -> set[str]:
    return {stat.key for stat in library.sidecars.list(library.layout.root)}


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_list_says_what_there_is(settings: Settings, library: Library, capsys: pytest.CaptureFixture[str]) -> None:
    write(library, C, "one.jpg")
    assert command.run_list(settings, as_json=True, counts=True) == 0
    first, second, third = lines(capsys)
    assert (first["generation"], first["state"], first["done"], first["failed"]) == (A, "serving", 2, 1)
    assert (second["generation"], second["state"], second["done"], second["failed"]) == (B, "filling", 1, 1)
    assert (first["model"], first["opened_at"], first["languages"]) == ("starter", made(A).opened_at, ["en"])
    # Not described, as by an earlier version: any of its records says a little.
    assert (third["generation"], third["state"], third["model"], third["opened_at"]) == (C, "kept", "fake", None)
    command.run_list(settings, as_json=False, counts=False)
    table = capsys.readouterr().out.splitlines()
    assert table[1].split()[:3] == [A, "serving", "2026-01-02"]
    assert len(table) == 4


def test_list_looks_no_deeper_than_it_must(
    settings: Settings, library: Library, capsys: pytest.CaptureFixture[str]
) -> None:
    (library.sidecars.root / ".stockmeta" / "0123456789ab" / "done").mkdir(parents=True)  # type: ignore[attr-defined]
    (library.sidecars.root / ".stockmeta" / "notes").mkdir()  # type: ignore[attr-defined]
    listed: list[str] = []
    original = type(library.sidecars).list

    def watched(self: Any, prefix: str = "") -> Iterator[Stat]:
        listed.append(prefix)
        return original(self, prefix)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(library.sidecars), "list", watched)
        command.run_list(settings, as_json=True, counts=False)
    # Of what has no description, and turns out to be an empty folder.
    assert listed == [f".stockmeta/0123456789ab/{part}/" for part in ("done", "failed", "packed")]
    assert "0123456789ab" not in capsys.readouterr().out


def test_an_empty_library_has_none(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run_list(settings, as_json=False, counts=True) == 0
    printed = capsys.readouterr()
    assert not printed.out
    assert "nothing was written yet" in printed.err


def test_show_says_in_what_it_differs(settings: Settings, library: Library, capsys: pytest.CaptureFixture[str]) -> None:
    command.run_show(settings, "filling", as_json=True)
    (shown,) = lines(capsys)
    assert (shown["generation"], shown["differs_in"], shown["reuses_embeddings"]) == (B, ["policy"], True)
    command.run_show(settings, None, as_json=False)
    assert capsys.readouterr().out.split()[:2] == ["generation", A]
    with pytest.raises(ConfigurationError, match=f"no generation {C}"):
        command.run_show(settings, C, as_json=True)
    with pytest.raises(ConfigurationError, match="no generation served before"):
        command.run_show(settings, "previous", as_json=True)
    with pytest.raises(ConfigurationError, match="is no generation"):
        command.run_show(settings, "newest", as_json=True)


def test_promote_counts_before_readers_lose_anything(
    settings: Settings, library: Library, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigurationError, match=f"{B} has 2 records.*{A}.*has 3.*backfill.*--force"):
        command.run_promote(settings, "filling", force=False)
    assert current(library) == Current(A, B)
    write(library, B, "2026/two.jpg")
    assert command.run_promote(settings, "filling", force=False) == 0
    assert current(library) == Current(B, None, (A,))
    assert lines(capsys) == [{"serving": B, "filling": None, "previous": [A]}]
    assert command.run_promote(settings, B, force=False) == 0
    assert command.run_rollback(settings) == 0
    assert current(library) == Current(A)


def test_promote_by_force_counts_nothing(settings: Settings, library: Library) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "count", lambda *_: pytest.fail("counted"))
        assert command.run_promote(settings, B, force=True) == 0
    assert current(library).serving == B


def test_drop_removes_all_of_it_and_nothing_else(
    settings: Settings, library: Library, capsys: pytest.CaptureFixture[str]
) -> None:
    before = keys(library)
    mine = {key for key in before if key.startswith(library.layout.generation(B))}
    assert command.run_drop(settings, "filling", yes=True, dry_run=True) == 0
    assert lines(capsys) == [{"generation": B, "removed": 0, "found": len(mine)}]
    assert (keys(library), current(library)) == (before, Current(A, B))
    assert command.run_drop(settings, "filling", yes=True, dry_run=False) == 0
    assert lines(capsys) == [{"generation": B, "removed": len(mine), "found": len(mine)}]
    assert (keys(library), current(library)) == (before - mine, Current(A))
    assert not (library.sidecars.root / library.layout.generation(B)).exists()  # type: ignore[attr-defined]
    assert any("human/" in key for key in keys(library))
    with pytest.raises(ConfigurationError, match=f"no generation {B}"):
        command.run_drop(settings, B, yes=True, dry_run=False)


def test_what_serves_is_not_dropped(settings: Settings, library: Library) -> None:
    before = keys(library)
    for name in (A, "serving"):
        with pytest.raises(ConfigurationError, match="serves"):
            command.run_drop(settings, name, yes=True, dry_run=False)
    assert keys(library) == before


def test_a_drop_stops_where_somebody_lets_the_generation_serve_meanwhile(
    settings: Settings, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(200):
        ref = ImageRef(BUCKET, f"more-{number}.jpg")
        library.sidecars.put(library.layout.done(B, ref), b"{}", if_match=None)

    def promoted(*given: Any) -> None:
        withdraw(*given)
        promote(library.sidecars, library.layout, B)

    monkeypatch.setattr(command, "withdraw", promoted)
    monkeypatch.setattr(command, "LOOK_EVERY", 10)
    with pytest.raises(ConfigurationError, match=f"let {B} serve"):
        command.run_drop(settings, B, yes=True, dry_run=False)
    left = [key for key in keys(library) if key.startswith(library.layout.generation(B))]
    assert len(left) > 100
    assert current(library).serving == B


def test_drop_goes_by_name_where_a_word_would_soon_mean_another(settings: Settings, library: Library) -> None:
    promote(library.sidecars, library.layout, B)
    with pytest.raises(ConfigurationError, match="12 hex digits"):
        command.run_drop(settings, "previous", yes=True, dry_run=False)
    assert command.run_drop(settings, A, yes=True, dry_run=False) == 0
    assert current(library) == Current(B)


@pytest.mark.parametrize(
    ("answer", "gone"), [("y\n", True), ("yes\n", True), ("n\n", False), ("\n", False), ("", False)]
)
def test_drop_asks(
    settings: Settings, library: Library, monkeypatch: pytest.MonkeyPatch, answer: str, gone: bool
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal(answer))
    if gone:
        assert command.run_drop(settings, B, yes=False, dry_run=False) == 0
    else:
        with pytest.raises(ConfigurationError, match="nothing was removed"):
            command.run_drop(settings, B, yes=False, dry_run=False)
    assert (current(library) == Current(A)) is gone


def test_drop_asks_nobody_where_nobody_is(
    settings: Settings, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    with pytest.raises(ConfigurationError, match="--yes"):
        command.run_drop(settings, B, yes=False, dry_run=False)
    assert current(library) == Current(A, B)


def test_drop_is_refused_while_a_worker_makes_it(settings: Settings, library: Library) -> None:
    with embedded_broker() as url:
        ours = settings.model_copy(update={"broker_url": load_settings(broker_url=url).broker_url})
        with connect(ours) as client:
            beat = Heartbeat(client, lambda: WorkerState("1", "host", 7, B, "starter", ("uploads",), 1000.0))
            beat.beat()
            for dry_run in (True, False):
                with pytest.raises(ConfigurationError, match=rf"workers make {B}: host:7"):
                    command.run_drop(ours, B, yes=True, dry_run=dry_run)
            assert current(library) == Current(A, B)
            beat.close()
            assert command.run_drop(ours, B, yes=True, dry_run=False) == 0


class Kept(MemoryStore):
    """A store on which something happens at a delete."""

    at_delete: Callable[[str], None] = staticmethod(lambda key: None)

    def delete(self, key: str, *, if_match: str) -> None:
        self.at_delete(key)
        super().delete(key, if_match=if_match)


def in_memory() -> tuple[Kept, Layout]:
    store, layout = Kept("sidecars"), Layout("")
    for i in range(200):
        store.put(layout.done(B, ImageRef(BUCKET, f"{i:03}.jpg")), b"{}", if_match=None)
        store.put(layout.done(A, ImageRef(BUCKET, f"{i:03}.jpg")), b"{}", if_match=None)
    store.put(f"{B}/packed/{BUCKET}/manifest.json", b"{}", if_match=None)
    store.put(f"{B}/theirs.txt", b"", if_match=None)
    store.put(f"{B}/more/theirs.txt", b"", if_match=None)
    describe(store, layout, made(B))
    return store, layout


def test_a_drop_that_is_ended_goes_on() -> None:
    store, layout = in_memory()
    left = 50

    def fail(key: str) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Unavailable("ended here")

    store.at_delete = fail  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        drop(store, layout, B, lambda number: None)
    # What tells of it is there to the last.
    assert store.read(layout.description(B)) is not None
    store.at_delete = lambda key: None  # type: ignore[method-assign]
    remaining = len(list(store.list(f"{B}/"))) - 2
    assert 100 < remaining < 202
    done = drop(store, layout, B, lambda number: None)
    assert done.removed == remaining
    assert [stat.key for stat in store.list(f"{B}/")] == [f"{B}/more/theirs.txt", f"{B}/theirs.txt"]
    assert done.foreign == (f"{B}/more/", f"{B}/theirs.txt")
    assert len(list(store.list(f"{A}/"))) == 200


def test_what_is_written_meanwhile_stays_and_is_told() -> None:
    store, layout = in_memory()
    raced = layout.done(B, ImageRef(BUCKET, "007.jpg"))

    def race(key: str) -> None:
        if key == raced:
            store.put(key, b"{ }", if_match=(store.read(key) or (b"", ""))[1])

    store.at_delete = race  # type: ignore[method-assign]
    done = drop(store, layout, B, lambda number: None)
    assert (done.rewritten, done.removed) == (1, 201)
    assert store.read(raced) is not None


@pytest.mark.parametrize(
    ("words", "most", "library", "names"),
    [
        ([A, B], 2, None, [A, B]),
        (["s3://x", A, "filling"], 2, "s3://x", [A, "filling"]),
        (["./serving", "serving", "filling"], 2, "./serving", ["serving", "filling"]),
    ],
)
def test_a_library_stands_before_generations(
    words: list[str], most: int, library: str | None, names: list[str]
) -> None:
    assert split(words, most, most) == (library, names)


def test_show_may_have_a_library_a_generation_both_or_neither() -> None:
    assert split([], 0, 1) == (None, [])
    assert split(["photos"], 0, 1) == ("photos", [])
    assert split([A], 0, 1) == (None, [A])
    assert split(["photos", A], 0, 1) == ("photos", [A])


@pytest.mark.parametrize("words", [["photos", A], [A], ["photos", "x", A], ["photos", A, "ABC"], ["a", "b", A, B]])
def test_anything_else_is_wrong_usage(words: list[str]) -> None:
    with pytest.raises(ConfigurationError, match=r"give \[LIBRARY\] G G"):
        split(words, 2, 2)


def test_the_library_may_come_from_the_environment(
    settings: Settings, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOCKMETA_LIBRARY", str(settings.library))
    for arguments in (["list"], ["show"], ["show", "filling"], ["drop", B, "--yes", "--dry-run"]):
        result = CliRunner().invoke(cli.app, ["generation", *arguments])
        assert result.exit_code == 0, result.output
    result = CliRunner().invoke(cli.app, ["generation", "promote", str(settings.library), B, "--force"])
    assert result.exit_code == 0, result.output
    assert current(library).serving == B
