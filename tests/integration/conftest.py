"""Whole runs in processes of their own, as users start them."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

SHARED = REPOSITORY.parent / "shared" / "photos"
Command = Callable[..., "subprocess.CompletedProcess[str]"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.integration)
            if item.get_closest_marker("timeout") is None:
                # Most take seconds. The first to need the vocabulary embeds it, on a busy machine for minutes.
                item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def shared_photos() -> Path:
    if not SHARED.is_dir():
        pytest.skip("the labelled photographs are not here; they are not part of the project")
    return SHARED


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all tests of a session: embedding the vocabulary takes most of a minute."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def stockmeta(cache_dir: Path) -> Command:
    """Run the command, with settings as keywords."""

    def run(*arguments: object, stdin: str = "", **settings: object) -> "subprocess.CompletedProcess[str]":
        given = {"CACHE_DIR": cache_dir, **settings}
        environment = {name: value for name, value in os.environ.items() if not name.startswith("STOCKMETA_")}
        environment |= {f"STOCKMETA_{name}": str(value) for name, value in given.items()}
        return subprocess.run(
            [sys.executable, "-m", "worker.cli", *map(str, arguments)],
            input=stdin,
            env=environment,
            capture_output=True,
            text=True,
            timeout=800,
            check=False,
            cwd=REPOSITORY,
        )

    return run
