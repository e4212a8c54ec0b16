"""`stockmeta taxonomy` in this process, on the shipped vocabulary and on small files."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from worker import cli

ROWS = "id\tlabel\tparent\tfacet\nacme:lamp\tlamp\t\tobject\nacme:desk-lamp\tdesk lamp\tlamp\tobject\n"


class Result(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["stockmeta", "taxonomy", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        captured = capsys.readouterr()
        return Result(int(stopped.value.code or 0), captured.out, captured.err)

    return command


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.tsv"
    path.write_text(ROWS, "utf-8")
    return path


def test_a_sound_file(run: Run, own: Path) -> None:
    result = run("validate", own)
    assert (result.status, result.out) == (0, "")
    assert "2 concepts, 0 problems" in result.err


def test_every_problem_has_file_and_line(run: Run, own: Path) -> None:
    own.write_text(ROWS + "acme:lamp\tstand\t\tobject\nacme:x\tx\tnowhere\tthing\n", "utf-8")
    result = run("validate", own)
    assert result.status == 1
    assert [line.partition(": ")[0] for line in result.out.splitlines()] == [f"{own}:4", f"{own}:5"]


def test_notes_are_told_on_request(run: Run, own: Path) -> None:
    own.write_text(ROWS + "acme:apple\tapple\t\tfood\n", "utf-8")
    assert run("validate", own).out == ""
    result = run("validate", own, "--notes")
    assert result.status == 0
    assert result.out.startswith(f"{own}:4: 'apple' of 'apple'")
    assert result.out.endswith("(note)\n")


def test_a_file_that_is_not_there(run: Run, tmp_path: Path) -> None:
    result = run("validate", tmp_path / "none.tsv")
    assert (result.status, result.out, "No such file" in result.err) == (2, "", True)
    result = run("validate", "--policy", tmp_path / "none.toml")
    assert (result.status, result.out, "No such file" in result.err) == (2, "", True)


def test_a_policy_is_checked_too(run: Run, own: Path, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('[keywords]\nmax = "many"\n', "utf-8")
    result = run("validate", own, "--policy", policy)
    assert result.status == 1
    assert result.out.startswith(f"{policy}:2")


def test_a_policy_is_checked_with_the_words_of_the_taxonomy_that_is_named(
    run: Run, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other.tsv").write_text("id\tlabel\nacme:mug\tmug\n", "utf-8")
    monkeypatch.setenv("STOCKMETA_VOCABULARY", str(tmp_path / "other.tsv"))
    folder, policy = tmp_path / "whole", tmp_path / "policy.toml"
    (folder / "labels").mkdir(parents=True)
    (folder / "concepts.tsv").write_text(ROWS, "utf-8")
    (folder / "labels" / "fr.tsv").write_text("id\tlabel\nacme:lamp\tlampe\nacme:desk-lamp\tlampe\n", "utf-8")
    policy.write_text('[keywords]\ndeny = ["desk lamp"]\n', "utf-8")
    assert run("validate", own, "--policy", policy).out == ""
    policy.write_text('[keywords]\nlanguages = ["fr"]\ndeny = ["mug"]\n', "utf-8")
    assert [line for line in run("validate", folder, "--policy", policy).out.splitlines() if "toml" in line] == [
        f"{policy}:3: 'mug' is no word of the vocabulary"
    ]
    own.write_text(ROWS + "acme:x\tx\tnowhere\tobject\n", "utf-8")
    result = run("validate", own, "--policy", policy)
    assert (result.status, len(result.out.splitlines()), "policy.toml was not checked" in result.err) == (1, 1, True)


def test_a_scheme_of_one_s_own_is_checked_too(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: Path
) -> None:
    scheme = tmp_path / "agency.tsv"
    scheme.write_text("# most: 1\nid\tlabel\tconcepts\tprompt\n1\tLamps\tlampp\tlamps\n", "utf-8")
    monkeypatch.setenv("STOCKMETA_SCHEMES", str(scheme))
    result = run("validate", own)
    assert (result.status, result.out) == (1, f"{scheme}:3: 'lampp' is not a concept; did you mean 'lamp'?\n")


def test_statistics(run: Run, own: Path) -> None:
    (record,) = run("stats", "--vocabulary", own, "--json").records
    assert (record["concepts"], record["parents"], record["facets"]) == (2, 1, {"object": 2})
    text = run("stats").out
    assert text.startswith("concepts ")
    assert "language ko" in text
    assert "categories   iptc: 120" in text


@pytest.mark.parametrize("term", ["crane (bird)", "CRANE", "두루미", "wn30:02012849-n"])
def test_a_concept_is_found_by_any_form(run: Run, term: str) -> None:
    found = run("show", term, "--json").records
    crane = next(record for record in found if record["name"] == "crane (bird)")
    assert crane["path"][0] == "animal"
    assert crane["labels"]["ko"][0] == "두루미"
    assert crane["categories"]["adobe"] == [{"id": "1", "label": "Animals"}]
    assert crane["shared"] == {"en: crane": ["crane (machine)"]}


def test_a_word_of_several_meanings_shows_each(run: Run) -> None:
    text = run("show", "crane").out
    assert "crane (bird)  wn30:02012849-n\n" in text
    assert "crane (machine)  " in text
    assert "  path         animal > bird > " in text


def test_british_spelling_finds_the_concept(run: Run) -> None:
    assert [record["label"] for record in run("show", "grey", "--json").records] == ["gray"]


def test_an_unknown_word_names_close_ones(run: Run) -> None:
    result = run("show", "giraff")
    assert (result.status, result.out) == (1, "")
    assert "did you mean 'giraffe'" in result.err


def test_a_word_list_has_nothing_to_show(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("cat\ndog\n", "utf-8")
    result = run("show", "cat", "--vocabulary", path)
    assert (result.status, "plain word list" in result.err) == (2, True)


def test_differences(run: Run, own: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.tsv"
    new.write_text(ROWS.replace("desk lamp", "table lamp") + "acme:mug\tmug\t\tobject\n", "utf-8")
    result = run("diff", own, new)
    assert result.status == 1
    assert result.out.splitlines() == [
        "added mug [acme:mug]",
        "renamed table lamp [acme:desk-lamp]: desk lamp -> table lamp",
    ]
    assert result.err == "stockmeta: 1 added, 1 renamed\n"
    assert [record["kind"] for record in run("diff", own, new, "--json").records] == ["added", "renamed"]
    assert run("diff", own, own).status == 0
    assert run("diff", own, tmp_path / "none.tsv").status == 2


def test_a_vocabulary_without_concepts(run: Run, own: Path) -> None:
    own.write_text("id\tlabel\n", "utf-8")
    for arguments in (("stats",), ("show", "cat")):
        result = run(*arguments, "--vocabulary", own)
        assert (result.status, "has no concepts" in result.err) == (2, True)
    assert (run("validate", own).status, run("validate", own).out.partition(";")[0]) == (
        1,
        f"{own}:1: the vocabulary has no concepts",
    )
