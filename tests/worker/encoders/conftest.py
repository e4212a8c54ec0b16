"""Models to try encoders with; nothing here imports torch before it is used."""

from pathlib import Path

import pytest
from random_models import TINY, TINY_COCA, TINY_PREPROCESS, save_model


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("models") / "tiny", TINY, TINY_PREPROCESS)


@pytest.fixture(scope="session")
def tiny_coca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("models") / "coca", TINY_COCA, TINY_PREPROCESS)


@pytest.fixture(scope="session")
def vit_b_32(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real architecture, 600 MB of random weights."""
    import open_clip

    preprocess = {"size": 224, "interpolation": "bicubic", "resize_mode": "shortest"}
    return save_model(tmp_path_factory.mktemp("models") / "vit", open_clip.get_model_config("ViT-B-32"), preprocess)


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")
