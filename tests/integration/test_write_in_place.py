"""`stockmeta write --in-place` on a folder and on a real S3 store: it triggers nothing, wherever it is ended."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.errors import Unavailable
from tasks.own_writes import OwnWriter
from tasks.records import ImageRef, Outcome, Record
from tests.conftest import jpeg
from tests.servers import REGION, Server
from worker.commands import write
from worker.commands.write import Options
from worker.encoders.fake import FakeEncoder
from worker.library import Library, open_library
from worker.metadata.exiftool import ExifTool
from worker.metadata.fields import LISTS
from worker.metadata.xmp import Packet
from worker.runtime import Model, Runtime, load_model
from worker.settings import Settings, load_settings
from worker.storage.local import LocalStore

pytestmark = pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")

KEY = "deep/개 한 마리 #1.jpg"


@pytest.fixture(params=["folder", "s3"])
def settings(
    request: pytest.FixtureRequest, tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    if request.param == "folder":
        (tmp_path / "photos" / "deep").mkdir(parents=True)
        path = tmp_path / "photos" / KEY
        path.write_bytes(jpeg("green"))
        path.chmod(0o640)
        return load_settings(library=str(tmp_path / "photos"), model="fake", cache_dir=cache_dir, decode_processes=1)
    seaweed: Server = request.getfixturevalue("seaweed")
    for name, value in seaweed.environment.items():
        monkeypatch.setenv(name, value)
    bucket = seaweed.make_bucket()
    given = {"ContentType": "image/jpeg", "Metadata": {"photographer": "kim"}}
    seaweed.s3().put_object(Bucket=bucket, Key=KEY, Body=jpeg("green"), **given)
    return load_settings(
        library=f"s3://{bucket}",
        model="fake",
        cache_dir=cache_dir,
        decode_processes=1,
        s3_endpoint=seaweed.endpoint,
        s3_region=REGION,
        s3_addressing="path",
    )


@pytest.fixture
def library(settings: Settings) -> Library:
    return open_library(settings)


@pytest.fixture
def model(settings: Settings) -> Model:
    return load_model(settings)


@pytest.fixture
def runtime(settings: Settings, library: Library, model: Model) -> Iterator[Runtime]:
    sources = {library.source.bucket: library.source}
    with Runtime(settings, model, sources, (library.sidecars, library.layout)) as running:
        yield running


def ref(library: Library) -> ImageRef:
    return ImageRef(library.source.bucket, KEY)


def record(library: Library, model: Model) -> Record:
    found = library.sidecars.read(library.layout.done(model.provenance.generation, ref(library)))
    assert found is not None
    return Record.from_json(found[0])


def event(runtime: Runtime, library: Library, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    """What a worker does when it is told of the key; the model must not be asked."""

    def asked(*_: object) -> None:
        raise AssertionError("it went through the model")

    with monkeypatch.context() as patched:
        patched.setattr(FakeEncoder, "encode", asked)
        return runtime.tagger.attempt(ref(library))


def keywords(library: Library) -> list[str]:
    body = library.source.fetch(KEY).body
    data = body if isinstance(body, bytes) else body.read_bytes()

    with ExifTool() as tool:
        return list(Packet(tool.read(data, ".jpg").xmp).items(LISTS["keywords"]))


def test_an_event_about_our_own_write_changes_nothing(
    settings: Settings,
    library: Library,
    runtime: Runtime,
    model: Model,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    before = runtime.tagger.attempt(ref(library)).record
    assert write.run(settings, Options(embed=True, out=None)) == 0
    (line,) = map(json.loads, capfd.readouterr().out.splitlines())
    assert (line["key"], line["status"]) == (KEY, "written")
    stat = library.source.stat(KEY)
    after = record(library, model)
    assert stat.etag != before.image.etag
    assert (after.image.etag, after.image.bytes) == (stat.etag, stat.size)
    assert after.written == after.image.sha256
    outcome = event(runtime, library, monkeypatch)
    assert outcome.cached
    assert outcome.record == record(library, model) == after
    assert (after.keywords, after.created_at, after.embedding) == (before.keywords, before.created_at, before.embedding)
    assert keywords(library) == [word.labels["en"] for word in before.keywords]
    # What is not content is as it was.
    if isinstance(library.source, LocalStore):
        assert (library.source.root / KEY).stat().st_mode & 0o777 == 0o640
    # A second run finds nothing to do, and a dry run says so.
    for dry_run in (False, True):
        assert write.run(settings, Options(embed=True, out=None, dry_run=dry_run)) == 0
        assert json.loads(capfd.readouterr().out)["status"] == "unchanged"
    assert library.source.stat(KEY) == stat


def test_ended_between_the_image_and_the_record_it_is_adopted(
    settings: Settings, library: Library, runtime: Runtime, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = runtime.tagger.attempt(ref(library)).record

    def ended(*_: object) -> None:
        raise Unavailable("ended here")

    with monkeypatch.context() as patched:
        patched.setattr(OwnWriter, "_settle", ended)
        assert write.run(settings, Options(embed=True, out=None)) == 1
    between = record(library, model)
    stat = library.source.stat(KEY)
    assert between.image.etag == before.image.etag != stat.etag
    assert event(runtime, library, monkeypatch).cached
    after = record(library, model)
    assert (after.image.etag, after.image.bytes, after.image.sha256) == (stat.etag, stat.size, between.written)
    assert (after.keywords, after.created_at) == (before.keywords, before.created_at)
    assert after.revision > between.revision > before.revision
    assert event(runtime, library, monkeypatch).record == after


def test_an_image_that_was_replaced_meanwhile_is_tagged_and_not_written(
    settings: Settings, library: Library, runtime: Runtime, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime.tagger.attempt(ref(library))
    newer = jpeg("navy")
    write_own = OwnWriter.write

    def replaced(self: OwnWriter, which: ImageRef, data: bytes) -> str:
        library.source.put(KEY, newer, if_match=library.source.stat(KEY).etag)
        return write_own(self, which, data)

    with monkeypatch.context() as patched:
        patched.setattr(OwnWriter, "write", replaced)
        assert write.run(settings, Options(embed=True, out=None)) == 1
    body = library.source.fetch(KEY).body
    assert (body if isinstance(body, bytes) else body.read_bytes()) == newer
    assert not runtime.tagger.attempt(ref(library)).cached
    assert record(library, model).written is None


def test_tagged_anew_our_own_words_are_not_taken_for_a_persons(
    settings: Settings, library: Library, runtime: Runtime, model: Model
) -> None:
    before = runtime.tagger.attempt(ref(library)).record
    assert write.run(settings, Options(embed=True, out=None)) == 0
    # As a worker of another generation would find it.
    library.sidecars.delete(
        path := library.layout.done(model.provenance.generation, ref(library)),
        if_match=library.sidecars.stat(path).etag,
    )
    again = runtime.tagger.attempt(ref(library))
    assert not again.cached
    assert again.record.embedded is None
    assert again.record.keywords == before.keywords
