"""Every odd and every hostile file through the command itself, in one run each: a record or a reason for each."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import Command
from worker.images.formats import FORMATS

Validate = Callable[[str], dict[str, Any]]


def listed(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]


@pytest.mark.shared
def test_formats_of_the_allow_list_give_records_with_both_sizes(
    stockmeta: Command, shared_photos: Path, validate: Validate
) -> None:
    files = listed(shared_photos, "formats.jsonl")
    result = stockmeta("tag", "-", stdin="".join(f"{shared_photos / file['file']}\n" for file in files), MODEL="fake")

    records = [validate(line) for line in result.stdout.splitlines()]
    assert [record["image"]["key"] for record in records] == [Path(file["file"]).name for file in files]
    for file, record in zip(files, records, strict=True):
        if {"MPO": "JPEG"}.get(file["format"], file["format"]) not in FORMATS:
            continue
        image = record["image"]
        assert record["status"] == "tagged", (file, record["detail"])
        stored = [image["stored_width"], image["stored_height"]]
        turned = (file["exif_orientation"] or 1) >= 5
        assert [image["width"], image["height"]] == (stored[::-1] if turned else stored), file
        if file["format"] in ("JPEG", "PNG", "TIFF", "GIF"):
            # Pillow, which measured the list, turns some AVIF and WebP by itself.
            assert stored == [file["width"], file["height"]], file


@pytest.mark.shared
def test_hostile_files_give_a_record_or_a_reason(stockmeta: Command, shared_photos: Path, validate: Validate) -> None:
    files = sorted((shared_photos / "hostile").iterdir())
    result = stockmeta("tag", "-", stdin="".join(f"{file}\n" for file in files), MODEL="fake")

    records = [validate(line) for line in result.stdout.splitlines()]
    assert [record["image"]["key"] for record in records] == [file.name for file in files]
    assert result.returncode == 1
    for record in records:
        assert record["status"] in ("tagged", "rejected"), record
        if record["status"] == "rejected":
            assert record["reason"] and len(record["detail"]) > 10
            assert "/" not in record["detail"], "a machine path in a reason"
    assert "Traceback" not in result.stderr
