"""A file to safe pixels: one image, in this process. `pool` runs it where a hostile file can do no harm.

The order is what makes it fast: the JPEG decoder itself reduces the picture, everything else happens to the reduced
one, and colours and orientation are put right on the few pixels that remain.
"""

import hashlib
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from stat import S_ISREG

import numpy as np
from PIL import Image, UnidentifiedImageError

from tasks.errors import ConfigurationError, Reason, Rejected, StockmetaError, Unavailable
from tasks.ports import Decoded, Preprocess, Start
from worker.images import color, embedded, formats, resize, upright, visual
from worker.images.original import with_original

_THUMBNAIL_QUALITY = 80
_LONGEST_WORDS = 200

VERSION = 1
"""Raised when the same file would give other pixels."""

OUT_OF_MEMORY = "decoding it takes more memory than a decoder may use"


@dataclass(frozen=True, slots=True)
class Limits:
    """What is read at all.

    Attributes:
        file_bytes: length of a file.
        pixels: width times height.
        scan_pixels: pixels times scans of a JPEG, which is what a progressive one costs.
        formats: Pillow's names; see `formats.FORMATS` and `formats.OPTIONAL`.
    """

    file_bytes: int = 100 << 20
    pixels: int = 100_000_000
    scan_pixels: int = 4_000_000_000
    formats: tuple[str, ...] = formats.FORMATS

    def __post_init__(self) -> None:
        known = formats.FORMATS + formats.OPTIONAL
        if unknown := sorted(set(self.formats) - set(known)):
            raise ConfigurationError(f"unknown image formats: {', '.join(unknown)}; known are {', '.join(known)}")


def decode(
    body: bytes | Path,
    preprocess: Preprocess,
    limits: Limits | None = None,
    thumbnail: int = 0,
    *,
    metadata: bool = True,
    original: Start | None = None,
) -> Decoded:
    """Read one image.

    Not for several threads at once: warnings are silenced while it runs.

    Args:
        body: the file, or where it lies.
        preprocess: the pixels that the model wants.
        limits: what is refused unread.
        thumbnail: longest side of a small JPEG to make as well, pixels; 0 for none.
        metadata: whether to read what the file itself says.
        original: how the original begins whose rendition this is: then that is what says who made the picture, and how
            large it is.

    Raises:
        Rejected: the file is at fault; the detail is a sentence for people. A rendition may also be too small or of
            another shape, or the original's metadata go on beyond its start.
        Unavailable: the path could not be read.
    """
    limits = limits or Limits()
    try:
        data = _read(body, limits.file_bytes)
        with warnings.catch_warnings():
            # Pillow warns of what is tolerated: broken Exif data, large pictures.
            warnings.simplefilter("ignore")
            own = metadata and original is None
            decoded = _decode(data, _permitted(data, limits), preprocess, limits, thumbnail, metadata=own)
            return decoded if original is None else with_original(decoded, original, preprocess, limits.formats)
    except StockmetaError:
        raise
    except MemoryError:
        raise Rejected(Reason.DECODER_MEMORY, OUT_OF_MEMORY) from None
    except Image.DecompressionBombError as error:
        raise Rejected(Reason.TOO_MANY_PIXELS, words(error)) from error
    except Exception as error:  # hostile files raise ten kinds
        raise _verdict(error) from error


