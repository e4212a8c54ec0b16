"""`starter`: its arithmetic, and the whole against the plain method written down once more."""

import json
from pathlib import Path

import numpy as np
import pytest
from random_models import PHOTOS

from tasks.errors import ConfigurationError
from worker.encoders import starter
from worker.encoders.starter import StarterEncoder, class_words, combine


def plainly(probabilities: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Square root, twenty largest less the hopeless, weighted sum, unit length: as the method was measured."""
    weights = np.sqrt(probabilities)
    weights[weights < np.sort(weights, axis=1)[:, [-20]]] = 0
    weights[probabilities < 0.01 * probabilities.max(axis=1, keepdims=True)] = 0
    images = weights @ classes
    return images / np.linalg.norm(images, axis=1, keepdims=True)


def test_probabilities_become_a_direction() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.full(1000, 0.05), 7).astype(np.float32)
    classes = rng.standard_normal((1000, 24)).astype(np.float32)
    classes /= np.linalg.norm(classes, axis=1, keepdims=True)
    np.testing.assert_allclose(combine(probabilities, classes), plainly(probabilities, classes), atol=1e-6)


def test_a_sure_thing_is_its_class() -> None:
    classes = np.eye(1000, dtype=np.float32)
    np.testing.assert_array_equal(combine(classes[:3], classes), classes[:3])


def test_the_classes_have_names() -> None:
    words = class_words()
    assert len(words) == 1000
    assert words[0][0] == "tench, Tinca tinca"
    assert words[0][1].startswith("tench, Tinca tinca: freshwater")
    assert words[999][0].startswith("toilet tissue")


@pytest.mark.integration
def test_the_names_are_those_of_timm() -> None:
    from timm.data import ImageNetInfo

    info = ImageNetInfo("imagenet-1k")
    assert class_words() == [
        (info.index_to_description(at), info.index_to_description(at, detailed=True)) for at in range(1000)
    ]


def test_other_weights_are_refused_before_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / starter.WEIGHTS).write_bytes(b"a pickle that deletes everything")
    monkeypatch.setattr(starter, "package_folder", lambda package: tmp_path)
    with pytest.raises(ConfigurationError, match="not the file that was tried"):
        StarterEncoder("auto", tmp_path / "cache")


@pytest.mark.integration
def test_bf16_is_refused(cache_dir: Path) -> None:
    with pytest.raises(ConfigurationError, match="fp32 only"):
        StarterEncoder("openvino-bf16", cache_dir)


def photographs(count: int) -> list[Path]:
    if not PHOTOS.is_dir():
        pytest.skip("the shared photographs are not here")
    rows = [json.loads(line) for line in (PHOTOS / "manifest.jsonl").read_text().splitlines()]
    return [PHOTOS / row["file"] for row in rows if row["set"] == "coco_train2017" and row["labels"]][:count]


@pytest.mark.integration
@pytest.mark.shared
@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_photographs_come_out_as_by_the_plain_method(engine: str, cache_dir: Path) -> None:
    import torch

    from worker.images.decode import decode

    photos = photographs(12)
    encoder = StarterEncoder(engine, cache_dir, threads=2)
    pixels = np.stack([decode(photo, encoder.preprocess).pixels for photo in photos])
    network = starter.classifier(starter.package_folder(starter.PACKAGE) / starter.WEIGHTS).eval()
    images = torch.from_numpy((pixels.astype(np.float32) / 255 - 0.498) / 0.502).permute(0, 3, 1, 2)
    with torch.inference_mode():
        probabilities = network(images).numpy()
    sums = sum(encoder.encode_texts([f"a photo of {words[i]}" for words in class_words()]) for i in (0, 1))
    classes = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    found = encoder.encode(pixels).embeddings
    assert (found * plainly(probabilities, classes)).sum(1).min() > 0.9999
    np.testing.assert_allclose(encoder.references(), classes, atol=1e-5)
