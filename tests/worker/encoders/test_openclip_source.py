"""Names of models, folders that are refused, and what the messages say; no torch."""

import subprocess
import sys
from pathlib import Path

import pytest

from tasks.errors import ConfigurationError
from worker.encoders import load_encoder
from worker.encoders.openclip_checkpoint import describe
from worker.encoders.openclip_source import Source


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text("{}")
    return folder


@pytest.mark.parametrize("name", ["clip", "", "ViT-B-32"])
def test_an_unknown_name_is_answered_with_what_is_possible(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"starter.*ARCHITECTURE/TAG.*hf-hub:.*local-dir:"):
        load_encoder(name, cache_dir=tmp_path)


@pytest.mark.parametrize("name", ["ViT-B-32/", "/tag", "s3:bucket"])
def test_half_a_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not of the form"):
        load_encoder(name, cache_dir=tmp_path)


@pytest.mark.parametrize(
    ("files", "word"),
    [
        (["model.safetensors"], "no open_clip_config.json"),
        (["open_clip_config.json"], r"no \*\.safetensors"),
        (["open_clip_config.json", "open_clip_pytorch_model.bin"], r"no \*\.safetensors"),
        (["open_clip_config.json", "model.pth"], r"no \*\.safetensors"),
        (["open_clip_config.json", "model.safetensors", "open_clip_pytorch_model.bin"], "several"),
        (["open_clip_config.json", "a.safetensors", "b.safetensors"], "several"),
    ],
)
def test_a_folder_that_could_be_misread_is_refused(tmp_path: Path, files: list[str], word: str) -> None:
    folder = touch(tmp_path / "model", *files)
    with pytest.raises(ConfigurationError, match=word):
        load_encoder(f"local-dir:{folder}", cache_dir=tmp_path / "cache")


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is not a folder"):
        load_encoder(f"local-dir:{tmp_path / 'nowhere'}", cache_dir=tmp_path)


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        (["model.safetensors"], "model.safetensors"),
        (["weights.safetensors", "open_clip_model.safetensors", "open_clip_pytorch_model.bin"], None),
        (["open_clip_pytorch_model.safetensors", "model.pth"], "open_clip_pytorch_model.safetensors"),
    ],
)
def test_the_weights_are_those_that_open_clip_takes(tmp_path: Path, files: list[str], chosen: str | None) -> None:
    folder = touch(tmp_path / "model", "open_clip_config.json", *files)
    found = Source.parse(f"local-dir:{folder}").find_weights()
    assert found.name == (chosen or "open_clip_model.safetensors")


def test_weights_are_refused_before_anything_reads_them(tmp_path: Path) -> None:
    folder = touch(tmp_path / "model", "open_clip_config.json", "model.safetensors")

    def never() -> None:
        raise AssertionError("loaded")

    with pytest.raises(ConfigurationError, match="not the file asked for"):
        describe(Source.parse(f"local-dir:{folder}"), never, tmp_path / "cache", "0" * 64)


def test_what_makes_no_sense_together_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="its own weights"):
        load_encoder("starter", cache_dir=tmp_path, sha256="0" * 64)
    with pytest.raises(ConfigurationError, match="batch of 0"):
        load_encoder("fake", cache_dir=tmp_path, batch=0)


def test_importing_the_package_imports_no_model_library() -> None:
    code = (
        "import sys, worker.encoders;"
        "sys.exit([m for m in ('torch', 'openvino', 'open_clip', 'timm', 'transformers') if m in sys.modules] or 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
