"""The text side of an encoder alone, for searches: what only pictures need is not loaded, where that is possible."""

from collections.abc import Sequence
from pathlib import Path

from tasks.ports import Embeddings
from worker.encoders.fake import FakeEncoder
from worker.encoders.minilm_plain import PlainMiniLM
from worker.encoders.openclip import OpenClipEncoder
from worker.encoders.openclip_checkpoint import describe
from worker.encoders.openclip_source import LazyModule, Source
from worker.encoders.openclip_text import TextTower
from worker.encoders.starter import StarterEncoder


class QueryEncoder:
    """Texts to embeddings in the space of a model's images. Safe to call from several threads.

    Args:
        prompts: the model's own templates with one `{}`.
        texts: what encodes.
    """

    def __init__(self, prompts: tuple[str, ...], texts: "PlainMiniLM | TextTower") -> None:
        self.prompts = prompts
        self._texts = texts

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """N texts to embeddings (n, d) of unit length. The first call loads the model."""
        return self._texts.encode(texts)


def load_query_encoder(model: str, *, cache_dir: Path, sha256: str | None = None) -> "QueryEncoder | FakeEncoder":
    """The text side of a model, by the name that records have; the model is loaded with the first text.

    Args:
        model: as `load_encoder` takes it.
        cache_dir: where descriptions of models are kept.
        sha256: what the weights' file of an open_clip model must be.

    Raises:
        ConfigurationError: the model is not to be had; says what to do.
    """
    if model == "fake":
        return FakeEncoder()
    if model == "starter":
        return QueryEncoder(StarterEncoder.prompts, PlainMiniLM())
    source = Source.parse(model)
    module = LazyModule(source)
    describe(source, module, cache_dir, sha256)
    return QueryEncoder(OpenClipEncoder.prompts, TextTower(module, source.tokenizer))
