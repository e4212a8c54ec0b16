from pathlib import Path

import numpy as np
import pytest

from tasks.ports import Embeddings
from worker.encoders.fake import FakeEncoder
from worker.runtime import load_model
from worker.settings import load_settings


def test_another_own_concept_embeds_only_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    encode = FakeEncoder.encode_texts

    def counted(self: FakeEncoder, texts: list[str]) -> Embeddings:
        asked.extend(texts)
        return encode(self, texts)

    monkeypatch.setattr(FakeEncoder, "encode_texts", counted)
    table, policy = tmp_path / "own.tsv", tmp_path / "policy.toml"
    table.write_text("id\tlabel\tparent\nx:1\tfield\t\nx:2\tsea\tfield\nx:3\ttown\t\n", encoding="utf-8")
    settings = load_settings(model="fake", vocabulary=table, policy=policy, cache_dir=tmp_path / "cache")

    policy.write_text("", encoding="utf-8")
    load_model(settings)
    assert {"field", "sea", "town"} <= set(asked)
    asked.clear()

    policy.write_text('[[concept]]\nid = "a:b"\nlabel = "kiosk"\nparent = "field"\n', encoding="utf-8")
    model = load_model(settings)
    assert asked == ["kiosk"]
    names = [concept.name for concept in model.vocabulary.concepts]
    assert names == ["field", "sea", "kiosk", "town"]

    vectors = encode(FakeEncoder(), names)
    (scored,) = model.judge.judge(np.zeros((1, 32, 32, 3), np.uint8))
    np.testing.assert_allclose(scored.raw, vectors @ scored.vector, atol=1e-3)
