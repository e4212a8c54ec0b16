"""`stockmeta tag` in this process, with the encoder that needs no model: real decoder processes, real folders."""

import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.conftest import jpeg
from worker import cli

pytestmark = pytest.mark.integration

Run = Callable[..., "Result"]


class Result:
    """What a command did."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.err = status, err
        self.records: list[dict[str, Any]] = [json.loads(line) for line in out.splitlines()]
        self.keys = [record.get("image", record)["key"] for record in self.records]


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests here: the embedded vocabulary is the same."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def few_concepts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small vocabulary: what these tests are about does not need the shipped one, which takes a second to load."""
    path = tmp_path_factory.mktemp("words") / "concepts.tsv"
    names = ("animal", "dog", "cat", "tree", "flower", "bread", "car", "boat", "chair", "table", "lamp", "bridge")
    path.write_text("id\tlabel\n" + "".join(f"t:{name}\t{name}\n" for name in names), "utf-8")
    return path


@pytest.fixture
def shipped(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a test that is about the shipped vocabulary."""
    monkeypatch.delenv("STOCKMETA_VOCABULARY")


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, cache_dir: Path, few_concepts: Path, capsys: pytest.CaptureFixture[str]
) -> Run:
    settings = {"MODEL": "fake", "CACHE_DIR": str(cache_dir), "DECODE_PROCESSES": "1", "VOCABULARY": str(few_concepts)}
    for name, value in settings.items():
        monkeypatch.setenv(f"STOCKMETA_{name}", value)

    def command(*arguments: object, stdin: str = "") -> Result:
        monkeypatch.setattr(sys, "argv", ["stockmeta", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        captured = capsys.readouterr()
        return Result(int(stopped.value.code or 0), captured.out, captured.err)

    return command


def test_a_folder_gives_one_record_an_image_in_order(run: Run, photos: Path) -> None:
    result = run("tag", photos)

    assert result.keys == ["a red.jpg", "blue.jpg", "broken.jpg", "deep/녹색.jpg"]
    assert [record["status"] for record in result.records] == ["tagged", "tagged", "rejected", "tagged"]
    assert result.records[2]["reason"] == "truncated"
    assert result.status == 1
    assert "4 images" in result.err
    assert "1 truncated" in result.err
    assert "1 other files left alone" in result.err


@pytest.mark.usefixtures("shipped")
def test_a_category_scheme_of_one_s_own(
    run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheme = tmp_path / "agency.tsv"
    scheme.write_text("# most: 1\nid\tlabel\tconcepts\tprompt\n7\tLooks\tcolor\tred, blue\n", "utf-8")
    monkeypatch.setenv("STOCKMETA_SCHEMES", str(scheme))
    (record,) = run("tag", photos / "a red.jpg").records
    assert set(record["categories"]) == {"adobe", "agency", "iptc", "iptc_scene", "shutterstock"}
    assert [category["id"] for category in record["categories"]["agency"]] == ["7"]

    scheme.write_text("# most: 1\nid\tlabel\tconcepts\tprompt\n7\tLooks\tcollor\tred, blue\n", "utf-8")
    refused = run("tag", photos / "a red.jpg")
    assert (refused.status, "names 'collor', which is not a concept" in refused.err) == (2, True)


def test_all_good_is_exit_status_0(run: Run, photos: Path) -> None:
    assert run("tag", photos / "blue.jpg", photos / "a red.jpg").status == 0


def test_files_come_in_the_order_given_and_are_tried_whatever_their_name(run: Run, photos: Path) -> None:
    result = run("tag", photos / "notes.txt", photos / "blue.jpg")
    assert result.keys == ["notes.txt", "blue.jpg"]
    assert result.records[0]["reason"] == "unsupported_format"


def test_a_list_on_standard_input(run: Run, photos: Path) -> None:
    lines = [photos / "blue.jpg", photos / "gone.jpg", photos / "deep" / "녹색.jpg"]
    result = run("tag", "-", stdin="".join(f"{line}\n" for line in lines))
    assert result.keys == ["blue.jpg", "gone.jpg", "녹색.jpg"]
    assert result.records[1]["status"] == "failed"
    assert result.records[1]["reason"] == "vanished"
    assert result.status == 1


def test_folders_of_one_name_are_told_apart(run: Run, tmp_path: Path) -> None:
    paths = [tmp_path / year / "05" / "a.jpg" for year in ("2025", "2026")]
    for path in paths:
        path.parent.mkdir(parents=True)
        path.write_bytes(jpeg())
    result = run("tag", *paths)
    assert result.status == 0
    assert len({record["image"]["bucket"] for record in result.records}) == 2
    refused = run("tag", *(path.parent for path in paths), "--out", tmp_path / "out")
    assert refused.status == 2
    assert "is called '05' too" in refused.err


def test_sidecars_are_what_was_printed_and_a_second_run_only_reads_them(run: Run, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = run("tag", photos, "--out", out)
    second = run("tag", photos, "--out", out)

    tagged = [record for record in first.records if record["status"] == "tagged"]
    generation = tagged[0]["generation"]
    for record in tagged:
        sidecar = out / generation / "done" / "photos" / f"{record['image']['key']}.json"
        assert json.loads(sidecar.read_text(encoding="utf-8")) == record
    assert (out / generation / "failed" / "photos" / "broken.jpg.json").exists()
    assert json.loads((out / "current.json").read_text())["serving"] == generation
    assert [r for r in second.records if r["status"] == "tagged"] == tagged
    assert "3 were tagged already" in second.err


def test_a_changed_image_is_tagged_again(run: Run, photos: Path, tmp_path: Path) -> None:
    first = run("tag", photos, "--out", tmp_path / "out")
    (photos / "blue.jpg").write_bytes(jpeg("yellow", (100, 50)))
    second = run("tag", photos, "--out", tmp_path / "out")
    assert second.records[1]["image"]["width"] == 100
    assert second.records[1]["revision"] > first.records[1]["revision"]
    assert "2 were tagged already" in second.err


def test_own_output_is_never_input(run: Run, photos: Path) -> None:
    out = photos / "made"
    run("tag", photos, "--out", out)
    shutil.copy(photos / "blue.jpg", out / "thumbnail.jpg")
    (photos / ".stockmeta").mkdir()
    shutil.copy(photos / "blue.jpg", photos / ".stockmeta" / "x.jpg")
    assert run("tag", photos, "--out", out).keys == ["a red.jpg", "blue.jpg", "broken.jpg", "deep/녹색.jpg"]


def test_a_literal_vocabulary(run: Run, photos: Path, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("red square\nblue sea\n나무\n", encoding="utf-8")
    result = run("tag", photos / "blue.jpg", "--vocabulary", words, "--max-keywords", 2, "--min-score", -1)
    labels = [word["labels"]["en"] for word in result.records[0]["keywords"]]
    assert len(labels) == 2
    assert set(labels) < {"red square", "blue sea", "나무"}


@pytest.mark.usefixtures("shipped")
def test_languages(run: Run, photos: Path) -> None:
    result = run("tag", photos / "blue.jpg", "--language", "en,ko", "--max-keywords", 3)
    assert all(set(word["labels"]) == {"en", "ko"} for word in result.records[0]["keywords"])
    refused = run("tag", photos, "--language", "tlh")
    assert refused.status == 2
    assert "no labels in 'tlh'" in refused.err


def test_dry_run_lists_and_does_nothing(run: Run, photos: Path, tmp_path: Path) -> None:
    result = run("tag", photos, "--out", tmp_path / "out", "--dry-run")
    assert result.keys == ["a red.jpg", "blue.jpg", "broken.jpg", "deep/녹색.jpg"]
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.jpg"], "nowhere.jpg: no such file or folder"),
        (["-", "-"], "given once"),
        ([".", "--model", "no-such-model"], "no-such-model"),
        ([".", "--vocabulary", "nowhere.txt"], "nowhere.txt"),
        ([".", "--max-keywords", "0"], "max-keywords"),
        ([], "Missing argument"),
    ],
)
def test_wrong_usage_is_exit_status_2_with_a_line_that_says_what(run: Run, arguments: list[str], message: str) -> None:
    result = run("tag", *arguments)
    assert result.status == 2
    assert message in result.err
    assert "Traceback" not in result.err


def test_the_listing_goes_on_after_names_that_cannot_be(run: Run, photos: Path, tmp_path: Path) -> None:
    lines = [tmp_path / "no folder" / "a.jpg", "x" * 300, "bad\udcff.jpg", photos / "blue.jpg"]
    result = run("tag", "-", "--out", tmp_path / "out", stdin="".join(f"{line}\n" for line in lines))
    assert [record["status"] for record in result.records] == ["failed", "rejected", "failed", "tagged"]
    assert result.keys[2] == "bad\\xff.jpg"
    assert result.status == 1


def test_a_file_named_outright_may_be_a_link(run: Run, photos: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.jpg"
    link.symlink_to(photos / "blue.jpg")
    assert run("tag", link).status == 0


def test_options_come_before_the_environment(
    run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "own.tsv"
    table.write_text("id\tlabel\tflags\nx:1\twoman\tpersonal:gender\nx:2\tsea\t\n", encoding="utf-8")
    monkeypatch.setenv("STOCKMETA_PERSONAL", "true")
    arguments = ("tag", photos / "blue.jpg", "--vocabulary", table)
    assert {word["id"] for word in run(*arguments).records[0]["keywords"]} == {"x:1", "x:2"}
    assert {word["id"] for word in run(*arguments, "--no-personal").records[0]["keywords"]} == {"x:2"}


def test_a_vocabulary_without_concepts_is_wrong_usage(run: Run, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "own.tsv").write_text("id\tlabel\n", encoding="utf-8")
    result = run("tag", photos, "--vocabulary", tmp_path / "own.tsv")
    assert (result.status, result.records) == (2, [])


@pytest.mark.parametrize("options", [("--min-score", "nan"), ("--out", __file__)])
def test_options_that_make_no_sense(run: Run, photos: Path, options: tuple[str, str]) -> None:
    assert run("tag", photos, *options).status == 2


def test_help_teaches() -> None:
    for name, lines in {
        "tag": ["stockmeta tag photos/", "find . -name", "Exit status:"],
        "check": ["Exit status:"],
        "demo": [],
    }.items():
        result = CliRunner().invoke(cli.app, [name, "--help"])
        assert result.exit_code == 0
        begun = [line.strip() for line in result.output.splitlines()]
        for start in lines:
            assert any(line.startswith(start) for line in begun), result.output


POLICY = """
[keywords]
max = 2
deny = ["sea"]
[prefer]
field = "meadow"
[[concept]]
id = "acme:kiosk"
label = "kiosk"
"""


@pytest.fixture
def words(tmp_path: Path) -> tuple[object, ...]:
    """Options for a vocabulary of three and a policy."""
    table, policy = tmp_path / "own.tsv", tmp_path / "policy.toml"
    table.write_text("id\tlabel\nx:1\tfield\nx:2\tsea\nx:3\ttown\n", encoding="utf-8")
    policy.write_text(POLICY, encoding="utf-8")
    return "--vocabulary", table, "--policy", policy


def test_a_policy_decides_what_is_shown_and_options_win_over_it(
    run: Run, photos: Path, words: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    (record,) = run("tag", photos / "blue.jpg", *words).records
    assert len(record["keywords"]) == 2
    (record,) = run("tag", photos / "blue.jpg", *words, "--max-keywords", 9).records
    assert {word["labels"]["en"] for word in record["keywords"]} == {"meadow", "town", "kiosk"}
    assert {word["id"] for word in record["keywords"]} == {"x:1", "x:3", "acme:kiosk"}
    monkeypatch.setenv("STOCKMETA_MAX_KEYWORDS", "1")
    assert len(run("tag", photos / "blue.jpg", *words).records[0]["keywords"]) == 1


def test_a_policy_makes_another_generation(run: Run, photos: Path, words: tuple[object, ...]) -> None:
    first, again = (run("tag", photos / "blue.jpg", *words).records[0]["generation"] for _ in range(2))
    assert first == again
    Path(str(words[-1])).write_text(POLICY + '[review]\ntext = "off"\n', encoding="utf-8")
    (record,) = run("tag", photos / "blue.jpg", *words).records
    assert record["generation"] != first
    flags = {flag["name"]: flag for flag in record["flags"]}
    assert flags["text"] == {"name": "text", "verdict": "not assessed", "reason": "the policy switched it off"}
    assert flags["mature"]["verdict"] in ("yes", "no")


def test_a_wrong_policy_is_told_whole_and_nothing_is_tagged(run: Run, photos: Path, words: tuple[object, ...]) -> None:
    policy = Path(str(words[-1]))
    policy.write_text('[keywords]\nmax = 0\ndeny = ["seaa"]\n', encoding="utf-8")
    result = run("tag", photos, *words)
    assert (result.status, result.records) == (2, [])
    assert f"{policy}:2: max has to be between 1 and 1000, not 0" in result.err
    assert f"{policy}:3: 'seaa' is no word of the vocabulary; did you mean 'sea'?" in result.err


def test_a_word_list_takes_no_policy(
    run: Run, photos: Path, tmp_path: Path, words: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    flat = tmp_path / "words.txt"
    flat.write_text("sea\n", encoding="utf-8")
    result = run("tag", photos, "--vocabulary", flat, "--policy", words[-1])
    assert result.status == 2
    assert "is a word list, which is taken literally" in result.err
    monkeypatch.setenv("STOCKMETA_POLICY", "")
    assert run("tag", photos / "blue.jpg", "--vocabulary", flat).status == 0


def test_warnings_of_a_policy_are_said(run: Run, photos: Path, words: tuple[object, ...]) -> None:
    Path(str(words[-1])).write_text('[synonyms]\nfield = ["apple field"]\n', encoding="utf-8")
    result = run("tag", photos / "blue.jpg", *words)
    assert result.status == 0
    assert "'apple' is an ordinary word or a brand name" in result.err
