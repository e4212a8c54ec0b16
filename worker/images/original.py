"""The start of an original whose picture is read from a rendition: its size, its format and what it says of itself.

Nothing here decodes a picture. A start is as hostile as a whole file, and cut besides: what cannot be read is unknown.
"""

from dataclasses import replace
from io import BytesIO
from typing import NoReturn

from PIL import ExifTags, Image, TiffImagePlugin

from tasks.errors import Reason, Rejected
from tasks.ports import Decoded, Header, Preprocess, Start
from worker.containers import parts
from worker.images import embedded, formats, resize, upright

_SAME_SHAPE = 0.02
"""Relative difference of two pictures' shapes that is still the same picture, beside a pixel of rounding."""

_LONGEST_PADDED = 64 << 20
"""Bytes; of larger AVIF files nothing is known."""

_END = frozenset({0xDA, 0xD9})
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})


def with_original(decoded: Decoded, start: Start, preprocess: Preprocess, allowed: tuple[str, ...]) -> Decoded:
    """A rendition with what its original's start says.

    Args:
        decoded: the rendition.
        start: how the original begins.
        preprocess: what the model wants.
        allowed: formats whose decoders may run.

    Raises:
        Rejected: the original has to be read: the rendition is too small or of another shape, or what the original
            says goes on beyond its start.
    """
    size = (decoded.width, decoded.height)
    if resize.is_small(size, preprocess):
        detail = f"the rendition has {size[0]} x {size[1]} pixels, fewer than the model sees ({preprocess.size})"
        raise Rejected(Reason.UNREADABLE, detail)
    header = read(start, allowed)
    if header.width and header.height and not _same_shape(size, (header.width, header.height)):
        detail = f"the rendition has {size[0]} x {size[1]} pixels, and the original {header.width} x {header.height}"
        raise Rejected(Reason.UNREADABLE, detail)
    return replace(decoded, original=header)


def read(start: Start, allowed: tuple[str, ...]) -> Header:
    """What the start says. Raises `Rejected` for a JPEG whose headers go on beyond it: people's words may be there."""
    data = start.data
    whole = len(data) >= start.size
    name = formats.sniff(data[: formats.HEAD]).format
    if name is None or name not in allowed or name == "HEIF":
        return Header()
    if name == "JPEG" and not whole and not has_all_headers(data):
        raise Rejected(Reason.TRUNCATED, "the original's metadata go on beyond what is read of it")
    try:
        with _opened(_padded(start) if name == "AVIF" else data, name) as image:
            if _is_preview(image):
                return Header()
            stored, turned = upright.stored_size(image), upright.upright(image)
            size = image.size[::-1] if turned in upright.SIDEWAYS else image.size
            # A TIFF's values may lie anywhere: cut, half of the keywords would pass for all of them.
            said = embedded.read(data, image) if whole or name != "TIFF" else None
            return Header(*size, *stored, image.format or name, said)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  a cut or hostile file raises anything
        return Header()


def has_all_headers(data: bytes) -> bool:
    """Whether a JPEG's segments up to the picture are all there; also where they break off in nonsense."""
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF or data[at + 1] in _END:
            return True
        if data[at + 1] == 0xFF or data[at + 1] in _STANDALONE:
            at += 1 if data[at + 1] == 0xFF else 2
            continue
        at += 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
    return False


def _opened(data: bytes, name: str) -> Image.Image:
    if name == "WEBP":
        return _webp(data)
    image = Image.open(BytesIO(data), formats=(name,))
    # What asks for metadata behind the picture would decode it.
    image.load = _refuse  # type: ignore[method-assign]  # of this one image
    return image


def _padded(start: Start) -> bytes:
    """As long as the whole file, which is what the parser of AVIF asks for before it looks at the boxes in front."""
    return start.data.ljust(min(start.size, _LONGEST_PADDED), b"\0")


def _webp(data: bytes) -> Image.Image:
    """A stand-in of the same size: Pillow opens whole files only, and reserves canvases while it does."""
    size = formats.webp_size(data)
    if size is None:
        raise ValueError("it announces no size")
    image = Image.new("1", (1, 1))
    image._size = size
    image.format = "WEBP"
    if exif := next((part.content for part in parts(data) if part.name == b"EXIF"), b""):
        image.info["exif"] = exif
    return image


def _is_preview(image: Image.Image) -> bool:
    """Whether a TIFF begins with a small version of its picture, as raw photographs do."""
    subfile = ExifTags.Base.NewSubfileType
    return isinstance(image, TiffImagePlugin.TiffImageFile) and bool(image.tag_v2.get(subfile, 0) & 1)


def _same_shape(one: tuple[int, int], other: tuple[int, int]) -> bool:
    ratio = one[0] * other[1] / (one[1] * other[0])
    return abs(ratio - 1) <= _SAME_SHAPE + 1 / min(one)


def _refuse(*_: object) -> NoReturn:
    raise OSError("only the start of the file is here")
