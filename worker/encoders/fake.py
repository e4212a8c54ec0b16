"""An encoder without a model: colours instead of meanings. For tests, dry runs and machines without weights."""

import hashlib
from collections.abc import Sequence

import numpy as np

from tasks.ports import Embeddings, Encoded, Pixels, Preprocess
from taxonomy.concepts import FACETS
from taxonomy.policy import Thresholds
from taxonomy.review import FLAGS
from worker.encoders.contract import check_pixels, digest, unit

LEVELS = 4
"""Levels a channel; the embedding has one dimension for each of the 4 x 4 x 4 colours."""


class FakeEncoder:
    """Keeps the contract of `tasks.ports.Encoder`, deterministically, in microseconds and without torch.

    An image is its colour histogram, a text a random direction seeded by its own hash: pictures alike in colour are
    neighbours, and every text has an opinion on every picture, a meaningless but stable one.
    """

    model = "fake"
    engine = "numpy fp32"
    preprocess = Preprocess(size=32, interpolation="bilinear")
    prompts: tuple[str, ...] = ("{}",)
    concept_prompts: tuple[str, ...] = ("{}",)
    logit_scale = 20.0
    fingerprint = digest("fake", 1, LEVELS)
    text_fingerprint = digest("fake", 1, LEVELS)
    facets = FACETS
    flags = FLAGS
    thresholds = Thresholds()
    literal_score = 0.0
    batch = 32

    def encode(self, pixels: Pixels) -> Encoded:
        """uint8 (n, 32, 32, 3) to embeddings (n, 64). Raises `ValueError` for another shape."""
        check_pixels(pixels, self.preprocess.size)
        levels = pixels.reshape(len(pixels), self.preprocess.size**2, 3) // (256 // LEVELS)
        colors = levels @ np.array([LEVELS * LEVELS, LEVELS, 1])
        histograms = [np.bincount(image, minlength=LEVELS**3) for image in colors]
        return Encoded(unit(np.sqrt(np.array(histograms).reshape(-1, LEVELS**3))), None)

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """N texts to embeddings (n, 64)."""
        seeds = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) for text in texts]
        drawn = [np.random.default_rng(seed).standard_normal(LEVELS**3) for seed in seeds]
        return unit(np.array(drawn).reshape(-1, LEVELS**3))

    def references(self) -> None:
        """None: a histogram has no typical contents."""
