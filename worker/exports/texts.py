"""Texts as a cell of an agency's file can hold them: one line, within a length, not taken for a formula."""

import re

_UNSEEN = r"\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff"
CONTROLS = re.compile(rf"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff{_UNSEEN}]")
"""Control characters, line separators, what turns text around, and halves of surrogate pairs, which UTF-8 has not."""
_INVISIBLE = re.compile(f"[{_UNSEEN}]")

FORMULA = "=+-@\t\r＝＋－＠"
"""What a cell begins with that a spreadsheet computes instead of showing it, wide ones too (OWASP, "CSV Injection")."""

_OTHER_LETTER = re.compile("[^\\W\\d_\u0000-\u024f\u1e00-\u1eff\u2c60-\u2c7f\ua720-\ua7ff]")
_LOOSE = re.compile(
    r"[\s,;:–-]+(?:(?:a|an|and|as|at|by|for|from|in|into|near|of|on|or|over|the|to|under|with)[\s,;:–-]*)*$",
    re.IGNORECASE,
)
_ENDS = re.compile(r"[.!?](?=\s)")


def one_line(text: str) -> str:
    """Without control characters and runs of spaces, and without what a spreadsheet would take for a formula."""
    # Printable text has no control characters, and nearly all texts are.
    plain = " ".join((text if text.isprintable() else CONTROLS.sub(" ", _INVISIBLE.sub("", text))).split())
    return plain.lstrip(FORMULA + " ") if plain[:1] in FORMULA else plain


def cut(text: str, limit: int | None) -> str:
    """The beginning of a text, to the last whole word that fits, without a loose end such as `and the`."""
    if limit is None or len(text) <= limit:
        return text
    whole = text[: limit + 1].rpartition(" ")[0]
    return (_LOOSE.sub("", f"{whole} ") or whole) if whole else text[:limit]


def cut_sentence(text: str, limit: int | None) -> str:
    """The sentences that fit, if they are half of what would; else the beginning of the first, with a full stop."""
    if limit is None or len(text) <= limit:
        return text
    ends = [match.end() for match in _ENDS.finditer(text[: limit + 1])]
    if ends and ends[-1] * 2 >= limit:
        return text[: ends[-1]]
    return f"{cut(text.rstrip('.'), limit - 1).rstrip('.')}."


def without(text: str, forbidden: str) -> str:
    """Without characters that must not be there; words stay apart."""
    if forbidden not in text if len(forbidden) == 1 else not set(forbidden) & set(text):
        return text
    return " ".join("".join(" " if character in forbidden else character for character in text).split())


def in_latin(text: str) -> bool:
    """Whether all letters are Latin, accents and all, as any English text's are."""
    return text.isascii() or _OTHER_LETTER.search(text) is None
