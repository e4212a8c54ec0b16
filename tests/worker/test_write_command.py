"""`stockmeta write` on a folder: its options, its lines, and what it says when something is missing."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tasks.errors import ConfigurationError, Unavailable
from tasks.generations.pointer import open_generation
from tasks.layout import FOLDER_KEYS, Layout
from tasks.records import ImageRef
from tests.worker.libraries import GENERATION, record
from worker.cli import app
from worker.commands import write as module
from worker.commands.write import make_wording
from worker.settings import load_settings
from worker.storage.local import LocalStore


@pytest.fixture
def folder(photos: Path) -> Path:
    """A library with two records."""
    store, layout = LocalStore(photos), Layout(limits=FOLDER_KEYS)
    open_generation(store, layout, GENERATION)
    for key in ("a red.jpg", "deep/녹색.jpg"):
        made = record(key, ["dog"])
        made = replace(made, image=replace(made.image, bucket=store.bucket, etag=store.stat(key).etag))
        store.put(layout.done(GENERATION, ImageRef(store.bucket, key)), made.to_json().encode(), if_match=None)
    return photos


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["write", *map(str, arguments)])


def lines(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_sidecars_go_into_a_folder(folder: Path, tmp_path: Path) -> None:
    result = run(folder, "--xmp", "--out", tmp_path / "xmp")
    assert result.exit_code == 0
    assert [(line["target"], line["status"]) for line in lines(result)] == [
        ("a red.xmp", "written"),
        ("deep/녹색.xmp", "written"),
    ]
    assert (tmp_path / "xmp" / "deep" / "녹색.xmp").read_bytes().startswith(b"<?xpacket")
    assert not list(folder.rglob("*.xmp"))
    assert "2 images: 2 written" in result.stderr
    assert "2 unchanged" in run(folder, "--xmp", "--out", tmp_path / "xmp").stderr


def test_sidecars_in_place_lie_beside_the_images(folder: Path) -> None:
    assert run(folder, "--xmp", "--in-place", "--naming", "full").exit_code == 0
    assert sorted(path.name for path in folder.rglob("*.xmp")) == ["a red.jpg.xmp", "녹색.jpg.xmp"]


def test_some_failed_is_status_1(folder: Path, tmp_path: Path) -> None:
    (folder / "a red.xmp").write_bytes(b"no xml")
    result = run(folder, "--xmp", "--out", tmp_path / "xmp")
    assert result.exit_code == 1
    assert [line["status"] for line in lines(result)] == ["failed", "written"]
    assert "is not XML" in str(lines(result)[0]["reason"])


def test_a_dry_run_writes_nothing_and_shows_values(folder: Path, tmp_path: Path) -> None:
    result = run(folder, "--xmp", "--out", tmp_path / "xmp", "--dry-run")
    assert lines(result)[0]["values"]["keywords"] == ["dog"]  # type: ignore[index]
    assert not list((tmp_path / "xmp").rglob("*.xmp"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "x"], "--xmp .* or --embed"),
        (["--xmp", "--embed", "--out", "x"], "--xmp .* or --embed"),
        (["--xmp"], "--out DIR, or --in-place"),
        (["--xmp", "--out", "x", "--in-place"], "--out DIR, or --in-place"),
        (["--xmp", "--out", "LIBRARY/copies"], "apart from the library"),
        (["--xmp", "--out", "LIBRARY"], "apart from the library"),
        (["--xmp", "--out", "LIBRARY/.."], "apart from the library"),
        (["--xmp", "--out", "LIBRARY/notes.txt"], "not a folder"),
        (["--xmp", "--in-place", "--language", "xx"], "no labels in 'xx'"),
        (["--embed", "--in-place", "--exiftool", "no-such-exiftool"], "no 'no-such-exiftool'.*apt install"),
    ],
)
def test_wrong_usage_says_what_to_do(folder: Path, arguments: list[str], message: str) -> None:
    result = run(folder, *(argument.replace("LIBRARY", str(folder)) for argument in arguments))
    assert isinstance(result.exception, ConfigurationError)
    with pytest.raises(ConfigurationError, match=message):
        raise result.exception


def test_without_a_path_exiftool_is_missing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    result = run(folder, "--embed", "--in-place")
    assert isinstance(result.exception, ConfigurationError)
    assert "brew install exiftool" in str(result.exception)
    assert not result.stdout


def test_paths_leave_out_what_is_never_shown() -> None:
    wording = make_wording(load_settings())
    paths = {path.rpartition("|")[2]: path for path in wording.paths.values()}
    assert paths["golden retriever"].startswith("animal|")
    assert paths["golden retriever"].endswith("dog|golden retriever")
    # A mother is a woman, which no keyword says unless a policy asks for it.
    assert all("woman" not in path.split("|")[:-1] for path in wording.paths.values())
    personal = make_wording(load_settings(personal=True))
    assert any("woman" in path.split("|")[:-1] for path in personal.paths.values())
    korean = make_wording(load_settings(languages="ko"))
    assert korean.languages == ("ko",)
    assert any(path.startswith("동물|") for path in korean.paths.values())


def test_a_dry_run_makes_no_folder(folder: Path, tmp_path: Path) -> None:
    assert run(folder, "--xmp", "--out", tmp_path / "deep" / "xmp", "--dry-run").exit_code == 0
    assert not (tmp_path / "deep").exists()


def test_what_was_written_before_the_store_fell_silent_has_its_lines(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = module.records

    def broken(*given: object, **options: object) -> Iterator[object]:
        yield from everything(*given, **options)  # type: ignore[arg-type]  # as it was called
        raise Unavailable("the disk is gone")

    monkeypatch.setattr(module, "records", broken)
    result = run(folder, "--xmp", "--out", tmp_path / "xmp")
    assert isinstance(result.exception, Unavailable)
    assert [line["status"] for line in lines(result)] == ["written", "written"]
