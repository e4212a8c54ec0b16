import hashlib
import json
import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from tasks.errors import ConfigurationError, Reason, Rejected, Unavailable
from tasks.ports import Preprocess
from worker.images.decode import Limits, decode
from worker.images.formats import FORMATS, OPTIONAL

P64 = Preprocess(64)
Save = Callable[..., bytes]


def refused(body: bytes | Path, limits: Limits | None = None) -> Rejected:
    with pytest.raises(Rejected) as caught:
        decode(body, P64, limits)
    return caught.value


def middle(body: bytes) -> list[int]:
    return decode(body, P64).pixels[32, 32].tolist()


def test_tells_what_the_file_is(photo: Image.Image, save: Save, tmp_path: Path) -> None:
    body = save(photo, "JPEG")
    path = tmp_path / "photo.jpg"
    path.write_bytes(body)
    for decoded in (decode(body, P64), decode(path, P64)):
        assert (decoded.width, decoded.height, decoded.format) == (640, 480, "JPEG")
        assert (decoded.stored_width, decoded.stored_height) == (640, 480)
        assert decoded.file_size == len(body)
        assert decoded.sha256 == hashlib.sha256(body).hexdigest()
        assert decoded.pixels.shape == (64, 64, 3)
        assert decoded.pixels.dtype == np.uint8
        assert decoded.thumbnail is None


