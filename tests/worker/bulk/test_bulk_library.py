from pathlib import Path

import pytest

from tasks.errors import ConfigurationError
from worker.bulk.library import locate
from worker.settings import Settings

BROKER = "redis://127.0.0.1:1/0"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photos" / "2026" / "may").mkdir(parents=True)
    return tmp_path / "photos"


def test_alone_it_is_the_library(folder: Path) -> None:
    settings, library = locate(Settings(model="fake"), str(folder / "2026"))
    assert (settings.library, settings.model) == (str(folder / "2026"), "fake")
    assert (library.source.bucket, library.prefix) == ("2026", "")


@pytest.mark.parametrize("broker", [None, BROKER])
def test_a_part_of_the_workers_library_keeps_their_keys(folder: Path, broker: str | None) -> None:
    given = Settings.model_validate({"library": str(folder), "broker_url": broker})
    settings, library = locate(given, f"{folder}/2026/../2026/may/")
    assert settings.library == str(folder)
    assert (library.source.bucket, library.prefix) == ("photos", "2026/may/")
    assert locate(given, str(folder))[1].prefix == ""


def test_of_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    given = Settings.model_validate({"library": "s3://photos/2026", "broker_url": BROKER})
    assert locate(given, "s3://photos/2026/may")[1].prefix == "2026/may/"
    for outside in ("s3://photos", "s3://photos/2025", "s3://photos/20261", "s3://films/2026"):
        with pytest.raises(ConfigurationError, match="outside of the workers' library"):
            locate(given, outside)


def test_outside_of_the_workers_library_only_with_workers_of_its_own(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = str(tmp_path / "other")
    with pytest.raises(ConfigurationError, match="they would not find its images"):
        locate(Settings.model_validate({"library": str(folder), "broker_url": BROKER}), other)
    assert locate(Settings(library=str(folder)), other)[0].library == other


def test_a_folder_that_is_not_there(folder: Path) -> None:
    for given in (Settings(library=str(folder)), Settings()):
        with pytest.raises(ConfigurationError, match="there is no folder"):
            locate(given, str(folder / "2027"))
