"""The demo is the product: a real broker, a real Celery worker, the real model."""

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.integration.conftest import Command

Validate = Callable[[str], dict[str, Any]]


def test_the_demo_tags_its_photographs(stockmeta: Command, tmp_path: Path, validate: Validate) -> None:
    out = tmp_path / "out"
    result = stockmeta("demo", "--out", out, MODEL="starter")

    assert result.returncode == 0, result.stderr + (out / "worker.log").read_text()
    records = {
        path.name.removesuffix(".json"): validate(path.read_text(encoding="utf-8"))
        for path in (out / "sidecars").rglob("*/done/photos/*.json")
    }
    assert set(records) == {path.name for path in (out / "photos").iterdir()}
    assert len(records) >= 8
    assert records["chelsea.png"]["keywords"][0]["labels"]["en"] == "cat"
    assert records["chelsea.png"]["keywords"][0]["labels"]["ko"] == "고양이"
    assert records["coffee.png"]["categories"]["adobe"][0]["label"] == "Drinks"
    assert "cat" in records["chelsea.png"]["caption"]
    assert "committed as tagged" in (out / "worker.log").read_text()

    page = (out / "contact-sheet.html").read_text(encoding="utf-8")
    thumbnails = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    assert len(thumbnails) == len(records)
    assert all(base64.b64decode(picture).startswith(b"\xff\xd8") for picture in thumbnails)
    assert not re.search(r'(src|href)="(?!data:)', page), "the page is not self-contained"
    assert records["chelsea.png"]["title"] in page


def test_own_photographs_with_a_broken_one(stockmeta: Command, photos: Path, tmp_path: Path) -> None:
    (photos / "notes<script>.jpg").write_text("no picture")
    out = tmp_path / "out"
    result = stockmeta("demo", "--photos", photos, "--out", out, MODEL="fake")
    assert result.returncode == 1
    assert len(list((out / "sidecars").rglob("*/failed/photos/*.json"))) == 2
    page = (out / "contact-sheet.html").read_text(encoding="utf-8")
    assert "notes&lt;script&gt;.jpg" in page
    assert "notes<script>" not in page

    again = stockmeta("demo", "--photos", photos, "--out", out, MODEL="fake", MAX_KEYWORDS="3")
    assert again.returncode == 1, "another generation goes into the same folder"
    assert len(list((out / "sidecars").rglob("*/failed/photos/*.json"))) == 4


def test_check_tries_everything(stockmeta: Command, photos: Path) -> None:
    result = stockmeta("check", MODEL="starter", LIBRARY=photos)
    assert result.returncode == 0, result.stdout
    assert {line.split()[0] for line in result.stdout.splitlines()} == {"ok"}
    broken = stockmeta("check", "--json", MODEL="fake", BROKER_URL="redis://127.0.0.1:1/0", LIBRARY=photos / "gone")
    failed = [line for line in broken.stdout.splitlines() if '"ok": false' in line]
    assert broken.returncode == 1
    assert ["broker" in failed[0], "store" in failed[1], len(failed)] == [True, True, 2]
