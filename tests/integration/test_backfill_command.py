"""`stockmeta backfill` as users start it: with a queue and a worker of its own, on folders and on a real S3 server."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY, jpeg
from tests.integration.conftest import Command
from tests.servers import Server
from worker.broker import embedded_broker

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


@dataclass(frozen=True)
class Standing:
    """A queue and a worker that stay, on a folder or a bucket; each test has a part of it.

    Attributes:
        settings: for commands, as keywords of `stockmeta`.
        library: the whole, as commands name it.
    """

    settings: dict[str, object]
    library: str
    list_records: Callable[[str, str], dict[str, bytes]]

    def records(self, part: str, kind: str = "done") -> dict[str, dict[str, Any]]:
        """Records of a part of the library, by key below it."""
        return {key: json.loads(data) for key, data in self.list_records(part, kind).items()}


@contextmanager
def standing_worker(settings: dict[str, object], log: Path) -> Iterator[None]:
    """A worker in a process of its own, while the block runs."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STOCKMETA_")}
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "worker.cli", "worker"],
            env=clean | {f"STOCKMETA_{name}": str(value) for name, value in settings.items()},
            cwd=REPOSITORY,
            stdout=file,
            stderr=file,
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=40)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Iterator[Standing]:
    root = tmp_path_factory.mktemp("standing") / "library"
    root.mkdir()

    def listed(part: str, kind: str) -> dict[str, bytes]:
        found = root.glob(f".stockmeta/*/{kind}/library/{part}/**/*.json")
        return {
            path.as_posix().partition(f"/{kind}/library/{part}/")[2].removesuffix(".json"): path.read_bytes()
            for path in found
        }

    with embedded_broker() as url:
        settings: dict[str, object] = {"BROKER_URL": url, "LIBRARY": root, "MODEL": "fake", "CACHE_DIR": cache_dir}
        with standing_worker(settings, root.parent / "log"):
            yield Standing(settings, str(root), listed)


@pytest.fixture(scope="module")
def bucket(seaweed: Server, tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Iterator[Standing]:
    name, client = seaweed.make_bucket(), seaweed.s3()

    def listed(part: str, kind: str) -> dict[str, bytes]:
        found = {}
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=name, Prefix=".stockmeta/"):
            for item in page.get("Contents", []):
                _, here, key = item["Key"].partition(f"/{kind}/{name}/{part}/")
                if here:
                    found[key.removesuffix(".json")] = client.get_object(Bucket=name, Key=item["Key"])["Body"].read()
        return found

    with pytest.MonkeyPatch.context() as patch, embedded_broker() as url:
        for variable, value in seaweed.environment.items():
            patch.setenv(variable, value)
        ours = {n.removeprefix("STOCKMETA_"): v for n, v in seaweed.environment.items() if n.startswith("STOCKMETA_")}
        settings = {"BROKER_URL": url, "LIBRARY": f"s3://{name}", "MODEL": "fake", "CACHE_DIR": cache_dir, **ours}
        with standing_worker(settings, tmp_path_factory.mktemp("bucket") / "log"):
            yield Standing(settings, f"s3://{name}", listed)


def fill(crew: Standing, part: str, photos: Path) -> str:
    """Put photographs into a part of the library; returns how commands name it."""
    shutil.copytree(photos, Path(crew.library) / part)
    return f"{crew.library}/{part}"


def test_what_failed_is_tried_again_and_everything_when_forced(
    stockmeta: Command, folder: Standing, photos: Path
) -> None:
    library = fill(folder, "again", photos)
    assert backfill(stockmeta, library, status=1, **folder.settings)["outcomes"] == {
        "tagged": 3,
        "rejected/truncated": 1,
    }
    first = folder.records("again", "failed")["broken.jpg"]
    again = backfill(stockmeta, library, "--only", "failed", status=1, **folder.settings)
    assert again["outcomes"] == {"rejected/truncated": 1}
    assert [c["sent"] for c in again["passes"]] == [1, 0]
    second = folder.records("again", "failed")["broken.jpg"]
    assert second["updated_at"] > first["updated_at"]
    assert second["revision"] > first["revision"]
    assert second["created_at"] == first["created_at"]

    before = folder.records("again")
    forced = backfill(stockmeta, library, "--force", status=1, **folder.settings)
    assert forced["outcomes"] == {"tagged": 3, "rejected/truncated": 1}
    assert [c["sent"] for c in forced["passes"]] == [4, 0]
    after = folder.records("again")
    assert after.keys() == before.keys()
    assert all(after[key]["updated_at"] > before[key]["updated_at"] for key in before)


