"""XMP: from a packet to the properties that are read. Hostile packets end early; what came before counts.

Read by expat, without document types, so that there are no entities. Properties may be attributes or elements (XMP
specification part 1, 7.9); arrays, alternatives in several languages and structures are understood, qualifiers are not.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from tasks import own_words
from worker.containers import LONGEST_PACKET

MOST_ELEMENTS = 20_000
MOST_ATTRIBUTES = 1000
DEEPEST = 32
LONGEST_VALUE = 64 << 10
"""Characters of one value; more of it are left out."""

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns# "
_LANGUAGE = "http://www.w3.org/XML/1998/namespace lang"
_DEFAULT = "x-default"
_NAMESPACES = {
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://ns.adobe.com/photoshop/1.0/": "photoshop",
    "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/": "Iptc4xmpCore",
    "http://iptc.org/std/Iptc4xmpExt/2008-02-29/": "Iptc4xmpExt",
    "http://ns.adobe.com/xap/1.0/": "xmp",
    "http://ns.adobe.com/exif/1.0/": "exif",
    own_words.NAMESPACE: "stockmeta",
}
MARKS = f"stockmeta:{own_words.PROPERTY}"
"""What is in the file of our own writing."""
_STRUCTURES = frozenset({"Iptc4xmpExt:LocationShown", "Iptc4xmpExt:LocationCreated"})
_PROPERTIES = _STRUCTURES | {
    "dc:title",
    "dc:description",
    "dc:subject",
    "dc:creator",
    "dc:rights",
    "photoshop:Headline",
    "photoshop:City",
    "photoshop:State",
    "photoshop:Country",
    "photoshop:DateCreated",
    "Iptc4xmpCore:Location",
    "Iptc4xmpCore:CountryCode",
    "Iptc4xmpCore:AltTextAccessibility",
    "Iptc4xmpExt:DigitalSourceType",
    "xmp:CreateDate",
    "exif:DateTimeOriginal",
    MARKS,
}
_PLAIN = _PROPERTIES - _STRUCTURES
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]+")
_PIECE = 512 << 10


class _Enough(Exception):
    """The packet is not worth reading on."""


@dataclass(slots=True)
class _Element:
    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list["_Element"] = field(default_factory=list)
    text: str = ""


Xmp = dict[str, list[str]]
"""Values by property, such as `dc:subject`; of alternatives in several languages the default comes first.

A structure's fields are `Iptc4xmpExt:LocationShown/City`, of the first one in a list.
"""


def properties(packet: bytes) -> Xmp:
    """What a packet says; nothing where it is too long or no XML."""
    if len(packet) > LONGEST_PACKET:
        return {}
    reader = _Reader()
    reader.read(_text(packet))
    found: Xmp = {}
    for element in reader.properties:
        name = _name(element.name)
        if name in _STRUCTURES:
            for part in _fields(element):
                found.setdefault(f"{name}/{_name(part.name).rpartition(':')[2]}", _values(part))
        elif values := _values(element):
            found.setdefault(name, values)
    return found


def _text(packet: bytes) -> str:
    """Characters, whatever the packet says of its encoding; broken ones become U+FFFD, and what XML forbids goes."""
    head = packet[:64].lstrip(b" \t\r\n")
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = packet.decode("utf-16", "replace")
    elif b"\0" in head.strip(b"\0"):
        text = packet.decode("utf-16-le" if head[1:2] == b"\0" else "utf-16-be", "replace")
    else:
        text = packet.decode("utf-8-sig", "replace")
    return _ILLEGAL.sub("", text).strip("\ufeff \t\r\n")


class _Reader:
    """Collects the properties that are wanted, each a small tree."""

    def __init__(self) -> None:
        self.properties: list[_Element] = []
        self._path: list[str] = []
        self._open: list[_Element] = []
        self._elements = 0
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        self._parser = parser

    def read(self, text: str) -> None:
        try:
            for at in range(0, len(text), _PIECE):  # expat goes on to the end of a piece, whatever a handler raises
                self._parser.Parse(text[at : at + _PIECE], at + _PIECE >= len(text))
        except (_Enough, expat.ExpatError):
            return  # what was complete before counts

    def _refuse(self, *_: object) -> None:
        raise _Enough

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > MOST_ELEMENTS or len(self._path) >= DEEPEST or len(attributes) > MOST_ATTRIBUTES:
            raise _Enough
        if self._open or (self._path[-2:] == [f"{_RDF}RDF", f"{_RDF}Description"] and _name(name) in _PROPERTIES):
            self._open.append(_Element(name, attributes))
        elif name == f"{_RDF}Description" and self._path[-1:] == [f"{_RDF}RDF"]:
            self.properties += _attributes(attributes)
        self._path.append(name)

    def _end(self, _: str) -> None:
        self._path.pop()
        if self._open:
            element = self._open.pop()
            (self._open[-1].children if self._open else self.properties).append(element)

    def _characters(self, text: str) -> None:
        if self._open:
            element = self._open[-1]
            element.text += text[: LONGEST_VALUE - len(element.text)]


def _attributes(attributes: dict[str, str]) -> Iterator[_Element]:
    """Properties that are written as attributes."""
    for name, value in attributes.items():
        if _name(name) in _PLAIN:
            yield _Element(name, text=value[:LONGEST_VALUE])


def _name(name: str) -> str:
    """The name with its usual prefix, whatever prefix the packet uses; empty for another namespace."""
    namespace, _, local = name.rpartition(" ")
    prefix = _NAMESPACES.get(namespace)
    return f"{prefix}:{local}" if prefix else ""


def _values(element: _Element) -> list[str]:
    """A property's values, empty ones left out."""
    items = [item for container in element.children for item in container.children if item.name == f"{_RDF}li"]
    items.sort(key=lambda item: item.attributes.get(_LANGUAGE, "").casefold() != _DEFAULT)
    return [text for item in items or [element] if (text := _simple(item))]


def _simple(element: _Element) -> str:
    """A value in whichever way it is written: text, a link, or with qualifiers that are not read."""
    qualified = (child.text for child in _inside(element) if child.name == f"{_RDF}value")
    return element.text.strip() or element.attributes.get(f"{_RDF}resource", "") or next(qualified, "")


def _fields(element: _Element) -> Iterable[_Element]:
    """The fields of a structure, or of the first one in a list of them."""
    items = [item for container in element.children for item in container.children if item.name == f"{_RDF}li"]
    item = items[0] if items else element
    inside = _inside(item)
    descriptions = [child for child in inside if child.name == f"{_RDF}Description"]
    attributes = [pair for one in (item, *descriptions) for pair in one.attributes.items()]
    return (*inside, *(_Element(name, text=value[:LONGEST_VALUE]) for name, value in attributes if _name(name)))


def _inside(element: _Element) -> list[_Element]:
    """The children, and those of a description that may stand between."""
    between = [child for child in element.children if child.name == f"{_RDF}Description"]
    return [*element.children, *(child for one in between for child in one.children)]
