"""How many requests an image costs on the real S3 server; docs/architecture.md and docs/renditions.md say the same."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.records import ImageRef, Status
from tasks.traffic import Traffic
from tests.conftest import jpeg
from tests.servers import REGION, Server
from worker.library import Library, open_library
from worker.runtime import Runtime, load_model
from worker.settings import load_settings

LARGE, SMALL = jpeg("red", (900, 600), comment=b"x" * 60_000), jpeg("blue", (300, 200))


@pytest.fixture
def library(seaweed: Server, monkeypatch: pytest.MonkeyPatch) -> Library:
    for name, value in seaweed.environment.items():
        monkeypatch.setenv(name, value)
    settings = load_settings(
        library=f"s3://{seaweed.make_bucket()}",
        s3_endpoint=seaweed.endpoint,
        s3_region=REGION,
        rendition="previews/{stem}_1000.jpg",
    )
    return open_library(settings)


@pytest.fixture
def runtime(library: Library, tmp_path: Path) -> Iterator[Runtime]:
    settings = load_settings(
        model="fake", cache_dir=tmp_path, rendition="previews/{stem}_1000.jpg", decode_processes=1, threads=2
    )
    sources = {library.source.bucket: library.source}
    with Runtime(settings, load_model(settings), sources, (library.sidecars, library.layout)) as runtime:
        yield runtime


def spent(runtime: Runtime, library: Library, key: str, *, new: bool) -> tuple[Traffic, Status]:
    before = library.meter.total
    outcome = runtime.tagger.attempt(ImageRef(library.source.bucket, key), new=new)
    return library.meter.total - before, outcome.record.status


@pytest.mark.parametrize(("new", "gets"), [(False, 4), (True, 2)])
@pytest.mark.parametrize("rendition", [True, False])
def test_requests_of_an_image(runtime: Runtime, library: Library, new: bool, gets: int, rendition: bool) -> None:
    """HEAD, two records that are not there, the image, PUT, the record of the other kind, HEAD: seven.

    Five where a listing showed that there is no record. With a template one more: for the start of the original, or for
    a rendition that is not there.
    """
    library.source.put("a.jpg", LARGE, if_match=None)
    if rendition:
        library.source.put("previews/a_1000.jpg", SMALL, if_match=None)
    traffic, status = spent(runtime, library, "a.jpg", new=new)
    assert status is Status.TAGGED
    assert (traffic.head, traffic.get, traffic.put, traffic.list, traffic.delete) == (2, gets + 1, 1, 0, 0)
    # A second time, by a message that says nothing.
    again, _ = spent(runtime, library, "a.jpg", new=False)
    assert (again.head, again.get, again.put) == (1, 1, 0)


def test_without_a_template_nothing_else_is_asked_for(runtime: Runtime, library: Library) -> None:
    object.__setattr__(runtime.tagger, "renditions", None)
    for number, (new, gets) in enumerate([(False, 4), (True, 2)]):
        library.source.put(f"{number}.jpg", LARGE, if_match=None)
        traffic, _ = spent(runtime, library, f"{number}.jpg", new=new)
        assert (traffic.head, traffic.get, traffic.put) == (2, gets, 1)


def test_what_others_committed_after_the_listing_stays(runtime: Runtime, library: Library) -> None:
    library.source.put("a.jpg", LARGE, if_match=None)
    ref = ImageRef(library.source.bucket, "a.jpg")
    first = runtime.tagger.attempt(ref).record
    assert runtime.tagger.attempt(ref, new=True).record == first
    library.source.put("a.jpg", jpeg("navy", (600, 400)), if_match=library.source.stat("a.jpg").etag)
    second = runtime.tagger.attempt(ref, new=True).record
    assert second.image.etag == library.source.stat("a.jpg").etag
    assert (second.created_at, second.revision > first.revision) == (first.created_at, True)
    done = [stat.key for stat in library.sidecars.list(library.layout.root) if stat.key.endswith("a.jpg.json")]
    assert len(done) == 1
