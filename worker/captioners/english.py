"""English on the level of words: what may be said of a label, its article, and how texts end and are cut."""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

JOINERS = "\u200c\u200d"
"""Invisible, but Persian and Hindi are misspelt without them."""

PREFACE = re.compile(r"((an?|the)\s+)?((photo(graph)?|image|picture)s?\s+of\s+((an?|the)\s+)?)+", re.IGNORECASE)

VOWEL_SOUND = re.compile(
    r"hour|honest|hono[u]?r|heir|herb(?!i)"  # the h is silent
    r"|[aeio]|u(?!k|s[aeiu]|t[eio]|r[aio]|ni(?!n|m|dent)|biq|f)"
)
CONSONANT_SOUND = re.compile(r"eu|ewe|once\b|one(sie|\b)|ouija")
SPELLED = re.compile(r"[A-Z]{2,}s?\b|[A-Z]\b")
"""Read letter by letter: DVD, X-ray, T-shirt."""
NUMBER = re.compile(r"8|1[18](?!\d)")
"""Begins with a vowel when read: 8, 80, 11, 18."""

DANGLING = re.compile(r"(\s+(a|an|and|the|with)|[\s,;:\-–—'’(/&])+$")


@lru_cache(1 << 16)
def clean(label: str) -> str:
    """A label as one plain line that begins with a letter or digit; empty where it has none.

    Kept, since labels come again in every picture.
    """
    characters = []
    for character in unicodedata.normalize("NFC", label):
        category = unicodedata.category(character)
        if category[0] == "Z" or category == "Cc":
            characters.append(" ")
        elif category[0] != "C" or character in JOINERS:
            characters.append(character)
    words = _from_letter(" ".join("".join(characters).split()))
    preface = PREFACE.match(words)
    # A label that is nothing but a preface still names something: a photo.
    return (_from_letter(words[preface.end() :]) or preface[4]) if preface else words


def _from_letter(text: str) -> str:
    """What begins with the first letter or digit; empty where there is none."""
    return text[next((i for i, character in enumerate(text) if character.isalnum()), len(text)) :]


def plain(text: str) -> str:
    """Without commas and special characters, for titles; letters of every script stay."""
    kept = [
        character if character.isalnum() or unicodedata.category(character)[0] == "M" or character in "-'’" else " "
        for character in text.replace("&", " and ")
    ]
    return " ".join(word for word in "".join(kept).split() if any(character.isalnum() for character in word))


def article(noun: str) -> str:
    """`a` or `an`, by sound: an hour, a unicorn, a European, an X-ray, a T-shirt, an 18-wheeler."""
    if SPELLED.match(noun):
        return "an" if noun[0] in "AEFHILMNORSX" else "a"
    letters = unicodedata.normalize("NFD", noun.casefold())
    if CONSONANT_SOUND.match(letters):
        return "a"
    return "an" if VOWEL_SOUND.match(letters) or NUMBER.match(letters) else "a"


def listed(items: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *most, last = items
    return f"{', '.join(most)} and {last}" if most else last


def words(text: str) -> frozenset[str]:
    """What a text speaks of, roughly: its longer words in lower case, without a plural's s."""
    found = re.findall(r"[^\W_]+", text.casefold())
    return frozenset(word[:-1] if word.endswith("s") and len(word) > 3 else word for word in found if len(word) > 2)


def cut(text: str, limit: int) -> str:
    """The beginning of a text, to the last whole word that fits, without a loose end."""
    if len(text) > limit:
        whole = text[: limit + 1].rpartition(" ")[0]
        text = whole or text[:limit]
    return DANGLING.sub("", text) or text


def headline(text: str, limit: int) -> str:
    """A title: a capital first, no full stop."""
    # Not upper(), which makes two letters of some, and capitals where Georgian has none.
    return cut(f"{text[:1].title()}{text[1:]}", limit)


def sentence(text: str, limit: int) -> str:
    """A capital first, a full stop at the end."""
    return headline(text, limit - 1).rstrip(".,;:!?…。 ") + "."