def _read(body: bytes | Path, limit: int) -> bytes:
    """The whole file, once: what is hashed is what is decoded, and a file cut meanwhile cannot kill by SIGBUS."""
    if isinstance(body, bytes):
        _check_length(len(body), limit)
        return body
    try:
        # Not waiting for a writer, should it be a pipe.
        with open(body, "rb", buffering=0, opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as file:
            status = os.fstat(file.fileno())
            if not S_ISREG(status.st_mode):
                raise Rejected(Reason.UNSUPPORTED, "it is not a regular file")
            _check_length(status.st_size, limit)
            data = file.read(limit + 1)
    except OSError as error:
        raise Unavailable(f"the file cannot be read: {error.strerror}") from error
    _check_length(len(data), limit)
    return data


def _check_length(length: int, limit: int) -> None:
    if length == 0:
        raise Rejected(Reason.EMPTY, "the file is empty")
    if length > limit:
        raise Rejected(Reason.TOO_MANY_BYTES, f"the file has {length:,} bytes, the limit is {limit:,}")


def _permitted(data: bytes, limits: Limits) -> str:
    """The format's name, if a decoder for it may run."""
    kind = formats.sniff(data[: formats.HEAD])
    if kind.format is None:
        what = f"it looks like a {kind.name}" if kind.name else "it is no image format known here"
        raise Rejected(Reason.UNSUPPORTED, f"{what}; read are {', '.join(limits.formats)}")
    if kind.format not in limits.formats:
        raise Rejected(Reason.UNSUPPORTED, f"{kind.name} is not among the formats allowed: {', '.join(limits.formats)}")
    if kind.format == "HEIF":
        _register_heif()
    size = formats.webp_size(data) if kind.format == "WEBP" else None
    if size is not None:
        _check_pixels(size, limits.pixels)
    return kind.format


def _register_heif() -> None:
    try:
        from pillow_heif import options, register_heif_opener
    except ImportError:
        detail = "HEIF needs the package pillow-heif: install stockmeta with the extra `heif`"
        raise Rejected(Reason.UNSUPPORTED, detail) from None
    options.DECODE_THREADS = 1
    register_heif_opener()


def _check_pixels(size: tuple[int, int], limit: int) -> None:
    width, height = size
    if width * height > limit:
        megapixels, most = width * height / 1e6, limit / 1e6
        detail = f"the picture has {width} x {height} pixels ({megapixels:,.0f} megapixels), the limit is {most:,.0f}"
        raise Rejected(Reason.TOO_MANY_PIXELS, detail)


def _decode(
    data: bytes, name: str, preprocess: Preprocess, limits: Limits, thumbnail: int, *, metadata: bool
) -> Decoded:
    with Image.open(BytesIO(data), formats=(name,)) as image:
        size = image.size
        _check_pixels(size, limits.pixels)
        if image.info.get("progressive"):
            _check_scans(data, size, limits.scan_pixels)
        stored = upright.stored_size(image)
        drafted = image.draft(None, resize.enough(size, preprocess))
        extent = (float(size[0]), float(size[1])) if drafted is None else drafted[1][2:]
        # First the pixels: Pillow passes broken PNG files as good if their Exif is asked for before.
        image.load()
        turned = upright.upright(image)
        displayed = size[::-1] if turned in upright.SIDEWAYS else size
        picture, extent = resize.shrink(color.eight_bit(image), extent, preprocess)
        finish = partial(_finish, profile=image.info.get("icc_profile"), turned=turned)
        pixels = resize.pad(finish(resize.fit(picture, extent, size, preprocess)), preprocess)
        tiny = finish(picture.resize((visual.SIDE, visual.SIDE), Image.Resampling.BILINEAR, reducing_gap=1.0))
        return Decoded(
            pixels=np.asarray(pixels),
            width=displayed[0],
            height=displayed[1],
            stored_width=stored[0],
            stored_height=stored[1],
            format=image.format or name,
            file_size=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            visual=visual.measure(tiny, *displayed),
            embedded=embedded.read(data, image) if metadata else None,
            thumbnail=_thumbnail(picture, thumbnail, finish) if thumbnail else None,
        )


def _check_scans(data: bytes, size: tuple[int, int], limit: int) -> None:
    scans = formats.jpeg_scans(data)
    if scans > 1 and scans * size[0] * size[1] > limit:
        detail = f"the JPEG has {scans:,} scans of {size[0]} x {size[1]} pixels, made to keep a decoder busy"
        raise Rejected(Reason.UNREADABLE, detail)


def _finish(image: Image.Image, profile: bytes | None, turned: Image.Transpose | None) -> Image.Image:
    """To sRGB, as displayed."""
    image = color.srgb(image, profile)
    return image if turned is None else image.transpose(turned)


def _thumbnail(picture: Image.Image, side: int, finish: Callable[[Image.Image], Image.Image]) -> bytes:
    """A JPEG of the picture, never larger than it is."""
    scale = min(1.0, side / max(picture.size))
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    file = BytesIO()
    small = picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=1.0)
    finish(small).save(file, "JPEG", quality=_THUMBNAIL_QUALITY)
    return file.getvalue()


def _verdict(error: Exception) -> Rejected:
    """Pillow tells a cut file from a broken one by its words alone."""
    why = words(error)
    if "truncat" in why.lower() or isinstance(error, EOFError):
        return Rejected(Reason.TRUNCATED, f"the file ends too early: {why}")
    if isinstance(error, UnidentifiedImageError):
        why = "its header is broken"
    return Rejected(Reason.UNREADABLE, f"the image cannot be decoded: {why}")


def words(error: Exception) -> str:
    """An exception's message, fit for a record: a hostile file may have chosen some of its characters."""
    text = str(error) or type(error).__name__
    return "".join(character if character.isprintable() else "?" for character in text[:_LONGEST_WORDS])