def test_makes_a_thumbnail_on_request_and_never_enlarges(photo: Image.Image, save: Save) -> None:
    def thumbnail(image: Image.Image, **options: object) -> tuple[int, int]:
        data = decode(save(image, "JPEG", **options), P64, thumbnail=320).thumbnail
        assert data is not None
        return Image.open(BytesIO(data)).size

    assert thumbnail(photo.resize((100, 50))) == (100, 50)
    assert max(thumbnail(photo)) <= 320


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_turns_as_displayed(photo: Image.Image, save: Save, value: int, name: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    # Of a shape whose crop has whole margins, the same on both sides.
    image = photo.resize((160, 128))
    decoded, plain = decode(save(image, name, exif=exif), P64), decode(save(image, name), P64)
    turned = value >= 5
    assert (decoded.width, decoded.height) == ((128, 160) if turned else (160, 128))
    assert (decoded.stored_width, decoded.stored_height) == (160, 128)
    assert decoded.visual.orientation == ("portrait" if turned else "landscape")
    upright = Image.fromarray(plain.pixels)
    upright.getexif()[0x0112] = value
    expected = np.asarray(ImageOps.exif_transpose(upright), dtype=int)
    assert abs(expected - decoded.pixels).mean() < 2


def test_broken_exif_is_no_reason_to_lose_a_picture(photo: Image.Image, save: Save) -> None:
    for exif in (b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0" + os.urandom(40), b"Exif\0\0MM\0*\0\0\0\x08\0\xff"):
        assert decode(save(photo, "JPEG", exif=exif), P64).width == 640


def test_only_the_first_frame_is_read(save: Save) -> None:
    red, blue = Image.new("RGB", (80, 80), "red"), Image.new("RGB", (80, 80), "blue")
    for name in ("GIF", "PNG", "WEBP", "TIFF", "AVIF", "MPO"):
        pixel = middle(save(red, name, save_all=True, append_images=[blue]))
        assert (pixel[0] > 240, pixel[2] < 15) == (True, True), name


def test_unknown_formats_are_the_operators_mistake() -> None:
    with pytest.raises(ConfigurationError, match="JPG"):
        Limits(formats=("JPG",))


def test_limits(photo: Image.Image, save: Save, tmp_path: Path) -> None:
    body = save(photo)
    assert refused(b"").reason is Reason.EMPTY
    assert refused(body, Limits(file_bytes=len(body) - 1)).reason is Reason.TOO_MANY_BYTES
    assert refused(body, Limits(pixels=640 * 480 - 1)).reason is Reason.TOO_MANY_PIXELS
    assert decode(body, P64, Limits(file_bytes=len(body), pixels=640 * 480)).width == 640
    huge = tmp_path / "huge.jpg"
    with huge.open("wb") as file:
        file.truncate(200 << 20)
    assert refused(huge).reason is Reason.TOO_MANY_BYTES
    (tmp_path / "none.jpg").touch()
    assert refused(tmp_path / "none.jpg").reason is Reason.EMPTY


def test_a_webp_canvas_is_measured_before_it_is_reserved(photo: Image.Image, save: Save) -> None:
    for options in ({}, {"lossless": True}, {"exif": b"Exif\0\0"}):
        body = save(photo, "WEBP", **options)
        assert refused(body, Limits(pixels=640 * 480 - 1)).reason is Reason.TOO_MANY_PIXELS
        assert decode(body, P64, Limits(pixels=640 * 480)).width == 640


def test_a_path_that_cannot_be_read_is_not_the_images_fault(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        decode(tmp_path / "gone.jpg", P64)
    os.mkfifo(tmp_path / "pipe.jpg")
    assert refused(tmp_path / "pipe.jpg").reason is Reason.UNSUPPORTED


def test_cut_files_are_told_from_broken_ones(photo: Image.Image, save: Save) -> None:
    for name in ("JPEG", "PNG", "GIF"):
        body = save(photo, name)
        assert refused(body[: len(body) // 2]).reason is Reason.TRUNCATED, name
    assert refused(b"\x89PNG\r\n\x1a\n" + bytes(100)).reason is Reason.UNREADABLE
    png = bytearray(save(photo))
    png[len(png) // 2] ^= 0xFF
    assert refused(bytes(png)).reason is Reason.UNREADABLE


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b'<?xml version="1.0"?>\n<svg/>', "XML"),
        (b"%PDF-1.7\n", "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "PostScript"),
        (b"8BPS\0\1", "Photoshop"),
        (b"BM" + bytes(60), "BMP"),
        (b"\0\0\0\x20ftypisom\0\0\0\0isomiso2", "video"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIF"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
        (b"just some words\n", "text"),
        (bytes(range(1, 50)), "no image format"),
    ],
)
def test_what_is_not_read_is_named(body: bytes, word: str) -> None:
    error = refused(body)
    assert error.reason is Reason.UNSUPPORTED
    assert word in error.detail


def test_an_allowed_decoder_is_the_only_one_that_runs(photo: Image.Image, save: Save) -> None:
    assert refused(save(photo, "TIFF"), Limits(formats=("JPEG",))).reason is Reason.UNSUPPORTED
    assert decode(save(photo, "JPEG2000"), P64, Limits(formats=(*FORMATS, "JPEG2000"))).format == "JPEG2000"


def test_heif_says_what_to_install_or_is_read(shared: Path) -> None:
    limits = Limits(formats=FORMATS + OPTIONAL)
    path = shared / "formats" / "heic__python-pillow__hopper.heif"
    try:
        import pillow_heif  # noqa: F401
    except ImportError:
        assert "pillow-heif" in refused(path, limits).detail
    else:
        assert decode(path, P64, limits).format == "HEIF"


@pytest.mark.parametrize(
    "size", [(640, 480), (480, 640), (333, 777), (64, 64), (65, 64), (30, 20), (1, 3000), (1501, 1000)]
)
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("mode", ["shortest", "squash", "longest"])
def test_pixels_are_those_of_scaling_and_cropping_in_full(
    photo: Image.Image, save: Save, size: tuple[int, int], interpolation: str, mode: str
) -> None:
    image = photo.resize(size)
    preprocess = Preprocess(64, mode, interpolation, fill=7)  # type: ignore[arg-type]  # all of them
    pixels = decode(save(image), preprocess).pixels.astype(int)
    expected = reference(image, preprocess).astype(int)
    assert pixels.shape == expected.shape
    # Above twice the model's size the picture is averaged down first.
    assert abs(pixels - expected).mean() <= (0.05 if min(size) < 256 else 1.5)


def reference(image: Image.Image, preprocess: Preprocess) -> np.ndarray:
    """What open_clip's transform does: torchvision's Resize and CenterCrop, or timm's ResizeKeepRatio and a padding."""
    side = preprocess.size
    resampling = Image.Resampling[preprocess.interpolation.upper()]
    width, height = image.size
    if preprocess.mode == "squash":
        return np.asarray(image.resize((side, side), resampling))
    if preprocess.mode == "longest":
        ratio = max(width, height) / side
        scaled = image.resize((max(1, round(width / ratio)), max(1, round(height / ratio))), resampling)
        padded = Image.new("RGB", (side, side), (preprocess.fill,) * 3)
        padded.paste(scaled, ((side - scaled.width) // 2, (side - scaled.height) // 2))
        return np.asarray(padded)
    short = min(width, height)
    scaled = image.resize((int(side * width / short), int(side * height / short)), resampling)
    left, top = round((scaled.width - side) / 2.0), round((scaled.height - side) / 2.0)
    return np.asarray(scaled.crop((left, top, left + side, top + side)))


@pytest.mark.shared
@pytest.mark.filterwarnings("ignore")  # Pillow's own reading, which is compared with, complains of broken Exif data
def test_every_allowed_format_of_the_collection_is_read_as_displayed(shared: Path) -> None:
    lines = (shared / "formats.jsonl").read_text().splitlines()
    entries = [entry for entry in map(json.loads, lines) if entry["format"] != "HEIF"]
    assert len(entries) > 100
    limits = Limits(formats=(*FORMATS, "JPEG2000"))
    for entry in entries:
        decoded = decode(shared / entry["file"], P64, limits)
        with Image.open(shared / entry["file"]) as image:
            displayed = ImageOps.exif_transpose(image).size
        assert (decoded.width, decoded.height) == displayed, entry["file"]
        turned = (entry["exif_orientation"] or 1) >= 5
        stored = displayed[::-1] if turned else displayed
        assert (decoded.stored_width, decoded.stored_height) == stored, entry["file"]
        assert decoded.format == entry["format"]


@pytest.mark.shared
def test_photographs_look_as_open_clip_would_have_them(shared: Path) -> None:
    preprocess = Preprocess(224)
    differences = []
    for path in sorted((shared / "coco_train2017").glob("*.jpg"))[:20]:
        with Image.open(path) as image:
            if "icc_profile" in image.info:
                continue  # open_clip does not honour these
            expected = reference(image.convert("RGB"), preprocess).astype(int)
        differences.append(abs(decode(path, preprocess).pixels - expected).mean())
    assert len(differences) > 5
    # Pillow chooses which direction to scale first by the amount of work, and rounds in between.
    assert max(differences) < 0.3
