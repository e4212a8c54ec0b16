"""The picture's own bytes: whatever they are made of, a change shows, and metadata do not."""

from io import BytesIO
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from worker.metadata.pixels import KINDS, Unreadable, fingerprint

PICTURE = Image.linear_gradient("L").convert("RGB").resize((80, 60))


def saved(kind: str, image: Image.Image = PICTURE, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + name + content + b"\0\0\0\0"


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_another_picture_is_another(kind: str) -> None:
    other = PICTURE.copy()
    other.putpixel((40, 30), (255, 0, 0))
    assert fingerprint(saved(kind), kind) == fingerprint(saved(kind), kind)
    assert fingerprint(saved(kind), kind) != fingerprint(saved(kind, other), kind)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"comment": b"words", "xmp": b"<x/>"}),
        ("JPEG", {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"}),
        ("WEBP", {"xmp": b"<x/>"}),
        ("TIFF", {"description": "words", "software": "s"}),
    ],
)
def test_metadata_are_not_the_picture(kind: str, options: dict[str, Any]) -> None:
    assert saved(kind, **options) != saved(kind)
    assert fingerprint(saved(kind, **options), kind) == fingerprint(saved(kind), kind)


def test_a_pngs_texts_are_not_its_picture() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", "<x/>")
    info.add_text("Title", "words")
    assert fingerprint(saved("PNG", pnginfo=info), "PNG") == fingerprint(saved("PNG"), "PNG")
    # Gamma is how its numbers are meant.
    plain = saved("PNG")
    assert fingerprint(plain[:33] + chunk(b"gAMA", b"\0\0\1\1") + plain[33:], "PNG") != fingerprint(plain, "PNG")


def test_a_profile_decides_colours_and_so_counts() -> None:
    for kind in sorted(KINDS):
        assert fingerprint(saved(kind, icc_profile=b"p" * 200), kind) != fingerprint(saved(kind), kind)


def test_what_follows_the_picture_counts() -> None:
    assert fingerprint(saved("JPEG") + b"a film", "JPEG") != fingerprint(saved("JPEG"), "JPEG")


def test_every_page_of_a_tiff_counts() -> None:
    second = PICTURE.rotate(180)
    pages = saved("TIFF", save_all=True, append_images=[second])
    assert fingerprint(pages, "TIFF") != fingerprint(saved("TIFF", save_all=True, append_images=[PICTURE]), "TIFF")
    assert fingerprint(pages, "TIFF") != fingerprint(saved("TIFF"), "TIFF")


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "jpeg"])
def test_compressed_tiffs(compression: str) -> None:
    other = PICTURE.rotate(90)
    one = saved("TIFF", compression=compression)
    assert fingerprint(one, "TIFF") != fingerprint(
        saved("TIFF", other.resize(PICTURE.size), compression=compression), "TIFF"
    )
    assert fingerprint(one, "TIFF") == fingerprint(saved("TIFF", compression=compression, description="w"), "TIFF")


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("JPEG", b"\xff\xd8"),
        ("JPEG", b"\xff\xd8\xff\xe0\0\x10"),
        ("JPEG", b"\xff\xd8rubbish"),
        ("TIFF", b"II*\0\xff\xff\xff\x7f"),
        ("TIFF", b"II*\0"),
    ],
)
def test_what_has_no_picture_is_said_to_have_none(kind: str, data: bytes) -> None:
    with pytest.raises(Unreadable):
        fingerprint(data, kind)


def test_pages_in_a_circle_end() -> None:
    circle = b"II*\0\x08\0\0\0" + b"\0\0" + b"\x08\0\0\0"
    assert fingerprint(circle, "TIFF")
