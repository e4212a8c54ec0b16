"""`stockmeta rescore` on the real thing: photographs in SeaweedFS, a queue in Valkey, workers as processes."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.generations.pointer import read_current
from tasks.records import Record
from tests.conftest import jpeg
from tests.integration.conftest import Command
from tests.servers import Server
from worker.library import Library, open_library
from worker.settings import load_settings

POLICY = '[keywords]\nmax = 12\nmin = 6\nlanguages = ["en", "ko"]\ndeny = ["under:animal"]\n'
WORDS = "dog\ncat\nperson\nbus\nfood\nkitchen\nbeach\nmountain\nhorse\ntrain\n"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def bucket(seaweed: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in seaweed.environment.items():
        monkeypatch.setenv(name, value)
    return seaweed.make_bucket()


@pytest.fixture
def run(stockmeta: Command, seaweed: Server) -> Run:
    reach = {
        name.removeprefix("STOCKMETA_"): value
        for name, value in seaweed.environment.items()
        if name.startswith("STOCKMETA_")
    }
    return lambda *arguments, **settings: stockmeta(*arguments, **reach, **settings)


def report(done: "subprocess.CompletedProcess[str]", status: int = 0) -> dict[str, Any]:
    assert done.returncode == status, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def library(bucket: str, output: str) -> Library:
    return open_library(load_settings(library=f"s3://{bucket}", output=f"s3://{bucket}/{output}"))


def records(place: Library, generation: str) -> dict[str, str]:
    """Everything that is written of each image, but for when."""
    found = {}
    for stat in place.sidecars.list(place.layout.prefix("done", generation, place.source.bucket)):
        read = place.sidecars.read(stat.key)
        assert read
        record = Record.from_json(read[0])
        when = "2026-01-01T00:00:00+00:00"
        plain = replace(record, created_at=when, updated_at=when, revision=1, timings_ms={})
        found[record.image.key] = plain.to_json()
    return found


def upload(seaweed: Server, bucket: str, files: dict[str, bytes]) -> None:
    client = seaweed.s3()
    for key, data in files.items():
        client.put_object(Bucket=bucket, Key=key, Body=data)
    client.close()


@pytest.mark.timeout(1500)
def test_a_rescored_library_is_a_freshly_tagged_one(
    run: Run, seaweed: Server, bucket: str, shared_photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "policy.toml").write_text(POLICY, "utf-8")
    (tmp_path / "words.txt").write_text(WORDS, "utf-8")
    photographs = [*sorted((shared_photos / "coco_train2017").glob("*.jpg"))[:8]]
    photographs += sorted((shared_photos / "embedded_metadata").glob("*.jpg"))[3:7]
    upload(seaweed, bucket, {f"2026/{path.name}": path.read_bytes() for path in photographs})
    here, out = f"s3://{bucket}", f"s3://{bucket}/out"
    first = report(run("backfill", here, "--output", out))
    assert first["outcomes"] == {"tagged": 12}
    place = library(bucket, "out")
    words, policy = ("--vocabulary", tmp_path / "words.txt"), ("--policy", tmp_path / "policy.toml")
    for given, packed in ((words, True), (policy, False)):
        if packed:
            told = report(run("generation", "pack", here, first["generation"], "--output", out))
            assert (told["images"], told["written"], told["unusable"]) == (12, 1, 0)
        again = report(run("rescore", here, "--output", out, *given, "--from", first["generation"], "--promote"))
        assert (again["converged"], again["promoted"], again["passes"][-1]["current"]) == (True, True, 12)
        assert read_current(place.sidecars, place.layout).serving == again["generation"]
        fresh = f"fresh-{packed}"
        expected = report(run("backfill", here, "--output", f"{here}/{fresh}", *given))
        assert expected["generation"] == again["generation"]
        found = records(place, again["generation"])
        assert len(found) == 12
        assert found == records(library(bucket, fresh), again["generation"])
        assert again["requests"]["work"]["bytes:read"] < first["requests"]["work"]["bytes:read"] / 10


def test_what_nothing_is_stored_of_is_left_to_a_backfill_and_named(run: Run, seaweed: Server, bucket: str) -> None:
    files = {f"{color}.jpg": jpeg(color) for color in ("red", "green", "blue", "white")}
    upload(seaweed, bucket, files | {"broken.jpg": b"no picture"})
    here = f"s3://{bucket}"
    assert report(run("backfill", here, MODEL="fake"), 1)["outcomes"]["tagged"] == 4
    upload(seaweed, bucket, {"new.jpg": jpeg("black")})
    left = report(run("rescore", here, "--language", "en,ko", "--promote", MODEL="fake"), 1)
    assert (left["outcomes"], left["passes"][-1]["unstored"]) == ({"tagged": 4}, 2)
    assert {one["key"]: one["reason"] for one in left["unfinished"]} == dict.fromkeys(
        ("broken.jpg", "new.jpg"), "needs_backfill"
    )
    assert not (left["promoted"] or left["converged"])
    done = report(run("backfill", here, "--language", "en,ko", MODEL="fake"), 1)
    assert done["outcomes"]["tagged"] == 1
    again = run("rescore", here, "--language", "en,ko", "--promote", MODEL="fake")
    assert report(again)["promoted"]


def test_another_model_is_refused_and_leaves_the_library_as_it_was(run: Run, seaweed: Server, bucket: str) -> None:
    upload(seaweed, bucket, {"red.jpg": jpeg("red")})
    here = f"s3://{bucket}"
    nothing = run("rescore", here, MODEL="fake")
    assert nothing.returncode == 2
    assert "nothing was tagged here yet" in nothing.stderr
    first = report(run("backfill", here, MODEL="fake"))
    refused = run("rescore", here, MODEL="starter")
    assert refused.returncode == 2
    assert "another model, engine or precision" in refused.stderr
    place = open_library(load_settings(library=here))
    current = read_current(place.sidecars, place.layout)
    assert (current.serving, current.filling) == (first["generation"], None)
