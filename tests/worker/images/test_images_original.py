"""What the start of an original says, beside a rendition that has the pixels."""

import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image, TiffImagePlugin

from tasks.errors import Reason, Rejected
from tasks.ports import Decoded, Header, Preprocess, Start
from tests.worker.images.metadata_files import dataset, jpeg_with_iim, packet, picture, with_segments
from worker.images.decode import decode
from worker.images.formats import FORMATS
from worker.images.original import has_all_headers, read
from worker.images.pool import DecoderPool

Save = Callable[..., bytes]
PREPROCESS = Preprocess(64)
XMP = b"http://ns.adobe.com/xap/1.0/\0" + packet("<dc:subject><rdf:Bag><rdf:li>sea</rdf:li></rdf:Bag></dc:subject>")


def start(data: bytes, length: int | None = None) -> Start:
    return Start(data[:length], len(data))


def decoded(rendition: bytes, original: Start) -> Decoded:
    return decode(rendition, PREPROCESS, original=original)


def test_a_cut_jpeg_says_all_that_the_whole_one_says(photo: Image.Image, save: Save) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    data = with_segments(save(photo, "JPEG", exif=exif, quality=95), (0xE1, XMP))
    header = read(start(data, 8000), FORMATS)
    assert len(data) > 20_000
    assert (header.width, header.height, header.stored_width, header.stored_height) == (480, 640, 640, 480)
    assert header.embedded is not None
    assert header.embedded.keywords == ("sea",)
    assert header == read(start(data), FORMATS)


@pytest.mark.parametrize("length", [10, 100, 700, 1500, 3000])
def test_a_jpeg_that_is_cut_within_its_headers_has_to_be_read(photo: Image.Image, save: Save, length: int) -> None:
    data = with_segments(save(photo, "JPEG"), (0xE1, XMP))
    assert not has_all_headers(data[:length])
    with pytest.raises(Rejected) as rejected:
        decoded(picture(), start(data, length))
    assert rejected.value.reason is Reason.TRUNCATED
    # A file that ends there has nothing more to say.
    assert read(Start(data[:length], length), FORMATS) == Header()


def test_nonsense_among_headers_ends_them() -> None:
    assert has_all_headers(b"\xff\xd8\xff\xe0\0\4ab" + b"nonsense")
    assert not has_all_headers(b"\xff\xd8" + b"\xff" * 1000)
    assert not has_all_headers(b"\xff\xd8\xff\xe0\0\0" * 3)


def test_half_of_a_tiffs_keywords_are_none(photo: Image.Image, save: Save) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[33723] = dataset(25, b"sea") + dataset(25, b"sand")
    tags.tagtype[33723] = 7
    data = save(photo, "TIFF", tiffinfo=tags)
    whole = read(start(data), FORMATS)
    assert whole.embedded is not None
    assert whole.embedded.keywords == ("sea", "sand")
    cut = read(start(data, len(data) - 1000), FORMATS)
    assert (cut.width, cut.height, cut.format, cut.embedded) == (640, 480, "TIFF", None)


def test_a_raw_photographs_preview_is_not_its_size(photo: Image.Image, save: Save) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[254] = 1
    assert read(start(save(photo.resize((160, 120)), "TIFF", tiffinfo=tags)), FORMATS) == Header()


@pytest.mark.parametrize("data", [b"", b"words", b"8BPS\0\1" + bytes(100), b"\x89PNG\r\n\x1a\n" + bytes(50)])
def test_what_is_not_understood_is_unknown(data: bytes) -> None:
    result = decoded(picture(), Start(data, 1 << 30))
    assert result.original == Header()
    assert result.pixels.shape == (64, 64, 3)


def test_a_decoder_that_is_not_allowed_does_not_run(photo: Image.Image, save: Save) -> None:
    data = save(photo, "PNG")
    assert read(start(data), ("JPEG",)) == Header()
    assert read(start(data), ("PNG",)).width == 640


@pytest.fixture(scope="module")
def pool() -> Iterator[DecoderPool]:
    pool = DecoderPool(PREPROCESS, processes=1)
    yield pool
    pool.close()


def test_both_go_to_the_child_process(pool: DecoderPool, photo: Image.Image, save: Save, tmp_path: Path) -> None:
    data = save(photo, "JPEG", quality=95)
    path = tmp_path / "rendition.jpg"
    path.write_bytes(save(photo.resize((320, 240)), "JPEG"))
    for body in (path, path.read_bytes()):
        result = pool.submit(body, start(data, 4000)).result(60)
        assert (result.width, result.height) == (320, 240)
        assert result.original is not None
        assert (result.original.width, result.original.height) == (640, 480)
    error = pool.submit(path, start(with_segments(data, (0xE1, XMP)), 1000)).exception(60)
    assert isinstance(error, Rejected)
    assert error.reason is Reason.TRUNCATED


def test_a_start_that_announces_a_giant_decodes_nothing(pool: DecoderPool) -> None:
    """A whole file would be refused; of a start no pixel is looked at."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n\0\0\0\r" + header + struct.pack(">I", zlib.crc32(header)) + b"\1\0\0\0IDAT" + bytes(999)
    result = pool.submit(picture(), Start(data, 1 << 24)).result(60)
    assert result.original == Header(60_000, 60_000, 60_000, 60_000, "PNG")


def test_hostile_starts_do_no_harm(pool: DecoderPool, shared: Path) -> None:
    rendition = picture()
    paths = [path for path in sorted((shared / "hostile").iterdir()) if path.is_file()][::6]
    for path in paths:
        data = path.read_bytes()
        error = pool.submit(rendition, Start(data[: 64 << 10], len(data) + 1)).exception(60)
        assert error is None or isinstance(error, Rejected), path.name
    assert len(paths) > 20


def test_iim_of_a_start(photo: Image.Image) -> None:
    data = jpeg_with_iim(dataset(25, b"harbour"))
    header = read(start(data, len(data) - 200), FORMATS)
    assert header.embedded is not None
    assert header.embedded.keywords == ("harbour",)
