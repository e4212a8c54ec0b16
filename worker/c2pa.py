"""Whether a file is signed with Content Credentials, which any change of its metadata would break.

Looked for is the manifest itself, where the C2PA specification 2.2 (appendix A, "Embedding manifests") puts it, and
the link to one elsewhere, which is `dcterms:provenance` in the XMP. Whether a signature is valid is not asked.
"""

from collections.abc import Sequence
from uuid import UUID

from worker.containers import C2PA_TAG, Part, packets_of, parts

_JPEG_APP11 = 0xEB
_CHUNKS = (b"caBX", b"C2PA", C2PA_TAG)
_BOX = UUID("d8fec3d6-1b0e-483c-9297-5828877ec481").bytes
_STORE = UUID("63327061-0011-0010-8000-00aa00389b71").bytes
_GIF_EXTENSION = b"\x21\xff\x0bC2PA_GIF"
_HEAD = 64
_TERMS = b"http://purl.org/dc/terms/"


def signed(data: bytes) -> bool:
    """Whether a JPEG, PNG, WebP, TIFF, AVIF, HEIF or GIF has a C2PA manifest, or a link to one.

    In doubt it says yes: a file of which too much is thought only gets its metadata beside it.
    """
    return has_manifest(data, list(parts(data)))


def has_manifest(data: bytes, found: Sequence[Part]) -> bool:
    """`signed`, of a file whose parts are at hand."""
    if data[:3] == b"GIF":
        return _GIF_EXTENSION in data
    return any(map(_is_manifest, found)) or any(map(_names_manifest, packets_of(found)))


def _is_manifest(part: Part) -> bool:
    name, content = part
    if name in _CHUNKS:
        return bool(content)
    if name == b"uuid":
        return content.startswith(_BOX)
    # A JPEG's JUMBF: "JP", instance and packet numbers, then a superbox whose description names what it is.
    return name == _JPEG_APP11 and content[:2] == b"JP" and _STORE in content[:_HEAD]


def _names_manifest(packet: bytes) -> bool:
    return _TERMS in packet and b"provenance" in packet
