"""Models with random weights, made on the spot, and pixels to try them on."""

import json
from pathlib import Path
from typing import Any

import numpy as np

PHOTOS = Path(__file__).resolve().parents[4] / "shared" / "photos"

TINY: dict[str, Any] = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2},
}
TINY_PREPROCESS = {
    "mean": [0.5, 0.4, 0.3],
    "std": [0.2, 0.3, 0.4],
    "interpolation": "bilinear",
    "resize_mode": "squash",
}
TINY_COCA: dict[str, Any] = {
    "embed_dim": 32,
    "vision_cfg": {**TINY["vision_cfg"], "attentional_pool": True, "attn_pooler_heads": 2, "output_tokens": True},
    "text_cfg": {**TINY["text_cfg"], "context_length": 76, "embed_cls": True, "output_tokens": True},
    "multimodal_cfg": {"context_length": 76, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2},
    "custom_text": True,
}


END = 3.0
"""How much more the end token's logits vary than others': so captions end at all lengths."""


def random_pixels(count: int, size: int, seed: int = 1) -> np.ndarray:
    """uint8 (count, size, size, 3): patches of colour, so that images differ as photographs do."""
    cells = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    return cells.repeat(-(-size // 4), axis=1).repeat(-(-size // 4), axis=2)[:, :size, :size]


def save_model(folder: Path, model_cfg: dict[str, Any], preprocess_cfg: dict[str, Any]) -> Path:
    """An open_clip model of seeded random weights, as a folder that `local-dir:` takes."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": model_cfg, "preprocess_cfg": preprocess_cfg})
    )
    torch.manual_seed(0)
    custom = {key: value for key, value in model_cfg.items() if key != "custom_text"}
    kind = open_clip.CoCa if "multimodal_cfg" in model_cfg else open_clip.CLIP
    weights = {name: tensor.contiguous() for name, tensor in kind(**custom).state_dict().items()}
    if "multimodal_cfg" in model_cfg:
        # open_clip 3.3 leaves this one as the memory was: all logits come out 0, and any decoder passes.
        projection = weights["text_decoder.text_projection"].normal_()
        # Random captions rarely end; the last token ends them.
        projection[:, -1] *= END
    save_file(weights, folder / "open_clip_model.safetensors")
    return folder
