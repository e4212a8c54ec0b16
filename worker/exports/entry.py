"""What is said of one image to one agency: its words fitted to the agency's limits, and the row that they make."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from tasks.published import Published, Text, Word
from tasks.records import Category, Embedded, Image
from taxonomy.agencies import Agency, Column
from worker.exports.editorial import editorial
from worker.exports.refusal import Refusal
from worker.exports.texts import CONTROLS, cut, cut_sentence, in_latin, one_line, without

KEPT_LABELS = 1 << 16


@dataclass(frozen=True, slots=True)
class Entry:
    """One image as one agency is told of it.

    Attributes:
        keywords: in English, the most important first.
        unused: keywords that have no English label.
        flags: names of the review flags that say yes.
        trouble: why there is no editorial caption, where one was asked for.
    """

    image: Image
    filename: str
    title: str = ""
    caption: str = ""
    alt_text: str = ""
    keywords: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    categories: tuple[Category, ...] = ()
    flags: frozenset[str] = frozenset()
    editorial: bool = False
    embedded: Embedded | None = None
    trouble: Refusal | None = None


def fit(published: Published, agency: Agency, *, as_editorial: bool = False, today: date) -> Entry:
    """An image's words as an agency takes them: within its lengths, its number of keywords, its characters.

    A text that is missing is taken from the one nearest to it. What cannot be put right, `refusals` finds.
    """
    caption = _first(published.caption, published.alt_text, published.title)
    trouble = None
    if as_editorial and agency.editorial == "dateline":
        made = editorial(caption, published.embedded, agency.limits.caption, today)
        trouble = made if isinstance(made, Refusal) else None
        caption = made if isinstance(made, str) else caption
    title = _title(_first(published.title, published.caption, published.alt_text), agency)
    keywords, unused = _keywords(published.keywords, title if agency.has("title") else caption, agency)
    return Entry(
        image=published.image,
        filename=published.image.key.rpartition("/")[2],
        title=title,
        caption=cut_sentence(caption, agency.limits.caption),
        alt_text=cut(_first(published.alt_text), agency.limits.alt_text),
        keywords=keywords,
        unused=unused,
        categories=tuple(published.categories.get(agency.scheme or "", ())[: agency.most_categories]),
        flags=frozenset(flag.name for flag in published.flags if flag.verdict == "yes"),
        editorial=as_editorial,
        embedded=published.embedded,
        trouble=trouble,
    )


def _first(*texts: Text | None) -> str:
    return next((found for text in texts if text is not None and (found := one_line(text.value))), "")


def _title(text: str, agency: Agency) -> str:
    title = text.rstrip(".")
    if agency.forbidden and not is_list(title):
        title = one_line(without(title.replace("&", " and "), agency.forbidden))
    return cut(title, agency.limits.title)


def is_list(text: str) -> bool:
    """Whether a text is a list of keywords: four or more short parts between commas, and hardly a joining word."""
    parts = [part.split() for part in text.replace(";", ",").split(",") if part.strip()]
    return len(parts) >= 4 and sum(map(len, parts)) <= 2 * len(parts)


def _keywords(words: Iterable[Word], title: str, agency: Agency) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The keywords that an agency is told, and those that cannot be."""
    told: dict[str, str] = {}
    unused = []
    for word in words:
        label = word.labels.get("en", "") if agency.english else next(iter(word.labels.values()), "")
        taken = _as_taken(label, agency.separator, agency.english, agency.phrases, agency.lower_case)
        if not taken:
            unused.append(next(iter(word.labels.values()), ""))
        for keyword in taken:
            told.setdefault(keyword.casefold(), keyword)
    ordered = list(told.values())
    if agency.title_words_first:
        padded = f" {' '.join(title.casefold().split())} "
        ordered.sort(key=lambda keyword: f" {keyword.casefold()} " not in padded)
    return tuple(_within(ordered, agency)), tuple(unused)


@lru_cache(KEPT_LABELS)
def _as_taken(label: str, separator: str, english: bool, phrases: bool, lower_case: bool) -> tuple[str, ...]:
    """A label as a keyword, as several if it is a list, as one for each of its words where an agency takes no phrases.

    Kept, since keywords repeat from picture to picture.
    """
    plain = one_line(label)
    if lower_case:
        plain = plain.lower()
    # Some programs write a person's whole list as one keyword, and the agency would split it, too.
    parts = [part for each in plain.split(separator) if (part := one_line(each)) and (not english or in_latin(part))]
    return tuple(parts) if phrases else tuple(word for part in parts for word in part.split())


def _within(keywords: Iterable[str], agency: Agency) -> Iterator[str]:
    """The keywords up to the agency's limits; what does not fit is left out whole."""
    limits = agency.limits
    room = limits.keywords
    count = 0
    for keyword in keywords:
        if limits.max_keywords is not None and count >= limits.max_keywords:
            return
        if limits.keyword is not None and len(keyword) > limits.keyword:
            continue
        if room is not None:
            needed = len(keyword) + (len(agency.separator) if count else 0)
            if needed > room:
                return
            room -= needed
        count += 1
        yield keyword


def cells(entry: Entry, agency: Agency) -> list[str]:
    """The row, in the order of the agency's columns."""
    return [column.text if column.content is None else _cell(column, entry, agency) for column in agency.file.columns]


def _cell(column: Column, entry: Entry, agency: Agency) -> str:
    file = agency.file
    embedded = entry.embedded or Embedded()
    match column.content:
        case "filename":
            return entry.filename
        case "key":
            return entry.image.key
        case "title" | "caption" | "alt_text":
            return str(getattr(entry, column.content))
        case "keywords":
            return agency.separator.join(entry.keywords)
        case "categories":
            chosen = (each.id if agency.code else each.label for each in entry.categories)
            return agency.category_separator.join(chosen)
        case "editorial":
            return file.yes if entry.editorial else file.no
        case "mature":
            return file.yes if "mature" in entry.flags else file.no
        case "illustration":
            # We tag photographs; what is drawn, a person says.
            return file.no
        case "date":
            return _date(embedded.created, agency)
        case "creator":
            return one_line(", ".join(embedded.creators))
        case content:
            # What the file says of its place and its rights, each under its own name.
            return one_line(getattr(embedded, content or "", None) or "")


def _date(created: str | None, agency: Agency) -> str:
    """The day, as far as it is known; American dates only where all of it is."""
    day = CONTROLS.sub("", created or "")[:10]
    if agency.file.date == "iso":
        return day
    year, _, rest = day.partition("-")
    month, _, number = rest.partition("-")
    return f"{month}/{number}/{year}" if number else ""
