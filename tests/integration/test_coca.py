"""CoCa's captions with random weights: our decoding against open_clip's own forward, and against plain Python."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.errors import ConfigurationError
from tasks.records import Candidate
from tests.worker.encoders.random_models import TINY, TINY_COCA, TINY_PREPROCESS, random_pixels, save_model
from worker.captioners.coca import CocaGenerator, resized
from worker.captioners.coca_steps import CocaSteps, UnfitError, check, embed_texts
from worker.captioners.decoding import Decoding, Hypothesis, length_penalty, search
from worker.encoders import FakeEncoder, OpenClipEncoder

# The images' tokens are as wide as the embedding, and the decoder has to be.
COCA = {**TINY_COCA, "embed_dim": 64}
PLAIN = Decoding(beams=1, max_tokens=20, min_tokens=0, length_penalty=0.0, no_repeat=0)
START, END_OF_TEXT, PAD = 49406, 49407, 0
CLOSE = 1e-3
"""Logits nearer to each other than this may come out in either order."""


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """More threads than free cores only wait for each other: the models are tiny."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("captions") / "coca", COCA, TINY_PREPROCESS)


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def encoder(folder: Path, cache_dir: Path) -> OpenClipEncoder:
    return OpenClipEncoder(f"local-dir:{folder}", "torch", cache_dir, threads=1)


@pytest.fixture(scope="module")
def model(encoder: OpenClipEncoder) -> Any:
    return encoder.module()


@pytest.fixture(scope="module")
def seen(encoder: OpenClipEncoder) -> Any:
    return encoder.encode(random_pixels(16, 32))


def steps(model: Any, tokens: np.ndarray, decoding: Decoding) -> CocaSteps:
    return CocaSteps(model, tokens, beams=decoding.beams, start=START, end=END_OF_TEXT, length=decoding.max_tokens)


def captions(model: Any, tokens: np.ndarray, decoding: Decoding) -> list[list[Hypothesis]]:
    return search(steps(model, tokens, decoding), len(tokens), decoding)


def logits_of(model: Any, tokens: np.ndarray, prefix: Sequence[int]) -> np.ndarray:
    """open_clip's own forward: the logits behind a prefix for one image, (vocabulary,)."""
    import torch

    with torch.inference_mode():
        image = torch.from_numpy(tokens)
        latent = torch.zeros(1, 64)
        text = torch.tensor([[START, *prefix]])
        return model(None, text, image_latent=latent, image_embs=image, output_labels=False)["logits"][0, -1].numpy()


def test_greedy_decoding_equals_a_plain_loop_token_for_token(model: Any, seen: Any) -> None:
    found = captions(model, seen.tokens, PLAIN)
    close = 0
    for image, (hypothesis,) in enumerate(found):
        ours = [*hypothesis.tokens, END_OF_TEXT] if hypothesis.ended else list(hypothesis.tokens)
        for place, token in enumerate(ours):
            logits = logits_of(model, seen.tokens[image : image + 1], ours[:place])
            best = int(logits.argmax())
            if token != (END_OF_TEXT if best == PAD else best):
                assert logits[best] - logits[token] <= CLOSE
                close += 1
        assert hypothesis.ended or len(ours) == PLAIN.max_tokens
    assert close <= 1
    assert len({hypothesis.tokens for (hypothesis,) in found}) >= 12, "captions differ between images"
    assert len({len(hypothesis.tokens) for (hypothesis,) in found}) > 3, "they end at different lengths"


@pytest.mark.parametrize("beams", [1, 4])
def test_a_batch_of_16_equals_16_of_1(model: Any, seen: Any, beams: int) -> None:
    decoding = replace(Decoding(), beams=beams, max_tokens=16)
    together = captions(model, seen.tokens, decoding)
    for image, found in enumerate(together):
        (alone,) = captions(model, seen.tokens[image : image + 1], decoding)
        assert [one.tokens for one in found] == [one.tokens for one in alone]
        assert [one.score for one in found] == pytest.approx([one.score for one in alone], abs=1e-4)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits.astype(np.float64) - logits.max()
    return shifted - math.log(np.exp(shifted).sum())


