"""`stockmeta check` of what a unit test can try: the parts that need no model are in tests/integration."""

from pathlib import Path

import pytest

from tasks.errors import ConfigurationError
from worker.commands import check
from worker.settings import load_settings


def test_no_exiftool_is_no_failure_and_says_how_to_install_it() -> None:
    said = check._exiftool(load_settings(exiftool="no-such-program"))
    assert said.startswith("none")
    assert "apt install libimage-exiftool-perl" in said


def test_an_exiftool_that_does_not_work_is_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "exiftool"
    path.write_text("#!/bin/sh\nexit 3\n")
    path.chmod(0o755)
    with pytest.raises(ConfigurationError, match="does not work"):
        check._exiftool(load_settings(exiftool=str(path)))
