"""What a backfill is said to have asked of S3 is what a proxy before the store has seen."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tasks.bulk.cost import PER_IMAGE
from tasks.records import ImageRef
from tasks.traffic import OPERATIONS, Traffic
from tests.conftest import jpeg
from tests.faults.proxy import Proxy
from tests.integration.conftest import Command
from tests.servers import REGION, Server
from tests.worker.storage.test_counted import Wire
from worker.library import Library, open_library
from worker.runtime import Runtime, load_model
from worker.settings import load_settings

COLORS = ("red", "green", "blue", "white", "black", "orange", "purple", "gray")


@pytest.fixture
def between(seaweed: Server) -> Iterator[Proxy]:
    with Proxy(("127.0.0.1", seaweed.ports[0])) as proxy:
        yield proxy


@pytest.fixture
def environment(seaweed: Server, between: Proxy) -> dict[str, str]:
    return seaweed.environment | {"STOCKMETA_S3_ENDPOINT": f"http://127.0.0.1:{between.port}"}


@pytest.fixture
def bucket(seaweed: Server) -> str:
    name = seaweed.make_bucket()
    client = seaweed.s3()
    for color in COLORS:
        client.put_object(Bucket=name, Key=f"deep/{color}.jpg", Body=jpeg(color))
    client.close()
    return name


def seen(between: Proxy, act: Callable[[], object]) -> Counter[str]:
    wire = Wire()
    with between.rule(wire):
        act()
    return wire.seen


def requests(traffic: Traffic) -> Counter[str]:
    return +Counter({operation: getattr(traffic, operation) for operation in OPERATIONS})


def test_each_way_of_working_is_counted_as_it_went_on_the_wire(
    bucket: str, between: Proxy, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    library = open_library(load_settings(library=f"s3://{bucket}", s3_region=REGION))
    keys = [f"deep/{color}.jpg" for color in COLORS]

    def runtime(**settings: object) -> Runtime:
        made = load_settings(model="fake", cache_dir=tmp_path, decode_processes=1, threads=2, **settings)
        sources = {bucket: library.source}
        return Runtime(made, load_model(made), sources, (library.sidecars, library.layout))

    def counted(act: Callable[[], object]) -> Traffic:
        before = library.meter.total
        wire = seen(between, act)
        found = library.meter.total - before
        assert requests(found) == wire
        return found

    with ExitStack() as stack:
        first, other = (stack.enter_context(runtime(max_keywords=number)) for number in (49, 3))
        generation = first.model.provenance.generation
        assert other.model.provenance.generation != generation
        tagged = counted(lambda: [first.tagger.attempt(ref) for ref in refs(library, keys)])
        again = counted(lambda: [first.tagger.attempt(ref) for ref in refs(library, keys)])
        pinned = list(refs(library, keys, pinned=True))
        rescored = counted(lambda: [other.tagger.attempt(ref, stored=generation, new=True) for ref in pinned])
        listed = counted(lambda: list(library.source.list()))
    assert tagged.put == rescored.put == len(keys)
    assert again.put == 0
    assert tagged.requests > rescored.requests > 0
    assert tagged.read > sum(stat.size for stat in library.source.list("deep/"))
    assert listed.list == 1


def refs(library: Library, keys: list[str], *, pinned: bool = False) -> Iterator[ImageRef]:
    for key in keys:
        yield ImageRef(library.source.bucket, key, library.source.stat(key).etag if pinned else None)


def test_a_report_names_requests_and_bytes_of_every_image(
    stockmeta: Command, bucket: str, between: Proxy, environment: dict[str, str], tmp_path: Path
) -> None:
    settings = {name.removeprefix("STOCKMETA_"): value for name, value in environment.items() if "STOCKMETA" in name}
    result: dict[str, Any] = {}

    def run(*arguments: object) -> None:
        done = stockmeta("backfill", f"s3://{bucket}", *arguments, MODEL="fake", **settings)
        assert done.returncode == 0, done.stderr
        result.update(json.loads(done.stdout))

    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            if not name.startswith("STOCKMETA_"):
                patch.setenv(name, value)
        run("--dry-run")
        expected = result["estimate"]
        wire = seen(between, lambda: run("--report", tmp_path / "report"))
        worked, asked = (Traffic.from_counts(result["requests"][who]) for who in ("work", "listing"))
        assert result["outcomes"] == {"tagged": len(COLORS)}
        # The worker's start is no image's: the proof of conditional writes, the pointer to generations.
        assert not requests(worked + asked) - wire
    each = PER_IMAGE["tag"] * len(COLORS)
    assert requests(worked) == requests(each), "what is said of an image is what it costs"
    assert expected["work"] == (worked - Traffic(read=worked.read, written=worked.written)).to_counts() | {
        "bytes:read": expected["work"]["bytes:read"],
        "bytes:written": expected["work"]["bytes:written"],
    }
    assert expected["listing"]["requests:list"] <= asked.list + 2
    assert result["per_image"]["requests:put"] == 1.0
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert f"Backfill of s3://{bucket}" in page
