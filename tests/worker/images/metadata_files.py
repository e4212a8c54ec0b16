"""Image files with metadata, made without the code that reads them."""

import hashlib
import struct
from io import BytesIO
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tasks.records import Embedded
from worker.images.embedded import read

PREFIXES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
}
NAMESPACES = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in PREFIXES.items())


def packet(elements: str = "", attributes: str = "", before: str = "") -> bytes:
    """An XMP packet with these properties."""
    return (
        f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>{before}<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        f'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" {NAMESPACES} '
        f'{attributes}>{elements}</rdf:Description></rdf:RDF></x:xmpmeta>{" " * 2000}<?xpacket end="w"?>'
    ).encode()


def picture(kind: str = "JPEG", **options: Any) -> bytes:
    file = BytesIO()
    Image.linear_gradient("L").convert("RGB").save(file, kind, **options)
    return file.getvalue()


def png(*chunks: tuple[bytes, bytes], **texts: str) -> bytes:
    info = PngInfo()
    for name, content in chunks:
        info.add(name, content)
    for key, text in texts.items():
        info.add_text(key, text)
    return picture("PNG", pnginfo=info)


def dataset(number: int, value: bytes, record: int = 2) -> bytes:
    return struct.pack(">BBBH", 0x1C, record, number, len(value)) + value


def resource(number: int, content: bytes) -> bytes:
    return (
        b"8BIM"
        + struct.pack(">H", number)
        + b"\0\0"
        + struct.pack(">I", len(content))
        + content
        + b"\0" * (len(content) % 2)
    )


def photoshop(iim: bytes, digest: bytes | None = None) -> bytes:
    """Image resources with IIM, and the digest of that or of another one."""
    return resource(1005, b"resolution") + resource(1028, iim) + (resource(1061, digest) if digest else b"")


def digest(iim: bytes) -> bytes:
    return hashlib.md5(iim, usedforsecurity=False).digest()


def with_segments(data: bytes, *segments: tuple[int, bytes]) -> bytes:
    """A JPEG with more segments at its beginning."""
    made = b"".join(bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body for marker, body in segments)
    return data[:2] + made + data[2:]


def jpeg_with_iim(iim: bytes, kept: bytes | None = None, **options: Any) -> bytes:
    return with_segments(picture("JPEG", **options), (0xED, b"Photoshop 3.0\0" + photoshop(iim, kept)))


def exif_of(tags: dict[int, Any], inner: dict[int, Any] | None = None) -> Image.Exif:
    exif = Image.Exif()
    exif.update(tags)
    if inner:
        exif.get_ifd(0x8769).update(inner)
    return exif


def said_by(data: bytes) -> Embedded:
    """What is read of a file; where that is nothing, nothing."""
    with Image.open(BytesIO(data)) as image:
        image.load()
        return read(data, image) or Embedded()