def test_changed_settings_fill_a_new_generation_and_promote_lets_it_serve(stockmeta: Command, photos: Path) -> None:
    (photos / "broken.jpg").unlink()
    first = backfill(stockmeta, photos)["generation"]
    second = backfill(stockmeta, photos, "--language", "en,ko")
    assert second["generation"] != first
    assert second["outcomes"] == {"tagged": 3}
    (note,) = second["notes"]
    assert note.endswith(f"stockmeta generation promote {photos} {second['generation']}")
    pointer = photos / ".stockmeta" / "current.json"
    current = json.loads(pointer.read_text())
    assert (current["serving"], current["filling"]) == (first, second["generation"])
    assert backfill(stockmeta, photos, "--language", "en,ko", "--promote")["promoted"]
    assert json.loads(pointer.read_text())["serving"] == second["generation"]


def test_a_part_that_is_complete_is_not_promoted(stockmeta: Command, photos: Path) -> None:
    (photos / "part").mkdir()
    (photos / "part" / "one.jpg").write_bytes(jpeg("green"))
    first = backfill(stockmeta, photos, status=1)["generation"]
    for part, more in ((photos, ("--only", "failed")), (photos / "part", ())):
        given = ("--language", "en,ko", "--promote", *more)
        said = backfill(stockmeta, part, *given, status=1, LIBRARY=photos)
        assert (said["converged"], said["promoted"]) == (True, False), said
        assert json.loads((photos / ".stockmeta" / "current.json").read_text())["serving"] == first


def test_only_so_many_and_a_list_of_keys(stockmeta: Command, folder: Standing, photos: Path) -> None:
    library = fill(folder, "some", photos)
    assert backfill(stockmeta, library, "--only", "stale", **folder.settings)["passes"][0]["sent"] == 0
    assert backfill(stockmeta, library, "--limit", 1, **folder.settings)["passes"][0]["sent"] == 1
    keys = "some/blue.jpg\0some/gone.jpg\0some/notes.txt\0some/blue.jpg\0elsewhere/x.jpg\0"
    said = report(stockmeta("backfill", library, "--keys", "-", "-0", stdin=keys, **folder.settings))
    assert (said["passes"][0]["images"], said["passes"][0]["others"]) == (1, 3)
    assert "blue.jpg" in folder.records("some")


def test_usage(stockmeta: Command, folder: Standing, photos: Path) -> None:
    library = fill(folder, "usage", photos)
    for arguments in (
        (f"{library}/nowhere",),
        (photos,),
        (library, "--force", "--only", "stale"),
        (library, "--limit", 1, "--sample", 1),
        (library, "--keys", "-", "--inventory", "s3://b/manifest.json"),
        (library, "--generation", "0123456789ab"),
    ):
        result = stockmeta("backfill", *arguments, **folder.settings)
        assert (result.returncode, result.stdout) == (2, ""), result.stderr


def many(crew: Standing, part: str) -> str:
    """300 photographs in a part of the library."""
    place = Path(crew.library) / part
    place.mkdir()
    data = jpeg("red", (320, 240))
    for i in range(300):
        (place / f"{i:04}.jpg").write_bytes(data)
    return str(place)


