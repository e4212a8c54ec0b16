"""Every rule finds what breaks it, with file and line; small files, one thing wrong in each."""

from pathlib import Path

import pytest

from taxonomy import tables
from taxonomy.problem import Problem
from taxonomy.tables import Tables
from taxonomy.validate import problems
from taxonomy.words import Screen, Word

HEADER = "id\tlabel\thint\tparent\tfacet\ttier\tgrammar\tplural\tbritish\tsynonyms\tflags"
ROWS = (
    ("sm:animal", "animal", "", "", "animal", "A", "count", "animals", "", "creature", ""),
    ("sm:bird", "bird", "", "animal", "animal", "A", "count", "", "", "", ""),
    ("sm:crane-bird", "crane", "bird", "bird", "animal", "B", "count", "cranes", "", "", ""),
    ("sm:gray-parrot", "gray parrot", "", "bird", "animal", "B", "count", "", "grey parrot", "", ""),
    ("sm:machine", "machine", "", "", "object", "A", "count", "", "", "", ""),
    ("sm:crane-machine", "crane", "machine", "machine", "object", "B", "count", "cranes", "", "", ""),
    ("sm:child", "child", "", "", "person", "A", "count", "", "", "", "personal:age"),
    ("sm:baby", "baby", "", "child", "person", "A", "count", "", "", "", "personal:age"),
)
KOREAN = {"animal": "동물", "bird": "새", "machine": "기계", "child": "어린이", "baby": "아기"}
SCREEN = Screen({"nike": Word("block", "a brand name"), "apple": Word("review", "an ordinary word or a brand name")})
SCHEME = (
    "# title: Test\n# most: 1\n# covers: things\nid\tlabel\tconcepts\tprompt\n1\tAll\tanimal|machine|child\tthings\n"
)
COLUMNS = HEADER.split("\t")


def write(folder: Path, rows: tuple[tuple[str, ...], ...] = ROWS, scheme: str = SCHEME, korean: str = "") -> Tables:
    (folder / "labels").mkdir()
    (folder / "categories").mkdir()
    (folder / "concepts.tsv").write_text("\n".join((HEADER, *("\t".join(row) for row in rows))) + "\n", "utf-8")
    lines = "".join(f"sm:{name}\t{label}\t\n" for name, label in KOREAN.items())
    (folder / "labels" / "ko.tsv").write_text(f"id\tlabel\tsynonyms\n{lines}{korean}", "utf-8")
    (folder / "categories" / "test.tsv").write_text(scheme, "utf-8")
    return tables.read(folder)


def changed(row: int, **cells: str) -> tuple[tuple[str, ...], ...]:
    """The rows with other cells in one of them."""
    new = tuple(cells.get(column, cell) for column, cell in zip(COLUMNS, ROWS[row], strict=True))
    return (*ROWS[:row], new, *ROWS[row + 1 :])


def errors(read: Tables) -> list[Problem]:
    return [problem for problem in problems(read, SCREEN) if problem.level == "error"]


def test_sound_files_have_no_problem_and_shared_words_are_noted(tmp_path: Path) -> None:
    found = problems(write(tmp_path), SCREEN)
    assert [(problem.level, problem.line) for problem in found] == [("note", 4)]
    assert "'crane' is said of 'crane (bird)', 'crane (machine)'" in found[0].what


