"""Every way of storing colours, to sRGB: what an open Pillow image holds becomes what a screen would show."""

from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

_GREY16 = ("I;16", "I;16L", "I;16B", "I;16N")
_KEPT = ("L", "RGB", "RGBA", "CMYK", "LAB")


def eight_bit(image: Image.Image) -> Image.Image:
    """A loaded image of any mode, to one that can be scaled: `L`, `RGB`, `RGBA`, `CMYK` or `LAB`."""
    if image.mode in _GREY16:
        # Pillow's own conversion clips: everything above 255 of 65,535 would be white.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        return _by_range(np.asarray(image))
    if image.has_transparency_data:
        # Palettes with alpha, a colour declared transparent, grey with alpha.
        return image if image.mode == "RGBA" else image.convert("RGBA")
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in _KEPT else image.convert("RGB")


def _by_range(values: np.ndarray) -> Image.Image:
    """32-bit integers or floats (h, w), whose white nothing declares: 1, 255 or 65,535 by the values, or stretched."""
    values = np.nan_to_num(values.astype(np.float32, copy=False), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 65535:
        low, high = 0.0, next(white for white in (1.0, 255.0, 65535.0) if high <= white)
    scaled = (values - low) * (255.0 / max(high - low, 1e-30))
    return Image.fromarray(scaled.round().astype(np.uint8))


def srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The result of `eight_bit`, scaled or not, to `RGB` on white; `profile` is the file's ICC profile."""
    if image.mode == "RGBA":
        opaque = Image.new("RGBA", image.size, "white")
        opaque.alpha_composite(image)
        image = opaque.convert("RGB")
    transform = _transform(profile, image.mode) if profile or image.mode == "LAB" else None
    if transform is not None:
        image = transform.apply(image)
    return image.convert("RGB")


@lru_cache(maxsize=16)
def _transform(profile: bytes | None, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From a profile to sRGB; `None` where there is nothing to do, or the profile is broken or of another colour space.

    Kept, because building one costs milliseconds and a library's images share a few profiles.
    """
    try:
        if mode == "LAB":
            source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        else:
            source = ImageCms.ImageCmsProfile(BytesIO(profile or b""))
            if "sRGB" in ImageCms.getProfileDescription(source):
                return None
        target = ImageCms.createProfile("sRGB")
        return ImageCms.buildTransform(source, target, mode, "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC)
    except Exception:  # noqa: BLE001  a profile is a hostile file of its own
        return None
