"""`stockmeta feed` in this process: real folders, records without images, the embedded index and files."""

import gzip
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tasks.generations.pointer import open_generation
from tasks.layout import FOLDER_KEYS, Layout
from tasks.records import Embedding, ImageRef
from tests.worker.libraries import BUCKET, GENERATION, record
from worker import cli
from worker.feeds.opensearch.access import Patience
from worker.storage.local import LocalStore

LAYOUT = Layout(".stockmeta/", FOLDER_KEYS)


class Result(NamedTuple):
    status: int
    lines: list[dict[str, Any]]
    err: str

    @property
    def report(self) -> dict[str, Any]:
        return self.lines[-1]


Run = Callable[..., Result]


class Library:
    """A folder with sidecars."""

    def __init__(self, path: Path) -> None:
        path.mkdir()
        self.path, self.store = path, LocalStore(path)
        open_generation(self.store, LAYOUT, GENERATION)

    def commit(self, *keys: str) -> None:
        for revision, key in enumerate(keys, 1):
            path = self.sidecar(key)
            found = self.store.read(path)
            data = record(key, revision=revision, embedding=Embedding(2, "ADwAAA==")).to_json().encode()
            self.store.put(path, data, if_match=found and found[1])

    def sidecar(self, key: str) -> str:
        return LAYOUT.done(GENERATION, ImageRef(BUCKET, key))


