"""What each agency takes, and how it wants to be told: `data/agencies/<agency>.toml`, each rule with its source.

How long texts may be and how many keywords are taken is in `limits.tsv`, which is the one place for that. A customer's
own agency is a file of the same form, with a table `limits` in it; `docs/agencies.md` describes the form.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import Literal, cast, get_args

from taxonomy.concepts import TaxonomyError
from taxonomy.limits import FIELDS, AgencyLimits, Overrides, load_agencies
from taxonomy.policy_reader import Document, Table

SUFFIX = ".toml"

Content = Literal[
    "filename",
    "key",
    "title",
    "caption",
    "alt_text",
    "keywords",
    "categories",
    "editorial",
    "mature",
    "illustration",
    "date",
    "location",
    "city",
    "state",
    "country",
    "country_code",
    "creator",
    "copyright",
]
"""What a column can hold."""
CONTENTS: tuple[str, ...] = get_args(Content)

Dates = Literal["iso", "month/day/year"]
Editorial = Literal["dateline", "plain", "none"]
"""How captions of editorial pictures begin; `none` where the agency's file cannot say that one is editorial."""

TABLES = {
    "file": ("columns", "delimiter", "quote", "byte_order_mark", "line_end", "yes", "no", "date", "rows", "bytes"),
    "images": ("formats", "megapixels", "flags", "source"),
    "texts": ("words", "forbidden", "english", "plain", "source"),
    "keywords": ("separator", "phrases", "lower_case", "title_words_first", "source"),
    "categories": ("scheme", "form", "separator", "least", "most", "source"),
    "editorial": ("form", "source"),
    "limits": FIELDS,
}
MOST = 10**9


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its header, and what it holds, or else the `text` that stands in every row."""

    header: str
    content: str | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class FileForm:
    """How the file is written, and how much goes into one: `rows` without the header, `bytes` with it."""

    columns: tuple[Column, ...]
    delimiter: str = ","
    quote: Literal["needed", "always"] = "needed"
    byte_order_mark: bool = False
    line_end: Literal["crlf", "lf"] = "crlf"
    yes: str = "yes"
    no: str = "no"
    date: Dates = "iso"
    rows: int | None = None
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Agency:
    """An agency's rules.

    Attributes:
        name: as `limits.tsv` and the command line have it.
        formats: of images, as Pillow names them; empty for any.
        megapixels: at least so many.
        flags: whether what a person should look at first, and did not, is refused.
        words: a title and a caption have at least so many; with 0 they may be missing.
        forbidden: characters that no title may have.
        english: whether texts and keywords have to be English.
        plain: whether brands, addresses, camera data and lists of keywords are refused in texts.
        separator: between keywords.
        phrases: whether a keyword may have several words.
        title_words_first: whether keywords that the title names come first.
        scheme: of the categories, if it has any; `code` tells whether they are given by id.
    """

    name: str
    title: str
    sources: tuple[str, ...]
    file: FileForm
    limits: AgencyLimits = field(default=AgencyLimits())
    formats: tuple[str, ...] = ()
    megapixels: float = 0.0
    flags: bool = True
    words: int = 0
    forbidden: str = ""
    english: bool = True
    plain: bool = True
    separator: str = ","
    phrases: bool = True
    lower_case: bool = False
    title_words_first: bool = False
    scheme: str | None = None
    code: bool = False
    category_separator: str = ","
    least_categories: int = 0
    most_categories: int = 0
    editorial: Editorial = "none"

    def has(self, content: Content) -> bool:
        """Whether there is a column for something."""
        return any(column.content == content for column in self.file.columns)


def names() -> tuple[str, ...]:
    """The agencies that are known without a file of the customer's."""
    folder = files("taxonomy") / "data" / "agencies"
    return tuple(sorted(entry.name.removesuffix(SUFFIX) for entry in folder.iterdir() if entry.name.endswith(SUFFIX)))


def load(agency: str, overrides: Overrides | None = None) -> Agency:
    """An agency's rules, by its name, or by the path of a customer's file, which ends with `.toml`.

    Args:
        agency: which.
        overrides: a customer's own limits, over those of `limits.tsv`; a customer's file has its own.

    Raises:
        TaxonomyError: there is no such agency; or the file is wrong, with line, key and cause of each problem.
    """
    if agency.endswith(SUFFIX):
        path = Path(agency)
        if not path.is_file():
            raise TaxonomyError(f"{agency}: there is no such file; docs/agencies.md says how to write an agency's")
        return read(path, path.name.removesuffix(SUFFIX))
    if agency not in names():
        raise TaxonomyError(
            f"there is no agency {agency!r}; there are {', '.join(names())}; for another, give a file {agency}.toml"
        )
    with as_file(files("taxonomy") / "data" / "agencies" / f"{agency}{SUFFIX}") as path:
        return replace(read(path, agency), limits=load_agencies(overrides).get(agency, AgencyLimits()))


