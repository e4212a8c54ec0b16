"""The same image under the same policy gives the same bytes, whatever batch it was in."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tasks.inference import Scored
from tasks.records import Color, Embedding, Image, Visual
from taxonomy.score import BLOCK
from worker.runtime import Model, load_model
from worker.settings import load_settings

IMAGES = BLOCK + 5
IMAGE = Image("b", "k.jpg", "e", None, 9, 8, 8, 8, 8, "JPEG", "0" * 64)
VISUAL = Visual("0" * 16, (Color("#000000", 1.0),), "square")
WHEN = "2026-01-01T00:00:00.000+00:00"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("model")
    policy = folder / "policy.toml"
    policy.write_text('[keywords]\nmax = 20\nlanguages = ["en", "ko"]\ndeny = ["under:weapon"]\n', "utf-8")
    return load_model(load_settings(model="fake", cache_dir=Path(folder), policy=policy))


def text(model: Model, scored: Scored) -> str:
    record = model.describer.describe(IMAGE, VISUAL, scored)
    return replace(record, created_at=WHEN, updated_at=WHEN, revision=1).to_json()


def test_a_record_does_not_depend_on_its_batch(model: Model) -> None:
    rng = np.random.default_rng(7)
    rows = rng.standard_normal((IMAGES, model.embeddings.shape[1])).astype(np.float32)
    stored = [Embedding.pack(row / np.linalg.norm(row)) for row in rows]
    together = [text(model, scored) for scored in model.judge.rescore(stored)]
    backwards = [text(model, scored) for scored in model.judge.rescore(stored[::-1])][::-1]
    some = (0, BLOCK, IMAGES - 1)
    alone = [text(model, model.judge.rescore([stored[i]])[0]) for i in some]

    assert together == backwards
    assert alone == [together[i] for i in some]
    assert len(set(together)) == IMAGES
