"""A new generation beside the old one: two kinds of workers, a listener, a real queue and a real store."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tasks.generations.strays import PATIENCE
from tasks.layout import Layout
from tasks.messages import BACKFILL, UPLOADS, TagMessage
from tasks.records import ImageRef
from tests.conftest import REPOSITORY
from tests.faults.processes import Program, until
from tests.faults.stage import Oracle, Stage, stage
from tests.faults.store_events import event, listening, post
from tests.servers import Server

NEW = {"MAX_KEYWORDS": 3}
NEITHER = {"MAX_KEYWORDS": 4}


@pytest.fixture
def made(tmp_path: Path, seaweed: Server, cache_dir: Path) -> Iterator[Stage]:
    with (
        closing(Oracle("fake", cache_dir)) as oracle,
        stage(tmp_path, seaweed, oracle, seed=3, CACHE_DIR=cache_dir) as ours,
    ):
        yield ours


def worker(made: Stage, *options: str, **settings: object) -> Program:
    """A worker with options of the command."""
    name = f"worker-{len(made.programs)}"
    program = Program(name, ["-m", "worker.cli", "worker", *options], made.environment(**settings), made.folder)
    made.programs.append(program)
    return program


def command(made: Stage, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "worker.cli", "generation", *arguments],
        env=made.environment(),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def pointer(made: Stage) -> tuple[str | None, str | None, list[str]]:
    """What serves, what is being filled, what served before."""
    body = made.s3.get_object(Bucket=made.bucket, Key=Layout().current)["Body"].read()
    content = json.loads(body)
    return content["serving"], content["filling"], content.get("previous", [])


def done(made: Stage, generation: str) -> set[str]:
    """Keys of the images that have a sidecar in a generation."""
    places = map(Layout().parse, made.paths())
    return {place.key for place in places if place and (place.kind, place.generation) == ("done", generation)}


def refused(program: Program) -> str:
    assert program.wait(120) == 2, program.tail()
    return program.text()


@pytest.mark.timeout(600)
def test_a_generation_is_rolled_out_and_back(made: Stage, tmp_path: Path) -> None:
    old = made.oracle.generation
    first = made.worker()
    with listening(made) as address:

        def upload(name: str, *generations: str) -> list[str]:
            """Upload, and tell of it until it is there: a listener may know the pointer as of five seconds ago."""
            keys = made.upload(5, name)

            def there() -> bool:
                assert post(address, [event(made, key) for key in keys]) == 200
                return all(set(keys) <= done(made, generation) for generation in generations)

            until(there, 120, f"{name} is in {generations}", pause=1.0)
            return keys

        before = upload("before", old)
        second = worker(made, "--open-generation", **NEW)
        made.until_ready(second)
        serving, new, _ = pointer(made)
        assert serving == old
        assert new is not None
        # An upload while the new one is being filled ends in both.
        during = upload("during", old, new)
        assert done(made, new) == set(during)

        # Readers would lose what was uploaded before, so it is not promoted until it is filled.
        result = command(made, "promote", "filling")
        assert result.returncode == 2
        assert f"{new} has 5 records, and {old}, which serves, has 10" in result.stderr
        made.queue.send(TagMessage(tuple(ImageRef(made.bucket, key) for key in before), new), BACKFILL)
        made.wait(lambda: done(made, new) == {*before, *during}, 120, "filled")
        result = command(made, "compare", "serving", "filling", "--out", str(tmp_path / "report"), "--json")
        assert result.returncode == 0, result.stderr
        assert json.loads(result.stdout)["images"]["compared"] == 10
        assert "data:image/jpeg" in (tmp_path / "report" / "compare.html").read_text(encoding="utf-8")
        assert command(made, "promote", "filling").returncode == 0
        assert pointer(made) == (new, None, [old])
        after = upload("after", new)

        result = command(made, "rollback")
        assert result.returncode == 0, result.stderr
        assert pointer(made) == (old, None, [])
        assert {*before, *during} <= done(made, old)

        # What is on its way for a generation that nobody writes any more goes to the one that serves.
        stray = TagMessage(tuple(ImageRef(made.bucket, key) for key in after), new, tries=PATIENCE)
        result = command(made, "drop", new, "--yes")
        assert result.returncode == 2
        assert f"workers make {new}" in result.stderr
        second.process.terminate()
        assert second.wait(30) == 0
        made.queue.send(stray, UPLOADS)
        made.wait(lambda: done(made, old) == {*before, *during, *after}, 120, "the stray is worked on")

    kept = done(made, old)
    # A worker that makes neither refuses to start, and says why; so does one of the generation that was rolled back.
    for settings in (NEITHER, NEW):
        said = refused(worker(made, **settings))
        assert "this worker makes generation" in said
        assert f"is kept in {old}" in said
        assert "--open-generation" in said
    assert first.alive

    result = command(made, "drop", new, "--yes")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["removed"] == 16
    assert (done(made, new), done(made, old)) == (set(), kept)
    listed = command(made, "list", "--counts", "--json").stdout.splitlines()
    found = [(row["generation"], row["state"], row["done"]) for row in map(json.loads, listed)]
    assert found == [(old, "serving", 15)]
