"""Two generations of a library compared: what is listed, what is read, what is said, and the page."""

import base64
import io
import json
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pictures
from typer.testing import CliRunner

from tasks.errors import ConfigurationError, Unavailable
from tasks.generations.compare import Comparison
from tasks.generations.pointer import open_generation
from tasks.layout import Layout
from tasks.listing.order import Order
from tasks.records import Image, ImageRef, Record, Status
from tests.conftest import jpeg
from tests.worker.libraries import record
from worker import cli
from worker.generations.comparing import compare
from worker.library import Library, open_library
from worker.settings import load_settings
from worker.storage.memory import MemoryStore

A, B = "a" * 12, "b" * 12
BUCKET = "photos"
HARD = [
    "a b.jpg",
    "a-1.jpg",
    "a/b.jpg",
    "foo",
    "foo-1",
    "foo.jpg",
    "사진/녹색.jpg",
    "new\nline.jpg",
    "x" * 900 + ".jpg",
]


def library(order: Order = "bytes", prefix: str = "") -> Library:
    return Library(MemoryStore(BUCKET, order), prefix, MemoryStore("sidecars", order), Layout(""))


def write(made: Library, generation: str, *records: Record) -> None:
    for each in records:
        ref = ImageRef(BUCKET, each.image.key)
        path = made.layout.done(generation, ref) if each.status.done else made.layout.failed(generation, ref)
        text = replace(each, generation=generation).to_json()
        made.sidecars.put(path, text.encode(), if_match=None)


def failed(key: str, reason: str = "truncated") -> Record:
    return Record(
        status=Status.REJECTED,
        image=Image(BUCKET, key, '"1"'),
        generation=A,
        revision=1,
        created_at="2026-11-22T00:00:00+00:00",
        updated_at="2026-11-22T00:00:00+00:00",
        reason=reason,
        detail="as told",
    )


def compared(made: Library, limit: int = 10, sample: int | None = None) -> Comparison:
    return compare(made, A, B, limit=limit, sample=sample, progress=lambda what, done, total: None)


def told(comparison: Comparison) -> dict[str, list[str]]:
    return {where: apart.keys for where, apart in comparison.apart.items()}


@pytest.mark.parametrize("order", ["bytes", "path"])
@pytest.mark.parametrize("missing", [(), ("foo", "a-1.jpg"), tuple(HARD[1::2])])
def test_every_image_is_met_once_however_its_key_sorts(order: Order, missing: Iterable[str]) -> None:
    made = library(order)
    write(made, A, *(record(key, ["tree"]) for key in HARD))
    write(made, B, *(record(key, ["oak"]) for key in HARD if key not in missing))
    comparison = compared(made, limit=100)
    assert sorted(pair.a.image.key for pair in comparison.worst) == sorted(set(HARD) - set(missing))
    assert sorted(told(comparison).get("only_a", [])) == sorted(missing)
    assert "only_b" not in comparison.apart


def test_each_image_is_told_apart_by_what_it_has() -> None:
    made = library()
    write(made, A, record("both.jpg"), record("gone.jpg"), failed("mended.jpg"), record("broke.jpg"), failed("bad.jpg"))
    write(made, B, record("both.jpg"), record("new.jpg"), record("mended.jpg"), failed("broke.jpg", "unreadable"))
    write(made, B, failed("bad.jpg"), failed("new-bad.jpg"))
    write(made, A, record("replaced.jpg", etag='"1"'))
    write(made, B, record("replaced.jpg", etag='"2"'))
    made.sidecars.put(made.layout.done(A, ImageRef(BUCKET, "junk.jpg")), b"{", if_match=None)
    write(made, B, record("junk.jpg"))
    comparison = compared(made)
    assert told(comparison) == {
        "only_a": ["gone.jpg"],
        "only_b": ["new-bad.jpg", "new.jpg"],
        "failed_only_a": ["mended.jpg"],
        "failed_only_b": ["broke.jpg"],
        "failed_both": ["bad.jpg"],
        "other_content": ["replaced.jpg"],
        "unreadable": ["junk.jpg"],
    }
    assert comparison.reasons == {"unreadable": 1}
    assert (comparison.compared, comparison.same) == (1, 1)


def test_records_that_speak_of_another_image_are_no_records_of_this_one() -> None:
    made = library()
    for name, word in ((A, "tree"), (B, "oak")):
        write(made, name, record("a.jpg", [word]))
        for key in ("b.jpg", "c.jpg"):
            copied = replace(record("a.jpg", [word]), generation=name).to_json().encode()
            made.sidecars.put(made.layout.done(name, ImageRef(BUCKET, key)), copied, if_match=None)
    comparison = compared(made)
    assert [pair.a.image.key for pair in comparison.worst] == ["a.jpg"]
    assert told(comparison) == {"unreadable": ["b.jpg", "c.jpg"]}


def test_metadata_count_where_a_failure_lies_beside_them() -> None:
    made = library()
    write(made, A, record("a.jpg"), failed("a.jpg"))
    write(made, B, record("a.jpg"))
    assert not compared(made).apart


