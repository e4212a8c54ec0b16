"""`stockmeta write --embed --out`: copies with metadata, and what becomes of files that are left alone."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tasks.generations.pointer import open_generation
from tasks.layout import FOLDER_KEYS, Layout
from tasks.records import ImageRef
from tests.conftest import jpeg
from tests.worker.libraries import GENERATION, record
from worker.commands import write
from worker.commands.write import Options
from worker.metadata.exiftool import ExifTool
from worker.metadata.fields import LISTS
from worker.metadata.merge import Merge
from worker.metadata.xmp import Packet
from worker.settings import load_settings
from worker.storage.local import LocalStore

pytestmark = pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")

Run = Callable[..., list[dict[str, Any]]]


def saved(kind: str) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (32, 32), "red").save(buffer, kind)
    return buffer.getvalue()


def signed() -> bytes:
    """A PNG with the chunk of a C2PA manifest (its content is not looked at)."""
    plain = saved("PNG")
    return plain[:33] + (4).to_bytes(4, "big") + b"caBX" + b"jumb" + b"\0\0\0\0" + plain[33:]


FILES = {
    "-dash\n#1.jpg": jpeg("red"),
    "a.gif": saved("GIF"),
    "deep/개.webp": saved("WEBP"),
    "png as.jpg": saved("PNG"),
    "signed.png": signed(),
    "x.tif": saved("TIFF"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    for name, data in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    store, layout = LocalStore(root), Layout(limits=FOLDER_KEYS)
    open_generation(store, layout, GENERATION)
    for key in FILES:
        made = record(key, ["dog", "beach"])
        made = replace(made, image=replace(made.image, bucket="photos", etag=store.stat(key).etag))
        store.put(layout.done(GENERATION, ImageRef("photos", key)), made.to_json().encode(), if_match=None)
    return root


@pytest.fixture
def run(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    def call(status: int = 0, **options: Any) -> list[dict[str, Any]]:
        settings = load_settings(library=str(folder))
        assert write.run(settings, Options(embed=True, out=tmp_path / "out", **options)) == status
        return [json.loads(line) for line in capfd.readouterr().out.splitlines()]

    return call


def keywords(path: Path, suffix: str) -> tuple[str, ...]:
    with ExifTool() as tool:
        return Packet(tool.read(path.read_bytes(), suffix).xmp).items(LISTS["keywords"])


def test_every_file_has_its_copy_and_its_metadata(run: Run, folder: Path, tmp_path: Path) -> None:
    lines = run()
    assert {line["status"] for line in lines} == {"written"}
    assert {line["key"]: line["target"] for line in lines} == {
        "-dash\n#1.jpg": "-dash\n#1.jpg",
        "a.gif": "a.xmp",
        "deep/개.webp": "deep/개.webp",
        "png as.jpg": "png as.jpg",
        "signed.png": "signed.xmp",
        "x.tif": "x.tif",
    }
    why = {line["key"]: line["reason"] for line in lines if line["reason"]}
    assert why.keys() == {"a.gif", "signed.png"}
    assert "C2PA" in why["signed.png"]
    out = tmp_path / "out"
    for name, suffix in (
        ("-dash\n#1.jpg", ".jpg"),
        ("deep/개.webp", ".webp"),
        ("png as.jpg", ".png"),
        ("x.tif", ".tif"),
    ):
        assert keywords(out / name, suffix) == ("dog", "beach")
    for name in ("a", "signed"):
        assert Packet((out / f"{name}.xmp").read_bytes()).items(LISTS["keywords"]) == ("dog", "beach")
    # What is left alone is copied as it is, and the library is only read.
    assert (out / "signed.png").read_bytes() == FILES["signed.png"]
    assert (out / "a.gif").read_bytes() == FILES["a.gif"]
    assert {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.*") if p.suffix[1:] in _KINDS} == FILES
    assert {line["status"] for line in run()} == {"unchanged"}
    assert {line["status"] for line in run(dry_run=True)} == {"unchanged"}


_KINDS = {name.rpartition(".")[2] for name in FILES}


def test_what_a_person_edits_in_a_copy_stays(run: Run, tmp_path: Path) -> None:
    run()
    path = tmp_path / "out" / "x.tif"
    with ExifTool() as tool:
        blocks = tool.read(path.read_bytes(), ".tif")
        packet = Packet(blocks.xmp)
        packet.set_items(LISTS["keywords"], ["Bella"])
        edited = tool.write(path.read_bytes(), ".tif", blocks._replace(xmp=packet.to_bytes()))
    path.write_bytes(edited)
    assert {line["status"] for line in run()} == {"unchanged"}
    added = next(line for line in run(merge=Merge.ADD) if line["key"] == "x.tif")
    assert (added["status"], added["fields"]) == ("written", ["keywords"])
    assert keywords(path, ".tif") == ("Bella", "dog", "beach")


def test_another_picture_in_the_way_is_not_overwritten(run: Run, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    path = tmp_path / "out" / "x.tif"
    path.write_bytes(jpeg("navy"))
    line = next(line for line in run(1) if line["key"] == "x.tif")
    assert (line["status"], line["fields"]) == ("failed", [])
    assert "another picture" in line["reason"]
    assert path.read_bytes() == jpeg("navy")
    assert "failed" not in {line["status"] for line in run(merge=Merge.REPLACE)}
    assert keywords(path, ".tif") == ("dog", "beach")


def test_a_copy_of_what_is_left_alone_may_be_edited_and_is_not_overwritten(run: Run, tmp_path: Path) -> None:
    run()
    edited = tmp_path / "out" / "signed.png"
    data = edited.read_bytes()
    text = b"tEXt" + b"Title\0Bella"
    edited.write_bytes(data[:33] + (len(text) - 4).to_bytes(4, "big") + text + b"\0\0\0\0" + data[33:])
    before = edited.read_bytes()
    assert {line["status"] for line in run()} == {"unchanged"}
    assert edited.read_bytes() == before
    # Of a GIF we cannot tell; so it is somebody's.
    other = tmp_path / "out" / "a.gif"
    other.write_bytes(b"GIF89a of somebody else")
    (line,) = (line for line in run(1) if line["status"] != "unchanged")
    assert (line["key"], line["status"]) == ("a.gif", "failed")
    assert "another picture" in line["reason"]
    assert other.read_bytes() == b"GIF89a of somebody else"
    run(merge=Merge.REPLACE)
    assert other.read_bytes() == FILES["a.gif"]