@pytest.fixture
def library(tmp_path: Path) -> Library:
    made = Library(tmp_path / BUCKET)
    made.commit("a.jpg", "b.jpg", "deep/c.jpg")
    return made


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    words = tmp_path / "concepts.tsv"
    words.write_text("id\tlabel\nt:tree\ttree\n", "utf-8")
    monkeypatch.setenv("STOCKMETA_VOCABULARY", str(words))
    monkeypatch.setenv("STOCKMETA_CACHE_DIR", str(tmp_path / "cache"))

    def command(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["stockmeta", "feed", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        sys.stdout.flush()
        captured = capfdbinary.readouterr()
        lines = [json.loads(line) for line in captured.out.decode().splitlines()]
        return Result(int(stopped.value.code or 0), lines, captured.err.decode())

    return command


def test_a_first_run_fills_the_librarys_own_index_and_a_second_finds_nothing(
    run: Run, library: Library, tmp_path: Path
) -> None:
    first = run("local", library.path)
    assert (first.status, len(first.lines)) == (0, 1)
    expected = {"missing": 3, "put": 3, "differences": 0, "served": True, "generation": GENERATION}
    assert {name: first.report[name] for name in expected} == expected
    assert list((tmp_path / "cache" / "indexes").iterdir())
    assert first.err == (
        "stockmeta: 3 missing, 0 stale and 0 extra documents found; 3 written, 0 removed; "
        "the index equals the sidecars\n"
    )
    second = run("local", library.path)
    assert (second.status, second.report["sidecars"], second.report["documents"], second.report["put"]) == (0, 3, 3, 0)


def test_verify_prints_each_difference_and_puts_it_right(run: Run, library: Library, tmp_path: Path) -> None:
    index = ("--index", tmp_path / "index")
    run("local", library.path, *index)
    library.commit("b.jpg", "new.jpg")
    (library.path / library.sidecar("a.jpg")).unlink()
    (library.path / library.sidecar("deep/c.jpg")).write_text("{")
    looked = run("local", library.path, *index, "--verify", "--dry-run")
    assert looked.status == 1
    assert {(line["key"], line["difference"], line["outcome"]) for line in looked.lines[:-1]} == {
        ("a.jpg", "extra", "found"),
        ("b.jpg", "stale", "found"),
        ("new.jpg", "missing", "found"),
        ("deep/c.jpg", "stale", "found"),
    }
    righted = run("local", library.path, *index, "--verify")
    assert righted.status == 1
    assert {(line["key"], line["outcome"]) for line in righted.lines[:-1]} == {
        ("a.jpg", "removed"),
        ("b.jpg", "put"),
        ("new.jpg", "put"),
        ("deep/c.jpg", "broken"),
    }
    assert (righted.report["differences"], righted.report["broken"]) == (1, 1)
    (library.path / library.sidecar("deep/c.jpg")).unlink()
    assert run("local", library.path, *index, "--verify").report["differences"] == 0


def test_full_writes_all_anew(run: Run, library: Library) -> None:
    run("local", library.path)
    again = run("local", library.path, "--full")
    assert (again.status, again.report["put"], again.report["differences"]) == (0, 3, 0)
    assert run("local", library.path).report["documents"] == 3


def test_files_hold_the_documents(run: Run, library: Library, tmp_path: Path) -> None:
    assert run("ndjson", library.path, "--out", tmp_path / "files").status == 0
    found = []
    for path in (tmp_path / "files").rglob("*.ndjson.gz"):
        found += [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    assert {"a.jpg", "b.jpg", "deep/c.jpg"} <= {key for line in found for key in _keys(line)}


def _keys(line: dict[str, Any]) -> list[str]:
    return [value for part in (line, *(v for v in line.values() if isinstance(v, dict))) for value in [part.get("key")]]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--follow", "--full"], "--follow goes on with what there is"),
        (["--follow", "--verify"], "--follow goes on with what there is"),
        (["--full", "--dry-run"], "--full writes all documents anew"),
        (["--max-removed", "101"], "max-removed"),
    ],
)
def test_options_that_contradict_each_other_are_wrong_usage(
    options: list[str], said: str, run: Run, library: Library
) -> None:
    result = run("local", library.path, *options)
    assert (result.status, result.lines) == (2, [])
    assert said in result.err


def test_a_library_without_sidecars_and_a_folder_that_is_not_there_are_pointed_out(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "run `stockmeta backfill` first" in run("local", tmp_path / "empty").err
    missing = run("local", tmp_path / "none")
    assert missing.status == 2
    assert "there is no folder" in missing.err


@pytest.mark.parametrize("name", ["ba9876543210", "none", "filling"])
def test_a_generation_that_there_is_not_is_no_empty_index(
    name: str, run: Run, library: Library, tmp_path: Path
) -> None:
    result = run("local", library.path, "--generation", name, "--index", tmp_path / "index")
    assert (result.status, result.lines) == (2, [])
    assert "generation" in result.err
    assert not (tmp_path / "index").exists()
    assert run("local", library.path, "--generation", "serving").report["generation"] == GENERATION


def test_a_broker_that_is_down_does_not_matter_to_what_runs_once(
    run: Run, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOCKMETA_BROKER_URL", "redis://127.0.0.1:1/0")
    assert run("local", library.path).status == 0


def test_what_an_index_refuses_is_said(run: Run, library: Library) -> None:
    data = record("b.jpg", embedding=Embedding(2, "AAAAAA==")).to_json().encode()
    path = library.sidecar("b.jpg")
    found = library.store.read(path)
    library.store.put(path, data, if_match=found and found[1])
    result = run("local", library.path, "--verify")
    assert (result.status, result.report["refused"], result.report["differences"]) == (1, 1, 1)
    (told,) = (line for line in result.lines if line.get("outcome") == "refused")
    assert (told["key"], told["difference"]) == ("b.jpg", "missing")
    assert told["reason"]
    assert "1 differences remain (1 refused)" in result.err


def test_without_its_client_opensearch_is_pointed_to(
    run: Run, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "worker.feeds.opensearch.wire", raising=False)
    monkeypatch.setitem(sys.modules, "opensearchpy", None)
    result = run("opensearch", library.path)
    assert result.status == 2
    assert "stockmeta[opensearch]" in result.err


def test_a_cluster_that_is_not_there_is_no_crash(run: Run, library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.feeds.opensearch.access.Patience.pause", lambda *_: None)
    result = run("opensearch", library.path, "--url", "http://127.0.0.1:1")
    assert result.status == 1
    assert "stockmeta: OpenSearch at http://127.0.0.1:1" in result.err
    assert "Traceback" not in result.err


def test_a_cluster_that_is_not_there_is_not_waited_for_when_it_is_time_to_end(
    run: Run, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []
    pause = Patience.pause

    def ended(patience: Patience, failures: int, retry_after: float | None = None) -> bool:
        tries.append(failures)
        signal.raise_signal(signal.SIGTERM)
        return pause(patience, failures, retry_after)

    monkeypatch.setattr(Patience, "pause", ended)
    result = run("opensearch", library.path, "--url", "http://127.0.0.1:1")
    assert (result.status, tries) == (128 + signal.SIGTERM, [1])
    assert "it is time to end" in result.err and "interrupted; run the same command again" in result.err
