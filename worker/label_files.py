"""Label files: which terms people say are true of which images. CSV with a header, or NDJSON."""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from tasks.errors import ConfigurationError

IMAGE = ("image", "file", "key", "path", "filename")
TERMS = ("terms", "keywords", "labels", "tags", "term", "keyword", "label", "tag")
"""Names that the two columns may have, the first found counts; others are for `where`."""

Row = Mapping[str, Any]
NOTHING: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Labelled:
    """An image and the terms that are true of it; `key` is its path as the file has it."""

    key: str
    path: Path
    terms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Labels:
    """What a label file says.

    Attributes:
        images: each image once, in the order of the file, with all its terms.
        unlabelled: rows without a term.
        skipped: rows that `where` left out.
    """

    images: tuple[Labelled, ...]
    unlabelled: int
    skipped: int


def read_labels(
    source: str, stdin: TextIO, images: Path | None = None, where: Sequence[str] = (), limit: int | None = None
) -> Labels:
    """Read a label file.

    Args:
        source: its path, or `-` for standard input.
        stdin: standard input.
        images: the folder to which paths are relative; the file's own by default, for standard input the current one.
        where: `column=value`, all of which a row has to have.
        limit: at most so many images, the first ones.

    Raises:
        ConfigurationError: with file, line and cause; also if no labelled image is left.
    """
    folder = images if images is not None else Path() if source == "-" else Path(source).parent
    if images is not None and not images.is_dir():
        raise ConfigurationError(f"--images {images}: there is no such folder")
    wanted = [_condition(condition) for condition in where]
    found: dict[str, dict[str, None]] = {}
    seen: set[str] = set()
    unlabelled = skipped = 0
    for where_from, row in _rows(source, stdin):
        seen |= {column.lower() for column in row}
        if not all(_has(row, column, value) for column, value in wanted):
            skipped += 1
        elif terms := _terms(where_from, row):
            found.setdefault(_image(where_from, row), {}).update(dict.fromkeys(terms))
        else:
            unlabelled += 1
    for column, _ in wanted:
        if column not in seen:
            raise ConfigurationError(f"{source}: no row has the column {column!r}, which --where asks for")
    if not found:
        raise ConfigurationError(f"{source}: no image has a term ({unlabelled} without, {skipped} left out by --where)")
    chosen = list(found.items())[:limit]
    return Labels(tuple(Labelled(key, folder / key, tuple(terms)) for key, terms in chosen), unlabelled, skipped)


def _condition(text: str) -> tuple[str, str]:
    column, equals, value = text.partition("=")
    if not column or not equals:
        raise ConfigurationError(f"--where {text}: give it as column=value")
    return column.strip().lower(), value


def _has(row: Row, column: str, value: str) -> bool:
    """Whether a column has that value, as text or as JSON writes it; one that is not there has an empty one."""
    found = [content for name, content in row.items() if name.lower() == column] or [""]
    return any(value == (text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)) for text in found)


def _rows(source: str, stdin: TextIO) -> Iterator[tuple[str, Row]]:
    """Each row, with `file:line` for messages."""
    try:
        text = stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{source}: not UTF-8 at byte {error.start}") from error
    except OSError as error:
        raise ConfigurationError(f"{source}: {error.strerror}") from error
    text = text.removeprefix("\ufeff")
    name = "standard input" if source == "-" else source
    return _objects(name, text) if text.lstrip().startswith("{") else _table(name, text)


def _objects(name: str, text: str) -> Iterator[tuple[str, Row]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ConfigurationError(f"{name}:{number}: not JSON: {error.msg}") from error
        if not isinstance(row, dict):
            raise ConfigurationError(f"{name}:{number}: a line has to be an object")
        yield f"{name}:{number}", row


def _table(name: str, text: str) -> Iterator[tuple[str, Row]]:
    header = text.partition("\n")[0]
    # What a spreadsheet writes depends on the country that it thinks it is in.
    delimiter = max(",;\t", key=header.count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    try:
        columns = [column.strip().lower() for column in next(reader, [])]
        for names in (IMAGE, TERMS):
            if not set(names) & set(columns):
                raise ConfigurationError(f"{name}:1: there is no column {' or '.join(names[:4])}")
        for cells in reader:
            if len(cells) > len(columns):
                raise ConfigurationError(
                    f"{name}:{reader.line_num}: {len(cells)} cells under {len(columns)} columns; "
                    "put a cell with the delimiter in it into quotation marks"
                )
            if any(cell.strip() for cell in cells):
                yield f"{name}:{reader.line_num}", dict(zip(columns, (cell.strip() for cell in cells), strict=False))
    except csv.Error as error:
        raise ConfigurationError(f"{name}:{reader.line_num}: {error}") from error


def _image(where_from: str, row: Row) -> str:
    value = next((row[name] for name in IMAGE if row.get(name)), None)
    if not isinstance(value, str) or "\0" in value:
        raise ConfigurationError(f"{where_from}: which image? There is none under {', '.join(IMAGE)}")
    return _whole(where_from, value)


def _terms(where_from: str, row: Row) -> tuple[str, ...]:
    value = next((row[name] for name in TERMS if row.get(name)), None)
    if value is None:
        return NOTHING
    if isinstance(value, str):
        value = re.split(r"[;|,]", value)
    if not isinstance(value, list) or not all(isinstance(term, str) for term in value):
        raise ConfigurationError(f"{where_from}: the terms have to be a list of texts, or one text")
    return tuple(_whole(where_from, term.strip()) for term in value if term.strip())


def _whole(where_from: str, text: str) -> str:
    """The text, if UTF-8 can say it: JSON may name half of a surrogate pair, and nobody could write that out."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigurationError(f"{where_from}: {text!a} has half a character in it, a lone surrogate") from error
    return text