def reference(
    logits: Callable[[tuple[int, ...]], np.ndarray], ends: Sequence[int], most: int, decoding: Decoding
) -> list[Hypothesis]:
    """Beam search as `decoding` describes it, one image, one prefix at a time, nothing remembered."""
    alive: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    finished: list[Hypothesis] = []
    for length in range(1, most + 1):
        options = []
        for total, prefix in alive:
            chances = log_softmax(logits(prefix))
            for token, chance in enumerate(chances):
                if token in ends and len(prefix) < decoding.min_tokens:
                    continue
                grams = [(*prefix, token)[i : i + decoding.no_repeat] for i in range(length - decoding.no_repeat + 1)]
                if decoding.no_repeat and len(set(grams)) < len(grams):
                    continue
                options.append((total + float(chance), (*prefix, token)))
        options = sorted(options, key=lambda option: -option[0])[: 2 * decoding.beams]
        for total, tokens in options:
            if tokens[-1] in ends and all(tokens[:-1] != other.tokens for other in finished):
                finished.append(Hypothesis(tokens[:-1], total / length_penalty(length, decoding.length_penalty), True))
        finished = sorted(finished, key=lambda one: -one.score)[: decoding.beams]
        alive = [option for option in options if option[1][-1] not in ends][: decoding.beams]
        if not alive:
            break
        hope = alive[0][0] / length_penalty(most, decoding.length_penalty)
        if len(finished) == decoding.beams and hope <= finished[-1].score:
            break
    if finished:
        return finished
    return [Hypothesis(t, s / length_penalty(most, decoding.length_penalty), False) for s, t in alive]


class Table:
    """A small language: logits drawn for each image and each prefix. Keeps the contract of `Steps`."""

    start = 0

    def __init__(self, images: int, beams: int, size: int, limit: int, end_bias: float) -> None:
        self.ends, self.limit, self._beams, self._size, self._bias = (1, 2), limit, beams, size, end_bias
        self._rows: list[tuple[int, tuple[int, ...]]] = [(i, ()) for i in range(images) for _ in range(beams)]
        self._fresh = True

    def logits(self, image: int, prefix: tuple[int, ...]) -> np.ndarray:
        drawn = np.random.default_rng([image, *prefix]).normal(scale=2.0, size=self._size).astype(np.float32)
        drawn[list(self.ends)] += self._bias
        return drawn

    def advance(self, tokens: Any) -> Any:
        import torch

        if not self._fresh:
            self._rows = [(i, (*p, int(t))) for (i, p), t in zip(self._rows, tokens, strict=True)]
        self._fresh = False
        return torch.from_numpy(np.stack([self.logits(*row) for row in self._rows]))

    def reorder(self, rows: Any) -> None:
        self._rows = [self._rows[row] for row in rows]

    def keep(self, images: Any) -> None:
        self._rows = [self._rows[image * self._beams + beam] for image in images for beam in range(self._beams)]


@pytest.mark.parametrize("end_bias", [-8.0, -1.0, 1.0], ids=["rarely ends", "ends", "ends soon"])
@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0])
@pytest.mark.parametrize(("beams", "no_repeat", "min_tokens"), [(2, 0, 0), (3, 2, 2), (5, 3, 4)])
def test_beam_search_equals_plain_python(
    beams: int, no_repeat: int, min_tokens: int, alpha: float, end_bias: float
) -> None:
    decoding = Decoding(beams, 9, min_tokens, alpha, no_repeat)
    table = Table(8, beams, 11, 40, end_bias)
    found = search(table, 8, decoding)
    for image, hypotheses in enumerate(found):
        expected = reference(lambda prefix, image=image: table.logits(image, prefix), table.ends, 9, decoding)  # type: ignore[misc]
        assert [(one.tokens, one.ended) for one in hypotheses] == [(one.tokens, one.ended) for one in expected]
        assert [one.score for one in hypotheses] == pytest.approx([one.score for one in expected], abs=1e-5)


