"""XMP as a tree: read with suspicion, since anybody may have written it, and written so that nothing gets lost.

What the XMP of a stranger must not do: declare entities (they grow, or read files), nest without end, or be endless.
"""

import re
from collections.abc import Iterator
from xml.dom import minidom
from xml.parsers import expat

from tasks.errors import Reason, Rejected

MOST_BYTES = 4 << 20
"""Lightroom's history of a picture's edits may take hundreds of kilobytes."""
MOST_DEPTH = 64
MOST_NODES = 200_000
MOST_ATTRIBUTES = 2000
"""Of one element; Lightroom writes its settings as a few hundred."""

_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_UTF16 = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"<\0": "utf-16-le", b"\0<\0": "utf-16-be"}
_DECLARATION = re.compile(r"^\s*<\?xml\s[^>]*\?>")
_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#xD;"})
# An attribute's tabs and line ends are spaces to a reader, unless they are escaped.
_ATTRIBUTE = _TEXT | str.maketrans({'"': "&quot;", "\t": "&#x9;", "\n": "&#xA;"})


def clean(text: str) -> str:
    """A text without the characters that XML cannot carry (XML 1.0, section 2.2)."""
    return _ILLEGAL.sub("", text)


def parse(data: bytes) -> minidom.Document:
    """The tree of an XML document.

    Raises:
        Rejected: it is no XML, or more than anybody needs, or declares what it should not.
    """
    if len(data) > MOST_BYTES:
        raise refused(f"it has {len(data)} bytes, and {MOST_BYTES} are allowed")
    try:
        # Packets are padded, some with what is no white space.
        data = _utf8(data).strip(b"\0 \t\r\n")
        data = data[: _inspect(data)]
        return minidom.parseString(data)  # noqa: S318 - inspected: no DTD, no entities, within limits
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise refused(f"it is not XML ({error})") from error


def refused(why: str) -> Rejected:
    """The error for XMP that is left alone."""
    return Rejected(Reason.UNREADABLE, f"its XMP is refused: {why}")


def _utf8(data: bytes) -> bytes:
    """A document in UTF-16, which XMP may be in TIFF and PNG, in UTF-8. Raises `UnicodeDecodeError`."""
    codec = next((codec for start, codec in _UTF16.items() if data.startswith(start)), None)
    if codec is None:
        return data
    # What it says of its encoding is true no longer.
    return _DECLARATION.sub("", data[: len(data) // 2 * 2].decode(codec)).encode()


def _inspect(data: bytes) -> int:
    """Look the document through before anything is built of it, and say where it ends.

    Some programs write a shorter packet over a longer one, and leave the rest of that behind. Raises `Rejected`,
    `ExpatError`.
    """
    depth = nodes = root = 0

    def start(_: str, attributes: dict[str, str]) -> None:
        nonlocal depth, nodes
        depth += 1
        nodes += 1
        if depth > MOST_DEPTH or nodes > MOST_NODES or len(attributes) > MOST_ATTRIBUTES:
            raise refused(
                f"it has more than {MOST_DEPTH} levels, {MOST_NODES} elements or {MOST_ATTRIBUTES} attributes of one"
            )

    def end(*_: object) -> None:
        nonlocal depth, root
        depth -= 1
        if depth == 0:
            root = data.find(b">", parser.CurrentByteIndex) + 1

    def declares(*_: object) -> None:
        raise refused("it has a DTD, which XMP has no use for")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = declares
    parser.EntityDeclHandler = declares
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    try:
        parser.Parse(data, True)
    except expat.ExpatError:
        if not root:
            raise
        return root
    return len(data)


def serialize(node: minidom.Node) -> str:
    """A node and what is beneath it as XML, prefixes as they were."""
    return "".join(_pieces(node))


def _pieces(node: minidom.Node) -> Iterator[str]:
    if isinstance(node, minidom.Text):  # and CDATASection, which means the same
        yield node.data.translate(_TEXT)
    elif isinstance(node, minidom.Comment):
        yield f"<!--{node.data}-->"
    elif isinstance(node, minidom.ProcessingInstruction):
        yield f"<?{node.target} {node.data}?>"
    elif isinstance(node, minidom.Element):
        attributes = "".join(f' {name}="{value.translate(_ATTRIBUTE)}"' for name, value in node.attributes.items())
        if not node.childNodes:
            yield f"<{node.tagName}{attributes}/>"
            return
        yield f"<{node.tagName}{attributes}>"
        for child in node.childNodes:
            yield from _pieces(child)
        yield f"</{node.tagName}>"
