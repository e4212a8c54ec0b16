"""`stockmeta tag` that is stopped early, by Ctrl-C or by a reader that has seen enough."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, jpeg


@pytest.fixture
def many(tmp_path: Path) -> Path:
    folder = tmp_path / "many"
    folder.mkdir()
    data = jpeg("red", (3000, 2000))
    for i in range(1500):
        (folder / f"{i:04}.jpg").write_bytes(data)
    return folder


def start(folder: Path, cache_dir: Path) -> "subprocess.Popen[bytes]":
    settings = {"STOCKMETA_MODEL": "fake", "STOCKMETA_CACHE_DIR": str(cache_dir)}
    return subprocess.Popen(
        [sys.executable, "-m", "worker.cli", "tag", str(folder)],
        env=os.environ | settings,
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A shell that runs the tests in the background has its children ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def test_ctrl_c_ends_soon_and_says_how_to_go_on(many: Path, cache_dir: Path) -> None:
    with start(many, cache_dir) as process:
        assert process.stdout
        assert process.stdout.readline().startswith(b'{"schema"')
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    assert out.count(b"\n") < 1400
    assert b"interrupted; run the same command again" in err
    assert b"Traceback" not in err


def test_a_closed_pipe_ends_it_quietly(many: Path, cache_dir: Path) -> None:
    with start(many, cache_dir) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        assert process.wait(timeout=20) == 141
    assert err == b""