def test_beam_search_on_the_model_equals_plain_python_over_open_clip(tmp_path: Path, cache_dir: Path) -> None:
    """A vocabulary of 60 tokens, so that plain Python ends; the memory of rows has to follow the beams."""
    small = 60
    config = {
        **COCA,
        "text_cfg": {**COCA["text_cfg"], "vocab_size": small},
        "multimodal_cfg": {**COCA["multimodal_cfg"], "vocab_size": small},
    }
    encoder = OpenClipEncoder(
        f"local-dir:{save_model(tmp_path / 'small', config, TINY_PREPROCESS)}", "torch", cache_dir, threads=1
    )
    tokens = encoder.encode(random_pixels(4, 32, seed=2)).tokens
    assert tokens is not None
    decoding = Decoding(beams=3, max_tokens=8, min_tokens=1, length_penalty=0.6, no_repeat=2)
    model = encoder.module()
    ours = search(CocaSteps(model, tokens, beams=3, start=58, end=59, length=8), 4, decoding)
    import torch

    for image, hypotheses in enumerate(ours):
        part = torch.from_numpy(tokens[image : image + 1])

        def logits(prefix: tuple[int, ...], part: Any = part) -> np.ndarray:
            with torch.inference_mode():
                text, latent = torch.tensor([[58, *prefix]]), torch.zeros(1, 64)
                out = model(None, text, image_latent=latent, image_embs=part, output_labels=False)
                return out["logits"][0, -1].numpy()

        expected = reference(logits, (59, PAD), 8, decoding)
        assert [one.tokens for one in hypotheses] == [one.tokens for one in expected]


def test_what_the_settings_forbid_does_not_come(model: Any, seen: Any) -> None:
    found = captions(model, seen.tokens, Decoding(beams=2, max_tokens=12, min_tokens=6, no_repeat=2))
    for hypotheses in found:
        for one in hypotheses:
            assert 6 <= len(one.tokens) <= 12
            pairs = list(zip(one.tokens, one.tokens[1:], strict=False))
            assert len(set(pairs)) == len(pairs)


def test_no_caption_is_longer_than_the_models_context(tmp_path: Path, cache_dir: Path) -> None:
    config = {
        **COCA,
        "text_cfg": {**COCA["text_cfg"], "context_length": 10},
        "multimodal_cfg": {**COCA["multimodal_cfg"], "context_length": 10},
    }
    encoder = OpenClipEncoder(
        f"local-dir:{save_model(tmp_path / 'short', config, TINY_PREPROCESS)}", "torch", cache_dir, threads=1
    )
    generator = generator_of(encoder, Decoding(beams=2, max_tokens=30, min_tokens=30))
    pixels = random_pixels(2, 32)
    assert all(generator.generate(pixels, encoder.encode(pixels)))


def test_embeddings_of_texts_equal_open_clips(model: Any) -> None:
    import torch

    texts = [(320, 1929), (320, 1929, 530, 518, 4558, 267, 9), tuple(range(300, 374)), (5,)]
    ids = torch.zeros(len(texts), 76, dtype=torch.long)
    for row, tokens in zip(ids, texts, strict=True):
        row[: len(tokens) + 2] = torch.tensor([START, *tokens, END_OF_TEXT])
    with torch.inference_mode():
        expected = model.encode_text(ids).numpy()
    assert np.abs(expected[0] - expected[1]).max() > 0.01
    np.testing.assert_allclose(embed_texts(model, texts, START, END_OF_TEXT), expected, atol=1e-5)
    np.testing.assert_allclose(embed_texts(model, texts[:2], START, END_OF_TEXT), expected[:2], atol=1e-5)


def generator_of(tower: OpenClipEncoder, decoding: Decoding, *, shared: bool = True) -> CocaGenerator:
    return CocaGenerator(tower, tower.module, tower.source.tokenizer, decoding, shared=shared)


DECODING = Decoding(beams=4, max_tokens=14)


def texts(found: Sequence[Sequence[Candidate]]) -> list[list[str]]:
    return [[one.text for one in candidates] for candidates in found]


def test_candidates_are_ranked_by_their_cosine_with_the_picture_each_once(encoder: OpenClipEncoder) -> None:
    pixels = random_pixels(20, 32)
    encoded = encoder.encode(pixels)
    found = generator_of(encoder, DECODING).generate(pixels, encoded)
    assert len(found) == 20
    assert len({tuple(one) for one in texts(found)}) == 20, "captions differ between images"
    for candidates in found:
        assert candidates == sorted(candidates, key=lambda one: -one.score)
        assert len({one.text for one in candidates}) == len(candidates)
    assert max(map(len, found)) > 1


