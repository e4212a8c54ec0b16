"""One contract for every encoder: the fake in the unit suite, the real ones marked as integration."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from random_models import random_pixels

from tasks.ports import Encoder
from taxonomy.concepts import FACETS
from taxonomy.review import FLAGS
from worker.encoders import load_encoder

REAL = ["starter", "clip openvino-fp32", "clip torch", "coca openvino-fp32"]
# Not a multiple of any block, and longer than one.
COUNT = 11


@pytest.fixture(scope="module", params=["fake", *(pytest.param(name, marks=pytest.mark.integration) for name in REAL)])
def encoder(request: pytest.FixtureRequest, cache_dir: Path) -> Iterator[Encoder]:
    model, _, engine = request.param.partition(" ")
    if model in ("clip", "coca"):
        model = f"local-dir:{request.getfixturevalue(f'tiny_{model}')}"
    yield load_encoder(model, engine=engine or "auto", cache_dir=cache_dir, threads=1)


def test_images_come_out_in_order_and_of_unit_length(encoder: Encoder) -> None:
    pixels = random_pixels(COUNT, encoder.preprocess.size)
    found = encoder.encode(pixels).embeddings
    assert found.dtype == np.float32
    assert found.shape == (COUNT, encoder.encode_texts(["dog"]).shape[1])
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(encoder.encode(pixels[::-1]).embeddings, found[::-1])


@pytest.mark.parametrize("count", [1, 2, 3, COUNT])
def test_the_company_of_an_image_changes_no_bit(encoder: Encoder, count: int) -> None:
    pixels = random_pixels(COUNT, encoder.preprocess.size)
    together = encoder.encode(pixels)
    apart = [encoder.encode(pixels[at : at + count]) for at in range(0, COUNT, count)]
    np.testing.assert_array_equal(np.concatenate([part.embeddings for part in apart]), together.embeddings)
    if together.tokens is not None:
        np.testing.assert_array_equal(np.concatenate([part.tokens for part in apart]), together.tokens)


def test_no_image_gives_no_embedding(encoder: Encoder) -> None:
    size = encoder.preprocess.size
    some, none = encoder.encode(random_pixels(1, size)), encoder.encode(random_pixels(0, size))
    assert none.embeddings.shape == (0, some.embeddings.shape[1])
    assert none.embeddings.dtype == np.float32
    assert (none.tokens is None) == (some.tokens is None)


def test_another_shape_or_type_is_refused(encoder: Encoder) -> None:
    size = encoder.preprocess.size
    good = random_pixels(2, size)
    for wrong in (good[0], good[:, :-1], good[..., :2], good.astype(np.float32), good.transpose(0, 3, 1, 2)):
        with pytest.raises(ValueError, match="expected uint8"):
            encoder.encode(wrong)


def test_black_and_white_images_have_embeddings(encoder: Encoder) -> None:
    size = encoder.preprocess.size
    flat = np.stack([np.full((size, size, 3), level, np.uint8) for level in (0, 255)])
    np.testing.assert_allclose(np.linalg.norm(encoder.encode(flat).embeddings, axis=1), 1, atol=1e-6)


def test_texts_come_out_in_order_and_of_unit_length(encoder: Encoder) -> None:
    texts = ["a photo of a dog", "dog", "", "a very long text " * 100, "개", "a photo of a dog", "!"]
    found = encoder.encode_texts(texts)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    for text, row in zip(texts, found, strict=True):
        np.testing.assert_allclose(encoder.encode_texts([text])[0], row, atol=1e-5)
    np.testing.assert_array_equal(found, encoder.encode_texts(texts))
    assert encoder.encode_texts([]).shape == (0, found.shape[1])


def test_several_threads_get_what_one_gets(encoder: Encoder) -> None:
    batches = [random_pixels(3, encoder.preprocess.size, seed) for seed in range(6)]
    with ThreadPoolExecutor(3) as pool:
        at_once = list(pool.map(lambda pixels: encoder.encode(pixels).embeddings, batches))
    for pixels, found in zip(batches, at_once, strict=True):
        np.testing.assert_array_equal(encoder.encode(pixels).embeddings, found)


def test_an_encoder_says_what_it_is(encoder: Encoder) -> None:
    assert all(prompt.count("{}") == 1 for prompt in (*encoder.prompts, *encoder.concept_prompts))
    assert encoder.facets
    assert encoder.facets <= FACETS
    assert encoder.flags <= FLAGS
    assert len(encoder.fingerprint) == len(encoder.text_fingerprint) == 64
    assert encoder.logit_scale > 1
    assert encoder.batch >= 1
    assert encoder.engine
    references = encoder.references()
    if references is not None:
        assert references.shape[1] == encoder.encode_texts(["dog"]).shape[1]
        np.testing.assert_allclose(np.linalg.norm(references, axis=1), 1, atol=1e-3)
