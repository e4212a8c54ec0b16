"""What is kept on disk: a second start needs no torch, and damage is noticed and mended."""

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from random_models import random_pixels

from tasks.errors import ConfigurationError
from worker.encoders import OpenClipEncoder, engine_openvino, load_encoder

pytestmark = pytest.mark.integration

START = """
import sys
from pathlib import Path
import numpy as np
from worker.encoders import embed_vocabulary, load_encoder
encoder = load_encoder(sys.argv[1], engine="openvino", cache_dir=Path(sys.argv[2]), threads=1)
embed_vocabulary(encoder, ["dog", "cat"], Path(sys.argv[2]))
size = encoder.preprocess.size
sys.stdout.buffer.write(encoder.encode(np.full((1, size, size, 3), 77, np.uint8)).embeddings.tobytes())
heavy = [name for name in ("torch", "timm", "transformers", "open_clip", "openvino_telemetry") if sys.modules.get(name)]
print(" ".join(heavy), file=sys.stderr)
"""


def start(model: str, cache: Path) -> tuple[bytes, list[str]]:
    """A fresh process: the bits of one embedding, and the heavy modules that it imported."""
    done = subprocess.run(
        [sys.executable, "-c", START, model, str(cache)], capture_output=True, check=True, timeout=240
    )
    return done.stdout, done.stderr.decode().splitlines()[-1].split()


@pytest.mark.parametrize("model", ["starter", "tiny_clip"])
def test_a_warm_start_imports_no_torch(model: str, request: pytest.FixtureRequest, cache_dir: Path) -> None:
    name = model if model == "starter" else f"local-dir:{request.getfixturevalue(model)}"
    cold, _ = start(name, cache_dir)
    warm, heavy = start(name, cache_dir)
    assert heavy == []
    assert warm == cold


def tower_folder(cache: Path) -> Path:
    (folder,) = (cache / "towers").iterdir()
    return folder


@pytest.mark.parametrize("name", ["model.xml", "model.bin", "manifest.json", "reference.npz"])
def test_a_conversion_cut_short_is_made_again(tiny_clip: Path, tmp_path: Path, name: str) -> None:
    before = OpenClipEncoder(f"local-dir:{tiny_clip}", "openvino-fp32", tmp_path)
    file = tower_folder(tmp_path) / name
    file.write_bytes(file.read_bytes()[:-20])
    after = OpenClipEncoder(f"local-dir:{tiny_clip}", "openvino-fp32", tmp_path)
    pixels = random_pixels(2, 32)
    np.testing.assert_array_equal(after.encode(pixels).embeddings, before.encode(pixels).embeddings)


def test_damaged_weights_are_noticed_replaced_by_torch_and_mended_at_the_next_start(
    tiny_clip: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    OpenClipEncoder(f"local-dir:{tiny_clip}", "openvino-fp32", tmp_path)
    weights = tower_folder(tmp_path) / "model.bin"
    damaged = np.random.default_rng(0).standard_normal(weights.stat().st_size // 4).astype(np.float32).tobytes()
    weights.write_bytes(damaged)
    with pytest.raises(ConfigurationError, match="does not work here"):
        OpenClipEncoder(f"local-dir:{tiny_clip}", "openvino-fp32", tmp_path)
    OpenClipEncoder(f"local-dir:{tiny_clip}", "openvino-fp32", tmp_path)
    (tower_folder(tmp_path) / "model.bin").write_bytes(damaged)
    with caplog.at_level(logging.WARNING):
        encoder = OpenClipEncoder(f"local-dir:{tiny_clip}", "auto", tmp_path)
    assert "engine not used" in caplog.text
    assert encoder.encode(random_pixels(1, 32)).embeddings.shape == (1, 32)
    assert OpenClipEncoder(f"local-dir:{tiny_clip}", "auto", tmp_path).engine.startswith("openvino")


def test_without_openvino_auto_takes_torch(
    tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine_openvino._openvino.cache_clear()
    engine_openvino._core.cache_clear()
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert load_encoder(f"local-dir:{tiny_clip}", cache_dir=tmp_path).engine == "torch cpu fp32"
    assert "openvino is not installed" in caplog.text
    with pytest.raises(ConfigurationError, match="openvino is not installed"):
        load_encoder(f"local-dir:{tiny_clip}", engine="openvino", cache_dir=tmp_path)


def test_a_cache_that_cannot_be_written_is_a_message(tiny_clip: Path, tmp_path: Path) -> None:
    (tmp_path / "towers").write_text("in the way")
    with pytest.raises(ConfigurationError, match="cannot be kept"):
        load_encoder(f"local-dir:{tiny_clip}", engine="openvino-fp32", cache_dir=tmp_path)


def test_processes_that_convert_at_once_do_not_break_each_other(tiny_clip: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", START, f"local-dir:{tiny_clip}", str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    answers = {process.communicate(timeout=240)[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    assert len(answers) == 1
    assert [path.suffix for path in (tmp_path / "towers").iterdir()] == [""]
