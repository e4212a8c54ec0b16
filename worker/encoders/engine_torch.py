"""PyTorch as an engine: CUDA in its best precision, or the processor in fp32, which the others are measured against."""

import copy
from typing import TYPE_CHECKING, Literal

import numpy as np

from tasks.ports import Pixels
from worker.encoders.tower import Loaded, Outputs, Precision, Tower

if TYPE_CHECKING:
    import torch

Device = Literal["cuda", "cpu"]
BLOCKS: dict[Device, int] = {"cuda": 32, "cpu": 8}


def has_cuda() -> bool:
    """Whether there is a CUDA device that torch can use."""
    import torch

    return torch.cuda.is_available()


def load(tower: Tower, device: Device, threads: int | None) -> Loaded:
    """A tower in PyTorch. `threads` is set for the whole process, as torch has no other way."""
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    module = load_module(tower)
    reference = run(module, tower, tower.example())
    precision = _best_precision(tower, device)
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    if device != "cpu":
        # A copy: the text side may share the module, and stays where and what it is.
        module = copy.deepcopy(module).to(device=device, dtype=dtype)
    return Loaded(
        name=f"torch {device} {precision}",
        precision=precision,
        run=lambda pixels: run(module, tower, pixels),
        reference=reference,
        block=BLOCKS[device],
        forget=lambda: None,
    )


def load_module(tower: Tower) -> "torch.nn.Module":
    """The tower's module, ready to be run or traced."""
    import torch

    # The fast path is one fused operator that tracing cannot see into; without it PyTorch computes what is converted.
    torch.backends.mha.set_fastpath_enabled(False)
    return tower.load().eval().requires_grad_(False)


def run(module: "torch.nn.Module", tower: Tower, pixels: Pixels) -> Outputs:
    """uint8 (n, size, size, 3) through the module, on its device and in its precision; float32 out."""
    import torch

    weights = next(module.parameters())
    with torch.inference_mode():
        # Scaled in fp32: a bf16 quotient would lose the low bits of the pixel.
        images = torch.from_numpy(np.ascontiguousarray(pixels)).to(weights.device).permute(0, 3, 1, 2).float() / 255
        mean, std = (torch.tensor(values, device=weights.device)[:, None, None] for values in (tower.mean, tower.std))
        found = module(((images - mean) / std).to(weights.dtype))
    tensors = (found,) if isinstance(found, torch.Tensor) else found
    return [tensor.float().cpu().numpy() for tensor in tensors]


def _best_precision(tower: Tower, device: Device) -> Precision:
    """The fastest precision that the device has and the tower bears."""
    import torch

    if device == "cpu" or not tower.reducible:
        return "fp32"
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
