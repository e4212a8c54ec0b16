"""Renditions on the real S3 server and in a folder, through everything that a worker does with an image."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasks.own_writes import OwnWriter
from tasks.ports import Store
from tasks.records import ImageRef, Record, Status
from tests.conftest import jpeg
from tests.servers import Server
from tests.worker.images.metadata_files import packet, with_segments
from worker.commands.listen import _scope
from worker.library import Library, open_library
from worker.runtime import Model, Runtime, load_model
from worker.settings import Settings, load_settings

TEMPLATE = "previews/{stem}_1000.jpg"
KEY, RENDITION = "2024/a b.jpg", "previews/2024/a b_1000.jpg"
XMP = packet("<dc:subject><rdf:Bag><rdf:li>lighthouse</rdf:li></rdf:Bag></dc:subject>")


def picture(seed: int, size: tuple[int, int]) -> bytes:
    """Another picture for each seed; with a large one in it, the file is beyond the start that is read."""
    noise = np.random.default_rng(seed).integers(0, 256, (size[1] // 8, size[0] // 8, 3), np.uint8)
    image = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
    file = BytesIO()
    image.save(file, "JPEG", quality=95)
    return file.getvalue()


ORIGINAL = with_segments(picture(1, (1800, 1200)), (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP))
SAME, OTHER = picture(1, (600, 400)), picture(2, (600, 400))


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    cache = tmp_path_factory.mktemp("cache")
    return load_settings(model="fake", cache_dir=cache, rendition=TEMPLATE, decode_processes=1, threads=4)


@pytest.fixture(scope="module")
def model(settings: Settings) -> Model:
    return load_model(settings)


@pytest.fixture(params=["folder", "s3"])
def library(
    request: pytest.FixtureRequest, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Library:
    if request.param == "folder":
        (tmp_path / "photos").mkdir()
        return open_library(settings.model_copy(update={"library": str(tmp_path / "photos")}))
    server: Server = request.getfixturevalue("seaweed")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    update = {"s3_endpoint": server.endpoint, "s3_region": "us-east-1", "s3_addressing": "path"}
    return open_library(settings.model_copy(update={"library": f"s3://{server.make_bucket()}", **update}))


@contextmanager
def running(settings: Settings, model: Model, library: Library) -> Iterator[Runtime]:
    sources = {library.source.bucket: library.source}
    with Runtime(settings, model, sources, (library.sidecars, library.layout)) as runtime:
        yield runtime


@pytest.fixture
def runtime(settings: Settings, model: Model, library: Library) -> Iterator[Runtime]:
    with running(settings, model, library) as runtime:
        yield runtime


def put(store: Store, key: str, data: bytes) -> str:
    found = store.read(key)
    return store.put(key, data, if_match=found[1] if found else None)


def later() -> None:
    """Let what is written next be younger: S3 tells whole seconds."""
    time.sleep(1.05 - time.time() % 1)


def tagged(runtime: Runtime, library: Library, key: str = KEY) -> Record:
    return runtime.tagger.attempt(ImageRef(library.source.bucket, key)).record


def embedding(record: Record) -> np.ndarray:
    assert record.embedding is not None
    return record.embedding.unpack()


def test_a_rendition_is_read_and_the_record_names_both(runtime: Runtime, library: Library) -> None:
    etag = put(library.source, KEY, ORIGINAL)
    put(library.source, RENDITION, SAME)
    record = tagged(runtime, library)
    assert record.status is Status.TAGGED
    assert record.image.rendition == RENDITION
    assert (record.image.etag, record.image.bytes, record.image.sha256) == (etag, len(ORIGINAL), None)
    assert (record.image.width, record.image.height, record.image.format) == (1800, 1200, "JPEG")
    assert record.embedded is not None
    assert record.embedded.keywords == ("lighthouse",)
    # A second time nothing is done: the record is the original's.
    assert runtime.tagger.attempt(ImageRef(library.source.bucket, KEY)).cached


def test_eight_requests_and_few_bytes(
    settings: Settings, model: Model, library: Library, request: pytest.FixtureRequest
) -> None:
    if "s3" not in request.node.name:
        pytest.skip("a folder has no requests")
    put(library.source, KEY, ORIGINAL + os.urandom(3 << 20))
    put(library.source, RENDITION, SAME)
    with running(settings, model, library) as runtime:
        before = library.meter.total
        assert tagged(runtime, library).image.rendition
        spent = library.meter.total - before
    # HEAD; two records that are not there; rendition; start; PUT; the other record; HEAD.
    assert (spent.head, spent.get, spent.put, spent.list, spent.delete) == (2, 5, 1, 0, 0)
    assert spent.read < (256 << 10) + len(SAME) + 10_000


def test_an_original_of_later_is_read_itself(runtime: Runtime, library: Library) -> None:
    put(library.source, KEY, ORIGINAL)
    put(library.source, RENDITION, SAME)
    first = tagged(runtime, library)
    later()
    put(library.source, KEY, picture(2, (1800, 1200)))
    second = tagged(runtime, library)
    assert (second.image.rendition, bool(second.image.sha256)) == (None, True)
    assert not np.array_equal(embedding(first), embedding(second))


def test_a_rendition_of_later_is_read_when_the_original_is_worked_on_again(runtime: Runtime, library: Library) -> None:
    put(library.source, KEY, ORIGINAL)
    put(library.source, RENDITION, SAME)
    first = tagged(runtime, library)
    put(library.source, RENDITION, OTHER)
    # Nobody asks: the original did not change.
    assert tagged(runtime, library).revision == first.revision
    path = library.layout.done(runtime.model.provenance.generation, ImageRef(library.source.bucket, KEY))
    library.sidecars.delete(path, if_match=library.sidecars.stat(path).etag)
    second = tagged(runtime, library)
    assert second.image.rendition == RENDITION
    assert not np.array_equal(embedding(first), embedding(second))


@pytest.mark.parametrize("data", [None, b"", b"\xff\xd8\xff\xe0 no picture", SAME[:2000]], ids=repr)
def test_without_a_good_rendition_the_original_is_read(runtime: Runtime, library: Library, data: bytes | None) -> None:
    put(library.source, KEY, ORIGINAL)
    if data is not None:
        put(library.source, RENDITION, data)
    record = tagged(runtime, library)
    assert record.status is Status.TAGGED
    assert record.image.rendition is None
    assert record.image.sha256


def test_hostile_files_on_either_side(runtime: Runtime, library: Library, hostile: list[bytes]) -> None:
    """A hostile rendition costs a read of the original; the start of a hostile original costs nothing."""
    for number, data in enumerate(hostile):
        put(library.source, f"r{number}.jpg", ORIGINAL)
        put(library.source, f"previews/r{number}_1000.jpg", data)
        put(library.source, f"o{number}.jpg", data)
        put(library.source, f"previews/o{number}_1000.jpg", SAME)
        assert tagged(runtime, library, f"r{number}.jpg").status is Status.TAGGED
        record = tagged(runtime, library, f"o{number}.jpg")
        assert record.status is Status.TAGGED or record.reason


@pytest.fixture
def hostile() -> list[bytes]:
    folder = Path(__file__).resolve().parents[3] / "shared" / "photos" / "hostile"
    if not folder.is_dir():
        pytest.skip("the shared photographs are not here")
    return [path.read_bytes() for path in sorted(folder.iterdir())[::20] if path.is_file() and path.stat().st_size]


@pytest.mark.parametrize("what", ["replaced", "deleted"])
def test_what_happens_to_the_original_meanwhile(settings: Settings, model: Model, library: Library, what: str) -> None:
    put(library.source, KEY, ORIGINAL)
    put(library.source, RENDITION, SAME)
    source = library.source
    fetch = source.fetch

    def between(key: str, etag: str | None = None, *, most: int | None = None) -> object:
        found = fetch(key, etag, most=most)
        if key == RENDITION:
            source.fetch = fetch  # type: ignore[method-assign]
            if what == "replaced":
                later()
                put(source, KEY, picture(2, (1800, 1200)))
            else:
                source.delete(KEY, if_match=source.stat(KEY).etag)
        return found

    source.fetch = between  # type: ignore[method-assign, assignment]
    with running(settings, model, library) as runtime:
        record = tagged(runtime, library)
        committed = [stat.key for stat in library.sidecars.list(library.layout.root) if "/done/" in stat.key]
    if what == "replaced":
        assert record.image.etag == source.stat(KEY).etag
        assert record.image.rendition is None
        assert len(committed) == 1
    else:
        assert record.reason == "vanished"
        assert committed == []


def test_renditions_are_no_images_of_the_library(library: Library) -> None:
    keys = [KEY, RENDITION, "previews/2024/a b.jpg"]
    for key in keys:
        put(library.source, key, jpeg())
    owned = [stat.key for stat in library.source.list() if library.owns(stat.key)]
    assert owned == [KEY, "previews/2024/a b.jpg"]
    refused = [_scope(library).refuse(ImageRef(library.source.bucket, key)) for key in keys]
    assert [reason and reason.value for reason in refused] == [None, "rendition", None]


def test_the_template_makes_another_generation(settings: Settings, model: Model) -> None:
    other = load_model(settings.model_copy(update={"rendition": None}))
    third = load_model(settings.model_copy(update={"rendition": "p/{stem}.jpg"}))
    assert len({one.provenance.generation for one in (model, other, third)}) == 3
    assert model.description.sight.rendition.endswith(TEMPLATE)
    assert other.description.sight.rendition == ""
    assert model.description.settings["rendition"] == TEMPLATE


def test_our_own_writing_is_known_of_an_image_whose_rendition_was_read(
    runtime: Runtime, library: Library, own_write: Callable[[Library, str, bytes], str]
) -> None:
    put(library.source, KEY, ORIGINAL)
    put(library.source, RENDITION, SAME)
    first = tagged(runtime, library)
    etag = own_write(library, runtime.model.provenance.generation, with_segments(ORIGINAL, (0xFE, b"words")))
    outcome = runtime.tagger.attempt(ImageRef(library.source.bucket, KEY))
    assert outcome.cached
    assert outcome.record.image.etag == etag
    assert outcome.record.image.sha256 == outcome.record.written
    assert outcome.record.keywords == first.keywords


@pytest.fixture
def own_write() -> Callable[[Library, str, bytes], str]:
    def write(library: Library, generation: str, data: bytes) -> str:
        writer = OwnWriter(library.source, library.sidecars, library.layout, [generation])
        stat = library.source.stat(KEY)
        return writer.write(ImageRef(library.source.bucket, KEY, stat.etag), data)

    return write
