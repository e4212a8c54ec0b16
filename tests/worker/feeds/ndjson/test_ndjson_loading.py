"""The examples of `docs/documents.md` do what they say."""

import json
import re
import shutil
import subprocess
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from tasks.feeding.document import Document, Term
from tasks.feeding.ports import Put
from tests.conftest import REPOSITORY
from tests.worker.feeds.ndjson.ndjson_feeds import GENERATION, document, manifest, put, read, remove, sink
from worker.feeds.ndjson import compaction
from worker.feeds.ndjson import index as index_module
from worker.feeds.ndjson.manifest import File, Manifest
from worker.storage.local import LocalStore

PAGE = (REPOSITORY / "docs" / "documents.md").read_text(encoding="utf-8")


class Engine:
    """Counts what it is asked to do."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, Any]] = {}
        self.cleared = self.lines = 0

    def put(self, identifier: str, document: dict[str, Any]) -> None:
        self.lines += 1
        self.documents[identifier] = document

    def remove(self, identifier: str) -> None:
        self.lines += 1
        self.documents.pop(identifier, None)

    def clear(self) -> None:
        self.cleared += 1
        self.documents.clear()

    @property
    def versions(self) -> dict[str, int]:
        return {document["key"]: document["version"] for document in self.documents.values()}


def example(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


def test_the_loader_follows_changes_compactions_and_generations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "SPARE", 2)
    monkeypatch.setattr(compaction, "MOST_FILES", 2)
    scope: dict[str, Any] = {}
    exec(example("python"), scope)  # noqa: S102 - our own page
    store = LocalStore(tmp_path, "files")
    made = sink(store)
    index = made.open(GENERATION)
    index.deliver([put(f"{number}.jpg") for number in range(6)])
    index.completed()
    made.serve(index)
    engine, seen = Engine(), None
    for version in range(2, 12):
        seen = scope["load"](tmp_path / "photos", engine, seen)
        assert engine.versions == read(store)
        index.deliver([put("0.jpg", version), remove(f"{version}.jpg", 99)])
        index.commit()
        if version % 3 == 0:
            index.deliver([put("1.jpg", version)])
            index.commit()
    assert 1 < engine.cleared < 5
    assert engine.lines < 60
    other = made.open(GENERATION, anew=True)
    other.deliver([put("z.jpg")])
    made.serve(other)
    assert engine.versions != read(store)
    scope["load"](tmp_path / "photos", engine, seen)
    assert engine.versions == read(store) == {"z.jpg": 1}


def test_the_loader_is_right_where_files_became_one_while_others_were_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scope: dict[str, Any] = {}
    exec(example("python"), scope)  # noqa: S102 - our own page
    store = LocalStore(tmp_path, "files")
    made = sink(store)
    index = made.open(GENERATION)
    index.deliver([put("a.jpg"), put("b.jpg"), put("c.jpg")])
    index.completed()
    made.serve(index)
    monkeypatch.setattr(compaction, "MOST_FILES", 2)
    monkeypatch.setattr(index_module, "COMMIT_SECONDS", 0.0)
    for operation in (put("a.jpg", 2), put("c.jpg", 2), put("b.jpg", 2)):
        index.deliver([operation])
        index.commit()
    # The file in the making has a line of the first file by now, and each commit goes on with the next one.
    index.deliver([put("a.jpg", 3), remove("c.jpg", 3)])
    index.commit()
    engine, seen = Engine(), None
    seen = scope["load"](tmp_path / "photos", engine, seen)
    names = [file["name"] for file in manifest(store)["files"]]
    monkeypatch.setattr(index_module, "COMMIT_SECONDS", 60.0)
    index.commit()
    files = [file["name"] for file in manifest(store)["files"]]
    assert (len(names), len(files)) == (5, 3) and (files[0], files[2]) == (names[0], names[4])
    scope["load"](tmp_path / "photos", engine, seen)
    assert engine.versions == read(store) == {"a.jpg": 3, "b.jpg": 2}


@pytest.mark.skipif(not (shutil.which("jq") and shutil.which("zcat")), reason="there is no jq or no zcat")
def test_the_shell_finds_pictures_with_a_dog(tmp_path: Path) -> None:
    made = sink(LocalStore(tmp_path, "files"))
    index = made.open(GENERATION)
    dog = Term(1, None, {"en": "dog"}, 1.0, "embedded")
    index.deliver([Put(replace(document(key), keywords=(dog,), title="A dog")) for key in ("a.jpg", "b.jpg")])
    index.deliver([put("c.jpg"), remove("b.jpg", 9)])
    made.serve(index)
    shell = subprocess.run(
        ["sh", "-c", example("sh").replace("out/photos", str(tmp_path / "photos"))],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert shell.stdout == "a.jpg\tA dog\n"


@pytest.mark.parametrize("kind", [Document, Term, Manifest, File])
def test_every_field_is_on_the_page(kind: type[Any]) -> None:
    missing = [field.name for field in fields(kind) if f"`{field.name}`" not in PAGE]
    assert missing == []


def test_the_page_shows_lines_that_are_json() -> None:
    assert [set(json.loads(line)) for line in example("json").splitlines()] == [
        {"op", "id", "key", "version", "document"},
        {"op", "id", "key", "version"},
    ]
