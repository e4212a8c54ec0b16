"""Files in memory, where the system has a folder for that: tests of this folder wait for a disk most of the time.

That what is said to be on the disk is there after a kill is tested on one, in tests/integration.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")  # noqa: S108 - of tests, each in a folder of its own


@pytest.fixture(scope="session")
def in_memory() -> Iterator[Path]:
    """A folder of this run."""
    parent = MEMORY if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="stockmeta-tests-", dir=parent) as made:
        yield Path(made)


@pytest.fixture
def tmp_path(in_memory: Path) -> Path:
    """A folder of one test."""
    return Path(tempfile.mkdtemp(dir=in_memory))
