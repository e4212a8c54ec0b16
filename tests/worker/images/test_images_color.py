from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageCms

from tasks.ports import Preprocess
from worker.images.decode import decode

P64 = Preprocess(64)
Save = Callable[..., bytes]


def middle(body: bytes) -> list[int]:
    return decode(body, P64).pixels[32, 32].tolist()


def test_sixteen_bit_grey_is_scaled_and_not_clipped(save: Save) -> None:
    ramp = np.tile(np.linspace(0, 65535, 256).astype(np.uint16), (256, 1))
    for name in ("PNG", "TIFF"):
        pixels = decode(save(Image.fromarray(ramp), name), P64).pixels.astype(int)
        assert pixels[:, 0].max() < 8
        assert pixels[:, -1].min() > 247
        assert abs(pixels[32, :, 0] - np.linspace(2, 253, 64)).max() < 4


@pytest.mark.parametrize("white", [1.0, 255.0, 65535.0])
def test_floats_are_scaled_by_their_range(save: Save, white: float) -> None:
    ramp = np.tile(np.linspace(0, white, 256, dtype=np.float32), (256, 1))
    ramp[0, 0] = np.nan
    pixels = decode(save(Image.fromarray(ramp), "TIFF"), P64).pixels.astype(int)
    assert abs(pixels[32, :, 0] - np.linspace(2, 253, 64)).max() < 4


def test_integers_below_zero_are_stretched(save: Save) -> None:
    ramp = np.tile(np.linspace(-1000, 1000, 256).astype(np.int32), (256, 1))
    pixels = decode(save(Image.fromarray(ramp), "TIFF"), P64).pixels.astype(int)
    assert (pixels[32, 0, 0] < 8, pixels[32, -1, 0] > 247) == (True, True)


@pytest.mark.parametrize("name", ["JPEG", "TIFF"])
def test_cmyk_red_is_red(save: Save, name: str) -> None:
    red, green, blue = middle(save(Image.new("CMYK", (100, 100), (0, 255, 255, 0)), name))
    assert (red > 240, green < 15, blue < 15) == (True, True, True)


def test_lab_is_converted(save: Save) -> None:
    lab = ImageCms.profileToProfile(
        Image.new("RGB", (100, 100), (200, 40, 60)),
        ImageCms.createProfile("sRGB"),
        ImageCms.createProfile("LAB"),
        outputMode="LAB",
    )
    assert lab is not None
    assert np.abs(np.array(middle(save(lab, "TIFF"))) - (200, 40, 60)).max() < 8


def test_alpha_is_laid_on_white(save: Save) -> None:
    clear = Image.new("RGBA", (100, 100), (255, 0, 0, 0))
    assert middle(save(clear)) == [255, 255, 255]
    half = Image.new("RGBA", (100, 100), (0, 0, 0, 128))
    assert middle(save(half)) == [127, 127, 127]
    grey = Image.new("LA", (100, 100), (0, 0))
    assert middle(save(grey)) == [255, 255, 255]


def test_a_palettes_clear_colour_is_white(save: Save) -> None:
    palette = Image.new("P", (100, 100), 1)
    palette.putpalette([0, 0, 255, 255, 0, 0])
    assert middle(save(palette)) == [255, 0, 0]
    assert middle(save(palette, transparency=1)) == [255, 255, 255]
    assert middle(save(palette, "GIF", transparency=1)) == [255, 255, 255]
    assert middle(save(Image.new("RGB", (100, 100), (9, 9, 9)), transparency=(9, 9, 9))) == [255, 255, 255]


def test_bilevel_and_ycbcr(save: Save) -> None:
    assert middle(save(Image.new("1", (100, 100), 1))) == [255, 255, 255]
    assert np.abs(np.array(middle(save(Image.new("YCbCr", (99, 99), (76, 85, 255)), "TIFF"))) - (254, 0, 0)).max() < 5


def _swapped_profile() -> bytes:
    """SRGB with the red and the green primary exchanged, by editing its tag table."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = data.find(b"rXYZ"), data.find(b"gXYZ")
    data[red : red + 4], data[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(data).replace("sRGB".encode("utf-16-be"), "SWAP".encode("utf-16-be")).replace(b"sRGB", b"SWAP")


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_icc_profiles_are_honoured(save: Save, name: str) -> None:
    image = Image.new("RGB", (100, 100), (230, 40, 40))
    red, green, _ = middle(save(image, name, icc_profile=_swapped_profile()))
    assert green > 200 > red


def test_a_broken_or_foreign_icc_profile_is_ignored(save: Save) -> None:
    image = Image.new("RGB", (100, 100), (200, 40, 40))
    plain = middle(save(image))
    assert middle(save(image, icc_profile=b"not a profile")) == plain
    assert middle(save(image, icc_profile=_swapped_profile()[:300])) == plain
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert middle(save(image, icc_profile=lab)) == plain
    assert middle(save(Image.new("L", (100, 100), 77), icc_profile=_swapped_profile())) == [77, 77, 77]