def test_a_candidates_score_is_its_cosine_with_the_picture(encoder: OpenClipEncoder) -> None:
    generator, tokenizer = generator_of(encoder, DECODING), encoder.source.tokenizer()
    embeddings = encoder.encode(random_pixels(2, 32)).embeddings
    said = ["a dog on a couch, asleep.", "two red buses in a street", "a vase"]
    hypotheses = [Hypothesis(tuple(tokenizer.encode(text)), 0.0, ended=True) for text in said]
    cosines = embeddings @ encoder.encode_texts(said).T
    for found, row in zip(generator._ranked([hypotheses] * 2, embeddings), cosines, strict=True):
        assert {one.text: one.score for one in found} == pytest.approx(dict(zip(said, row, strict=True)), abs=1e-3)


@pytest.mark.parametrize("engine", ["torch", "openvino-fp32"])
def test_sharing_the_encoders_pass_equals_a_pass_of_its_own(folder: Path, cache_dir: Path, engine: str) -> None:
    tower = OpenClipEncoder(f"local-dir:{folder}", engine, cache_dir, threads=1)
    pixels = random_pixels(3, 32)
    encoded = tower.encode(pixels)
    shared = generator_of(tower, DECODING).generate(pixels, encoded)
    own = generator_of(tower, DECODING, shared=False).generate(pixels, encoded._replace(tokens=None))
    assert shared == own
    assert all(shared)


def test_pixels_of_another_encoder_are_scaled(encoder: OpenClipEncoder) -> None:
    pixels = random_pixels(2, 48)
    generator = generator_of(encoder, DECODING, shared=False)
    found = generator.generate(pixels, FakeEncoder().encode(random_pixels(2, 32)))
    scaled = resized(pixels, 32)
    assert (scaled.shape, scaled.dtype) == ((2, 32, 32, 3), np.uint8)
    assert texts(found) == texts(generator_of(encoder, DECODING).generate(scaled, encoder.encode(scaled)))


def test_the_fingerprint_knows_weights_and_decoding(encoder: OpenClipEncoder, tmp_path: Path, cache_dir: Path) -> None:
    other = {**COCA, "multimodal_cfg": {**COCA["multimodal_cfg"], "layers": 1}}
    tower = OpenClipEncoder(
        f"local-dir:{save_model(tmp_path / 'other', other, TINY_PREPROCESS)}", "torch", cache_dir, threads=1
    )
    generators = [
        generator_of(encoder, DECODING),
        generator_of(encoder, replace(DECODING, beams=2)),
        generator_of(encoder, replace(DECODING, length_penalty=1.0)),
        generator_of(encoder, DECODING, shared=False),
        generator_of(tower, DECODING),
    ]
    assert len({generator.fingerprint for generator in generators}) == len(generators)
    assert generator_of(encoder, DECODING).fingerprint == generators[0].fingerprint


def test_what_is_no_coca_is_refused(tmp_path: Path, cache_dir: Path) -> None:
    clip = OpenClipEncoder(
        f"local-dir:{save_model(tmp_path / 'clip', TINY, TINY_PREPROCESS)}", "torch", cache_dir, threads=1
    )
    with pytest.raises(ConfigurationError, match="cannot write captions: it is no CoCa"):
        generator_of(clip, DECODING)


def test_a_coca_of_another_make_is_refused(model: Any) -> None:
    import copy

    other = copy.deepcopy(model)
    other.text.attn_mask = None
    with pytest.raises(UnfitError, match="causal"):
        check(other)


def test_a_coca_whose_towers_do_not_fit_is_refused(tmp_path: Path, cache_dir: Path) -> None:
    folder = save_model(tmp_path / "unfit", TINY_COCA, TINY_PREPROCESS)
    with pytest.raises(ConfigurationError, match="do not fit each other"):
        generator_of(OpenClipEncoder(f"local-dir:{folder}", "torch", cache_dir, threads=1), DECODING)
