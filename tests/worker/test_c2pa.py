"""Files with a C2PA manifest, made by hand as the specification says, and files without."""

import struct
import zlib
from io import BytesIO

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from worker.c2pa import signed
from worker.containers import MOST, parts

STORE = bytes.fromhex("6332706100110010800000aa00389b71")
MANIFEST = struct.pack(">I4sI4s", 64, b"jumb", 30, b"jumd") + STORE + b"\x03c2pa\0" + b"claim"
UUID_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
LINK = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:dcterms="http://purl.org/dc/terms/" '
    b'dcterms:provenance="https://manifests.example.com/1"/></rdf:RDF></x:xmpmeta>'
)


def plain(kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    Image.linear_gradient("L").convert("RGB").save(buffer, kind, **options)
    return buffer.getvalue()


def segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


def jpeg_with(marker: int, content: bytes) -> bytes:
    data = plain("JPEG")
    return data[:2] + segment(marker, content) + data[2:]


def webp_with(name: bytes, content: bytes) -> bytes:
    data = plain("WEBP")
    body = data[12:] + name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def png_with(name: bytes, content: bytes) -> bytes:
    info = PngInfo()
    info.add(name, content)
    return plain("PNG", pnginfo=info)


def compressed_text(packet: bytes) -> bytes:
    return png_with(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(packet))


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, name) + content


SIGNED = {
    "JPEG": jpeg_with(0xEB, b"JP\0\1\0\0\0\1" + MANIFEST),
    "PNG": png_with(b"caBX", MANIFEST),
    "WebP": webp_with(b"C2PA", MANIFEST),
    "TIFF": plain("TIFF", tiffinfo={52545: MANIFEST}),
    "BigTIFF": plain("TIFF", tiffinfo={52545: MANIFEST}, big_tiff=True),
    "AVIF": plain("AVIF") + box(b"uuid", UUID_BOX + b"\0\0\0\0manifest\0" + MANIFEST),
    "GIF": plain("GIF")[:-1] + b"\x21\xff\x0bC2PA_GIF\x01\x00\x00\x05claim\0;",
    "JPEG, linked": plain("JPEG", xmp=LINK),
    "PNG, linked": png_with(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + LINK),
    "PNG, linked, compressed": compressed_text(LINK),
    "WebP, linked": plain("WEBP", xmp=LINK),
    "TIFF, linked": plain("TIFF", tiffinfo={700: LINK}),
}
OTHER_JUMBF = b"JP\0\1\0\0\0\1" + MANIFEST.replace(STORE, bytes(16))
UNSIGNED = {
    **{kind: plain(kind) for kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "GIF")},
    "other JUMBF": jpeg_with(0xEB, OTHER_JUMBF),
    "other box": plain("AVIF") + box(b"uuid", bytes(16) + MANIFEST),
    "XMP without a link": plain("JPEG", xmp=LINK.replace(b"provenance", b"modified")),
    "the name in the picture": plain("JPEG") + b"caBX C2PA" + MANIFEST,
    "nothing": b"",
    "text": b"C2PA caBX",
}


@pytest.mark.parametrize("name", SIGNED)
def test_signed(name: str) -> None:
    assert signed(SIGNED[name])


@pytest.mark.parametrize("name", UNSIGNED)
def test_unsigned(name: str) -> None:
    assert not signed(UNSIGNED[name])


@pytest.mark.parametrize("name", SIGNED)
def test_a_file_cut_anywhere_raises_nothing(name: str) -> None:
    data = SIGNED[name]
    for end in range(0, min(len(data), 3000), 7):
        signed(data[:end])


def test_a_file_of_millions_of_parts_ends_early() -> None:
    data = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\0abcd\0\0\0\0" * (2 * MOST)
    assert sum(1 for _ in parts(data)) == MOST


def test_a_packet_that_unpacks_to_much_is_not_unpacked() -> None:
    assert not signed(compressed_text(LINK + b" " * (50 << 20)))
