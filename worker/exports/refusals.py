"""What an agency would refuse about an image, and why: each rule is one small function, and `RULES` has them all."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from taxonomy.agencies import Agency
from taxonomy.words import BRAND, Screen, Verdict
from worker.exports.entry import Entry, cells, is_list
from worker.exports.refusal import Refusal, refusal
from worker.exports.texts import CONTROLS, FORMULA, in_latin

KEPT_VERDICTS = 1 << 16

FLAGS = {
    "mature": "it seems to show mature content, and the agency's file cannot say so",
    "minor": "it seems to show a recognisable child, who needs a model release",
    "brand": "it seems to show a brand or logo, which commercial pictures must not",
    "text": "it seems to have a watermark or writing on it",
}
"""What a review flag means to an agency; of other flags, such as those on the file's own words, rules speak here."""

_ADDRESS = re.compile(
    r"https?:|\bwww\.|\S@\w+\.\w|\b[\w-]+\.(?:com|net|org|info|io|co\.uk|co\.kr|kr|de|fr)\b", re.IGNORECASE
)
_CAMERA = re.compile(
    r"\bf/\d|\bISO[ -]?(?:64|80|[1-9][0-9]0|[1-9][0-9]{1,2}00)\b(?<!9000)|\b1/\d{2,} ?s(?:ec)?\b"
    r"|\b(?:at|with) (?:a )?\d{2,3} ?mm\b|\b(?:DSC[NF]?|IMG|PXL|DJI)[_-]?\d{3,}"
    r"|\b(?:Canon EOS|Nikon [DZ]\d|OLYMPUS DIGITAL CAMERA|Sony (?:A7|ILCE))",
    re.IGNORECASE,
)
_MEGA = 1e6
_SENT_AS = {"MPO": "JPEG"}
"""What a format is to an agency: phones write JPEG files with further pictures at their end, which Pillow calls MPO."""


@dataclass(frozen=True)
class Validator:
    """Finds what an agency would refuse.

    Attributes:
        agency: whose rules.
        screen: of brands and offensive words.
        allowed: ids of rules that are not looked at.
    """

    agency: Agency
    screen: Screen
    allowed: frozenset[str] = frozenset()
    _verdict: Callable[[str], Verdict] = field(init=False, repr=False)
    _brands: Screen = field(init=False, repr=False)
    _others: Screen = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # Keywords repeat from picture to picture, and screening is what takes the time.
        object.__setattr__(self, "_verdict", lru_cache(KEPT_VERDICTS)(self.screen.screen))
        brands, others = self.screen.parted(BRAND)
        object.__setattr__(self, "_brands", brands)
        object.__setattr__(self, "_others", others)

    def refusals(self, entry: Entry) -> list[Refusal]:
        """All that would be refused, those of `RULES` in their order."""
        found = [] if entry.trouble is None else [entry.trouble]
        found += [each for rule in RULES for each in rule(entry, self.agency)]
        if self.agency.plain:
            found += self._words(entry)
        return [each for each in found if each.rule not in self.allowed]

    def _words(self, entry: Entry) -> Iterator[Refusal]:
        for name, text in _texts(entry, self.agency):
            yield from self._word(name, text, entry)
        for keyword in entry.keywords:
            if self._verdict(keyword).level == "block":
                yield from self._word("keywords", keyword, entry)

    def _word(self, name: str, text: str, entry: Entry) -> Iterator[Refusal]:
        # Of texts not the kept verdict: they hardly repeat, and would push out those of keywords.
        if self.screen.screen(text).level != "block":
            return
        brand, other = self._brands.screen(text), self._others.screen(text)
        if brand.level == "block" and not entry.editorial:
            yield refusal("brand", name, text, brand.reason, "take the word out, or export with --editorial")
        if other.level == "block":
            yield refusal("blocked_word", name, text, other.reason, "take the word out")


def _texts(entry: Entry, agency: Agency) -> Iterator[tuple[str, str]]:
    """The texts that the agency is told, by name."""
    if agency.has("title"):
        yield "title", entry.title
    if agency.has("caption"):
        yield "caption", entry.caption


def _filename(entry: Entry, agency: Agency) -> Iterator[Refusal]:
    most = agency.limits.filename
    if most is not None and len(entry.filename) > most:
        reason = f"a file name has at most {most} characters, and this one has {len(entry.filename)}"
        yield refusal("filename_length", "filename", entry.filename, reason, "rename the file and tag it again")


def _image(entry: Entry, agency: Agency) -> Iterator[Refusal]:
    image = entry.image
    kind = image.format or "unknown"
    if agency.formats and not {kind, _SENT_AS.get(kind)} & set(agency.formats):
        reason = f"it takes {' and '.join(agency.formats)}"
        yield refusal("format", "image", kind, reason, "convert the picture")
    pixels = (image.stored_width or 0) * (image.stored_height or 0)
    if pixels < agency.megapixels * _MEGA:
        shown = f"{image.stored_width} x {image.stored_height}"
        reason = f"a picture has at least {agency.megapixels:g} megapixels, and this one has {pixels / _MEGA:.1f}"
        yield refusal("too_small", "image", shown, reason, "send the original; enlarging does not help")


def _flags(entry: Entry, agency: Agency) -> Iterator[Refusal]:
    told = {"mature"} if agency.has("mature") else set()
    excused = {"brand", "minor"} if entry.editorial else set()
    if agency.flags:
        for flag in sorted((entry.flags & FLAGS.keys()) - told - excused):
            remedy = f"look at the picture; if it is all right, export with --allow flag_{flag}"
            yield refusal(f"flag_{flag}", "image", flag, FLAGS[flag], remedy)


