"""To a model's resolution, as open_clip's own transform would, but in one step instead of scaling, then cropping."""

from PIL import Image

from tasks.ports import Preprocess

_RESAMPLING = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}

Extent = tuple[float, float]
"""Width and height of what a reduced image shows, in its own pixels: its last column and row may be partly filled."""


def enough(size: tuple[int, int], preprocess: Preprocess) -> tuple[int, int]:
    """The smallest size (width, height) that loses nothing the model could see: twice its resolution.

    At once its resolution, 2 of 24 photographs got an embedding at a cosine below 0.999; at twice, none did.
    """
    side = 2 * preprocess.size
    if preprocess.mode != "longest":
        return side, side
    width, height = size
    return max(1, side * width // max(size)), max(1, side * height // max(size))


def is_small(size: tuple[int, int], preprocess: Preprocess) -> bool:
    """Whether a picture (width, height) has fewer pixels than the model sees."""
    return (max(size) if preprocess.mode == "longest" else min(size)) < preprocess.size


def shrink(image: Image.Image, extent: Extent, preprocess: Preprocess) -> tuple[Image.Image, Extent]:
    """By a whole factor, averaging: much cheaper than filtering all the pixels, and it stays above `enough`."""
    width, height = enough(image.size, preprocess)
    factor = min(image.width // width, image.height // height)
    if factor < 2:
        return image, extent
    return image.reduce(factor), (extent[0] / factor, extent[1] / factor)


def fit(image: Image.Image, extent: Extent, size: tuple[int, int], preprocess: Preprocess) -> Image.Image:
    """Scale a picture to a model's input.

    Args:
        image: the picture, perhaps at a reduced scale.
        extent: what it shows, in its own pixels.
        size: width and height of the picture in full: they decide the rounding.
        preprocess: what the model wants.

    Returns:
        (size, size) for `shortest` and `squash`; for `longest` the picture alone, to be padded by `pad`.
    """
    side, resampling = preprocess.size, _RESAMPLING[preprocess.interpolation]
    width, height = size
    if preprocess.mode == "squash":
        return image.resize((side, side), resampling, box=(0, 0, *extent))
    if preprocess.mode == "longest":
        scaled = tuple(max(1, round(length * side / max(size))) for length in size)
        return image.resize((scaled[0], scaled[1]), resampling, box=(0, 0, *extent))
    # torchvision: the longer side is cut to a whole number, and the crop's margin is rounded to even.
    scaled_width, scaled_height = side * width // min(size), side * height // min(size)
    left, top = round((scaled_width - side) / 2), round((scaled_height - side) / 2)
    x, y = extent[0] / scaled_width, extent[1] / scaled_height
    # Rounding in the last place must not reach beyond the picture.
    right, bottom = min((left + side) * x, extent[0]), min((top + side) * y, extent[1])
    return image.resize((side, side), resampling, box=(left * x, top * y, right, bottom))


def pad(image: Image.Image, preprocess: Preprocess) -> Image.Image:
    """Centre an `RGB` picture that is smaller than the model's input; a full one is returned as it is."""
    side = preprocess.size
    if image.size == (side, side):
        return image
    padded = Image.new("RGB", (side, side), (preprocess.fill,) * 3)
    padded.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return padded
