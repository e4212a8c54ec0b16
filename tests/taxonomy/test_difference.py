from pathlib import Path

from taxonomy import tables
from taxonomy.difference import Change, changes

HEADER = "id\tlabel\thint\tparent\ttier\tsynonyms\n"
OLD = (
    "sm:animal\tanimal\t\t\tA\t\n"
    "sm:cat\tcat\t\tanimal\tA\t\n"
    "sm:dog\tdog\t\tanimal\tA\tpuppy\n"
    "sm:wolf\twolf\t\tdog\tC\t\n"
)
NEW = (
    "sm:animal\tcreature\t\t\tA\t\n"
    "sm:dog\tdog\t\tcreature\tB\thound|puppy\n"
    "sm:fox\tfox\t\tcreature\tB\t\n"
    "sm:wolf\twolf\t\tcreature\tC\t\n"
)


def folder(path: Path, concepts: str, korean: str, categories: str) -> tables.Tables:
    for name in ("labels", "categories"):
        (path / name).mkdir(parents=True)
    (path / "concepts.tsv").write_text(HEADER + concepts, "utf-8")
    (path / "labels" / "ko.tsv").write_text("id\tlabel\tsynonyms\n" + korean, "utf-8")
    (path / "categories" / "test.tsv").write_text("id\tlabel\tconcepts\tprompt\n" + categories, "utf-8")
    return tables.read(path)


def test_every_kind_of_change(tmp_path: Path) -> None:
    old = folder(tmp_path / "old", OLD, "sm:dog\t개\t\nsm:cat\t고양이\t\n", "1\tAnimals\tanimal\tanimals\n")
    new = folder(tmp_path / "new", NEW, "sm:dog\t개\t강아지\nsm:fox\t여우\t\n", "1\tAnimals\tcreature\tanimals\n")
    assert changes(old, new) == [
        Change("added", "sm:fox", "fox", "", "", "fox"),
        Change("removed", "sm:cat", "cat", "", "cat", ""),
        Change("renamed", "sm:animal", "creature", "", "animal", "creature"),
        # The dog is where it was: its parent only has another name.
        Change("moved", "sm:wolf", "wolf", "", "dog", "creature"),
        Change("changed", "sm:dog", "dog", "tier", "A", "B"),
        Change("changed", "sm:dog", "dog", "synonyms", "puppy", "hound|puppy"),
        Change("label", "sm:dog", "dog", "ko", "label 개", "label 개; synonyms 강아지"),
        Change("label", "sm:fox", "fox", "ko", "", "label 여우"),
        Change("label", "sm:cat", "cat", "ko", "label 고양이", ""),
        Change(
            "category",
            "1",
            "Animals",
            "test",
            "label Animals; concepts animal; prompt animals",
            "label Animals; concepts creature; prompt animals",
        ),
    ]


def test_the_same_is_no_change(tmp_path: Path) -> None:
    old = folder(tmp_path / "old", OLD, "", "")
    assert changes(old, old) == []


def test_files_alone_are_compared_without_languages(tmp_path: Path) -> None:
    folder(tmp_path / "old", OLD, "sm:dog\t개\t\n", "")
    path = tmp_path / "new.tsv"
    path.write_text(HEADER + OLD, "utf-8")
    assert changes(tables.read(tmp_path / "old" / "concepts.tsv"), tables.read(path)) == []


def test_what_implies_and_excludes_what_is_compared_by_id(tmp_path: Path) -> None:
    for name in ("old", "new"):
        folder(tmp_path / name, OLD if name == "old" else OLD.replace("\tdog", "\thound"), "", "")
    (tmp_path / "old" / "implied.tsv").write_text("concept\timplied by\nanimal\tcat|dog\n", "utf-8")
    (tmp_path / "new" / "implied.tsv").write_text("concept\timplied by\nanimal\thound|cat\ncat\twolf\n", "utf-8")
    (tmp_path / "old" / "contrary.tsv").write_text("concepts\ncat|dog\n", "utf-8")
    (tmp_path / "new" / "contrary.tsv").write_text("concepts\ncat|hound|wolf\n", "utf-8")
    found = changes(tables.read(tmp_path / "old"), tables.read(tmp_path / "new"))
    assert [change for change in found if change.kind in ("implied", "contrary")] == [
        Change("implied", "sm:cat", "cat", "", "", "wolf"),
        Change("contrary", "sm:cat", "cat", "", "dog", "hound|wolf"),
        Change("contrary", "sm:dog", "hound", "", "cat", "cat|wolf"),
        Change("contrary", "sm:wolf", "wolf", "", "", "cat|hound"),
    ]


def test_what_was_said_in_a_file_that_went_is_told(tmp_path: Path) -> None:
    folder(tmp_path / "old", OLD, "", "")
    (tmp_path / "old" / "implied.tsv").write_text("concept\timplied by\nwolf\tden\n", "utf-8")
    assert changes(tables.read(tmp_path / "old"), folder(tmp_path / "new", OLD, "", "")) == [
        Change("implied", "sm:wolf", "wolf", "", "den", "")
    ]


def test_the_head_of_a_scheme_is_compared(tmp_path: Path) -> None:
    old, new = (folder(tmp_path / name, OLD, "", "1\tAnimals\tanimal\tanimals\n") for name in ("old", "new"))
    assert changes(old, new) == []
    for name, head in (("old", "# Ours.\n# most: 1\n"), ("new", "# most: 9\n# covers: things\n# source: ours\n")):
        scheme = tmp_path / name / "categories" / "test.tsv"
        scheme.write_text(head + scheme.read_text("utf-8"), "utf-8")
    assert changes(tables.read(tmp_path / "old"), tables.read(tmp_path / "new")) == [
        Change("scheme", "test", "test", "most", "1", "9"),
        Change("scheme", "test", "test", "covers", "", "things"),
    ]
