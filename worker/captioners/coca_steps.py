"""open_clip's CoCa, token by token: what its `forward` gives at the last place, without doing the earlier ones again.

Both text towers are causal, so keys and values of earlier tokens stay as they are and are kept. The image's keys and
values in the decoder's cross-attention depend on the image alone: computed once, and shared by its beams, whose queries
stand side by side. open_clip's `generate` does all of it anew at each step, and fails with transformers >= 4.56.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


class UnfitError(Exception):
    """This model is no CoCa, or one whose towers are made otherwise than those that are known here."""


class _Attention:
    """One block's self-attention, with room for what it remembers of each row: keys and values (rows, h, length, d)."""

    def __init__(self, block: Any, rows: int, length: int) -> None:
        import torch

        self._block = block
        weights = block.attn.in_proj_weight
        size = block.attn.num_heads, length, block.attn.head_dim
        self._keys = torch.empty(rows, *size, dtype=weights.dtype, device=weights.device)
        self._values = torch.empty_like(self._keys)

    def step(self, hidden: "torch.Tensor", at: int) -> "torch.Tensor":
        """The block's output for the tokens at place `at`, (rows, w)."""
        import torch

        attn = self._block.attn
        rows = len(hidden)
        given = torch.nn.functional.linear(self._block.ln_1(hidden), attn.in_proj_weight, attn.in_proj_bias)
        query, key, value = given.view(rows, 3, attn.num_heads, attn.head_dim).unbind(1)
        self._keys[:, :, at], self._values[:, :, at] = key, value
        seen = torch.nn.functional.scaled_dot_product_attention(
            query[:, :, None], self._keys[:, :, : at + 1], self._values[:, :, : at + 1]
        )
        hidden = hidden + self._block.ls_1(attn.out_proj(seen.reshape(rows, -1)))
        return _mixed(self._block, hidden)

    def take(self, rows: "torch.Tensor", length: int) -> None:
        """Rows become copies of these."""
        if len(rows) < len(self._keys):
            self._keys, self._values = self._keys[rows], self._values[rows]
        else:
            self._keys[:, :, :length] = self._keys[rows, :, :length]
            self._values[:, :, :length] = self._values[rows, :, :length]


