"""Photographs are tagged, and what they say is exported: from a folder, and from a real S3 server."""

import csv
import io
import json
from pathlib import Path

import pytest

from taxonomy import agencies
from tests.conftest import jpeg
from tests.integration.conftest import Command
from tests.servers import Server

CONCEPTS = ("animal", "dog", "cat", "tree", "flower", "bread", "car", "boat", "chair", "table", "lamp", "bridge")


@pytest.fixture
def words(tmp_path: Path) -> Path:
    path = tmp_path / "concepts.tsv"
    path.write_text("id\tlabel\n" + "".join(f"t:{name}\t{name}\n" for name in CONCEPTS), "utf-8")
    return path


def test_a_folder_is_tagged_and_exported(stockmeta: Command, tmp_path: Path, words: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name, color in (("red.jpg", "red"), ("blue, wide.jpg", "blue"), ("green.jpg", "green")):
        (photos / name).write_bytes(jpeg(color, (2400, 1700)))
    tagged = stockmeta("tag", photos, "--out", tmp_path / "sidecars", MODEL="fake", VOCABULARY=words)
    records = [json.loads(line) for line in tagged.stdout.splitlines()]
    assert [record["status"] for record in records] == ["tagged"] * 3, tagged.stderr

    for agency in ("shutterstock", "freepik"):
        arguments = (photos, "--output", tmp_path / "sidecars", "--agency", agency, "--include-refused")
        exported = stockmeta("export", *arguments, VOCABULARY=words)
        assert exported.returncode in (0, 1), exported.stderr
        form = agencies.load(agency).file
        header, *rows = csv.reader(io.StringIO(exported.stdout, newline=""), delimiter=form.delimiter)
        assert header == [column.header for column in form.columns]
        assert [row[0] for row in rows] == ["blue, wide.jpg", "green.jpg", "red.jpg"]
        assert all(len(row) == len(header) for row in rows)


def test_a_bucket_is_exported_as_a_folder_is(
    stockmeta: Command, seaweed: Server, tmp_path: Path, words: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in seaweed.environment.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    settings = {n.removeprefix("STOCKMETA_"): v for n, v in seaweed.environment.items() if n.startswith("STOCKMETA_")}
    photos = tmp_path / seaweed.make_bucket()
    photos.mkdir()
    for number in range(3):
        (photos / f"{number}.jpg").write_bytes(jpeg("red", (2400, 1700)))
    stockmeta("tag", photos, "--out", tmp_path / "sidecars", MODEL="fake", VOCABULARY=words)
    client = seaweed.s3()
    for path in sorted((tmp_path / "sidecars").rglob("*.json")):
        key = f".stockmeta/{path.relative_to(tmp_path / 'sidecars').as_posix()}"
        client.put_object(Bucket=photos.name, Key=key, Body=path.read_bytes())

    arguments = ("--agency", "iptc")
    folder = stockmeta("export", photos, "--output", tmp_path / "sidecars", *arguments, VOCABULARY=words)
    bucket = stockmeta("export", f"s3://{photos.name}", *arguments, VOCABULARY=words, **settings)
    assert bucket.returncode == 0, bucket.stderr
    assert bucket.stdout.count(".jpg") == 3
    assert bucket.stdout == folder.stdout
