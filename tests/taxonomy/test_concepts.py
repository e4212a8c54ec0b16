from pathlib import Path

import pytest

from taxonomy.concepts import Concept, TaxonomyError, build, literal
from taxonomy.files import load, read_concepts

ZOO = [
    Concept("animal", "animal", facet="animal"),
    Concept("elephant", "elephant", parent="mammal", facet="animal"),
    Concept("mammal", "mammal", parent="animal", facet="animal"),
    Concept("cup", "cup"),
    Concept("dog", "dog", parent="mammal", facet="animal"),
]


def test_every_subtree_is_one_run() -> None:
    vocabulary = build(ZOO)

    runs = {
        concept.id: {below.id for below in vocabulary.concepts[i : vocabulary.end[i]]}
        for i, concept in enumerate(vocabulary.concepts)
    }

    assert runs == {
        "animal": {"animal", "mammal", "elephant", "dog"},
        "mammal": {"mammal", "elephant", "dog"},
        "elephant": {"elephant"},
        "dog": {"dog"},
        "cup": {"cup"},
    }


@pytest.mark.parametrize(
    ("concepts", "message"),
    [
        ([Concept("a", "a"), Concept("a", "b")], "'a' is there twice"),
        ([Concept("a", "a", parent="b")], "no concept has the id 'b'"),
        ([Concept("a", "a", parent="b"), Concept("b", "b", parent="a")], "each other's parents: a, b"),
    ],
)
def test_a_tree_that_is_none_is_refused(concepts: list[Concept], message: str) -> None:
    with pytest.raises(TaxonomyError, match=message):
        build(concepts)


def test_leaving_out_a_facet_moves_children_up() -> None:
    odd = [*ZOO, Concept("trunk", "trunk", parent="elephant", facet="body"), Concept("tip", "tip", parent="trunk")]

    vocabulary = build(odd).only(frozenset({"animal", "object"}))

    assert "trunk" not in vocabulary.index
    assert vocabulary.concepts[vocabulary.index["tip"]].parent == "elephant"


def test_a_word_list_is_taken_literally() -> None:
    vocabulary = literal(["dog\n", "", "  stop sign ", "dog", "개"])

    assert [concept.label for concept in vocabulary.concepts] == ["dog", "stop sign", "개"]
    assert vocabulary.flat
    assert vocabulary.only(frozenset()) is vocabulary


def test_a_literal_list_without_terms_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "empty.txt"
    path.write_text("\n \n")
    with pytest.raises(TaxonomyError, match="no terms"):
        load(path)


def test_a_taxonomy_file_is_told_from_a_word_list(tmp_path: Path) -> None:
    path = tmp_path / "own.tsv"
    path.write_text("id\tlabel\tparent\n# ours\nx:1\tanimal\t\nx:2\tdog\tanimal\n", encoding="utf-8")

    vocabulary = load(path)

    assert not vocabulary.flat
    assert [above.label for above in vocabulary.ancestors(vocabulary.by_name["dog"])] == ["animal"]


@pytest.mark.parametrize("before", ["# ours\n", "\n\n", "\ufeff# id\n \r\n"])
@pytest.mark.parametrize("header", ["id\tlabel", "id \t label", "label\tid"])
def test_comments_may_come_before_the_header(tmp_path: Path, before: str, header: str) -> None:
    path = tmp_path / "own.tsv"
    path.write_text(f"{before}{header}\nx\tx\ny\ty\n", encoding="utf-8")

    vocabulary = load(path)

    assert not vocabulary.flat
    assert sorted(vocabulary.by_name) == ["x", "y"]


def test_a_word_list_has_no_tabs(tmp_path: Path) -> None:
    path = tmp_path / "own.tsv"
    path.write_text("# ours\ncat\t\nacme:lamp\tlamp\n", encoding="utf-8")
    with pytest.raises(TaxonomyError, match=r"own\.tsv:3: a word list has one term a line and no tabs"):
        load(path)


def test_a_word_list_may_begin_with_a_hash(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("#1\ncat\n", encoding="utf-8")
    assert [concept.label for concept in load(path).concepts] == ["#1", "cat"]


def test_a_taxonomy_file_without_concepts_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "empty.tsv"
    path.write_text("id\tlabel\n", encoding="utf-8")
    with pytest.raises(TaxonomyError, match=r"empty\.tsv: the vocabulary has no concepts"):
        load(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id\tlabel\nx\t\n", ":2: the label is empty"),
        ("id\tlabel\tcolour\n", "unknown column 'colour'"),
        ("id\tlabel\nx\ty\tz\n", ":2: 3 cells under 2 columns"),
        ("id\tlabel\nx\tcrane\ny\tcrane\n", ":3: 'crane' is there twice; give one of them a hint"),
        ("id\tlabel\tparent\nx\tdog\tanimal\n", ":2: the parent 'animal' is not a concept"),
        ("id\tlabel\tfacet\nx\tdog\tbeast\n", ":2: 'beast' is none of"),
        ("id\tlabel\tflags\nx\tdog\tgood\n", ":2: 'good' is none of"),
        ("", "is empty"),
    ],
)
def test_a_bad_taxonomy_file_says_where_and_why(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.tsv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TaxonomyError, match=message):
        list(read_concepts(path))


def test_a_file_that_is_not_text_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(b"dog\n\xff\xfe")
    with pytest.raises(TaxonomyError, match="not UTF-8 at byte 4"):
        load(path)


def test_the_fingerprint_follows_the_content() -> None:
    changed = [*ZOO[:-1], Concept("dog", "hound", parent="mammal", facet="animal")]
    assert build(ZOO).fingerprint == build(ZOO).fingerprint
    assert build(ZOO).fingerprint != build(changed).fingerprint
