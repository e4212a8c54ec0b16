"""Texts in image files that nobody wrote: cameras', programs', and the names of the files.

`data/words/camera_texts.tsv` (text, how) has them. `whole` is the whole text, `begin` its beginning, both whatever the
case; `pattern` is a regular expression for the whole text. `always` is a whole text that is no keyword either: artist
and title are empty forms, and good keywords.
"""

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from taxonomy.files import read_table

COLUMNS = ("text", "how")
LONGEST = 200
"""Characters; longer texts are somebody's."""
_WAYS = {"always": "{}", "whole": "{}", "begin": "{}.*", "pattern": "{}"}


def is_camera_text(text: str) -> bool:
    """Whether a text, in one line, was not written by a person; empty ones and mere punctuation likewise."""
    return _is_empty(text) or (len(text) <= LONGEST and _pattern(*_WAYS).fullmatch(text) is not None)


def is_no_keyword(text: str) -> bool:
    """Whether a keyword, in one line, says nothing."""
    return _is_empty(text) or _pattern("always").fullmatch(text) is not None


def _is_empty(text: str) -> bool:
    return not any(map(str.isalnum, text))


@cache
def _pattern(*ways: str) -> re.Pattern[str]:
    return re.compile("|".join(_parts(ways)), re.IGNORECASE | re.DOTALL)


def _parts(ways: tuple[str, ...]) -> Iterator[str]:
    for _, row in read_table(files("taxonomy") / "data" / "words" / "camera_texts.tsv", COLUMNS, COLUMNS):
        if row["how"] in ways:
            text = row["text"] if row["how"] == "pattern" else re.escape(row["text"])
            yield f"(?:{_WAYS[row['how']].format(text)})"
