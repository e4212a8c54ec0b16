"""`stockmeta backfill` as users start it: with a queue and a worker of its own, on folders and on a real S3 server."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY, jpeg
from tests.integration.conftest import Command
from tests.servers import Server

Validate = Callable[[str], dict[str, Any]]


def report(result: "subprocess.CompletedProcess[str]", status: int = 0) -> dict[str, Any]:
    """The one line that the command prints."""
    assert result.returncode == status, result.stderr
    (line,) = result.stdout.splitlines()
    said: dict[str, Any] = json.loads(line)
    return said


def backfill(stockmeta: Command, *arguments: object, status: int = 0, **settings: object) -> dict[str, Any]:
    return report(stockmeta("backfill", *arguments, **({"MODEL": "fake"} | settings)), status)


def records(folder: Path, kind: str = "done") -> dict[str, Path]:
    """Records of one kind by key, of a folder with one generation."""
    found = {}
    for path in (folder / ".stockmeta").rglob("*.json"):
        parts = path.relative_to(folder / ".stockmeta").parts
        if len(parts) > 3 and parts[1] == kind:
            found["/".join(parts[3:]).removesuffix(".json")] = path
    return found


def test_a_folder_gets_its_metadata_and_the_second_run_costs_one_listing(
    stockmeta: Command, photos: Path, validate: Validate
) -> None:
    first = backfill(stockmeta, photos, status=1)
    assert first["outcomes"] == {"tagged": 3, "rejected/truncated": 1}
    assert [(c["images"], c["missing"], c["sent"], c["complete"]) for c in first["passes"]] == [
        (4, 4, 4, True),
        (4, 0, 0, True),
    ]
    assert first["converged"]
    assert first["passes"][0]["others"] == 1
    assert set(records(photos)) == {"a red.jpg", "blue.jpg", "deep/녹색.jpg"}
    for path in records(photos).values():
        validate(path.read_text(encoding="utf-8"))

    again = backfill(stockmeta, photos)
    (only,) = again["passes"]
    assert (only["images"], only["current"], only["terminal"], only["sent"]) == (4, 3, 1, 0)
    assert again["outcomes"] == {}

    # What is gone, new, renamed and overwritten is put right; of four records one is a quarter.
    (photos / "blue.jpg").unlink()
    (photos / "new.jpg").write_bytes(jpeg("white"))
    (photos / "a red.jpg").write_bytes(jpeg("black"))
    counted = backfill(stockmeta, photos, "--dry-run")["passes"][0]
    assert (counted["missing"], counted["stale"], counted["orphans"]) == (1, 1, 1)
    kept = backfill(stockmeta, photos, status=1)
    assert kept["kept"] == [{"reason": "too_many", "count": 1}]
    assert "blue.jpg" in records(photos)
    assert kept["outcomes"] == {"tagged": 2}
    removed = backfill(stockmeta, photos, "--max-orphans", 25)
    assert (removed["removed"], removed["kept"]) == (1, [])
    assert set(records(photos)) == {"a red.jpg", "new.jpg", "deep/녹색.jpg"}
    assert set(records(photos, "failed")) == {"broken.jpg"}


def test_what_failed_is_tried_again_when_asked(stockmeta: Command, photos: Path) -> None:
    backfill(stockmeta, photos, status=1)
    (before,) = records(photos, "failed").values()
    first = json.loads(before.read_text())
    again = backfill(stockmeta, photos, "--only", "failed", status=1)
    assert again["outcomes"] == {"rejected/truncated": 1}
    assert [c["sent"] for c in again["passes"]] == [1, 0]
    second = json.loads(before.read_text())
    assert second["updated_at"] > first["updated_at"]
    assert second["revision"] > first["revision"]
    assert second["created_at"] == first["created_at"]
    assert backfill(stockmeta, photos, "--only", "stale")["outcomes"] == {}


def test_everything_is_done_again_when_forced(stockmeta: Command, photos: Path) -> None:
    backfill(stockmeta, photos, status=1)
    before = {key: json.loads(path.read_text())["updated_at"] for key, path in records(photos).items()}
    forced = backfill(stockmeta, photos, "--force", status=1)
    assert forced["outcomes"] == {"tagged": 3, "rejected/truncated": 1}
    assert [c["sent"] for c in forced["passes"]] == [4, 0]
    after = {key: json.loads(path.read_text())["updated_at"] for key, path in records(photos).items()}
    assert after.keys() == before.keys()
    assert all(after[key] > before[key] for key in before)


def test_changed_settings_fill_a_new_generation_and_promote_lets_it_serve(stockmeta: Command, photos: Path) -> None:
    (photos / "broken.jpg").unlink()
    first = backfill(stockmeta, photos)["generation"]
    pointer = photos / ".stockmeta" / "current.json"
    assert json.loads(pointer.read_text())["serving"] == first
    second = backfill(stockmeta, photos, "--language", "en,ko")
    assert second["generation"] != first
    assert second["outcomes"] == {"tagged": 3}
    assert any("generation promote" in note for note in second["notes"])
    current = json.loads(pointer.read_text())
    assert (current["serving"], current["filling"]) == (first, second["generation"])
    promoted = backfill(stockmeta, photos, "--language", "en,ko", "--promote")
    assert promoted["promoted"]
    assert json.loads(pointer.read_text())["serving"] == second["generation"]


def test_only_so_many_and_a_list_of_keys(stockmeta: Command, photos: Path) -> None:
    assert backfill(stockmeta, photos, "--limit", 1)["passes"][0]["sent"] == 1
    sampled = backfill(stockmeta, photos, "--only", "missing", "--sample", 1)
    assert [c["sent"] for c in sampled["passes"]] == [1]
    keys = b"blue.jpg\0broken.jpg\0gone.jpg\0notes.txt\0blue.jpg\0".decode()
    result = stockmeta("backfill", photos, "--keys", "-", "-0", stdin=keys, MODEL="fake")
    said = json.loads(result.stdout)
    assert said["passes"][0]["images"] == 2
    assert said["passes"][0]["others"] == 2
    assert "blue.jpg" in records(photos)


def test_usage(stockmeta: Command, photos: Path) -> None:
    for arguments in (
        (photos / "nowhere",),
        (photos, "--force", "--only", "stale"),
        (photos, "--limit", 1, "--sample", 1),
        (photos, "--keys", "-", "--inventory", "s3://b/manifest.json"),
    ):
        result = stockmeta("backfill", *arguments, MODEL="fake")
        assert (result.returncode, result.stdout) == (2, ""), result.stderr


@pytest.fixture
def many(tmp_path: Path) -> Path:
    folder = tmp_path / "many"
    folder.mkdir()
    for i in range(400):
        (folder / f"{i:04}.jpg").write_bytes(jpeg((i % 256, 0, 0), (320, 240)))  # type: ignore[arg-type]
    return folder


def start(folder: object, cache_dir: Path, *arguments: object, **settings: object) -> "subprocess.Popen[str]":
    given = {"MODEL": "fake", "CACHE_DIR": cache_dir, **settings}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STOCKMETA_")}
    return subprocess.Popen(
        [sys.executable, "-m", "worker.cli", "backfill", str(folder), *map(str, arguments)],
        env=clean | {f"STOCKMETA_{name}": str(value) for name, value in given.items()},
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in the background has its children ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_reports_and_the_next_run_goes_on(
    stockmeta: Command, many: Path, cache_dir: Path, number: signal.Signals
) -> None:
    with start(many, cache_dir, "--rate", "100") as process:
        until(lambda: len(records(many)) > 3)
        process.send_signal(number)
        out, err = process.communicate(timeout=40)
    assert process.returncode == 128 + number, err
    said = json.loads(out)
    assert said["interrupted"]
    assert not said["converged"]
    assert "run the same command again" in err
    assert "Traceback" not in err
    done = len(records(many))
    assert 3 < done < 400
    rest = backfill(stockmeta, many)
    assert rest["passes"][0]["current"] == done
    assert rest["outcomes"] == {"tagged": 400 - done}
    assert len(records(many)) == 400


def test_it_pauses_and_goes_on(many: Path, cache_dir: Path) -> None:
    with start(many, cache_dir, "--window", "1", "--json") as process:
        until(lambda: len(records(many)) > 3)
        process.send_signal(signal.SIGUSR1)
        # What is in the queue ends: one message.
        before = -1
        while before != (now := len(records(many))):
            before = now
            time.sleep(1.0)
        assert before < 400
        time.sleep(1.0)
        assert len(records(many)) == before
        process.send_signal(signal.SIGUSR2)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert len(records(many)) == 400


@pytest.fixture
def bucket(seaweed: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in seaweed.environment.items():
        monkeypatch.setenv(name, value)
    return seaweed.make_bucket()


def s3(server: Server) -> dict[str, object]:
    """Settings of the store, as keywords of `stockmeta`."""
    return {
        name.removeprefix("STOCKMETA_"): value
        for name, value in server.environment.items()
        if name.startswith("STOCKMETA_")
    }


def keys(server: Server, bucket: str, kind: str) -> set[str]:
    pages = server.s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=".stockmeta/")
    found = [item["Key"] for page in pages for item in page.get("Contents", [])]
    parts = [key.split("/", 4) for key in found if key.count("/") >= 4]
    return {each[4].removesuffix(".json") for each in parts if each[2] == kind}


def test_what_changes_while_it_runs_ends_right(
    stockmeta: Command, seaweed: Server, bucket: str, cache_dir: Path
) -> None:
    client = seaweed.s3()
    names = [f"{shoot}/{i:03} b.jpg" for shoot in ("a", "a b", "a-1") for i in range(60)]
    for name in names:
        client.put_object(Bucket=bucket, Key=name, Body=jpeg("red"))
    with start(f"s3://{bucket}", cache_dir, "--rate", "100", "--window", "2", **s3(seaweed)) as process:
        until(lambda: len(keys(seaweed, bucket, "done")) > 5)
        for name in names[10:170:20]:
            client.put_object(Bucket=bucket, Key=name, Body=jpeg("blue", (80, 60)))
            client.delete_object(Bucket=bucket, Key=names[names.index(name) + 1])
            client.copy_object(Bucket=bucket, Key=f"moved/{name}", CopySource={"Bucket": bucket, "Key": name})
            client.put_object(Bucket=bucket, Key=f"added/{name}", Body=jpeg("green"))
        _, err = process.communicate(timeout=90)
    assert process.returncode in (0, 1), err
    backfill(stockmeta, f"s3://{bucket}", "--max-orphans", 100, **s3(seaweed))
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    listed = {item["Key"]: item["ETag"] for page in pages for item in page.get("Contents", [])}
    images = {key: etag for key, etag in listed.items() if not key.startswith(".stockmeta/")}
    assert keys(seaweed, bucket, "done") == set(images)
    assert keys(seaweed, bucket, "failed") == set()
    for key, etag in images.items():
        (path,) = [each for each in listed if each.endswith(f"/done/{bucket}/{key}.json")]
        record = json.loads(client.get_object(Bucket=bucket, Key=path)["Body"].read())
        assert record["image"]["etag"] == etag, key
    again = backfill(stockmeta, f"s3://{bucket}", **s3(seaweed))
    assert again["converged"]
    assert (len(again["passes"]), again["passes"][0]["sent"], again["removed"]) == (1, 0, 0)


def test_an_emptied_or_much_thinned_library_loses_nothing_unasked(
    stockmeta: Command, seaweed: Server, bucket: str
) -> None:
    client = seaweed.s3()
    names = [f"2026/{i:03}.jpg" for i in range(120)]
    for name in names:
        client.put_object(Bucket=bucket, Key=name, Body=jpeg("red"))
    library = f"s3://{bucket}/2026"
    backfill(stockmeta, library, **s3(seaweed))
    assert keys(seaweed, bucket, "done") == set(names)

    client.delete_object(Bucket=bucket, Key=names[0])
    one = backfill(stockmeta, library, **s3(seaweed))
    assert (one["removed"], one["kept"]) == (1, [])
    for name in names[1:4]:
        client.delete_object(Bucket=bucket, Key=name)
    three = backfill(stockmeta, library, status=1, **s3(seaweed))
    assert (three["removed"], three["kept"]) == (0, [{"reason": "too_many", "count": 3}])
    for name in names[4:]:
        client.delete_object(Bucket=bucket, Key=name)
    empty = backfill(stockmeta, library, "--max-orphans", 100, status=1, **s3(seaweed))
    assert (empty["removed"], empty["kept"]) == (0, [{"reason": "empty_listing", "count": 119}])
    assert keys(seaweed, bucket, "done") == set(names[1:])
