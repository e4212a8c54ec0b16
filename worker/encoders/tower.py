"""An image tower before any engine, and a backend with a tower in it: what models and engines tell each other."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from tasks.ports import Pixels

if TYPE_CHECKING:
    import torch

EXAMPLE_IMAGES = 2

Precision = Literal["fp32", "bf16", "fp16"]
Outputs = list[NDArray[np.float32]]
Runner = Callable[[Pixels], Outputs]


@dataclass(frozen=True, slots=True)
class Tower:
    """An image tower, before any engine.

    Attributes:
        identity: changes with weights, architecture and preprocessing; hex.
        size: height and width of its input, pixels.
        mean: per channel, of pixels scaled to [0, 1]; `std` likewise, the deviation.
        load: imports torch and gives the module: float32 (n, 3, size, size), normalised, to one tensor or several,
            each with first axis n.
        reducible: whether it may run in less than fp32.
    """

    identity: str
    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    load: Callable[[], "torch.nn.Module"]
    reducible: bool = True

    def example(self, count: int = EXAMPLE_IMAGES) -> Pixels:
        """uint8 (count, size, size, 3): seeded patches of colour; the first images are the same for every `count`."""
        cells = np.random.default_rng(0).integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)
        return cells.repeat(-(-self.size // 16), axis=1).repeat(-(-self.size // 16), axis=2)[
            :, : self.size, : self.size
        ]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A backend with a tower in it.

    Attributes:
        name: as written into records, such as `openvino bf16`.
        run: pixels of any number of images to outputs; one caller at a time.
        reference: what PyTorch on the processor gave in fp32 for the tower's example.
        block: images at a time at which it is fast.
        forget: removes what the backend keeps on disk, for a conversion that turned out wrong.
    """

    name: str
    precision: Precision
    run: Runner
    reference: Outputs
    block: int
    forget: Callable[[], None]


class UnfitError(Exception):
    """This engine cannot run this tower here; another may."""
