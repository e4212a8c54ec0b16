"""What a killed export left is removed, and what another one is writing is not."""

import fcntl
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from taxonomy.agencies import Column, FileForm
from worker.exports.csv_files import Files
from worker.exports.unfinished import Unfinished

FORM = FileForm((Column("Filename", "filename"),), rows=1)
KILLED = """
import os, signal, sys
from pathlib import Path
from worker.exports.unfinished import Unfinished
unfinished = Unfinished(Path(sys.argv[1]))
files = [unfinished.create() for _ in range(3)]
os.kill(os.getpid(), signal.{signal})
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_a_killed_export_left_the_next_one_to_the_same_file_removes(tmp_path: Path) -> None:
    out = tmp_path / "up.csv"
    for number in (signal.SIGTERM, signal.SIGKILL):
        run = subprocess.run([sys.executable, "-c", KILLED.format(signal=number.name), str(out)], timeout=60)
        assert run.returncode == -number
    # The second one has removed what the first one left.
    assert len(names(tmp_path)) == 3
    files = Files(FORM, ["Filename"], tmp_path / "other.csv")
    files.close()
    assert len(names(tmp_path)) == 4
    Files(FORM, ["Filename"], out).close()
    assert names(tmp_path) == ["other.csv", "up.csv"]


def test_two_exports_to_one_file_leave_each_other_alone(tmp_path: Path) -> None:
    out = tmp_path / "up.csv"
    first = Files(FORM, ["Filename"], out)
    for name in ("a", "b"):
        first.write([name])
    second = Files(FORM, ["Filename"], out)
    assert len(names(tmp_path)) == 3
    second.discard()
    assert [part.rows for part in first.close()] == [1, 1]
    assert names(tmp_path) == ["up-001.csv", "up-002.csv"]


def test_files_of_other_names_stay(tmp_path: Path) -> None:
    for name in (".~up.csv-notes", ".~up.csv-1", f".~upXcsv-{'0' * 32}-1", f".~up.csv-{'0' * 32}-1.bak"):
        (tmp_path / name).touch()
    before = names(tmp_path)
    Unfinished(tmp_path / "up.csv")
    assert names(tmp_path) == before


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        files = Files(FORM, ["Filename"], tmp_path / "up.csv")
        files.write(["a"])
        files.close()
        Files(FORM, ["Filename"], tmp_path / "up.csv").discard()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_file_that_another_export_removed_before_it_was_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock, removed = fcntl.flock, []

    def late(descriptor: int, operation: int) -> None:
        if not removed:
            removed.extend(tmp_path.iterdir())
            removed[0].unlink()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    first = Unfinished(tmp_path / "up.csv")
    path, file = first.create()
    assert path.exists() and path != removed[0]
    Unfinished(tmp_path / "up.csv")
    assert path.exists()
    file.close()
    first.release()
    Unfinished(tmp_path / "up.csv")
    assert names(tmp_path) == []
