"""What the pixels say without a model: perceptual hash, dominant colours, orientation. About a millisecond."""

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.records import Color, Visual

SIDE = 64
"""Width and height of the copy that is measured, pixels; the whole picture, whatever its shape."""

_SQUARE = 0.05
_COLORS = 5
_LEAST_SHARE = 0.02
# Weighted RGB distance (CompuPhase's "redmean") below which two colours have the same name to a person.
_SAME = 75.0


def measure(tiny: Image.Image, width: int, height: int) -> Visual:
    """Measure a picture.

    Args:
        tiny: the whole picture as displayed, squeezed to (`SIDE`, `SIDE`), `RGB`.
        width: of the picture as displayed, pixels.
        height: likewise.
    """
    return Visual(phash=_phash(tiny), colors=_colors(tiny), orientation=_orientation(width, height))


def _phash(tiny: Image.Image) -> str:
    """Signs of 64 low frequencies against their median, most significant first: Zauner 2010, section 3.2.1."""
    grey = np.asarray(tiny.convert("L").reduce(SIDE // 32), dtype=np.float32)
    basis = _dct_basis()
    # Rounded, so that a plain surface hashes to zero and not to the arithmetic's noise.
    frequencies = (basis @ grey @ basis.T).round(2).ravel()
    return np.packbits(frequencies > np.median(frequencies)).tobytes().hex()


@lru_cache(maxsize=1)
def _dct_basis() -> NDArray[np.float32]:
    """Rows 1 to 8 of the orthonormal 32-point DCT-II, (8, 32); row 0, the brightness, is left out."""
    rows, columns = np.arange(1, 9)[:, None], np.arange(32)[None, :]
    basis: NDArray[np.float32] = (np.cos(np.pi * rows * (2 * columns + 1) / 64) / 4).astype(np.float32)
    return basis


def _colors(tiny: Image.Image) -> tuple[Color, ...]:
    """At most five colours, the commonest first; alike ones count together under the commoner's name."""
    quantized = tiny.quantize(16, method=Image.Quantize.FASTOCTREE)
    palette = np.asarray(quantized.getpalette(), dtype=np.int64).reshape(-1, 3)
    counts = np.bincount(np.asarray(quantized).ravel(), minlength=len(palette))
    kept: list[tuple[NDArray[np.int64], int]] = []
    for index in np.argsort(-counts, kind="stable"):
        color, count = palette[index], int(counts[index])
        if count == 0:
            break
        alike = next((at for at, (other, _) in enumerate(kept) if _distance(color, other) < _SAME), None)
        if alike is None:
            kept.append((color, count))
        else:
            kept[alike] = (kept[alike][0], kept[alike][1] + count)
    shares = sorted(((count / (SIDE * SIDE), color) for color, count in kept), key=lambda pair: -pair[0])
    return tuple(
        Color(hex="#{:02x}{:02x}{:02x}".format(*color), share=round(share, 4))
        for share, color in shares[:_COLORS]
        if share >= _LEAST_SHARE
    )


def _distance(one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    """Between two colours as a person sees them, 0 to about 765."""
    red, green, blue = (one - other).tolist()
    mean = (int(one[0]) + int(other[0])) / 2
    squared = (2 + mean / 256) * red * red + 4 * green * green + (2 + (255 - mean) / 256) * blue * blue
    return float(squared**0.5)


def _orientation(width: int, height: int) -> Literal["landscape", "portrait", "square"]:
    if abs(width - height) <= _SQUARE * max(width, height):
        return "square"
    return "landscape" if width > height else "portrait"
