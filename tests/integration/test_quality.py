"""The figures of docs/quality.md, held with a little room: one photograph is 0.005."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY


@pytest.mark.shared
def test_the_starter_knows_what_it_should(shared_photos: Path, cache_dir: Path) -> None:
    result = subprocess.run(
        [sys.executable, "scripts/quality.py", "--photos", shared_photos],
        env={**os.environ, "STOCKMETA_CACHE_DIR": str(cache_dir), "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=280,
        check=True,
        cwd=REPOSITORY,
    )

    def figure(line: str, name: str) -> float:
        found = re.search(rf"^{re.escape(line)}.*{re.escape(name)} ([\d.]+)", result.stdout, re.MULTILINE)
        assert found, result.stdout
        return float(found[1].rstrip("."))

    names = "80 names as vocabulary"
    assert figure(names, "P@1") >= 0.63
    assert figure(names, "right in five") >= 0.89
    assert figure(names, "mAP") >= 0.46
    shown = figure("shipped vocabulary, as shown", "right in five")
    assert shown >= 0.74
    assert shown > figure("always the best five", "right in five")
    wrong = re.search(r"keywords wrong \(([\d.]+)\)", result.stdout)
    assert wrong
    assert float(wrong[1]) <= 0.26
