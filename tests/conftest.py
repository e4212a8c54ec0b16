"""What tests of several parts share."""

import json
from collections.abc import Callable, Iterator
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import hypothesis
import jsonschema
import pytest
from PIL import Image

from tasks import records

# The same examples every time: a failure is a failure of the change. `--hypothesis-seed=random` looks for more.
hypothesis.settings.register_profile("same", derandomize=True, deadline=None)
hypothesis.settings.load_profile("same")

pytest_plugins = ["tests.servers"]

REPOSITORY = Path(__file__).resolve().parent.parent
SCHEMA = REPOSITORY / "tasks" / "data" / "stockmeta-1.schema.json"


@cache
def _validator() -> Any:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())


@pytest.fixture(autouse=True)
def every_record_is_valid(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Validate every record that any test writes or prints, against the published schema."""
    original = records.Record.to_json

    def checked(self: records.Record) -> str:
        text = original(self)
        _validator().validate(json.loads(text))
        assert records.Record.from_json(text) == self
        return text

    monkeypatch.setattr(records.Record, "to_json", checked)
    yield


@pytest.fixture
def validate() -> Callable[[str], dict[str, Any]]:
    """Validate a line that another process printed."""

    def parse(line: str) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(line)
        _validator().validate(data)
        return data

    return parse


def jpeg(color: str = "red", size: tuple[int, int] = (64, 48), **options: Any) -> bytes:
    """A small JPEG of one colour."""
    buffer = BytesIO()
    Image.new("RGB", size, color).save(buffer, "JPEG", **options)
    return buffer.getvalue()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with three images, one broken image, one text and one image below a folder."""
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    for name, color in (("a red.jpg", "red"), ("blue.jpg", "blue"), ("deep/녹색.jpg", "green")):
        (folder / name).write_bytes(jpeg(color))
    (folder / "broken.jpg").write_bytes(jpeg("gray", (400, 300))[:900])
    (folder / "notes.txt").write_text("no image")
    return folder
