"""One export: image after image becomes a row, or a list of reasons why the agency would not take it."""

from dataclasses import dataclass, replace
from datetime import date

from tasks.published import Published
from taxonomy.agencies import Agency
from taxonomy.words import Screen
from worker.exports.entry import Entry, cells, fit
from worker.exports.refusal import Refusal, refusal
from worker.exports.refusals import Validator
from worker.exports.series import Titles


@dataclass(frozen=True, slots=True)
class Row:
    """An image's row, and what the agency would refuse of it."""

    entry: Entry
    cells: list[str]
    refusals: list[Refusal]
    written: bool


class Sheet:
    """Makes rows. Of what went before it keeps hashes of titles and of names, so that an export may be of any length.

    Args:
        agency: whose rules.
        screen: of brands and offensive words.
        as_editorial: whether the pictures are for editorial use.
        allowed: ids of rules that do not count.
        include_refused: whether rows are written all the same.
        today: for dates that cannot be.
    """

    def __init__(
        self,
        agency: Agency,
        screen: Screen,
        *,
        as_editorial: bool = False,
        allowed: frozenset[str] = frozenset(),
        include_refused: bool = False,
        today: date,
    ) -> None:
        self.agency = agency
        self._validator = Validator(agency, screen, allowed)
        self._editorial = as_editorial
        self._include = include_refused
        self._today = today
        self._titles = Titles()
        self._names: set[int] = set()

    @property
    def header(self) -> list[str]:
        """The first row."""
        return [column.header for column in self.agency.file.columns]

    def add(self, published: Published, trouble: tuple[Refusal, ...] = ()) -> Row:
        """The next image's row; `trouble` is what is known against it already."""
        entry = fit(published, self.agency, as_editorial=self._editorial, today=self._today)
        entry = self._distinct(entry)
        refusals = [
            *(each for each in (*trouble, *self._twice(entry)) if each.rule not in self._validator.allowed),
            *self._validator.refusals(entry),
        ]
        written = self._include or not refusals
        if written:
            self._titles.take(self._title(entry))
            self._names.add(hash(entry.filename))
        return Row(entry, cells(entry, self.agency), refusals, written)

    def _title(self, entry: Entry) -> str:
        """What tells pictures apart: an agency without a column for titles shows the caption."""
        return entry.title if self.agency.has("title") else entry.caption.rstrip(".")

    def _distinct(self, entry: Entry) -> Entry:
        limits = self.agency.limits
        if self.agency.has("title"):
            title = self._titles.distinct(entry, entry.title, limits.title, self.agency.forbidden)
            return entry if title == entry.title else replace(entry, title=title)
        if not entry.caption or (entry.editorial and self.agency.editorial == "dateline"):
            # A dateline is a form that is kept; pictures of one event may well say the same.
            return entry
        said = self._title(entry)
        caption = self._titles.distinct(entry, said, None if limits.caption is None else limits.caption - 1)
        return entry if caption == said else replace(entry, caption=f"{caption}.")

    def _twice(self, entry: Entry) -> list[Refusal]:
        if not self.agency.has("filename") or hash(entry.filename) not in self._names:
            return []
        reason = "another image of this export has the same file name, and the agency knows files by their names"
        return [refusal("filename_twice", "filename", entry.filename, reason, "rename one, or export folder by folder")]
