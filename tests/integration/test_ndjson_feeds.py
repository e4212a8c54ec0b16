"""Files of lines on a real store, and a feed that is killed while it writes them."""

import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.errors import ConfigurationError, Unavailable
from tests.conftest import REPOSITORY
from tests.integration.ndjson_writer import IMAGES, removed
from tests.servers import Server, free_ports
from tests.worker.feeds.ndjson.ndjson_feeds import GENERATION, manifest, names, put, read, remove, sink
from tests.worker.storage.s3_stores import opened
from worker.feeds.ndjson import compaction
from worker.storage.local import LocalStore
from worker.storage.s3 import S3Store

KILLS = 8


@pytest.fixture
def bucket(seaweed: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Store]:
    with opened(seaweed, monkeypatch) as store:
        yield store


def test_a_bucket_is_fed_and_read(bucket: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "SPARE", 5)
    made = sink(bucket)
    index = made.open(GENERATION)
    index.deliver([put(f"{number}/a b.jpg") for number in range(10)])
    index.completed()
    made.serve(index)
    assert len(read(bucket)) == 10
    for version in range(2, 6):
        index.deliver([put(f"{number}/a b.jpg", version) for number in range(4)])
        index.deliver([remove(f"{version}/a b.jpg", 9)])
        index.commit()
    found = read(bucket)
    assert found == {found.key: found.version for found in sink(bucket).open(GENERATION).listed()}
    assert (len(found), found["0/a b.jpg"], manifest(bucket)["files"][0]["kind"]) == (6, 5, "snapshot")
    anew = made.open(GENERATION, anew=True)
    anew.deliver([put("z.jpg")])
    anew.completed()
    made.serve(anew)
    assert read(bucket) == {"z.jpg": 1}
    assert not names(bucket, f"photos/{GENERATION}/")
    made.close()


def test_the_second_of_two_writers_to_a_bucket_is_told(bucket: S3Store) -> None:
    one, two = sink(bucket).open(GENERATION), sink(bucket).open(GENERATION)
    one.deliver([put("a.jpg")])
    two.deliver([put("b.jpg")])
    one.commit()
    with pytest.raises(ConfigurationError, match="another feed"):
        two.commit()
    assert [found.key for found in sink(bucket).open(GENERATION).listed()] == ["a.jpg"]


def test_a_bucket_that_is_not_there_is_told(seaweed: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        opened(seaweed, monkeypatch, bucket="nowhere-to-be-found") as store,
        pytest.raises(ConfigurationError, match="there is no bucket 'nowhere-to-be-found'"),
    ):
        sink(store).open(GENERATION)


def test_a_store_that_does_not_answer_is_unavailable(seaweed: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = replace(seaweed, endpoint=f"http://127.0.0.1:{free_ports(1)[0]}")
    with opened(closed, monkeypatch, bucket="any", attempts=1) as store, pytest.raises(Unavailable):
        sink(store).open(GENERATION)


def test_a_feed_that_is_killed_leaves_what_it_committed(tmp_path: Path) -> None:
    """Killed at any moment, a reader finds every round that was committed, and no half of one."""
    chance = random.Random(7)  # noqa: S311 - the same moments every time
    store = LocalStore(tmp_path, "files")
    done = 0
    for _ in range(KILLS):
        done = max(done, _until_killed(tmp_path, done + 1, rounds=chance.randrange(1, 25), wait=chance.random() / 30))
        found = read(store)
        last = next(iter(found.values())) // 2
        # The round after the last that was told may have been committed before it could be told.
        assert last in (done, done + 1)
        assert found == {
            f"{number:02d}.jpg": 2 * last for number in range(IMAGES) if f"{number:02d}.jpg" != removed(last)
        }
        done = last
    index = sink(store).open(GENERATION)
    assert {found.key: found.version for found in index.listed()} == read(store)
    index.deliver([put("last.jpg")])
    index.commit()
    said = manifest(store)
    there = {name.rpartition("/")[2] for name in names(store, f"photos/{GENERATION}/")}
    assert there == {"manifest.json", *said["superseded"], *(file["name"] for file in said["files"])}


def _until_killed(folder: Path, first: int, *, rounds: int, wait: float) -> int:
    """Run the writer for some rounds and a moment more; returns the last round that it told."""
    command = [sys.executable, "-m", "tests.integration.ndjson_writer", str(folder), str(first)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            told = [int(process.stdout.readline()) for _ in range(rounds)]
            # Anywhere within the next round: the moment is the test's point, and nothing waits for it.
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(wait)
        finally:
            process.kill()
        return max([*told, *map(int, process.stdout.read().split())])
