"""How long the texts may be.

`data/limits.tsv` has one agency's rule a line: field, limit in characters, agency, source.
One set of texts goes to every agency, so the tightest rule holds.
"""

from importlib.resources import files
from typing import NamedTuple

from taxonomy.files import read_table

COLUMNS = ("field", "limit", "agency", "source")


class Limits(NamedTuple):
    """Lengths that every agency takes, in characters."""

    title: int
    caption: int
    alt_text: int


def load_limits() -> Limits:
    """The tightest limit of each field. Raises `TaxonomyError` with file and line."""
    rows = [row for _, row in read_table(files("taxonomy") / "data" / "limits.tsv", COLUMNS, COLUMNS)]
    return Limits(*(min(int(row["limit"]) for row in rows if row["field"] == field) for field in Limits._fields))
