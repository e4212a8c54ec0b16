"""Encoders: images and texts in one space, over engines. `load_encoder` is the way in."""

import logging
from pathlib import Path

from tasks.errors import ConfigurationError
from tasks.ports import Encoder
from worker.encoders.engines import ENGINES
from worker.encoders.fake import FakeEncoder
from worker.encoders.openclip import OpenClipEncoder
from worker.encoders.starter import StarterEncoder
from worker.encoders.texts import embed_vocabulary

__all__ = ["ENGINES", "FakeEncoder", "OpenClipEncoder", "StarterEncoder", "embed_vocabulary", "load_encoder"]

logger = logging.getLogger(__name__)


def load_encoder(
    model: str,
    *,
    engine: str = "auto",
    cache_dir: Path,
    threads: int | None = None,
    sha256: str | None = None,
    batch: int | None = None,
) -> Encoder:
    """Load an encoder, checked and warm. The first start with a model converts it; the later ones do not import torch.

    Args:
        model: `starter`, `fake`, `ARCHITECTURE/TAG`, `hf-hub:ORG/REPO` or `local-dir:FOLDER`.
        engine: one of `ENGINES`.
        cache_dir: where converted models and text embeddings are kept; may be shared between processes.
        threads: processor cores for images; all by default.
        sha256: what the weights' file of an open_clip model must be.
        batch: images at a time; the engine's choice by default.

    Raises:
        ConfigurationError: the model or the engine is unknown, missing or unfit; says what to do.
    """
    if batch is not None and batch < 1:
        raise ConfigurationError(f"a batch of {batch} images is not possible")
    if sha256 is not None and model in ("starter", "fake"):
        raise ConfigurationError(f"{model!r} brings its own weights; a sha256 is for open_clip models")
    if model == "fake":
        return FakeEncoder()
    if model == "starter":
        return StarterEncoder(engine, cache_dir, threads=threads, batch=batch)
    if "/" not in model and ":" not in model:
        raise ConfigurationError(
            f"unknown model {model!r}; there are `starter` (comes with the product), `fake` (for tests), "
            "and open_clip's: ARCHITECTURE/TAG such as ViT-B-32/laion2b_s34b_b79k, hf-hub:ORG/REPO, local-dir:FOLDER"
        )
    return OpenClipEncoder(model, engine, cache_dir, threads=threads, sha256=sha256, batch=batch)
