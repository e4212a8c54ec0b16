"""Generated captions as text: what no caption may look like, and how one becomes a title."""

import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from taxonomy.words import tokens
from worker.captioners import english

FEWEST_WORDS = 3
MOST_ALIKE = 2
"""A caption that has one word of contents more often goes round in circles."""

DETERMINERS = (
    "a",
    "an",
    "the",
    "some",
    "this",
    "that",
    "these",
    "those",
    "each",
    "other",
    "another",
    "many",
    "several",
    "two",
    "three",
    "four",
    "its",
    "their",
    "his",
    "her",
)
_PREPOSITIONS = (
    "of",
    "in",
    "on",
    "at",
    "to",
    "with",
    "by",
    "from",
    "for",
    "near",
    "next",
    "beside",
    "behind",
    "under",
    "over",
    "above",
    "into",
    "onto",
    "off",
    "up",
    "down",
    "out",
    "along",
    "around",
)
_OTHERS = (
    "and",
    "or",
    "while",
    "as",
    "is",
    "are",
    "was",
    "were",
    "be",
    "being",
    "has",
    "have",
    "it",
    "them",
    "there",
)
FUNCTION = frozenset((*DETERMINERS, *_PREPOSITIONS, *_OTHERS))
"""Words without contents of their own."""

BOILERPLATE = re.compile(
    r"https?:|www\.|\.(com|net|org|jpe?g)\b|©|@|#|<|>|\||\b(stock (photo|image|footage|illustration)s?|royalty[- ]free|"
    r"free download|download|wallpapers|(desktop|phone|free) wallpaper|for sale|copyright|all rights reserved|"
    r"photo(graph)?(ed)? by|image by|courtesy of|thumbnail|screenshot|vector art|clip ?art|hd|4k|\d+ ?mm|f/\d)\b",
    re.IGNORECASE,
)
"""What web pages write around pictures, from which such models learn."""
OPENINGS = re.compile(
    r"^((this|it|here) is|there (is|are)|(this|the|an?) (photo(graph)?|image|picture) (shows|of|features|depicts)|"
    r"we (can )?see|close[- ]?up (photo|picture|image) of|stock photo of)\s+",
    re.IGNORECASE,
)

UNFINISHED = frozenset(
    {*DETERMINERS, "of", "to", "at", "with", "from", "for", "into", "onto", "beside", "next"}
    | {"and", "or", "while", "as", "is", "are", "was", "were"}
) - {"her", "several", "many", "some", "that", "this", "those", "these", "each", "other", "another"}
"""No caption ends with one of these."""

_POSSESSIVE = re.compile(r"(?<=\w)(?: ['’] ?| ?['’] | )s\b(?!['’.])(?= \w)")
_STOP = re.compile(r"(?<!\bst)(?<!\bmt)[.;] ", re.IGNORECASE)
_CLAUSE = re.compile(
    r",|\s(?=(?:and|with|while|next to|in front of|on top of|on|in|at|by|near|behind|beside|under|over|from|that|which|"
    r"as|for|holding|wearing|looking)\s)"
)
_ITEM = re.compile(r",\s*(?=(?:an?|the|some|two|three|several)\s)")


def tidy(text: str) -> str | None:
    """A caption as one line without its opening and its full stop; `None` where it cannot be one."""
    if BOILERPLATE.search(text):
        return None
    line = english.clean(re.sub(r"[\"“”*_~`^=+\[\]{}]", " ", text.replace("&", " and ")))
    if not all(unicodedata.name(letter, "").startswith("LATIN") for letter in line if letter.isalpha()):
        return None
    if all(word[0].isupper() for word in line.split() if word[0].isalpha()):
        # A heading, or shouted: what has a capital of its own gets it back.
        line = line.lower()
    line = _POSSESSIVE.sub("'s", line)
    before = None
    while before != line:
        before, line = line, english.clean(OPENINGS.sub("", line))
    line = finished(_STOP.split(line)[0].strip(" .,;:!?-"))
    words = tokens(line)
    if len(words) < FEWEST_WORDS or repetitive(words) or not any(word not in FUNCTION for word in words):
        return None
    return english.cut(line, len(line))


def finished(text: str) -> str:
    """The text without a loose end: `a person next to a` is a person."""
    words = text.split()
    while words and words[-1].lower() in UNFINISHED:
        del words[-3 if " ".join(words[-3:]).lower() in ("on top of", "in front of") else -1 :]
    return english.cut(" ".join(words), len(text))


def repetitive(words: Sequence[str]) -> bool:
    """Whether a caption says things twice: `a cat and a cat`, a pair of words again, one word a third time."""
    places = [place for place, word in enumerate(words) if word not in FUNCTION]
    contents = [words[place] for place in places]
    for one, other in itertools.pairwise(places):
        # A bus at a bus stop is none, nor is a bus next to another bus.
        compound = other + 1 < len(words) and words[other + 1] not in FUNCTION
        if words[one] == words[other] and not compound and words[other - 1] not in ("another", "other"):
            return True
    if any(one == other for one, other in itertools.pairwise(words)):
        return True
    pairs = list(itertools.pairwise(contents))
    return len(set(pairs)) < len(pairs) or max(Counter(contents).values(), default=0) > MOST_ALIKE


def shortened(text: str, limit: int) -> str:
    """The text, or its longest beginning that ends with a clause and fits; else as many words as fit."""
    if len(text) <= limit:
        return text
    ends = [match.start() for match in _CLAUSE.finditer(text) if match.start() <= limit]
    for end in reversed(ends):
        shorter = english.cut(text[:end], limit)
        if len(tokens(shorter)) >= FEWEST_WORDS:
            return shorter
    return english.cut(text, limit)


def sentence(text: str, limit: int) -> str:
    """A capital first, a full stop at the end, whole clauses within `limit` characters."""
    return english.sentence(shortened(text, limit - 1), limit)


def title(text: str, limit: int) -> str | None:
    """A headline: no article before it, no comma, two words at least; `None` where there are not so many."""
    bare = re.sub(r"^(an?|the|some)\s+", "", text, flags=re.IGNORECASE)
    joined = english.plain(_ITEM.sub(" and ", bare))
    if len(joined) > limit:
        # Its clauses are cut off as they stand, before the commas go.
        joined = english.plain(_ITEM.sub(" and ", shortened(bare, limit)))
    line = english.headline(joined, limit)
    return line if len(line.split()) > 1 else None
