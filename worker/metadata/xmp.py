"""An XMP packet: its properties read and set one by one, everything else in it left as it is.

XMP specification part 1 (ISO 16684-1), section 7: RDF/XML with properties as elements or attributes of
`rdf:Description`, arrays as `rdf:Bag`, `rdf:Seq` or `rdf:Alt`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple
from xml.dom import XMLNS_NAMESPACE, minidom

from worker.metadata.tree import clean, parse, refused, serialize

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
XML = "http://www.w3.org/XML/1998/namespace"
PREFIXES = {
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://ns.adobe.com/photoshop/1.0/": "photoshop",
    "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/": "Iptc4xmpCore",
    "http://ns.adobe.com/lightroom/1.0/": "lr",
    "http://ns.adobe.com/xap/1.0/": "xmp",
    "urn:stockmeta:1#": "stockmeta",
}
DEFAULT = "x-default"

_HEAD = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
_TAIL = '\n<?xpacket end="w"?>'
_EMPTY = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="stockmeta">\n'
    ' <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n'
    '  <rdf:Description rdf:about=""/>\n'
    " </rdf:RDF>\n"
    "</x:xmpmeta>"
)


class Property(NamedTuple):
    """A property's namespace and local name."""

    namespace: str
    name: str


class Packet:
    """One packet. Values that are given to it lose what XML cannot carry.

    Args:
        data: a packet as it stands in a file, with or without its wrapper; `None` makes an empty one.

    Raises:
        Rejected: it is no XMP, or one that nobody should read.
    """

    def __init__(self, data: bytes | None = None) -> None:
        self._document = parse(_EMPTY.encode() if data is None else data)
        found = self._document.getElementsByTagNameNS(RDF, "RDF")
        if len(found) != 1:
            raise refused(f"it has {len(found)} rdf:RDF elements, and needs one")
        self._rdf = found[0]
        self._rdf_prefix = self._prefix(RDF, self._rdf)

    def to_bytes(self) -> bytes:
        """UTF-8, in a wrapper."""
        kept = [node for node in self._document.childNodes if getattr(node, "target", "") != "xpacket"]
        return (_HEAD + "".join(map(serialize, kept)) + _TAIL).encode()

    def alternatives(self, which: Property) -> dict[str, str]:
        """A text by language, as xml:lang has it; what has no language is the default."""
        found: dict[str, str] = {}
        for item in self._values(which):
            language = item.getAttributeNS(XML, "lang") if isinstance(item, minidom.Element) else ""
            if text := _text(item).strip():
                found.setdefault(language or DEFAULT, text)
        return found

    def items(self, which: Property) -> tuple[str, ...]:
        """The values of an array, in their order; a single value counts as an array of one."""
        return tuple(text for item in self._values(which) if (text := _text(item).strip()))

    def set_text(self, which: Property, value: str) -> None:
        """Make a property a plain text; without a value it goes."""
        self._remove(which)
        if value:
            self._new(which).appendChild(self._document.createTextNode(clean(value)))

    def set_alternatives(self, which: Property, texts: Mapping[str, str]) -> None:
        """Make a property a text by language, the default first; without texts it goes."""
        present = self.alternatives(which)
        ordered = sorted(texts.items(), key=lambda entry: entry[0] != DEFAULT)
        if DEFAULT in present and present.items() <= texts.items():
            added = [(text, language) for language, text in ordered if language not in present]
            if self._extend(which, added):
                return
        self._fill(which, "Alt", [(text, language) for language, text in ordered])

    def set_items(self, which: Property, values: Sequence[str]) -> None:
        """Make a property an unordered array, which keeps its order all the same; without values it goes."""
        present = self.items(which)
        added = [(value, None) for value in values[len(present) :]]
        if present and present == tuple(values[: len(present)]) and self._extend(which, added):
            return
        self._fill(which, "Bag", [(value, None) for value in values])

    def _extend(self, which: Property, values: Sequence[tuple[str, str | None]]) -> bool:
        """Append to an array, so that what is there stays as it is: other programs hang qualifiers on it."""
        nodes = self._nodes(which)
        first = next(_items(nodes[0]), None) if len(nodes) == 1 else None
        array = None if first is None else first.parentNode
        if not isinstance(array, minidom.Element):
            return False
        for value, language in values:
            self._append(array, value, language)
        return True

    def _fill(self, which: Property, kind: Literal["Bag", "Alt"], values: Sequence[tuple[str, str | None]]) -> None:
        self._remove(which)
        if not values:
            return
        array = self._element(kind)
        self._new(which).appendChild(array)
        for value, language in values:
            self._append(array, value, language)

    def _append(self, array: minidom.Element, value: str, language: str | None = None) -> None:
        item = self._element("li")
        if language is not None:
            item.setAttributeNS(XML, "xml:lang", clean(language))
        item.appendChild(self._document.createTextNode(clean(value)))
        array.appendChild(item)

    def _new(self, which: Property) -> minidom.Element:
        """The property without a value."""
        home = next(self._descriptions(), None)
        if home is None:
            home = self._element("Description")
            home.setAttributeNS(RDF, f"{self._rdf_prefix}:about", "")
            self._rdf.appendChild(home)
        made = self._document.createElementNS(which.namespace, f"{self._prefix(which.namespace, home)}:{which.name}")
        home.appendChild(made)
        return made

    def _remove(self, which: Property) -> None:
        for description in self._descriptions():
            if description.hasAttributeNS(*which):
                description.removeAttributeNS(*which)
            for child in list(_children(description)):
                if (child.namespaceURI, child.localName) == which:
                    description.removeChild(child)

    def _nodes(self, which: Property) -> list[minidom.Element | minidom.Attr]:
        """All there is of a property; it should be one, and other programs have made more of it."""
        found: list[minidom.Element | minidom.Attr] = []
        for description in self._descriptions():
            if (attribute := description.getAttributeNodeNS(*which)) is not None:
                found.append(attribute)
            found += [child for child in _children(description) if (child.namespaceURI, child.localName) == which]
        return found

    def _values(self, which: Property) -> Iterator[minidom.Element | minidom.Attr]:
        """Of a property that is an array the items, else itself."""
        for node in self._nodes(which):
            items = list(_items(node))
            yield from items
            if not items:
                yield node

    def _descriptions(self) -> Iterator[minidom.Element]:
        return (node for node in _children(self._rdf) if (node.namespaceURI, node.localName) == (RDF, "Description"))

    def _element(self, name: str) -> minidom.Element:
        return self._document.createElementNS(RDF, f"{self._rdf_prefix}:{name}")

    def _prefix(self, namespace: str, home: minidom.Element) -> str:
        """A prefix that stands for a namespace at a node: one that does already, or a new one that is free there."""
        bound = _bound(home)
        for prefix, uri in bound.items():
            if uri == namespace and prefix:
                return prefix
        wanted = PREFIXES.get(namespace, "rdf")
        taken = set(bound) | {prefix for prefix, _ in _declared(home)}
        prefix = next(name for name in (wanted, *(f"{wanted}{n}" for n in range(1, 1000))) if name not in taken)
        home.setAttributeNS(XMLNS_NAMESPACE, f"xmlns:{prefix}", namespace)
        return prefix