@pytest.mark.parametrize(
    ("row", "cells", "line", "what"),
    [
        (1, {"id": ""}, 3, "the id is empty"),
        (1, {"label": ""}, 3, "the label is empty"),
        (1, {"facet": "beast"}, 3, "the facet 'beast' is none of"),
        (1, {"tier": "D"}, 3, "the tier 'D' is none of A, B, C"),
        (1, {"grammar": "verb"}, 3, "the grammar 'verb' is none of"),
        (1, {"flags": "secret"}, 3, "the flags 'secret' is none of"),
        (1, {"flags": "extra\tcell"}, 3, "12 cells under 11 columns"),
        (1, {"id": "sm:animal"}, 3, "the id 'sm:animal' is there already, in line 2"),
        (1, {"label": "Animal"}, 3, "'Animal' is there already, in line 2"),
        (1, {"parent": "beast"}, 3, "the parent 'beast' is no concept of this file"),
        (0, {"parent": "bird"}, 2, "'animal' is its own parent"),
        (3, {"facet": "plant"}, 5, "'gray parrot' is of facet plant, its parent 'bird' of facet animal"),
        (7, {"flags": ""}, 9, "'baby' is not personal:age and its parent 'child' is"),
        (3, {"flags": "hidden"}, 5, "'gray parrot' is hidden and groups nothing"),
        (3, {"label": "a parrot"}, 5, "'a parrot' comes after 'crane (bird)'"),
        (2, {"hint": ""}, 4, "'crane' is the label of sm:crane-machine too; give both a hint"),
        (2, {"synonyms": "machine"}, 4, "the synonym 'machine' of 'crane (bird)' is a word of 'machine'"),
        (2, {"synonyms": "creature"}, 4, "the synonym 'creature' of 'crane (bird)' is a word of 'animal'"),
        (2, {"british": "baby"}, 4, "the British form 'baby' of 'crane (bird)' is a word of 'baby'"),
        (2, {"british": "baby"}, 4, "the British form 'baby' of 'crane (bird)' leads to 'baby'"),
        (2, {"plural": "bird"}, 4, "the plural 'bird' of 'crane (bird)' is a word of 'bird'"),
        (2, {"synonyms": "crane"}, 4, "the synonym 'crane' of 'crane (bird)' is the label itself"),
        (2, {"synonyms": "big <crane>"}, 4, "'big <crane>' has signs that agencies refuse"),
        (2, {"id": "crane"}, 4, "'crane' is no id"),
        (3, {"grammar": "proper"}, 5, "'gray parrot' is a name and has no capital"),
        (2, {"synonyms": "Nike bird"}, 4, "'Nike bird' of 'crane (bird)': 'nike' is a brand name; use another word"),
        (3, {"tier": "A"}, 5, "'gray parrot' is of tier A and has no label in 'ko'"),
    ],
)
def test_a_broken_concept(tmp_path: Path, row: int, cells: dict[str, str], line: int, what: str) -> None:
    found = errors(write(tmp_path, changed(row, **cells)))
    assert [problem for problem in found if problem.line == line and what in problem.what], found
    assert all(problem.file.endswith("concepts.tsv") for problem in found if problem.line == line)


def test_a_word_that_is_also_a_brand_is_a_note(tmp_path: Path) -> None:
    found = problems(write(tmp_path, changed(2, synonyms="apple bird")), SCREEN)
    assert [problem.level for problem in found if "'apple bird'" in problem.what] == ["note"]


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    rows = (*ROWS[:-2], ("", "x", *ROWS[0][2:]), ("sm:y", "y", "", "nowhere", "z", *ROWS[0][5:]))
    assert {problem.line for problem in errors(write(tmp_path, rows))} == {8, 9}


def test_a_subtree_in_the_wrong_place(tmp_path: Path) -> None:
    rows = (*ROWS[:1], *ROWS[4:], *ROWS[1:4])
    assert any("is not in the order of the tree" in problem.what for problem in errors(write(tmp_path, rows)))


def test_a_tree_that_is_too_deep(tmp_path: Path) -> None:
    deep = [
        (f"sm:d{i}", f"d{i}", "", f"d{i - 1}" if i else "", "object", "B", "count", "", "", "", "") for i in range(8)
    ]
    found = errors(write(tmp_path, (*ROWS, *deep), SCHEME.replace("child", "child|d0")))
    assert [(problem.line, problem.what) for problem in found] == [(17, "'d7' is 7 steps from its root; at most 6")]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("sm:unicorn\t유니콘\t", "no concept has the id 'sm:unicorn'"),
        ("sm:bird\t새\t", "'sm:bird' has a line already, 3"),
        ("sm:crane-bird\tcrane\t", "'crane' is no Korean word"),
        ("sm:crane-bird\t두루미\t학|학", "a word is there twice among 두루미, 학, 학"),
        ("sm:crane-bird\t\t", "the label is empty"),
    ],
)
def test_a_broken_language_file(tmp_path: Path, line: str, what: str) -> None:
    found = errors(write(tmp_path, korean=f"{line}\n"))
    assert [(problem.line, Path(problem.file).name) for problem in found if what in problem.what] == [(7, "ko.tsv")]


