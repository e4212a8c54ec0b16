"""A taxonomy as the tables that people edit, line by line, before anything is understood: to check and to compare.

A taxonomy is a folder as `taxonomy/data` (`concepts.tsv`, and `labels`, `categories`, `implied.tsv`, `contrary.tsv`
where there are some), or one file of concepts.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import NamedTuple

from taxonomy.concepts import TaxonomyError

CONCEPTS, LABELS, CATEGORIES = "concepts.tsv", "labels", "categories"
IMPLIED, CONTRARY = "implied.tsv", "contrary.tsv"
HEAD_LINE = re.compile(r"^# ([a-z]+(?: [a-z]+)?): (.+)$", re.MULTILINE)
"""What a comment says of the whole file, as category schemes do: `# most: 2`."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line: its number, and its cells by column; `extra` are cells under no column."""

    line: int
    cells: Mapping[str, str]
    extra: int = 0

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "")

    @property
    def name(self) -> str:
        """Of a concept: the label, with the hint where there is one."""
        return f"{self['label']} ({self['hint']})" if self["hint"] else self["label"]

    def several(self, column: str) -> tuple[str, ...]:
        """The parts of a cell, which `|` separates."""
        return tuple(part for text in self[column].split("|") if (part := text.strip()))


class Sheet(NamedTuple):
    """One file: how to call it in a message, the line of its header, its columns, its rows, what its head says."""

    path: str
    header: int
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    head: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Tables:
    """A taxonomy's files: labels by language, categories by scheme."""

    concepts: Sheet
    labels: Mapping[str, Sheet] = field(default_factory=dict)
    categories: Mapping[str, Sheet] = field(default_factory=dict)
    implied: Sheet | None = None
    contrary: Sheet | None = None


def shipped() -> Traversable:
    """The folder of the taxonomy that is shipped."""
    return files("taxonomy") / "data"


def read(path: Traversable | Path | None = None) -> Tables:
    """Read the shipped taxonomy, another folder, or one file of concepts. Raises `TaxonomyError` with the cause."""
    path = _near(shipped()) if path is None else path
    if not path.is_dir():
        return Tables(read_sheet(path))
    if not (path / CONCEPTS).is_file():
        raise TaxonomyError(f"{path}: there is no {CONCEPTS} in this folder")
    return Tables(
        read_sheet(path / CONCEPTS),
        _folder(path / LABELS),
        # A list of schemes lay among them once.
        {name: sheet for name, sheet in _folder(path / CATEGORIES).items() if "concepts" in sheet.columns},
        _if_there(path / IMPLIED),
        _if_there(path / CONTRARY),
    )


def _if_there(path: Traversable | Path) -> Sheet | None:
    return read_sheet(path) if path.is_file() else None


def _near(path: Traversable) -> Traversable | Path:
    """As people call it who stand in the repository."""
    whole = Path(str(path))
    return whole.relative_to(Path.cwd()) if whole.is_dir() and whole.is_relative_to(Path.cwd()) else path


def _folder(folder: Traversable | Path) -> dict[str, Sheet]:
    entries = sorted(folder.iterdir(), key=lambda entry: entry.name) if folder.is_dir() else []
    return {Path(entry.name).stem: read_sheet(entry) for entry in entries if entry.name.endswith(".tsv")}


def read_sheet(path: Traversable | Path) -> Sheet:
    """Read a tab-separated file with a header; lines that begin with `#` are comments. Raises `TaxonomyError`."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise TaxonomyError(f"{path}: not UTF-8 at byte {error.start}") from error
    except OSError as error:
        raise TaxonomyError(f"{path}: {error.strerror}") from error
    lines = [(n, line.rstrip("\r")) for n, line in enumerate(text.split("\n"), 1)]
    lines = [(n, line) for n, line in lines if line.strip() and not line.startswith("#")]
    if not lines:
        raise TaxonomyError(f"{path}: the file is empty")
    columns = tuple(cell.strip() for cell in lines[0][1].split("\t"))
    rows = []
    for number, line in lines[1:]:
        cells = [cell.strip() for cell in line.split("\t")]
        rows.append(Row(number, dict(zip(columns, cells, strict=False)), max(len(cells) - len(columns), 0)))
    return Sheet(str(path), lines[0][0], columns, tuple(rows), tuple(HEAD_LINE.findall(text)))
