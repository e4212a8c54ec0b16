"""Texts of a file's metadata as they may be kept: decoded, in one line, of bounded length, and written by somebody."""

import codecs
import re
import unicodedata
from collections.abc import Iterable

from taxonomy.camera_texts import is_camera_text, is_no_keyword

LONGEST_TEXT = 8000
"""Characters of a description; IIM has 2,000 bytes, and XMP no limit."""
LONGEST_WORD = 200
"""Characters of a title, a keyword, a name or a place; IIM has 64 bytes."""
MOST_WORDS = 500
"""Keywords of one file; agencies take 50."""

# Two syllables in a row, each of the bytes that KS X 1001 gives them: Western text has no four such bytes together.
_SYLLABLES = re.compile(rb"(?:[\xb0-\xc8][\xa1-\xfe]){2}")
_NOT_KOREAN = re.compile("[^\x00-\x7f\u3131-\u318e\uac00-\ud7a3\u3000-\u303f\uff01-\uff60·…‘’“”–—―]")
_INVISIBLE = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
_NO_CHARACTERS = frozenset({"Cc", "Cs", "Cn"})
_LOST = frozenset("?_")


def charset(values: Iterable[bytes]) -> str:
    """The encoding of texts that do not say it: UTF-8 if they are that, Korean if plainly, else Windows-1252.

    Texts may have been cut to a limit in the middle of a character.
    """
    values = [value for value in values if not value.isascii()]
    if _decodes(values, "utf-8") is not None:
        return "utf-8"
    korean = _decodes(values, "cp949")
    if korean is not None and any(map(_SYLLABLES.search, values)) and not any(map(_NOT_KOREAN.search, korean)):
        return "cp949"
    return "cp1252"


def decoded(value: bytes, encoding: str) -> str:
    """The text; what is no character becomes U+FFFD, and a character cut at the end goes."""
    return codecs.getincrementaldecoder(encoding)("replace").decode(value)


def _decodes(values: Iterable[bytes], encoding: str) -> list[str] | None:
    decoder = codecs.getincrementaldecoder(encoding)
    try:
        return [decoder().decode(value) for value in values]
    except UnicodeDecodeError:
        return None


def line(text: str, longest: int = LONGEST_WORD) -> str:
    """The text in one line, normalised (NFC), without characters that cannot be seen; cut after a whole word."""
    text = unicodedata.normalize("NFC", _INVISIBLE.sub("", text[: 4 * longest]))
    text = " ".join("".join(" " if c.isspace() else c for c in text if c.isspace() or _is_character(c)).split())
    if len(text) <= longest:
        return text
    cut = text[: longest + 1]
    return cut[: cut.rfind(" ") if " " in cut else longest].rstrip()


def _is_character(character: str) -> bool:
    return (character.isascii() and character >= " ") or unicodedata.category(character) not in _NO_CHARACTERS


def said(text: str, longest: int = LONGEST_WORD) -> str:
    """`line`, or nothing where the text is broken, or nobody wrote it: a camera's, a program's or a file's name."""
    text = line(text, longest)
    return "" if "\ufffd" in text or is_camera_text(text) else text


def words(values: Iterable[str]) -> tuple[str, ...]:
    """Keywords, in their order, each once."""
    found: dict[str, str] = {}
    for value in values:
        text = line(value)
        if "\ufffd" not in text and not is_no_keyword(text) and len(found) < MOST_WORDS:
            found.setdefault(text.casefold(), text)
    return tuple(found.values())


def is_remnant(text: str, whole: str) -> bool:
    """Whether a text is another one after its characters beyond ASCII were lost, as programs do to Exif."""
    if len(text) != len(whole) or text == whole:
        return False
    return all(a == b or (a in _LOST and not b.isascii()) for a, b in zip(text, whole, strict=True))