@pytest.mark.parametrize(
    ("scheme", "line", "what"),
    [
        (SCHEME.replace("machine", "machin"), 5, "'machin' is not a concept; did you mean 'machine'?"),
        (SCHEME.replace("|machine", ""), 0, "'machine' leads to no category, and the scheme covers things"),
        (SCHEME.replace("|machine", "|machine|animal"), 5, "'animal' is there twice"),
        (SCHEME.replace("# most: 1\n", ""), 1, "say how many categories an image may have"),
        (SCHEME.replace("things\nid", "stuff\nid"), 1, "'covers' may only be things"),
        (SCHEME + "1\tMore\t\tmore\n", 6, "the id '1' is there twice"),
        (SCHEME + "2\t\t\tmore\n", 6, "the label is empty"),
        (
            SCHEME.replace("\tprompt", "\tprompt\tneeds").replace("\tthings\n", "\tthings\tsmell\n"),
            5,
            "'smell' is none",
        ),
        (
            SCHEME.replace("\tprompt", "\tprompt\tparent").replace("\tthings\n", "\tthings\t9\n"),
            5,
            "'9' is no category",
        ),
    ],
)
def test_a_broken_scheme(tmp_path: Path, scheme: str, line: int, what: str) -> None:
    found = [problem for problem in errors(write(tmp_path, scheme=scheme)) if what in problem.what]
    assert [(problem.line, Path(problem.file).name) for problem in found] == [(line, "test.tsv")]


def test_what_is_implied_has_to_exist(tmp_path: Path) -> None:
    (tmp_path / "implied.tsv").write_text("concept\timplied by\nbird\tbirdcage\n", "utf-8")
    assert [problem.line for problem in errors(write(tmp_path))] == [2]


def test_a_file_alone_is_checked_without_languages(tmp_path: Path) -> None:
    write(tmp_path)
    read = tables.read(tmp_path / "concepts.tsv")
    assert errors(read) == []
    assert not read.labels


def test_a_problem_says_where(tmp_path: Path) -> None:
    assert str(Problem("a.tsv", 3, "wrong")) == "a.tsv:3: wrong"
    assert str(Problem("a.tsv", 0, "wrong")) == "a.tsv: wrong"


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("concepts\nbird|machin\n", 2, "'machin' is not a concept; did you mean 'machine'?"),
        ("concepts\nbird|bird\n", 2, "'bird' is there twice; keep one"),
        ("concepts\nbird\n", 2, "'bird' stands alone and excludes nothing"),
        ("# ours\ngroup\nbird|child\n", 2, "unknown column 'group'"),
    ],
)
def test_what_excludes_each_other_has_to_exist(tmp_path: Path, text: str, line: int, what: str) -> None:
    (tmp_path / "contrary.tsv").write_text(text, "utf-8")
    found = [problem for problem in errors(write(tmp_path)) if what in problem.what]
    assert [(problem.line, Path(problem.file).name) for problem in found] == [(line, "contrary.tsv")]


def test_groups_of_concepts_that_are_there_are_sound(tmp_path: Path) -> None:
    (tmp_path / "contrary.tsv").write_text(" concepts \nbird|child\n", "utf-8")
    assert errors(write(tmp_path)) == []


def test_a_column_that_nothing_reads_is_no_table_of_what_is_implied(tmp_path: Path) -> None:
    (tmp_path / "implied.tsv").write_text("concept\timplied_by\nbird\tchild\n", "utf-8")
    assert "unknown column 'implied_by'; known: concept, implied by" in errors(write(tmp_path))[0].what


def test_a_british_form_leads_to_one_concept(tmp_path: Path) -> None:
    rows = [list(row) for row in ROWS]
    for row in (2, 5):
        rows[row][COLUMNS.index("british")] = "craane"
    found = errors(write(tmp_path, tuple(map(tuple, rows))))
    assert [problem.line for problem in found] == [4, 7]
    assert "'craane' means several concepts; write one of 'crane (bird)', 'crane (machine)'" in found[0].what


def test_a_british_form_is_no_word_of_another_language(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "labels" / "de.tsv").write_text(
        "id\tlabel\n" + "".join(f"sm:{name}\t{name}\n" for name in KOREAN if name != "bird") + "sm:bird\tGrey parrot\n",
        "utf-8",
    )
    found = errors(tables.read(tmp_path))
    assert [problem.line for problem in found] == [5]
    assert "'grey parrot' means several concepts; write one of 'bird', 'gray parrot'" in found[0].what


def test_a_taxonomy_without_concepts(tmp_path: Path) -> None:
    path = tmp_path / "empty.tsv"
    path.write_text("# ours\nid\tlabel\n", "utf-8")
    assert [(problem.line, problem.what) for problem in errors(tables.read(path))] == [
        (2, "the vocabulary has no concepts; write one a line beneath the header")
    ]
