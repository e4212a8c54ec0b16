import io
from pathlib import Path

import pytest

from tasks.errors import ConfigurationError
from worker.label_files import Labels, read_labels

DOG = ("dog", "park")


def read(folder: Path, text: str, *, name: str = "labels.csv", **options: object) -> Labels:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return read_labels(str(path), io.StringIO(), **options)  # type: ignore[arg-type]


def pairs(labels: Labels) -> list[tuple[str, tuple[str, ...]]]:
    return [(image.key, image.terms) for image in labels.images]


@pytest.mark.parametrize(
    "text",
    [
        "image,terms\na.jpg,dog;park\n",
        "\ufefffile,keywords\r\na.jpg,dog | park\r\n",
        'Path,Labels\na.jpg,"dog, park"\n',
        "filename;tags\na.jpg;dog, park\n",
        "key\tlabels\na.jpg\tdog,park\n",
        "image,term\na.jpg,dog\na.jpg,park\na.jpg,dog\n",
        '{"image": "a.jpg", "terms": ["dog", "park"]}\n',
        '{"file": "a.jpg", "labels": ["dog"]}\n\n{"file": "a.jpg", "labels": "park;dog"}\n',
        '{"key": "a.jpg", "keywords": ["dog", " park ", ""], "more": {"x": 1}}',
    ],
)
def test_every_form(tmp_path: Path, text: str) -> None:
    assert pairs(read(tmp_path, text)) == [("a.jpg", DOG)]


def test_paths_are_relative_to_the_file_or_to_images(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    text = "image,terms\nx/a.jpg,dog\n"
    assert read(tmp_path / "deep", text).images[0].path == tmp_path / "deep" / "x" / "a.jpg"
    assert read(tmp_path / "deep", text, images=tmp_path).images[0].path == tmp_path / "x" / "a.jpg"
    outright = read(tmp_path, f"image,terms\n{tmp_path}/b.jpg,dog\n")
    assert outright.images[0].path == tmp_path / "b.jpg"


def test_standard_input(tmp_path: Path) -> None:
    labels = read_labels("-", io.StringIO('{"image": "a.jpg", "terms": ["dog"]}'), images=tmp_path)
    assert pairs(labels) == [("a.jpg", ("dog",))]


@pytest.mark.parametrize("text", ['{"image": "a.jpg", "terms": ["dog"]}', "image,terms\na.jpg,dog\n"])
def test_standard_input_may_begin_with_a_byte_order_mark(tmp_path: Path, text: str) -> None:
    assert pairs(read_labels("-", io.StringIO("\ufeff" + text), images=tmp_path)) == [("a.jpg", ("dog",))]


@pytest.mark.parametrize("where", ["Set=Coco", "set=Coco", " SET =Coco"])
@pytest.mark.parametrize(
    "text",
    [
        "image,terms,Set\na.jpg,dog,Coco\nb.jpg,cat,coco\n",
        '{"image": "a.jpg", "terms": ["dog"], "Set": "Coco"}\n{"image": "b.jpg", "terms": ["cat"], "set": "coco"}',
    ],
)
def test_the_case_of_a_columns_name_makes_no_difference(tmp_path: Path, text: str, where: str) -> None:
    assert pairs(read(tmp_path, text, where=[where])) == [("a.jpg", ("dog",))]


@pytest.mark.parametrize("value", ["true", "false", "null", "3", "2.5", '["한"]', "", "text"])
def test_values_are_compared_as_json_writes_them(tmp_path: Path, value: str) -> None:
    said = ("true", "false", "null", "3", "2.5", '["한"]', '""', '"text"')
    rows = [f'{{"image": "{i}.jpg", "terms": ["dog"], "is": {content}}}' for i, content in enumerate(said)]
    labels = read(tmp_path, "\n".join(rows), where=[f"is={value}"])
    assert [image.key for image in labels.images] == [f"{[c.strip(chr(34)) for c in said].index(value)}.jpg"]


def test_rows_without_terms_and_other_rows_are_counted(tmp_path: Path) -> None:
    text = "image,terms,set\na.jpg,dog,x\nb.jpg,,x\nc.jpg,cat,y\nd.jpg,cow,x\n"
    labels = read(tmp_path, text, where=["set=x"])
    assert (pairs(labels), labels.unlabelled, labels.skipped) == ([("a.jpg", ("dog",)), ("d.jpg", ("cow",))], 1, 1)
    assert pairs(read(tmp_path, text, limit=1)) == [("a.jpg", ("dog",))]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,terms\na.jpg,dog\n", "labels.csv:1: there is no column image or file or key or path"),
        ("image,colour\na.jpg,red\n", "labels.csv:1: there is no column terms or keywords or labels"),
        ("", "labels.csv:1: there is no column"),
        ("image,terms\na.jpg,dog\nb.jpg,cat,cow\n", "labels.csv:3: 3 cells under 2 columns"),
        ('image,terms\na.jpg,"dog\n', "labels.csv:2: unexpected end of data"),
        ("image,terms\n,dog\n", "labels.csv:2: which image?"),
        ("image,terms\na.jpg,\n", "labels.csv: no image has a term (1 without, 0 left out"),
        ('{"image": "a.jpg", "terms": ["dog"]}\n{"image"\n', "labels.csv:2: not JSON"),
        ('{"image": "a.jpg", "terms": ["dog"]}\n[1]\n', "labels.csv:2: a line has to be an object"),
        ('{"image": 3, "terms": ["dog"]}\n', "labels.csv:1: which image?"),
        ('{"image": "a.jpg", "terms": [3]}\n', "labels.csv:1: the terms have to be a list of texts"),
        ('{"image": "a.jpg", "terms": {"cat": 0.1}}\n', "labels.csv:1: the terms have to be a list of texts"),
        ('{"image": "a.jpg", "terms": ["\\ud800"]}\n', "labels.csv:1: '\\ud800' has half a character in it"),
        ('{"image": "\\udcff.jpg", "terms": ["x"]}\n', "labels.csv:1: '\\udcff.jpg' has half a character in it"),
        ('{"image": "a.jpg", "terms": 3}\n', "labels.csv:1: the terms have to be a list of texts"),
    ],
)
def test_what_is_wrong_is_said_with_the_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        read(tmp_path, text)
    assert said in str(error.value)


def test_what_cannot_be_asked(tmp_path: Path) -> None:
    good = "image,terms\na.jpg,dog\n"
    with pytest.raises(ConfigurationError, match=r"gone\.csv: No such file"):
        read_labels(str(tmp_path / "gone.csv"), io.StringIO())
    with pytest.raises(ConfigurationError, match="there is no such folder"):
        read(tmp_path, good, images=tmp_path / "gone")
    with pytest.raises(ConfigurationError, match="give it as column=value"):
        read(tmp_path, good, where=["set"])
    with pytest.raises(ConfigurationError, match="no row has the column 'set'"):
        read(tmp_path, good, where=["set=x"])
    (tmp_path / "labels.csv").write_bytes(b"image,terms\n\xff")
    with pytest.raises(ConfigurationError, match="not UTF-8 at byte 12"):
        read_labels(str(tmp_path / "labels.csv"), io.StringIO())
