"""Orientation: how a picture is stored, and how it is displayed."""

from PIL import ExifTags, Image, TiffImagePlugin

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = (
    Image.Transpose.TRANSPOSE,
    Image.Transpose.ROTATE_270,
    Image.Transpose.TRANSVERSE,
    Image.Transpose.ROTATE_90,
)
"""What exchanges width and height."""


def upright(image: Image.Image) -> Image.Transpose | None:
    """What has to be done to a stored picture so that it is as displayed."""
    return _UPRIGHT.get(_orientation(image))


def stored_size(image: Image.Image) -> tuple[int, int]:
    """Before orientation. Pillow already turns TIFF files, and tells the size after that."""
    if isinstance(image, TiffImagePlugin.TiffImageFile) and image.tag_v2.get(ExifTags.Base.Orientation) in (5, 6, 7, 8):
        return image.height, image.width
    return image.size


def _orientation(image: Image.Image) -> int:
    """What Exif or XMP say, 1 to 8, or anything that is not an orientation."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001  broken metadata is no reason to lose a good picture
        return 1
    return value if isinstance(value, int) else 1
