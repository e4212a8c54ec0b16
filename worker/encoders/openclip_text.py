"""The text tower of an open_clip model, on PyTorch in fp32: it runs once per vocabulary and once per search."""

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.ports import Embeddings
from worker.encoders.contract import unit

if TYPE_CHECKING:
    import torch

BATCH = 64


class TextTower:
    """Texts to embeddings. Safe to call from several threads.

    Args:
        module: gives open_clip's module.
        tokenizer: gives open_clip's tokenizer.
    """

    def __init__(self, module: Callable[[], Any], tokenizer: Callable[[], Any]) -> None:
        self._module = module
        self._make_tokenizer = tokenizer
        self._tokenizer: Any = None
        self._lock = threading.Lock()

    def encode(self, texts: Sequence[str]) -> Embeddings:
        """N texts to (n, d) of unit length; texts longer than the model's context are cut."""
        import torch

        module = self._module()
        if not texts:
            return np.empty((0, _dimensions(module)), np.float32)
        with self._lock, torch.inference_mode():
            if self._tokenizer is None:
                self._tokenizer = self._make_tokenizer()
            tokens = self._tokenizer(list(texts))
            # The end-of-text token has the highest id, so its place is the length.
            lengths = tokens.argmax(1) + 1 if _is_causal(module) else torch.full((len(texts),), tokens.shape[1])
            # Alike lengths together, so that few are run at the length of a longer neighbour.
            order = torch.argsort(lengths, stable=True)
            rows = [
                _encode(module, tokens[batch, : int(lengths[batch].max())]).float().numpy()
                for batch in torch.split(order, BATCH)
            ]
        found = np.empty((len(texts), rows[0].shape[1]), np.float32)
        found[order.numpy()] = np.concatenate(rows)
        return unit(found)


def _is_causal(module: Any) -> bool:
    """Whether a token sees only those before it and the last one is the text's: then padding can be left out."""
    import open_clip

    return isinstance(module, open_clip.CLIP) and module.attn_mask is not None and module.text_pool_type == "argmax"


def _encode(module: Any, tokens: "torch.Tensor") -> "torch.Tensor":
    """Token ids (n, length) to (n, d). For a causal tower `CLIP.encode_text` of open_clip 3.3, at a shorter length."""
    if not _is_causal(module):
        found: torch.Tensor = module.encode_text(tokens)
        return found
    length = tokens.shape[1]
    hidden = module.token_embedding(tokens) + module.positional_embedding[:length]
    hidden = module.ln_final(module.transformer(hidden, attn_mask=module.attn_mask[:length, :length]))
    last: torch.Tensor = hidden[range(len(tokens)), tokens.argmax(1)]
    projection = module.text_projection
    if projection is None:
        return last
    projected: torch.Tensor = projection(last) if callable(projection) else last @ projection
    return projected


def _dimensions(module: Any) -> int:
    """Of an embedding."""
    import torch

    with torch.inference_mode():
        return int(module.encode_text(torch.zeros(1, module.context_length, dtype=torch.long)).shape[1])