def read(path: Path, name: str) -> Agency:
    """Rules out of a file. Raises `TaxonomyError` with all that is wrong, one problem a line."""
    document = Document(path)
    root = document.root(("title", "sources", *TABLES))
    tables = {key: root.table(key, known) for key, known in TABLES.items()}
    form = _form(tables["file"])
    images, texts, words = tables["images"], tables["texts"], tables["keywords"]
    categories = tables["categories"]
    agency = Agency(
        name=name,
        title=root.text("title") or name,
        sources=root.texts("sources"),
        file=form,
        limits=_limits(tables["limits"]),
        formats=images.texts("formats"),
        megapixels=images.number("megapixels", least=0, most=1000) or 0.0,
        flags=_yes(images, "flags", True),
        words=texts.whole("words", least=0, most=20) or 0,
        forbidden=texts.text("forbidden") or "",
        english=_yes(texts, "english", True),
        plain=_yes(texts, "plain", True),
        separator=words.text("separator") or ",",
        phrases=_yes(words, "phrases", True),
        lower_case=_yes(words, "lower_case", False),
        title_words_first=_yes(words, "title_words_first", False),
        scheme=categories.text("scheme"),
        code=categories.text("form", choices=("id", "label")) == "id",
        category_separator=categories.text("separator") or ",",
        least_categories=categories.whole("least", least=0, most=20) or 0,
        most_categories=categories.whole("most", least=0, most=20) or 0,
        editorial=cast("Editorial", tables["editorial"].text("form", choices=get_args(Editorial)) or "none"),
    )
    _agree(agency, tables)
    document.finish()
    return agency


def _form(table: Table) -> FileForm:
    if "columns" not in table:
        table.problem("columns", 'the file has no columns; write columns = [{header = "...", field = "..."}] in [file]')
    return FileForm(
        columns=tuple(_column(entry) for entry in table.tables("columns", ("header", "field", "text"))),
        delimiter=table.data["delimiter"] if _tab(table) else table.text("delimiter", choices=(",", ";", "|")) or ",",
        quote=cast("Literal['needed', 'always']", table.text("quote", choices=("needed", "always")) or "needed"),
        byte_order_mark=_yes(table, "byte_order_mark", False),
        line_end=cast("Literal['crlf', 'lf']", table.text("line_end", choices=("crlf", "lf")) or "crlf"),
        yes=table.text("yes") or "yes",
        no=table.text("no") or "no",
        date=cast("Dates", table.text("date", choices=get_args(Dates)) or "iso"),
        rows=table.whole("rows", least=1, most=MOST),
        bytes=table.whole("bytes", least=1000, most=MOST),
    )


def _tab(table: Table) -> bool:
    return table.data.get("delimiter") == "\t"


def _column(table: Table) -> Column:
    header = table.text("header")
    if header is None:
        table.problem("header", "a column has no header")
    if ("field" in table) == ("text" in table):
        table.problem("header", "a column has either a field or a text, which then stands in every row")
    fixed = table.data.get("text", "")
    if not isinstance(fixed, str) or not (fixed.isprintable() or not fixed):
        table.problem("text", f"text has to be one line of text, not {fixed!r:.60}")
        fixed = ""
    return Column(header or "", table.text("field", choices=CONTENTS), fixed)


def _limits(table: Table) -> AgencyLimits:
    return AgencyLimits(**{name: table.whole(name, least=0, most=MOST) for name in FIELDS})


def _yes(table: Table, key: str, otherwise: bool) -> bool:
    value = table.data.get(key, otherwise)
    if not isinstance(value, bool):
        table.problem(key, f"{key} has to be true or false, not {value!r:.60}")
        return otherwise
    return value


def _agree(agency: Agency, tables: Mapping[str, Table]) -> None:
    """Note what does not go together."""
    if agency.least_categories > agency.most_categories:
        tables["categories"].problem("least", "least is more than most; without most no category is given")
    if agency.has("categories") and agency.scheme is None:
        tables["categories"].problem("scheme", "there is a column of categories, and no scheme that they are of")
    if (agency.limits.min_keywords or 0) > (agency.limits.max_keywords or MOST):
        tables["limits"].problem("min_keywords", "min_keywords is more than max_keywords")
    if not agency.has("filename") and not agency.has("key"):
        tables["file"].problem("columns", "no column says which image a row speaks of: one has to hold filename or key")
