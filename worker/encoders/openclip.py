"""Encoders out of open_clip: CLIP, SigLIP, MobileCLIP and CoCa, pretrained by tag, from the hub or from a folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.ports import Embeddings, Encoded, Pixels
from taxonomy.concepts import FACETS
from taxonomy.policy import Thresholds
from taxonomy.review import FLAGS
from worker.encoders.contract import digest, unit
from worker.encoders.engines import open_engine
from worker.encoders.openclip_checkpoint import describe
from worker.encoders.openclip_source import LazyModule, Source
from worker.encoders.openclip_text import TextTower
from worker.encoders.tower import Tower

if TYPE_CHECKING:
    import torch

TEXT_FORMAT = 1

PROMPTS = (
    "a photo of {}.",
    "a stock photo of {}.",
    "a close-up photo of {}.",
    "a photo of the {}.",
    "a bright photo of {}.",
    "a picture showing {}.",
    "an image about {}.",
)
"""After the ensembles of the CLIP paper (Radford et al. 2021, section 3.1.4), for pictures as stock libraries have."""


class OpenClipEncoder:
    """Keeps the contract of `tasks.ports.Encoder`. Safe to call from several threads.

    Args:
        model: `ARCHITECTURE/TAG`, `hf-hub:ORGANISATION/REPOSITORY`, or `local-dir:FOLDER` with safetensors and
            `open_clip_config.json`.
        engine: one of `engines.ENGINES`.
        cache_dir: where converted towers and descriptions are kept.
        threads: processor cores for the image tower; all by default.
        sha256: what the weights' file must be.
        batch: images at a time; the engine's choice by default.

    Attributes:
        source: where the model comes from.
        module: gives open_clip's module, loaded when first called for: captions need more of it.

    Raises:
        ConfigurationError: the model or the engine is not to be had; says what to do.
    """

    prompts: tuple[str, ...] = PROMPTS
    concept_prompts: tuple[str, ...] = PROMPTS[:1]
    facets = FACETS
    flags = FLAGS
    thresholds = Thresholds(score=0.02, margin=0.05)
    # Where CLIP's cosines of pictures and their captions usually lie; not calibrated for any one model.
    literal_score = 0.2

    def __init__(
        self,
        model: str,
        engine: str,
        cache_dir: Path,
        threads: int | None = None,
        sha256: str | None = None,
        batch: int | None = None,
    ) -> None:
        self.source = source = Source.parse(model)
        self.module = module = LazyModule(source)
        checkpoint = describe(source, module, cache_dir, sha256)
        self.model = model
        self.preprocess = checkpoint.as_preprocess()
        self.logit_scale = checkpoint.logit_scale
        identity = digest("open_clip", checkpoint.sha256, checkpoint.architecture, checkpoint.preprocess)
        tower = Tower(
            identity=identity,
            size=self.preprocess.size,
            mean=tuple(checkpoint.preprocess["mean"]),
            std=tuple(checkpoint.preprocess["std"]),
            load=lambda: image_tower(module()),
        )
        self._engine = open_engine(tower, engine, cache_dir=cache_dir, threads=threads, block=batch)
        self._texts = TextTower(module, source.tokenizer)
        self.engine = self._engine.name
        self.batch = self._engine.block
        self.fingerprint = digest(identity, self._engine.precision)
        self.text_fingerprint = digest("open_clip text", TEXT_FORMAT, checkpoint.sha256, checkpoint.architecture)

    def encode(self, pixels: Pixels) -> Encoded:
        """uint8 (n, size, size, 3) to embeddings (n, d), and tokens (n, t, w) from CoCa.

        Raises `ValueError` for another shape.
        """
        embeddings, *tokens = self._engine.run(pixels)
        return Encoded(unit(embeddings), tokens[0] if tokens else None)

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """N texts to embeddings (n, d). The first call imports torch and loads the text tower."""
        return self._texts.encode(texts)

    def references(self) -> None:
        """None: what is typical of a library is for the library to say."""


def image_tower(module: Any) -> "torch.nn.Module":
    """The image side of open_clip's module: normalised pixels to embeddings, and tokens where CoCa gives them."""
    import torch

    class ImageTower(torch.nn.Module):
        """`encode_image(normalize=True)` of open_clip 3.3, without the text side's weights."""

        def __init__(self, visual: torch.nn.Module) -> None:
            super().__init__()
            self.visual = visual

        def forward(self, images: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
            found = self.visual(images)
            if isinstance(found, tuple):
                embeddings, tokens = found
                return torch.nn.functional.normalize(embeddings, dim=-1), tokens
            return torch.nn.functional.normalize(found, dim=-1)

    return ImageTower(module.visual)
