"""all-MiniLM-L6-v2 in plain numpy, for a query: importing torch and transformers takes seconds, this a fraction.

The same weights and the same steps as `minilm.MiniLM`, whose embeddings differ from these in the seventh digit. A
vocabulary is embedded there, since its last bits are part of a generation; a query is part of nothing.
"""

import json
import math
import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from tasks.ports import Embeddings
from worker.encoders.contract import unit
from worker.encoders.minilm import BATCH, DIMENSIONS, MAX_TOKENS, PACKAGE, package_folder

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Array = NDArray[np.float32]


class PlainMiniLM:
    """Texts to embeddings, without torch; safe to call from several threads.

    Raises:
        ConfigurationError: the package with the weights is not installed.
    """

    def __init__(self) -> None:
        self._folder = package_folder(PACKAGE) / "model"
        self._lock = threading.Lock()

    def encode(self, texts: Sequence[str]) -> Embeddings:
        """N texts to (n, 384) of unit length; what goes beyond 256 tokens is cut."""
        if not texts:
            return np.empty((0, DIMENSIONS), np.float32)
        # More threads than one only wait for each other: a query is a few rows, and other processes want the cores too.
        with self._lock, self._threads.limit(limits=1, user_api="blas"):
            batches = [texts[at : at + BATCH] for at in range(0, len(texts), BATCH)]
            return unit(np.concatenate([self._pooled(batch) for batch in batches]))

    def _pooled(self, texts: Sequence[str]) -> Array:
        found = self._tokenizer.encode_batch(list(texts))
        ids = np.array([one.ids for one in found])
        mask = np.array([one.attention_mask for one in found], np.float32)[:, :, None]
        pooled: Array = (self._network.run(ids, mask) * mask).sum(1) / mask.sum(1)
        return pooled

    @cached_property
    def _threads(self) -> ThreadpoolController:
        return ThreadpoolController()

    @cached_property
    def _tokenizer(self) -> "Tokenizer":
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
        tokenizer.enable_truncation(MAX_TOKENS)
        tokenizer.enable_padding()
        return tokenizer

    @cached_property
    def _network(self) -> "_Bert":
        return _Bert.load(self._folder)


class _Bert:
    """BERT's encoder (Devlin et al. 2019, arXiv 1810.04805), weights named as transformers has them."""

    def __init__(self, weights: Mapping[str, Array], layers: int, heads: int, epsilon: float) -> None:
        self._weights, self._layers, self._heads, self._epsilon = weights, layers, heads, epsilon

    @classmethod
    def load(cls, folder: Path) -> "_Bert":
        """From `config.json` and `model.safetensors`."""
        from safetensors.numpy import load_file

        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        weights = load_file(folder / "model.safetensors")
        return cls(weights, config["num_hidden_layers"], config["num_attention_heads"], config["layer_norm_eps"])

    def run(self, ids: NDArray[np.int64], mask: Array) -> Array:
        """Token ids (n, length) and their mask (n, length, 1) to hidden states (n, length, d)."""
        weights = self._weights
        hidden = weights["embeddings.word_embeddings.weight"][ids]
        hidden = hidden + weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
        hidden = hidden + weights["embeddings.token_type_embeddings.weight"][0]
        hidden = self._normalized(hidden, "embeddings.LayerNorm")
        unseen = (1 - mask[:, None, None, :, 0]) * np.float32(-1e9)
        for layer in range(self._layers):
            hidden = self._layer(hidden, unseen, f"encoder.layer.{layer}.")
        return hidden

    def _layer(self, hidden: Array, unseen: Array, name: str) -> Array:
        n, length, width = hidden.shape
        shape = (n, length, self._heads, width // self._heads)
        query, key, value = (
            self._linear(hidden, f"{name}attention.self.{part}").reshape(shape).transpose(0, 2, 1, 3)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 1, 3, 2) / np.float32(math.sqrt(shape[-1])) + unseen
        powers = np.exp(scores - scores.max(-1, keepdims=True))
        seen = (powers / powers.sum(-1, keepdims=True)) @ value
        seen = self._linear(seen.transpose(0, 2, 1, 3).reshape(n, length, width), f"{name}attention.output.dense")
        hidden = self._normalized(hidden + seen, f"{name}attention.output.LayerNorm")
        wide = _gelu(self._linear(hidden, f"{name}intermediate.dense"))
        return self._normalized(hidden + self._linear(wide, f"{name}output.dense"), f"{name}output.LayerNorm")

    def _linear(self, values: Array, name: str) -> Array:
        # One product of two matrices, not one a text.
        rows = values.reshape(-1, values.shape[-1]) @ self._weights[f"{name}.weight"].T
        found: Array = rows.reshape(*values.shape[:-1], -1) + self._weights[f"{name}.bias"]
        return found

    def _normalized(self, values: Array, name: str) -> Array:
        centred = values - values.mean(-1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + np.float32(self._epsilon))
        found: Array = centred / deviation * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        return found


def _gelu(values: Array) -> Array:
    """The exact one, by the error function: Abramowitz and Stegun 7.1.26, good to 1.5e-7."""
    x = np.abs(values) / np.float32(math.sqrt(2))
    t = 1 / (1 + np.float32(0.3275911) * x)
    series = t * (
        0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * np.float32(1.061405429))))
    )
    error = np.sign(values) * (1 - series * np.exp(-x * x))
    found: Array = (values * (1 + error) / 2).astype(np.float32)
    return found
