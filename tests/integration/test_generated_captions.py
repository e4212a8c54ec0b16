"""A CoCa with random weights behind the whole way of an image: wiring, generations, re-scoring."""

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from tasks.errors import ConfigurationError
from tasks.ports import Encoded, Pixels
from tasks.records import Candidate, Color, Image, Record, Visual
from tests.worker.encoders.random_models import TINY_COCA, TINY_PREPROCESS, random_pixels, save_model
from worker.commands import check
from worker.runtime import Model, Runtime, load_model
from worker.settings import Settings, load_settings

IMAGE = Image("b", "k.jpg", "e", None, 9, 8, 8, 8, 8, "JPEG", "0" * 64)
VISUAL = Visual("0" * 16, (Color("#000000", 1.0),), "square")
WORDS = "dog\ncat\nboat\nriver\nbench\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("captions") / "coca", {**TINY_COCA, "embed_dim": 64}, TINY_PREPROCESS)


@pytest.fixture(scope="module")
def settings(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    base = tmp_path_factory.mktemp("settings")
    (base / "words.txt").write_text(WORDS, "utf-8")
    return load_settings(
        model="fake",
        vocabulary=base / "words.txt",
        captioner=f"local-dir:{folder}",
        cache_dir=base,
        engine="torch",
        inference_threads=1,
    )


@pytest.fixture(scope="module")
def model(settings: Settings) -> Model:
    return load_model(settings)


def test_a_record_holds_what_was_generated(settings: Settings, model: Model) -> None:
    buffer = BytesIO()
    Pillow.fromarray(random_pixels(1, 64)[0]).save(buffer, "JPEG")
    with Runtime(settings, model, {}) as runtime:
        runtime.probe()
        decoded = runtime._decoder.submit(buffer.getvalue()).result()
    (scored,) = model.judge.judge(decoded.pixels[None])
    record = model.describer.describe(IMAGE, VISUAL, scored)
    assert record.candidates == tuple(scored.candidates) != ()
    assert Record.from_json(record.to_json()) == record


def test_a_rescored_record_has_the_words_of_the_fresh_one(model: Model) -> None:
    for pixels in random_pixels(4, 32):
        (scored,) = model.judge.judge(pixels[None])
        # A caption that passes, and one that does not, among what random weights wrote.
        written = (Candidate("a dog on a couch", 0.9), *scored.candidates, Candidate("a stock photo of it", 0.1))
        fresh = model.describer.describe(IMAGE, VISUAL, scored._replace(candidates=written))
        stored = Record.from_json(fresh.to_json())
        assert stored.embedding is not None
        # The generator is not asked again.
        (again,) = replace(model.judge, generator=None).rescore([stored.embedding])
        words = model.describer.describe(IMAGE, VISUAL, again._replace(candidates=stored.candidates))
        assert (words.title, words.caption, words.alt_text) == (fresh.title, fresh.caption, fresh.alt_text)
        assert (words.caption, words.candidates) == ("A dog on a couch.", fresh.candidates)


def test_the_generation_knows_the_captioner(settings: Settings, model: Model) -> None:
    generations = {
        model.provenance.generation,
        load_model(settings.model_copy(update={"captioner": "composed"})).provenance.generation,
        load_model(settings.model_copy(update={"caption_beams": 2})).provenance.generation,
    }
    assert len(generations) == 3


def test_where_the_encoder_is_the_same_coca_one_pass_does(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(settings.model_copy(update={"model": settings.captioner}))
    passes: list[int] = []
    original = model.encoder.encode

    def counted(pixels: Pixels) -> Encoded:
        passes.append(len(pixels))
        return original(pixels)

    monkeypatch.setattr(model.encoder, "encode", counted)
    scored = model.judge.judge(random_pixels(3, 32))
    assert passes == [3]
    assert any(one.candidates for one in scored)


def test_an_unknown_captioner_is_named(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="unknown captioner 'blip'"):
        load_model(settings.model_copy(update={"captioner": "blip"}))


def test_check_tries_the_captioner(settings: Settings) -> None:
    assert "with an image tower of its own" in check._captioner(settings)
    assert check._captioner(settings.model_copy(update={"captioner": "composed"})) == "composed of the keywords"


def test_pixels_stay_what_they_are(model: Model) -> None:
    pixels = random_pixels(2, 32)
    before = pixels.copy()
    model.judge.judge(pixels)
    assert np.array_equal(pixels, before)
