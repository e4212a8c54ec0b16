"""Words that we wrote into a file ourselves, told from a person's: what `stockmeta write` marks, reading leaves out.

Beside the words it writes, in the property `stockmeta:Generated` of the XMP, one mark for each. A value that has its
mark is ours still; one that a person has changed since has none. Marks are hashes: the text in clear would be found by
search long after somebody took it out of the caption.
"""

import hashlib
import unicodedata
from collections.abc import Collection
from dataclasses import replace

from tasks.records import Embedded

NAMESPACE = "urn:stockmeta:1#"
"""Of the property; nothing is to be found there. It ends as XMP wants namespaces to."""
PROPERTY = "Generated"


def mark(field: str, value: str) -> str:
    """What is kept of a value of ours: 16 hex digits that spaces and Unicode's ways of composing do not change."""
    plain = " ".join(unicodedata.normalize("NFC", value).split())
    return hashlib.sha256(f"{field}\0{plain}".encode("utf-8", "surrogatepass")).hexdigest()[:16]


def without_ours(embedded: Embedded, marks: Collection[str]) -> Embedded:
    """What a file says, less what the marks in it say is ours."""
    if not marks:
        return embedded

    def theirs(field: str, value: str | None) -> str | None:
        return None if value is None or mark(field, value) in marks else value

    return replace(
        embedded,
        title=theirs("title", embedded.title),
        headline=theirs("headline", embedded.headline),
        description=theirs("description", embedded.description),
        alt_text=theirs("alt_text", embedded.alt_text),
        keywords=tuple(word for word in embedded.keywords if theirs("keywords", word)),
    )