def _bound(node: minidom.Node | None) -> dict[str, str]:
    """Prefixes in force at a node, and what they stand for."""
    found: dict[str, str] = {}
    while isinstance(node, minidom.Element):
        for prefix, uri in _declared(node):
            found.setdefault(prefix, uri)
        node = node.parentNode
    return found


def _declared(element: minidom.Element) -> Iterator[tuple[str, str]]:
    for name, value in element.attributes.items():
        if name.startswith("xmlns:"):
            yield name.removeprefix("xmlns:"), value


def _children(node: minidom.Node) -> Iterator[minidom.Element]:
    return (child for child in node.childNodes if isinstance(child, minidom.Element))


def _items(node: minidom.Element | minidom.Attr) -> Iterator[minidom.Element]:
    """The items of the array that is a property's value, if it is one."""
    for array in _children(node):
        if array.namespaceURI == RDF and array.localName in ("Bag", "Seq", "Alt"):
            yield from (child for child in _children(array) if (child.namespaceURI, child.localName) == (RDF, "li"))


def _text(node: minidom.Element | minidom.Attr) -> str:
    """A value's text; where it has qualifiers, of its rdf:value."""
    if isinstance(node, minidom.Attr):
        return str(node.value)
    if node.hasAttributeNS(RDF, "value"):
        return str(node.getAttributeNS(RDF, "value"))
    values = node.getElementsByTagNameNS(RDF, "value")
    return "".join(child.data for child in (values or [node])[0].childNodes if isinstance(child, minidom.Text))