def _missing(entry: Entry, agency: Agency) -> Iterator[Refusal]:
    for name, text in _texts(entry, agency) if agency.words else ():
        if not text.strip():
            yield refusal(f"{name}_missing", name, "", f"it has no {name}", "write one, or tag it again")


def _lengths(entry: Entry, agency: Agency) -> Iterator[Refusal]:
    for name, text in _texts(entry, agency):
        most = agency.limits.title if name == "title" else agency.limits.caption
        if most is not None and len(text) > most:
            reason = f"a {name} has at most {most} characters, and this one has {len(text)}"
            yield refusal(f"{name}_length", name, text, reason, "shorten it")
        if 0 < len(text.split()) < agency.words:
            reason = f"a {name} has at least {agency.words} words"
            yield refusal(f"{name}_words", name, text, reason, "say what the picture shows")
    least = agency.limits.min_title
    if agency.has("title") and entry.title and least is not None and len(entry.title) < least:
        yield refusal("title_length", "title", entry.title, f"a title has at least {least} characters", "lengthen it")


def _content(entry: Entry, agency: Agency) -> Iterator[Refusal]:
    for name, text in _texts(entry, agency) if agency.plain else ():
        if is_list(text):
            reason = "it is a list of keywords"
            yield refusal(f"{name}_list", name, text, reason, "write a phrase or a sentence")
        if _ADDRESS.search(text):
            reason = "it has a web or e-mail address"
            yield refusal("address", name, text, reason, "take the address out")
        if _CAMERA.search(text):
            yield refusal("camera", name, text, "it has data of the camera", "say what the picture shows instead")


def _characters(entry: Entry, agency: Agency) -> Iterator[Refusal]:
    if agency.has("title") and (bad := sorted(set(agency.forbidden) & set(entry.title))):
        reason = f"a title must not have {' '.join(bad)}"
        yield refusal("title_characters", "title", entry.title, reason, "take them out")
    if agency.english:
        for name, text in (*_texts(entry, agency), ("keywords", ", ".join(entry.keywords))):
            if not in_latin(text):
                yield refusal("language", name, text, "it takes English only", "write it in English")


def _cells(entry: Entry, agency: Agency) -> Iterator[Refusal]:
    for column, cell in zip(agency.file.columns, cells(entry, agency), strict=True):
        name = column.content or column.header
        if CONTROLS.search(cell):
            reason = "it has control characters, or half of one"
            yield refusal("control_characters", name, ascii(cell), reason, "take them out, or rename the file")
        if column.content is not None and cell[:1] and cell[0] in FORMULA:
            reason = f"a spreadsheet takes what begins with {cell[0]!r} for a formula"
            yield refusal("formula", name, cell, reason, "begin it with a letter or a digit, or rename the file")


def _keywords(entry: Entry, agency: Agency) -> Iterator[Refusal]:
    count, limits = len(entry.keywords), agency.limits
    if count < (limits.min_keywords or 0):
        unused = f" ({len(entry.unused)} more are not in English)" if entry.unused else ""
        reason = f"it takes no fewer than {limits.min_keywords} keywords, and there are {count}{unused}"
        yield refusal("keywords_few", "keywords", ", ".join(entry.keywords), reason, "add keywords")
    if limits.max_keywords is not None and count > limits.max_keywords:
        reason = f"it takes at most {limits.max_keywords} keywords, and there are {count}"
        yield refusal("keywords_many", "keywords", str(count), reason, "leave the last ones out")
    together = len(agency.separator.join(entry.keywords))
    if limits.keywords is not None and together > limits.keywords:
        reason = f"all keywords together have at most {limits.keywords} characters, and these {together}"
        yield refusal("keywords_length", "keywords", str(together), reason, "leave the last ones out")


def _each_keyword(entry: Entry, agency: Agency) -> Iterator[Refusal]:
    most = agency.limits.keyword
    seen: set[str] = set()
    for keyword in entry.keywords:
        folded = keyword.casefold()
        if not keyword.strip():
            yield refusal("keyword_empty", "keywords", keyword, "a keyword is empty", "leave it out")
        if folded in seen:
            yield refusal("keyword_twice", "keywords", keyword, "a keyword is there twice", "leave one out")
        if agency.separator in keyword:
            yield refusal("keyword_separator", "keywords", keyword, "it is several keywords", "split it")
        if not agency.phrases and len(keyword.split()) > 1:
            yield refusal("keyword_phrase", "keywords", keyword, "the agency takes single words", "split it")
        if agency.lower_case and keyword != keyword.lower():
            yield refusal("keyword_case", "keywords", keyword, "the agency takes lower case", "write it so")
        if most is not None and len(keyword) > most:
            reason = f"a keyword has at most {most} characters, and this one has {len(keyword)}"
            yield refusal("keyword_length", "keywords", keyword, reason, "shorten it")
        seen.add(folded)


def _categories(entry: Entry, agency: Agency) -> Iterator[Refusal]:
    if not agency.has("categories"):
        return
    shown = ", ".join(category.label for category in entry.categories)
    if len(entry.categories) < agency.least_categories:
        yield refusal("category_missing", "categories", shown, "it has no category", "choose one by hand")
    if len(entry.categories) > agency.most_categories:
        reason = f"it takes at most {agency.most_categories} categories"
        yield refusal("categories_many", "categories", shown, reason, "leave the last ones out")


RULES = (
    *(_filename, _image, _flags, _missing, _lengths, _content, _characters),
    *(_cells, _keywords, _each_keyword, _categories),
)