class _CrossAttention:
    """One block's attention to the image: keys and values (images, h, tokens, d), made once."""

    def __init__(self, block: Any, image: "torch.Tensor") -> None:
        import torch

        self._block, attn = block, block.attn
        width = attn.embed_dim
        found = torch.nn.functional.linear(
            block.ln_1_kv(image), attn.in_proj_weight[width:], attn.in_proj_bias[width:]
        ).view(*image.shape[:2], 2, attn.num_heads, attn.head_dim)
        self._keys, self._values = (found[:, :, i].transpose(1, 2).contiguous() for i in range(2))

    def step(self, hidden: "torch.Tensor") -> "torch.Tensor":
        """The block's output for tokens (rows, w), an image's rows beside each other."""
        import torch

        attn = self._block.attn
        rows, width = hidden.shape
        images = len(self._keys)
        query = torch.nn.functional.linear(
            self._block.ln_1(hidden), attn.in_proj_weight[:width], attn.in_proj_bias[:width]
        )
        query = query.view(images, rows // images, attn.num_heads, attn.head_dim).transpose(1, 2)
        seen = torch.nn.functional.scaled_dot_product_attention(query, self._keys, self._values)
        hidden = hidden + self._block.ls_1(attn.out_proj(seen.transpose(1, 2).reshape(rows, width)))
        return _mixed(self._block, hidden)

    def keep(self, images: "torch.Tensor") -> None:
        """Only these images are left."""
        self._keys, self._values = self._keys[images], self._values[images]


def _mixed(block: Any, hidden: "torch.Tensor") -> "torch.Tensor":
    """What follows attention in a block."""
    found: torch.Tensor = hidden + block.ls_2(block.mlp(block.ln_2(hidden)))
    return found


class CocaSteps:
    """Keeps the contract of `decoding.Steps`.

    Args:
        model: open_clip's `CoCa`; `check` has passed it.
        tokens: what its image tower gives, float32 (n, t, w).
        beams: rows for each image.
        start: the start token.
        end: the end token; padding ends a text too, as in open_clip's own `generate`.
        length: most tokens that there is to be room for.
    """

    def __init__(
        self, model: Any, tokens: NDArray[np.float32], *, beams: int, start: int, end: int, length: int
    ) -> None:
        import torch

        text, decoder = model.text, model.text_decoder
        weights = text.positional_embedding
        image = torch.from_numpy(np.ascontiguousarray(tokens)).to(weights.device, weights.dtype)
        rows = len(tokens) * beams
        self.start = start
        self.ends: tuple[int, ...] = (end, int(text.pad_id))
        self.limit = most_tokens(model)
        self._model, self._beams, self._at = model, beams, 0
        room = min(length, self.limit)
        self._text = [_Attention(block, rows, room) for block in text.transformer.resblocks]
        self._own = [_Attention(block, rows, room) for block in decoder.resblocks]
        self._image = [_CrossAttention(block, image) for block in decoder.cross_attn]

    def advance(self, tokens: "torch.Tensor") -> "torch.Tensor":
        """As the port says: the logits after one more token of each row."""
        text, decoder = self._model.text, self._model.text_decoder
        place = text.positional_embedding[self._at]
        hidden = text.token_embedding(tokens.to(place.device)) + place
        for block in self._text:
            hidden = block.step(hidden, self._at)
        for own, image in zip(self._own, self._image, strict=True):
            hidden = image.step(own.step(hidden, self._at))
        self._at += 1
        logits: torch.Tensor = (decoder.ln_final(hidden) @ decoder.text_projection).float()
        return logits

    def reorder(self, rows: "torch.Tensor") -> None:
        """As the port says."""
        import torch

        if not torch.equal(rows, torch.arange(len(rows))):
            self._take(rows)

    def keep(self, images: "torch.Tensor") -> None:
        """As the port says."""
        import torch

        self._take((images[:, None] * self._beams + torch.arange(self._beams)).view(-1))
        images = images.to(self._model.text.positional_embedding.device)
        for block in self._image:
            block.keep(images)

    def _take(self, rows: "torch.Tensor") -> None:
        rows = rows.to(self._model.text.positional_embedding.device)
        for block in (*self._text, *self._own):
            block.take(rows, self._at)


def most_tokens(model: Any) -> int:
    """How many tokens may follow the start token: both towers' contexts hold it and all but the last of them."""
    return int(min(model.text.context_length, model.text_decoder.context_length))


def check(model: Any) -> None:
    """Raises `UnfitError` unless `CocaSteps` and `embed_texts` compute what this model's own `forward` does."""
    import open_clip
    from open_clip.transformer import ResidualAttentionBlock, TextTransformer

    if not isinstance(model, open_clip.CoCa):
        raise UnfitError("it is no CoCa")
    text = model.text
    if not isinstance(text, TextTransformer) or text.cls_emb is None or text.attn_mask is None:
        raise UnfitError("its text tower is not open_clip's causal one with a class token")
    blocks = (*text.transformer.resblocks, *model.text_decoder.resblocks, *model.text_decoder.cross_attn)
    if not all(isinstance(block, ResidualAttentionBlock) for block in blocks):
        raise UnfitError("its text towers have blocks that are not known here")
    width = model.text_decoder.width
    if text.correct_cls_mask or text.width != width or getattr(model.visual, "output_dim", width) != width:
        raise UnfitError("its towers do not fit each other as those of open_clip 3.3 do")


def embed_texts(model: Any, texts: Sequence[Sequence[int]], start: int, end: int) -> NDArray[np.float32]:
    """Token ids of n texts to embeddings (n, d) of unit length: `encode_text` of open_clip 3.3, at a shorter length.

    The class token stands in the last place of the whole context. It sees a text and the first padding behind it (so
    open_clip's mask says, and so the weights were trained), not itself; the rest of the padding it cannot tell.
    """
    import torch

    text = model.text
    device = text.positional_embedding.device
    length = min(max(map(len, texts)) + 3, text.context_length)
    ids = torch.full((len(texts), length), text.pad_id)
    for row, tokens in zip(ids, texts, strict=True):
        kept = [start, *tokens[: text.context_length - 2], end]
        row[: len(kept)] = torch.tensor(kept)
    ids = ids.to(device)
    with torch.inference_mode():
        class_token = text.cls_emb + torch.zeros(len(ids), 1, 1, device=device)
        hidden = torch.cat([text.token_embedding(ids), class_token], 1)
        places = torch.cat([text.positional_embedding[:length], text.positional_embedding[-1:]])
        mask = text.attn_mask[: length + 1, : length + 1] + text._build_additive_mask(ids, length + 1, hidden.dtype)
        hidden = text.transformer(hidden + places, attn_mask=mask)
        found = text.ln_final(hidden[:, -1])
        if text.text_projection is not None:
            found = text.text_projection(found) if callable(text.text_projection) else found @ text.text_projection
        found = torch.nn.functional.normalize(found.float(), dim=-1)
    result: NDArray[np.float32] = found.cpu().numpy()
    return result
