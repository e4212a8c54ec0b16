"""Texts in image files that nobody wrote: cameras', programs', and the names of the files.

`data/words/camera_texts.tsv` (text, how) has them. `whole` is the whole text, `begin` its beginning, both
whatever the case; `pattern` is a regular expression for the whole text.
"""

import re
from functools import cache
from importlib.resources import files

from taxonomy.files import read_table

COLUMNS = ("text", "how")
LONGEST = 200
"""Characters; longer texts are somebody's."""
_WAYS = {"whole": "{}", "begin": "{}.*", "pattern": "{}"}


def is_camera_text(text: str) -> bool:
    """Whether a text, in one line, was not written by a person; empty ones and mere punctuation likewise."""
    if len(text) > LONGEST:
        return False
    return not any(map(str.isalnum, text)) or _pattern().fullmatch(text) is not None


@cache
def _pattern() -> re.Pattern[str]:
    parts = []
    for _, row in read_table(files("taxonomy") / "data" / "words" / "camera_texts.tsv", COLUMNS, COLUMNS):
        text = row["text"] if row["how"] == "pattern" else re.escape(row["text"])
        parts.append(f"(?:{_WAYS[row['how']].format(text)})")
    return re.compile("|".join(parts), re.IGNORECASE | re.DOTALL)
