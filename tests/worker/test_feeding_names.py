"""What feeds are called in the change stream: the same for one index, and never for two."""

from pathlib import Path

import pytest

from tasks.errors import ConfigurationError
from worker.feeding import Target, change_stream, open_sink, reader_name
from worker.feeding_places import folder_id
from worker.library import open_library
from worker.settings import Settings
from worker.storage.local import LocalStore


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


def name(photos: Path, target: Target) -> str:
    settings = Settings(library=str(photos), cache_dir=photos.parent / "cache")
    library = open_library(settings)
    sink = open_sink(settings, library, target)
    try:
        return reader_name(settings, library, target, sink)
    finally:
        sink.close()


@pytest.mark.parametrize("kind", ["local", "ndjson", "default"])
def test_folders_of_one_path_on_two_machines_are_two_indexes(kind: str, photos: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    targets = {"local": Target("local", folder=place), "ndjson": Target("ndjson", out=str(place))}
    target = targets.get(kind, Target("local"))
    folder = place if kind in targets else photos.parent / "cache"
    here = name(photos, target)
    assert name(photos, target) == here, "the same after a restart"
    folder.rename(tmp_path / "of-another-machine")
    assert name(photos, target) != here


def test_aliases_of_one_name_in_two_clusters_are_two_indexes(photos: Path) -> None:
    old, new, again = (
        name(photos, Target("opensearch", url=url, name="photos"))
        for url in ("http://old:9200", "http://new:9200", "http://old:9200/")
    )
    assert old == again == "opensearch:photos@http://old:9200"
    assert old != new


def test_the_mark_of_a_folder_is_none_of_its_files(tmp_path: Path) -> None:
    folder_id(tmp_path)
    assert not list(LocalStore(tmp_path).list())


def test_a_mark_that_was_half_written_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / ".~stockmeta-feed").touch()
    assert len(folder_id(tmp_path)) == 12


def test_a_folder_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cannot be written"):
        folder_id(tmp_path / "file" / "index")


@pytest.mark.parametrize("without", [{"broker_url": None}, {"changes_kept": 0}])
def test_where_workers_announce_nothing_there_is_no_stream(without: dict[str, object], photos: Path) -> None:
    given = {"broker_url": "redis://127.0.0.1:1/0"} | without
    settings = Settings(library=str(photos), cache_dir=photos.parent / "cache", **given)
    library, target = open_library(settings), Target("local")
    sink = open_sink(settings, library, target)
    with change_stream(settings, library, target, sink) as stream:
        assert stream is None
    sink.close()
