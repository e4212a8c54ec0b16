from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

SHARED = Path(__file__).resolve().parents[4] / "shared" / "photos"


@pytest.fixture(scope="session")
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip("the shared photographs are not here")
    return SHARED


@pytest.fixture(scope="session")
def save() -> Callable[..., bytes]:
    def save(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:  # noqa: A002  Pillow's word
        file = BytesIO()
        image.save(file, format, **options)
        return file.getvalue()

    return save


@pytest.fixture(scope="session")
def photo() -> Image.Image:
    """Something with gradients, edges and colours, 640 x 480, the same every time."""
    y, x = np.mgrid[0:480, 0:640]
    red = 128 + 100 * np.sin(x / 37) * np.cos(y / 53)
    green = x / 640 * 255
    blue = np.where((x - 400) ** 2 + (y - 200) ** 2 < 120**2, 230, 40)
    return Image.fromarray(np.stack([red, green, blue], axis=-1).astype(np.uint8))