def test_only_what_is_below_the_prefix_is_compared() -> None:
    made = library(prefix="2026/")
    for name in (A, B):
        write(made, name, *(record(key, ["tree" if name == A else "oak"]) for key in ("2025/a.jpg", "2026/a.jpg")))
    assert [pair.a.image.key for pair in compared(made).worst] == ["2026/a.jpg"]


def test_a_sample_is_the_same_every_time_and_reads_no_more() -> None:
    asked = []

    class Counting(MemoryStore):
        def read(self, key: str) -> tuple[bytes, str] | None:
            asked.append(key)
            return super().read(key)

    made = replace(library(), sidecars=Counting("sidecars"))
    for name in (A, B):
        write(made, name, *(record(f"{i:03}.jpg", ["tree" if name == A else "oak"]) for i in range(30)))
    first = compared(made, limit=100, sample=7)
    assert first.compared == 7
    assert len(asked) == 14
    assert [pair.a.image.key for pair in compared(made, limit=100, sample=7).worst] == [
        pair.a.image.key for pair in first.worst
    ]
    assert compared(made, sample=1000).compared == 30


def test_a_store_that_does_not_answer_ends_it() -> None:
    class Silent(MemoryStore):
        def read(self, key: str) -> tuple[bytes, str] | None:
            raise Unavailable("silent")

    made = replace(library(), sidecars=Silent("sidecars"))
    for name in (A, B):
        write(made, name, record("a.jpg"))
    with pytest.raises(Unavailable, match="silent"):
        compared(made)


@pytest.fixture
def filled(tmp_path: Path) -> Library:
    """A folder with three pictures, one of them replaced since, and records of them in both generations."""
    folder = tmp_path / BUCKET
    folder.mkdir()
    for name in ("one.jpg", "two <b>.jpg", "replaced.jpg"):
        (folder / name).write_bytes(jpeg("red"))
    made = open_library(load_settings(library=str(folder)))
    for generation in (A, B):
        open_generation(made.sidecars, made.layout, generation)
        for i, name in enumerate(("one.jpg", "two <b>.jpg", "replaced.jpg")):
            etag = made.source.stat(name).etag if name != "replaced.jpg" else '"before"'
            words = ["tree", "<script>alert(1)</script>"][: 1 + (i > 0)] if generation == A else ["oak", "tree"]
            write(made, generation, record(name, words, etag=etag, title=f"{generation} & <i>"))
    return made


def run(made: Library, *arguments: object) -> Any:
    where = str(made.source.root)  # type: ignore[attr-defined]
    return CliRunner().invoke(cli.app, ["generation", "compare", where, *map(str, arguments)])


def test_the_page_has_pictures_and_no_markup_of_anybodys(filled: Library, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "report"
    result = run(filled, "serving", "filling", "--out", out, "--json")
    assert result.exit_code == 0, result.output
    page = (out / "compare.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 2
    assert page.count("no picture") == 1
    assert "<script" not in page
    assert "<i>" not in page
    assert "two &lt;b&gt;.jpg" in page
    assert not re.search(r'(?:src|href)="(?!data:)', page)
    content = json.loads((out / "compare.json").read_text(encoding="utf-8"))
    assert content == json.loads(result.stdout)
    assert content["images"] == {"compared": 3, "same": 0}
    assert content["keywords"]["gained_most"] == [{"id": "c-oak", "label": "oak", "images": 3}]
    assert content["changed"] == {"title": 3, "keywords": 3}
    assert [each["key"] for each in content["worst"]] == ["replaced.jpg", "two <b>.jpg", "one.jpg"]
    assert content["a"]["generation"] == A
    assert 0 < content["distance"]["mean"] < 1


def test_a_thumbnail_is_small(filled: Library, tmp_path: Path) -> None:
    (filled.source.root / "one.jpg").write_bytes(jpeg("blue", (900, 600)))  # type: ignore[attr-defined]
    etag = filled.source.stat("one.jpg").etag
    for generation in (A, B):
        path = filled.layout.done(generation, ImageRef(BUCKET, "one.jpg"))
        _, before = filled.sidecars.read(path) or (b"", "")
        words = ["tree"] if generation == A else ["oak"]
        text = replace(record("one.jpg", words, etag=etag), generation=generation).to_json()
        filled.sidecars.put(path, text.encode(), if_match=before)
    assert run(filled, A, B, "--limit", 1, "--out", tmp_path).exit_code == 0
    page = (tmp_path / "compare.html").read_text(encoding="utf-8")
    (data,) = re.findall(r"data:image/jpeg;base64,([^\"]+)", page)
    assert max(Pictures.open(io.BytesIO(base64.b64decode(data))).size) == 320


def test_people_get_lines(filled: Library) -> None:
    result = run(filled, A, B)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"A  {A}, serving")
    assert "3 images compared; 0 are the same in both" in lines
    assert any(line.startswith("gained most often: oak (3)") for line in lines)


def test_wrong_usage_is_told(filled: Library) -> None:
    for arguments in ([A, A], ["serving", "previous"], [A, "c" * 12], [A]):
        result = run(filled, *arguments)
        assert isinstance(result.exception, ConfigurationError), arguments
