"""open_clip models through our engines, against open_clip's own pipeline."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from random_models import TINY, TINY_PREPROCESS, random_pixels, save_model

from tasks.errors import ConfigurationError
from tasks.ports import Preprocess
from worker.encoders import OpenClipEncoder
from worker.encoders.contract import file_sha256, unit
from worker.encoders.engine_openvino import _has_bf16

pytestmark = pytest.mark.integration

TEXTS = [
    "a photo of a dog.",
    "a stock photo of copy space.",
    "dog",
    "an aerial view of " + "very " * 90 + "green fields",
    "",
]


def own_images(folder: Path, images: list[Image.Image]) -> np.ndarray:
    """What open_clip makes of images, with its own preprocessing: (n, d)."""
    import open_clip
    import torch

    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    with torch.inference_mode():
        return model.eval().encode_image(torch.stack([preprocess(image) for image in images]), normalize=True).numpy()


def own_texts(folder: Path, texts: list[str]) -> np.ndarray:
    import open_clip
    import torch

    model = open_clip.create_model(f"local-dir:{folder}").eval()
    with torch.inference_mode():
        return model.encode_text(open_clip.get_tokenizer(f"local-dir:{folder}")(texts), normalize=True).numpy()


def encoder_of(folder: Path, cache_dir: Path, engine: str = "openvino-fp32", **options: Any) -> OpenClipEncoder:
    return OpenClipEncoder(f"local-dir:{folder}", engine, cache_dir, threads=2, **options)


@pytest.mark.parametrize("engine", ["openvino-fp32", "openvino-bf16", "torch"])
@pytest.mark.parametrize("model", ["tiny_clip", "vit_b_32"])
def test_images_equal_open_clip(model: str, engine: str, request: pytest.FixtureRequest, cache_dir: Path) -> None:
    if engine == "openvino-bf16" and not _has_bf16():
        pytest.skip("this processor has no bf16")
    folder: Path = request.getfixturevalue(model)
    encoder = encoder_of(folder, cache_dir, engine)
    # Already of the model's size: resizing is the decoder's, and is tested with it below.
    pixels = random_pixels(5, encoder.preprocess.size)
    found = encoder.encode(pixels).embeddings
    expected = own_images(folder, [Image.fromarray(image) for image in pixels])
    assert (found * expected).sum(1).min() > (0.998 if "bf16" in engine else 0.99999)


@pytest.mark.parametrize("model", ["tiny_clip", "tiny_coca", "vit_b_32"])
def test_texts_equal_open_clip(model: str, request: pytest.FixtureRequest, cache_dir: Path) -> None:
    folder: Path = request.getfixturevalue(model)
    found = encoder_of(folder, cache_dir, "torch").encode_texts(TEXTS)
    assert (found * own_texts(folder, TEXTS)).sum(1).min() > 0.99999


def test_preprocessing_and_temperature_are_the_models_own(tiny_clip: Path, cache_dir: Path) -> None:
    encoder = encoder_of(tiny_clip, cache_dir)
    assert encoder.preprocess == Preprocess(32, "squash", "bilinear", 0)
    assert encoder.logit_scale == pytest.approx(1 / 0.07, rel=1e-5)


def test_coca_gives_tokens(tiny_coca: Path, cache_dir: Path) -> None:
    import open_clip
    import torch

    pixels = random_pixels(3, 32)
    tokens = encoder_of(tiny_coca, cache_dir).encode(pixels).tokens
    model = open_clip.create_model(f"local-dir:{tiny_coca}").eval()
    mean, std = (np.array(TINY_PREPROCESS[name], np.float32) for name in ("mean", "std"))
    images = torch.from_numpy(((pixels / np.float32(255) - mean) / std).transpose(0, 3, 1, 2).astype(np.float32))
    with torch.inference_mode():
        expected = model._encode_image(images)[1].numpy()
    assert tokens is not None
    np.testing.assert_allclose(tokens, expected, atol=1e-3)


def test_a_fingerprint_follows_what_makes_the_embedding(tiny_clip: Path, cache_dir: Path, tmp_path: Path) -> None:
    encoder = encoder_of(tiny_clip, cache_dir)
    moved = encoder_of(Path(shutil.copytree(tiny_clip, tmp_path / "moved")), cache_dir)
    assert (moved.fingerprint, moved.text_fingerprint) == (encoder.fingerprint, encoder.text_fingerprint)

    config = json.loads((tmp_path / "moved" / "open_clip_config.json").read_text())
    config["preprocess_cfg"]["mean"] = [0.1, 0.2, 0.3]
    (tmp_path / "moved" / "open_clip_config.json").write_text(json.dumps(config))
    other_mean = encoder_of(tmp_path / "moved", cache_dir)
    assert other_mean.fingerprint != encoder.fingerprint
    assert other_mean.text_fingerprint == encoder.text_fingerprint

    other_weights = encoder_of(save_model(tmp_path / "other", {**TINY, "quick_gelu": True}, TINY_PREPROCESS), cache_dir)
    assert other_weights.fingerprint != encoder.fingerprint
    assert other_weights.text_fingerprint != encoder.text_fingerprint


def test_new_weights_in_the_same_folder_are_noticed(tiny_clip: Path, cache_dir: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    folder = Path(shutil.copytree(tiny_clip, tmp_path / "model"))
    before = encoder_of(folder, cache_dir)
    weights = load_file(folder / "open_clip_model.safetensors")
    save_file(
        {name: np.asarray(values * np.float32(1.1)) for name, values in weights.items()},
        folder / "open_clip_model.safetensors",
    )
    after = encoder_of(folder, cache_dir)
    assert after.fingerprint != before.fingerprint
    pixels = random_pixels(1, 32)
    assert not np.array_equal(after.encode(pixels).embeddings, before.encode(pixels).embeddings)


def test_a_pin_is_held_against_the_bytes(tiny_clip: Path, cache_dir: Path) -> None:
    sha256 = file_sha256(tiny_clip / "open_clip_model.safetensors")
    encoder_of(tiny_clip, cache_dir, sha256=sha256.upper())
    with pytest.raises(ConfigurationError, match=f"sha256 {sha256}, expected 0000"):
        encoder_of(tiny_clip, cache_dir, sha256="0" * 64)


@pytest.mark.parametrize(("key", "value"), [("resize_mode", "fit"), ("interpolation", "random"), ("size", [32, 64])])
def test_unknown_preprocessing_is_refused(
    tiny_clip: Path, cache_dir: Path, tmp_path: Path, key: str, value: object
) -> None:
    model_cfg, preprocess_cfg = dict(TINY), {**TINY_PREPROCESS, key: value}
    if key == "size":
        model_cfg["vision_cfg"] = {**TINY["vision_cfg"], "image_size": value}
    folder = save_model(tmp_path / "model", model_cfg, preprocess_cfg)
    with pytest.raises(ConfigurationError, match="not known here"):
        encoder_of(folder, cache_dir)


def test_weights_that_do_not_fit_are_a_message(tiny_clip: Path, cache_dir: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_clip, tmp_path / "model"))
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["embed_dim"] = 16
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigurationError, match="cannot be read as an open_clip model"):
        encoder_of(folder, cache_dir)


def test_a_tag_that_open_clip_does_not_have_is_answered_with_those_it_has(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"laion2b_s34b_b79k"):
        OpenClipEncoder("ViT-B-32/laion3b", "auto", tmp_path)
    with pytest.raises(ConfigurationError, match=r"close to it: .*ViT-B-32"):
        OpenClipEncoder("ViT-B32/openai", "auto", tmp_path)


@pytest.mark.parametrize("name", ["ViT-B-32/laion2b_s34b_b79k", "hf-hub:laion/CLIP-ViT-B-32-laion2B-s34B-b79K"])
def test_without_a_network_the_message_says_what_to_do(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(ConfigurationError, match=r"connected host.*local-dir:FOLDER"):
        OpenClipEncoder(name, "auto", tmp_path)


def test_a_photograph_through_our_decoder_equals_open_clip(vit_b_32: Path, cache_dir: Path, tmp_path: Path) -> None:
    from worker.images.decode import decode

    photos = []
    for number, size in enumerate([(1200, 800), (640, 960), (500, 500)]):
        rng = np.random.default_rng(number)
        rough = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)).resize(
            size, Image.Resampling.BICUBIC
        )
        rough.save(tmp_path / f"{number}.jpg", quality=90)
        photos.append(tmp_path / f"{number}.jpg")
    encoder = encoder_of(vit_b_32, cache_dir)
    pixels = np.stack([decode(photo, encoder.preprocess).pixels for photo in photos])
    expected = own_images(vit_b_32, [Image.open(photo) for photo in photos])
    assert (encoder.encode(pixels).embeddings * unit(expected)).sum(1).min() > 0.999