def start(*arguments: object, **settings: object) -> "subprocess.Popen[str]":
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STOCKMETA_")}
    return subprocess.Popen(
        [sys.executable, "-m", "worker.cli", "backfill", *map(str, arguments)],
        env=clean | {f"STOCKMETA_{name}": str(value) for name, value in settings.items()},
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # As a shell does; Ctrl-C on a terminal is for all of the group.
        process_group=0,
        # A shell that runs the tests in the background has its children ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def until(true: Callable[[], bool], seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def wait_for_rest(count: Callable[[], int], rest: float = 4.0) -> None:
    """Wait until a number has stayed the same for some seconds."""
    seen, since = count(), time.monotonic()

    def rests() -> bool:
        nonlocal seen, since
        if (now := count()) != seen:
            seen, since = now, time.monotonic()
        return time.monotonic() - since > rest

    until(rests)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_reports_and_the_next_run_goes_on(
    stockmeta: Command, folder: Standing, number: signal.Signals
) -> None:
    part = f"interrupted-{number}"
    library = many(folder, part)
    with start(library, "--rate", "30", **folder.settings) as process:
        until(lambda: len(folder.records(part)) > 3)
        process.send_signal(number)
        out, err = process.communicate(timeout=150)
    assert process.returncode == 128 + number, err
    said = json.loads(out)
    assert (said["interrupted"], said["converged"]) == (True, False)
    assert err.count("run the same command again") == 1
    assert "Traceback" not in err
    rest = backfill(stockmeta, library, **folder.settings)
    assert rest["passes"][0]["current"] > 3
    assert rest["passes"][0]["sent"] > 0
    assert len(folder.records(part)) == 300


def test_with_a_worker_of_its_own_it_ends_with_what_is_in_hand(
    stockmeta: Command, tmp_path: Path, cache_dir: Path
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(200):
        (photos / f"{i:04}.jpg").write_bytes(jpeg("red", (320, 240)))
    with start(photos, "--rate", "30", MODEL="fake", CACHE_DIR=cache_dir) as process:
        until(lambda: len(records(photos)) > 3)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=150)
    assert process.returncode == 130, err
    assert json.loads(out)["interrupted"]
    assert "Traceback" not in err
    assert 3 < len(records(photos)) < 200
    assert backfill(stockmeta, photos)["converged"]
    assert len(records(photos)) == 200


def test_a_worker_of_its_own_that_dies_is_no_success(tmp_path: Path, cache_dir: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(200):
        (photos / f"{i:04}.jpg").write_bytes(jpeg("red", (320, 240)))
    with start(photos, "--rate", "30", MODEL="fake", CACHE_DIR=cache_dir) as process:
        until(lambda: len(records(photos)) > 3)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        (worker,) = [pid for pid in children if b"--with-parent" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        os.kill(int(worker), signal.SIGKILL)
        out, err = process.communicate(timeout=150)
    assert process.returncode == 1, err
    said = json.loads(out)
    assert not (said["converged"] or said["interrupted"])
    assert "the worker ended with status -9" in err


def test_settings_of_its_own_worker_that_are_wrong_are_told_as_such(
    stockmeta: Command, photos: Path, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text("[thresholds\n")
    for given in (("--policy", policy), ("--model", "nosuch")):
        result = stockmeta("backfill", photos, *given)
        assert (result.returncode, result.stdout) == (2, ""), result.stderr
        assert "worker.app" not in result.stderr
    assert not (photos / ".stockmeta" / "current.json").exists()


def test_it_pauses_and_goes_on(folder: Standing) -> None:
    library = many(folder, "paused")
    with start(library, "--rate", "20", "--json", **folder.settings) as process:
        until(lambda: len(folder.records("paused")) > 3)
        process.send_signal(signal.SIGUSR1)
        # What is in the queue ends: one message of 64.
        assert process.stderr
        while '"paused"' not in (line := process.stderr.readline()):
            assert line, "it ended without a pause"
        wait_for_rest(lambda: len(folder.records("paused")))
        assert len(folder.records("paused")) < 300
        process.send_signal(signal.SIGUSR2)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert len(folder.records("paused")) == 300


def test_what_changes_while_it_runs_ends_right(stockmeta: Command, seaweed: Server, bucket: Standing) -> None:
    client, name = seaweed.s3(), bucket.library.removeprefix("s3://")
    names = [f"changing/{shoot}/{i:03} b.jpg" for shoot in ("a", "a b", "a-1") for i in range(60)]
    for each in names:
        client.put_object(Bucket=name, Key=each, Body=jpeg("red"))
    library = f"{bucket.library}/changing"
    with start(library, "--rate", "60", "--window", "2", **bucket.settings) as process:
        until(lambda: len(bucket.records("changing")) > 5)
        for each in names[10:170:20]:
            client.put_object(Bucket=name, Key=each, Body=jpeg("blue", (80, 60)))
            client.delete_object(Bucket=name, Key=names[names.index(each) + 1])
            client.copy_object(Bucket=name, Key=f"{each}-moved.jpg", CopySource={"Bucket": name, "Key": each})
            client.put_object(Bucket=name, Key=f"changing/added/{each}", Body=jpeg("green"))
        _, err = process.communicate(timeout=120)
    assert process.returncode in (0, 1), err
    backfill(stockmeta, library, "--max-orphans", 100, **bucket.settings)
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=name, Prefix="changing/")
    images = {item["Key"].removeprefix("changing/"): item["ETag"] for page in pages for item in page["Contents"]}
    assert {key: made["image"]["etag"] for key, made in bucket.records("changing").items()} == images
    assert bucket.records("changing", "failed") == {}
    again = backfill(stockmeta, library, **bucket.settings)
    assert again["converged"]
    assert (len(again["passes"]), again["passes"][0]["sent"], again["removed"]) == (1, 0, 0)


def test_an_emptied_or_much_thinned_library_loses_nothing_unasked(
    stockmeta: Command, seaweed: Server, bucket: Standing
) -> None:
    client, name = seaweed.s3(), bucket.library.removeprefix("s3://")
    names = [f"thinned/{i:03}.jpg" for i in range(120)]
    for each in names:
        client.put_object(Bucket=name, Key=each, Body=jpeg("red"))
    library = f"{bucket.library}/thinned"
    backfill(stockmeta, library, **bucket.settings)
    assert len(bucket.records("thinned")) == 120

    client.delete_object(Bucket=name, Key=names[0])
    one = backfill(stockmeta, library, **bucket.settings)
    assert (one["removed"], one["kept"]) == (1, [])
    for each in names[1:4]:
        client.delete_object(Bucket=name, Key=each)
    three = backfill(stockmeta, library, status=1, **bucket.settings)
    assert (three["removed"], three["kept"]) == (0, [{"reason": "too_many", "count": 3}])
    for each in names[4:]:
        client.delete_object(Bucket=name, Key=each)
    empty = backfill(stockmeta, library, "--max-orphans", 100, status=1, **bucket.settings)
    assert (empty["removed"], empty["kept"]) == (0, [{"reason": "empty_listing", "count": 119}])
    assert len(bucket.records("thinned")) == 119
