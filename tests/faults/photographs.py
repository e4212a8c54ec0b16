"""Small photographs to upload, each unlike all others, from a seed; and those that the injected faults know."""

from collections.abc import Iterator
from io import BytesIO
from itertools import count

import numpy as np
from PIL import Image

from tests.conftest import REPOSITORY

SHARED = REPOSITORY.parent / "shared" / "photos" / "coco_train2017"
"""Real photographs, which are not part of the project."""

TILES = 8
SIZE = (96, 64)


def photograph(seed: int, size: tuple[int, int] = SIZE) -> bytes:
    """A JPEG of coloured tiles: another embedding for each seed, from any encoder."""
    chance = np.random.default_rng(seed)
    tiles = chance.integers(0, 256, (TILES, TILES, 3), np.uint8)
    return _jpeg(Image.fromarray(tiles, "RGB").resize(size, Image.Resampling.NEAREST))


def photographs(seed: int) -> Iterator[bytes]:
    """Real photographs without end, where there are some, each time with other bytes behind the picture; or others."""
    files = [path.read_bytes() for path in sorted(SHARED.glob("*.jpg"))]
    for number in count(seed):
        yield files[number % len(files)] + number.to_bytes(8) if files else photograph(number)


def marked(mark: str, seed: int = 0) -> bytes:
    """A photograph with a comment that `tests/faults/inject` looks for, such as `SEGFAULT`."""
    chance = np.random.default_rng(seed)
    tiles = chance.integers(0, 256, (TILES, TILES, 3), np.uint8)
    return _jpeg(Image.fromarray(tiles, "RGB").resize(SIZE, Image.Resampling.NEAREST), comment=f"fault:{mark}".encode())


def magenta() -> bytes:
    """Pure magenta: the picture at which the injected encoder takes the whole process down."""
    return _jpeg(Image.new("RGB", SIZE, (255, 0, 255)), quality=100, subsampling=0)


def with_xmp(jpeg: bytes, xmp: bytes) -> bytes:
    """A JPEG with an XMP segment."""
    body = b"http://ns.adobe.com/xap/1.0/\x00" + xmp
    return jpeg[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2) + body + jpeg[2:]


def _jpeg(image: Image.Image, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "JPEG", **{"quality": 92, **options})
    return buffer.getvalue()
