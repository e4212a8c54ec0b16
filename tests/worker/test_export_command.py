"""`stockmeta export` in this process: real folders, records without images."""

import csv
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tasks.generations.pointer import open_generation
from tasks.layout import FOLDER_KEYS, Layout
from tasks.published import Human
from tasks.records import Category, Embedded, ImageRef, Record
from taxonomy.words import Screen, load_screen
from tests.worker.libraries import BUCKET, GENERATION, record
from worker import cli
from worker.commands import export
from worker.storage.local import LocalStore

WORDS = ["tree", "field", "sky", "grass", "cloud", "summer", "nature", "meadow"]
CATEGORIES = {
    "shutterstock": (Category("Nature", "Nature", 0.8), Category("Parks/Outdoor", "Parks/Outdoor", 0.5)),
    "adobe": (Category("11", "Landscapes", 0.8),),
}
LAYOUT = Layout(".stockmeta/", FOLDER_KEYS)


class Result(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def reasons(self) -> list[tuple[str, str]]:
        """Of each line of the report, the key and the rule."""
        lines = [json.loads(line) for line in self.err.splitlines() if line.startswith("{")]
        return [(line["key"], line["rule"]) for line in lines]


Run = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / BUCKET
    path.mkdir()
    return path


@pytest.fixture(scope="module")
def screen() -> Screen:
    """The shipped words, read once: they take a third of a second."""
    return load_screen()


@pytest.fixture
def run(
    screen: Screen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> Run:
    monkeypatch.setattr(export, "load_screen", lambda vocabulary: screen)
    words = tmp_path / "concepts.tsv"
    words.write_text("id\tlabel\n" + "".join(f"t:{word}\t{word}\n" for word in WORDS), "utf-8")
    monkeypatch.setenv("STOCKMETA_VOCABULARY", str(words))

    def command(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["stockmeta", "export", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        sys.stdout.flush()
        captured = capfdbinary.readouterr()
        return Result(int(stopped.value.code or 0), captured.out.decode(), captured.err.decode())

    return command


def fill(folder: Path, records: Iterable[Record]) -> LocalStore:
    store = LocalStore(folder)
    open_generation(store, LAYOUT, GENERATION)
    for each in records:
        path = LAYOUT.done(GENERATION, ImageRef(BUCKET, each.image.key))
        store.put(path, each.to_json().encode(), if_match=None)
    return store


def tree(key: str, **changes: Any) -> Record:
    return record(key, changes.pop("words", WORDS), categories=CATEGORIES, **changes)


def rows(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def test_a_file_for_shutterstock(run: Run, folder: Path) -> None:
    fill(folder, [tree("a/1.jpg"), tree("a/2.jpg", caption='Trees, "old" ones;\nby night.')])
    result = run(folder, "--agency", "shutterstock", "--out", folder / "up.csv")
    assert result.status == 0, result.err
    assert json.loads(result.out) == {
        "file": str(folder / "up.csv"),
        "rows": 2,
        "bytes": (folder / "up.csv").stat().st_size,
    }
    first, second = rows(folder / "up.csv")
    assert first == {
        "Filename": "1.jpg",
        "Description": "A bare tree in a field under a clear sky.",
        "Keywords": "tree,field,sky,grass,cloud,summer,nature,meadow",
        "Categories": "Nature,Parks/Outdoor",
        "Editorial": "No",
        "Mature content": "No",
        "illustration": "No",
    }
    assert second["Description"] == 'Trees, "old" ones; by night.'


def test_what_would_be_refused_is_left_out_and_told_with_its_reasons(run: Run, folder: Path) -> None:
    fill(folder, [tree("1.jpg"), tree("2.jpg", format="PNG", words=WORDS[:3]), tree("3.jpg", caption="나무 한 그루")])
    result = run(folder, "--agency", "shutterstock", "--out", folder / "up.csv")
    assert result.status == 1
    assert [row["Filename"] for row in rows(folder / "up.csv")] == ["1.jpg"]
    assert result.reasons == [("2.jpg", "format"), ("2.jpg", "keywords_few"), ("3.jpg", "language")]
    report = json.loads(next(line for line in result.err.splitlines() if line.startswith("{")))
    assert report.keys() == {"agency", "bucket", "key", "rule", "field", "value", "reason", "remedy"}
    assert "3 images, 1 rows written, 2 would be refused" in result.err


def test_it_is_written_all_the_same_if_asked_for_or_if_the_rule_is_allowed(run: Run, folder: Path) -> None:
    fill(folder, [tree("1.jpg", format="PNG")])
    everything = run(folder, "--agency", "adobe", "--include-refused")
    assert (everything.status, everything.out.count("\r\n")) == (1, 2)
    allowed = run(folder, "--agency", "adobe", "--allow", "format")
    assert (allowed.status, allowed.out) == (0, everything.out)


def test_the_report_can_be_a_file_and_a_dry_run_writes_nothing_else(run: Run, folder: Path) -> None:
    fill(folder, [tree("1.jpg", format="PNG")])
    result = run(folder, "--agency", "adobe", "--out", folder / "up.csv", "--report", folder / "r.ndjson", "--dry-run")
    assert (result.status, result.out, result.reasons) == (1, "", [])
    assert json.loads((folder / "r.ndjson").read_text())["rule"] == "format"
    assert not (folder / "up.csv").exists()


def test_getty_takes_a_hundred_in_a_file(run: Run, folder: Path) -> None:
    fill(folder, [tree(f"{number:03}.jpg") for number in range(250)])
    result = run(folder, "--agency", "getty", "--out", folder / "up.csv")
    assert [json.loads(line)["rows"] for line in result.out.splitlines()] == [100, 100, 50]
    parts = [row for number in (1, 2, 3) for row in rows(folder / f"up-{number:03}.csv")]
    assert [row["file name"] for row in parts] == [f"{number:03}.jpg" for number in range(250)]
    assert len({row["title"] for row in parts}) == 250
    piped = run(folder, "--agency", "getty")
    assert piped.status == 1 and "--out" in piped.err


def test_a_broken_sidecar_is_one_reason_and_not_the_end(run: Run, folder: Path) -> None:
    store = fill(folder, [tree("1.jpg"), tree("3.jpg")])
    store.put(LAYOUT.done(GENERATION, ImageRef(BUCKET, "2.jpg")), b"{", if_match=None)
    result = run(folder, "--agency", "adobe")
    assert (result.status, result.reasons) == (1, [("2.jpg", "record")])
    report = json.loads(next(line for line in result.err.splitlines() if line.startswith("{")))
    assert (report["bucket"], report["field"]) == (BUCKET, "record")
    assert result.out.count("\r\n") == 3


def test_what_people_decided_is_exported_and_source_changes_are_told_if_asked(run: Run, folder: Path) -> None:
    store = fill(folder, [tree("1.jpg"), tree("2.jpg", etag=None)])
    human = Human(title="The oak of Wellfleet", keywords=("oak",))
    store.put(LAYOUT.human(ImageRef(BUCKET, "1.jpg")), human.to_json().encode(), if_match=None)
    (folder / "2.jpg").write_bytes(b"x")
    result = run(folder, "--agency", "adobe", "--check-source")
    assert result.reasons == [("1.jpg", "source_vanished")]
    assert "1.jpg,The oak of Wellfleet,oak,11," in run(folder, "--agency", "adobe").out


def test_editorial(run: Run, folder: Path) -> None:
    file = Embedded(city="Munich", country="Germany", created="2024-05-14T10:00:00")
    fill(folder, [tree("1.jpg", embedded=file), tree("2.jpg", embedded=Embedded(city="Munich", created="2024-13-01"))])
    result = run(folder, "--agency", "shutterstock", "--editorial", "--out", folder / "up.csv")
    assert result.reasons == [("2.jpg", "editorial_date")]
    (row,) = rows(folder / "up.csv")
    assert row["Description"] == (
        "MUNICH, GERMANY – MAY 14: A bare tree in a field under a clear sky on May 14, 2024 in Munich, Germany."
    )
    assert row["Editorial"] == "Yes"


def test_a_policys_limits_and_words_hold(run: Run, folder: Path, tmp_path: Path) -> None:
    fill(folder, [tree("1.jpg"), tree("2.jpg", title="A cheap tree")])
    policy = tmp_path / "policy.toml"
    policy.write_text('[agency.adobe]\nmax_keywords = 3\n[words]\nblock = ["cheap"]\n')
    result = run(folder, "--agency", "adobe", "--policy", policy)
    assert result.reasons == [("2.jpg", "blocked_word")]
    assert '1.jpg,Bare tree in a field,"tree,field,sky",11,' in result.out


def test_a_customers_own_agency(run: Run, folder: Path, tmp_path: Path) -> None:
    fill(folder, [tree("a/1.jpg")])
    own = tmp_path / "ours.toml"
    own.write_text(
        '[file]\ncolumns = [{header = "k", field = "key"}, {header = "t", field = "title"}]\n'
        'delimiter = "|"\nquote = "always"\nline_end = "lf"\nbyte_order_mark = true\n'
    )
    assert run(folder, "--agency", own).out == '\ufeff"k"|"t"\n"a/1.jpg"|"Bare tree in a field"\n'


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--agency", "adobestock"], "there are adobe, alamy"),
        (["--agency", "adobe", "--editorial"], "--editorial: Adobe Stock"),
        (["--agency", "adobe", "--allow", "formats"], "--allow formats: there is no such rule"),
        (["--agency", "adobe", "--out", "."], "is a folder"),
        (["--agency", "adobe", "--out", "none/up.csv"], "it cannot be written"),
        (["--agency", "adobe", "--report", "none/r.ndjson"], "it cannot be written"),
        (["--agency", "none.toml"], "there is no such file; docs/agencies.md"),
        (["--agency", "adobe", "--out", "/dev/null"], "leave --out away"),
        (["--agency", "adobe", "--out", "up.csv", "--report", "./up.csv"], "name another file for the refusals"),
        ([], "agency"),
    ],
)
def test_wrong_usage_says_what_is_right(run: Run, folder: Path, arguments: list[str], found: str) -> None:
    fill(folder, [tree("1.jpg")])
    result = run(folder, *arguments)
    assert result.status == 2
    assert found in result.err
    assert result.out == ""


def test_a_library_without_sidecars_leaves_no_empty_file(run: Run, folder: Path) -> None:
    result = run(folder, "--agency", "adobe", "--out", folder / "up.csv")
    assert (result.status, result.out) == (2, "")
    assert "--output" in result.err and not (folder / "up.csv").exists()
