"""Which library the settings name, and what belongs to it."""

from pathlib import Path

import pytest

from tasks.errors import ConfigurationError
from tasks.layout import FOLDER_KEYS, S3_KEYS, Layout
from tests.servers import Server
from worker.library import Library, Place, open_library, parse
from worker.settings import load_settings
from worker.storage.s3 import S3Store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "photos"
    found.mkdir()
    return found


def opened(library: object, output: object = None) -> Library:
    return open_library(load_settings(library=str(library), output=None if output is None else str(output)))


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """No request is made here, but making a client looks for credentials."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("photos", Path("photos")),
        ("/data/a b", Path("/data/a b")),
        ("s3://photos", Place("photos", "")),
        ("s3://photos/", Place("photos", "")),
        ("s3://photos/2024", Place("photos", "2024/")),
        ("s3://photos/2024/sea #1/", Place("photos", "2024/sea #1/")),
    ],
)
def test_names_of_libraries(text: str, expected: Path | Place) -> None:
    assert parse(text, "STOCKMETA_LIBRARY") == expected


@pytest.mark.parametrize(
    "text", ["", "s3://", "s3:///a", "s3://a b/c", "s3://photos//a", "s3://photos/../a", "gs://photos", "https://x/y"]
)
def test_names_that_are_none(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"STOCKMETA_OUTPUT.*(bucket|prefix)"):
        parse(text, "STOCKMETA_OUTPUT")


def test_no_library() -> None:
    with pytest.raises(ConfigurationError, match="set STOCKMETA_LIBRARY"):
        open_library(load_settings())


def test_a_folder_holds_its_own_output(folder: Path) -> None:
    library = opened(folder)
    assert library.sidecars is library.source
    assert library.layout == Layout(".stockmeta/", FOLDER_KEYS)
    assert library.owns("a/b.JPG")
    assert not library.owns("a/b.txt")
    assert not library.owns(".stockmeta/a.jpg")


def test_an_output_inside_of_the_library_is_known_as_such(folder: Path) -> None:
    for output in (folder / "out" / "deep", folder / ".." / "photos" / "out" / "deep"):
        library = opened(folder, output)
        assert library.sidecars is library.source
        assert library.layout.root == "out/deep/"
        assert library.owns("out/a.jpg")
        assert not library.owns("out/deep/a.jpg")
    assert (folder / "out" / "deep").is_dir()


def test_an_output_folder_elsewhere(folder: Path, tmp_path: Path) -> None:
    library = opened(folder, tmp_path / "out")
    assert library.sidecars is not library.source
    assert library.layout == Layout("", FOLDER_KEYS)
    assert library.owns("out/a.jpg")
    library.sidecars.put("x", b"x", if_match=None)
    assert (tmp_path / "out" / "x").read_bytes() == b"x"


def test_a_bucket_holds_its_own_output(keys: None) -> None:
    library = opened("s3://photos/2024")
    assert isinstance(library.source, S3Store)
    assert library.source is library.sidecars
    assert library.source.bucket == "photos"
    assert library.layout == Layout(".stockmeta/", S3_KEYS)
    assert library.owns("2024/a.jpg")
    assert not library.owns("2025/a.jpg")
    assert not library.owns("2024a.jpg")


def test_one_store_for_one_bucket(keys: None) -> None:
    library = opened("s3://photos/2024", "s3://photos/2024/out")
    assert library.source is library.sidecars
    assert not library.owns("2024/out/a.jpg")
    other = opened("s3://photos", "s3://sidecars")
    assert (other.sidecars.bucket, other.layout) == ("sidecars", Layout("", S3_KEYS))
    assert other.owns(".stockmeta/a.jpg")


def test_folders_and_buckets_mix(keys: None, folder: Path, tmp_path: Path) -> None:
    assert opened("s3://photos", tmp_path / "out").layout == Layout("", FOLDER_KEYS)
    assert opened(folder, "s3://sidecars/x").layout == Layout("x/", S3_KEYS)


def test_an_output_may_not_contain_the_library(keys: None, folder: Path) -> None:
    for library, output in (
        (folder, folder),
        ("s3://photos", "s3://photos"),
        ("s3://photos/2024", "s3://photos/2024"),
        ("s3://photos/2024/sea", "s3://photos/2024/"),
        ("s3://photos/.stockmeta/x", None),
    ):
        with pytest.raises(ConfigurationError, match="contains the library"):
            opened(library, output)


def test_a_folder_that_cannot_be_made(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be made"):
        opened(folder, tmp_path / "file" / "out")
    with pytest.raises(ConfigurationError, match="no folder"):
        opened(tmp_path / "gone")


@pytest.mark.integration
def test_settings_reach_the_store(seaweed: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in seaweed.environment.items():
        monkeypatch.setenv(name, value)
    library = opened(f"s3://{seaweed.make_bucket()}")
    assert list(library.source.list()) == []
    etag = library.sidecars.put("a", b"1", if_match=None)
    assert library.source.stat("a").etag == etag


def test_renditions_are_no_images_of_the_library(folder: Path) -> None:
    library = open_library(load_settings(library=str(folder), rendition="{dir}previews/{name}"))
    assert library.owns("2024/a.jpg")
    assert not library.owns("2024/previews/a.jpg")
    assert opened(folder).owns("2024/previews/a.jpg")


def test_renditions_among_the_outputs_are_refused(folder: Path) -> None:
    settings = load_settings(library=str(folder), rendition=".stockmeta/{stem}_1000.jpg")
    with pytest.raises(ConfigurationError, match="among the outputs"):
        open_library(settings)
    # Elsewhere it is a name like any other.
    assert open_library(
        load_settings(library=str(folder), output=str(folder.parent / "out"), rendition=settings.rendition)
    )


def test_a_template_that_is_none_is_said_with_the_settings() -> None:
    with pytest.raises(ConfigurationError, match=r"previews/\{steam\}: \{steam\} is no placeholder"):
        load_settings(rendition="previews/{steam}")
    assert load_settings(rendition="").renditions is None
