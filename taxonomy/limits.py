"""How long the texts may be, and how many keywords an agency takes.

`data/limits.tsv` has one agency's rule a line: field, limit, agency, source. One set of texts goes to every agency, so
the tightest rule holds for them; the number of keywords is the exported agency's own.
"""

from collections.abc import Mapping
from importlib.resources import files
from typing import NamedTuple

from taxonomy.files import read_table

COLUMNS = ("field", "limit", "agency", "source")

Overrides = Mapping[str, Mapping[str, int]]
"""A customer's own limits: agency to field to limit."""


class Limits(NamedTuple):
    """Lengths that every agency takes, in characters."""

    title: int
    caption: int
    alt_text: int


class AgencyLimits(NamedTuple):
    """What one agency takes; `None` where it sets no limit.

    Attributes:
        title: at most so many characters, `min_title` at least; `caption` and `alt_text` likewise.
        min_keywords: number of keywords; `max_keywords` likewise.
        keyword: characters of one keyword.
        keywords: characters of all keywords together, with what separates them.
        filename: characters of a file's name.
    """

    title: int | None = None
    caption: int | None = None
    alt_text: int | None = None
    min_keywords: int | None = None
    max_keywords: int | None = None
    min_title: int | None = None
    keyword: int | None = None
    keywords: int | None = None
    filename: int | None = None


FIELDS = AgencyLimits._fields


def load_agencies(overrides: Overrides | None = None) -> dict[str, AgencyLimits]:
    """Every agency's limits by its name in `limits.tsv`, the customer's over ours.

    Raises:
        TaxonomyError: with file and line.
    """
    agencies = _shipped()
    for agency, limits in (overrides or {}).items():
        agencies[agency] = agencies.get(agency, AgencyLimits())._replace(**limits)
    return agencies


def load_limits(overrides: Overrides | None = None) -> Limits:
    """The tightest limit of each text. Raises `TaxonomyError` with file and line."""
    agencies = load_agencies(overrides).values()
    given = (
        [limit for agency in agencies if (limit := getattr(agency, field)) is not None] for field in Limits._fields
    )
    return Limits(*map(min, given))


def _shipped() -> dict[str, AgencyLimits]:
    agencies: dict[str, AgencyLimits] = {}
    for _, row in read_table(files("taxonomy") / "data" / "limits.tsv", COLUMNS, COLUMNS):
        before = agencies.get(row["agency"], AgencyLimits())
        agencies[row["agency"]] = before._replace(**{row["field"]: int(row["limit"])})
    return agencies
