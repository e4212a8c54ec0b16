"""Vocabulary files.

`data/concepts.tsv` has one concept a line, tab-separated, readable in a diff:

    id          stable: WordNet 3.0's where there is one (`wn30:02084071-n`), else our own (`sm:copy-space`)
    label       American English, as a stock buyer types it; `label (hint)` is unique
    hint        one or two words where the bare label is ambiguous: crane (bird)
    parent      the parent's `label` or `label (hint)`; empty for a root
    facet       what kind of thing it says: one of `FACETS`
    tier        A, B or C: how often buyers type it; B where empty
    grammar     count, mass, plural, proper, adjective, phrase: how a sentence uses it
    plural      the plural or collocation that buyers type
    british     British spellings and words, separated by `|`
    synonyms    other words for the same thing, separated by `|`
    flags       separated by `|`: hidden (means nothing to a buyer, never shown), personal:age, personal:gender …

`data/implied.tsv` has what the tree cannot say, since a concept has one parent: a concept, and the names of those
elsewhere in the tree that imply it in a picture (`|` between them; what is beneath them is included).
`data/contrary.tsv` has groups of concepts of which a picture shows only one.

`data/labels/<language>.tsv` adds a language: id, label, synonyms.

Lines that begin with `#` are comments.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from taxonomy.concepts import FACETS, FLAGS, GRAMMARS, TIERS, Concept, TaxonomyError, Vocabulary, build, literal

COLUMNS = ("id", "label", "hint", "parent", "facet", "tier", "grammar", "plural", "british", "synonyms", "flags")
IMPLIED_COLUMNS = ("concept", "implied by")
CONTRARY_COLUMNS = ("concepts",)


def load(path: Path | None = None) -> Vocabulary:
    """The shipped vocabulary, or a customer's: a taxonomy file (its header has `id` and `label`) or a word list.

    Raises:
        TaxonomyError: with file, line and cause.
    """
    if path is None:
        return shipped()
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        if _is_table(lines):
            return _own(path)
        for number, line in enumerate(lines, 1):
            if "\t" in line.strip():
                raise TaxonomyError(
                    f"{path}:{number}: a word list has one term a line and no tabs; a taxonomy file has a header above "
                    "everything else, with the columns id and label"
                )
        return literal(lines)
    except UnicodeDecodeError as error:
        raise TaxonomyError(f"{path}: not UTF-8 at byte {error.start}") from error
    except OSError as error:
        raise TaxonomyError(f"{path}: {error.strerror}") from error


def _is_table(lines: Sequence[str]) -> bool:
    """Whether the first line that says something is a taxonomy's header."""
    first = next((line for line in lines if line.strip() and not line.startswith("#")), "")
    return set(COLUMNS[:2]) <= {cell.strip() for cell in first.split("\t")}


def _own(path: Path) -> Vocabulary:
    """A customer's taxonomy file."""
    concepts = list(read_concepts(path))
    if not concepts:
        raise TaxonomyError(f"{path}: the vocabulary has no concepts; write one a line beneath the header")
    return build(concepts)


@cache
def shipped() -> Vocabulary:
    """The vocabulary that comes with the package; read once, since nothing can change it."""
    data = files("taxonomy") / "data"
    tables = {Path(entry.name).stem: entry for entry in (data / "labels").iterdir() if entry.name.endswith(".tsv")}
    translations = {language: read_labels(tables[language]) for language in sorted(tables)}
    concepts = list(read_concepts(data / "concepts.tsv"))
    return build(
        concepts,
        translations=translations,
        implied=read_implied(data / "implied.tsv", concepts),
        contrary=read_contrary(data / "contrary.tsv", concepts),
    )


def read_concepts(path: Traversable | Path) -> Iterator[Concept]:
    """Concepts of a taxonomy file. Raises `TaxonomyError` with the line."""
    rows = list(read_table(path, COLUMNS[:2], COLUMNS))
    ids: dict[str, str] = {}
    for line, row in rows:
        name = f"{row['label']} ({row['hint']})" if row["hint"] else row["label"]
        if name in ids:
            raise TaxonomyError(f"{path}:{line}: {name!r} is there twice; give one of them a hint")
        ids[name] = row["id"]
    for line, row in rows:
        flags = _split(row["flags"])
        closed = (
            (row["facet"], FACETS),
            (row["grammar"], GRAMMARS),
            (row["tier"], TIERS),
            *((f, FLAGS) for f in flags),
        )
        for value, known in closed:
            if value and value not in known:
                raise TaxonomyError(f"{path}:{line}: {value!r} is none of {', '.join(sorted(known))}")
        if row["parent"] and row["parent"] not in ids:
            raise TaxonomyError(f"{path}:{line}: the parent {row['parent']!r} is not a concept of this file")
        yield Concept(
            id=row["id"],
            label=row["label"],
            hint=row["hint"],
            parent=ids[row["parent"]] if row["parent"] else None,
            facet=row["facet"] or "object",
            grammar=row["grammar"] or "count",
            synonyms=_split(row["synonyms"]),
            flags=frozenset(flags),
            tier=row["tier"] or "B",
            plural=row["plural"],
            british=_split(row["british"]),
        )


def read_labels(path: Traversable | Path) -> dict[str, tuple[str, ...]]:
    """Labels of one language by id, the preferred one first."""
    return {
        row["id"]: (row["label"], *_split(row["synonyms"]))
        for _, row in read_table(path, ("id", "label"), ("id", "label", "synonyms"))
    }


def read_implied(path: Traversable | Path, concepts: Sequence[Concept]) -> dict[str, tuple[str, ...]]:
    """Ids of the concepts that imply another, by its id. Raises `TaxonomyError` with the line."""
    ids = {concept.name: concept.id for concept in concepts}
    implied = {}
    for line, row in read_table(path, IMPLIED_COLUMNS, IMPLIED_COLUMNS):
        names = (row["concept"], *_split(row["implied by"]))
        if unknown := [name for name in names if name not in ids]:
            raise TaxonomyError(f"{path}:{line}: {unknown[0]!r} is not a concept")
        implied[ids[row["concept"]]] = tuple(ids[name] for name in names[1:])
    return implied


def read_contrary(path: Traversable | Path, concepts: Sequence[Concept]) -> list[tuple[str, ...]]:
    """Groups of ids of concepts that exclude each other. Raises `TaxonomyError` with the line."""
    ids = {concept.name: concept.id for concept in concepts}
    groups = []
    for line, row in read_table(path, CONTRARY_COLUMNS, CONTRARY_COLUMNS):
        names = _split(row["concepts"])
        if unknown := [name for name in names if name not in ids]:
            raise TaxonomyError(f"{path}:{line}: {unknown[0]!r} is not a concept")
        groups.append(tuple(ids[name] for name in names))
    return groups


def read_table(
    path: Traversable | Path, required: Sequence[str], columns: Sequence[str]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a tab-separated file with a header, as (line, column to text); `#` begins a comment line."""
    lines = [(n, text) for n, text in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), 1)]
    lines = [(n, text.rstrip("\r")) for n, text in lines if text.strip() and not text.startswith("#")]
    if not lines:
        raise TaxonomyError(f"{path}: the file is empty")
    header = [cell.strip() for cell in lines[0][1].split("\t")]
    if unknown := set(header) - set(columns):
        raise TaxonomyError(f"{path}:{lines[0][0]}: unknown column {sorted(unknown)[0]!r}; known: {', '.join(columns)}")
    for number, text in lines[1:]:
        cells = text.split("\t")
        if len(cells) > len(header):
            raise TaxonomyError(f"{path}:{number}: {len(cells)} cells under {len(header)} columns")
        row = dict.fromkeys(columns, "") | dict(zip(header, (cell.strip() for cell in cells), strict=False))
        if empty := [column for column in required if not row[column]]:
            raise TaxonomyError(f"{path}:{number}: the {empty[0]} is empty")
        yield number, row


def _split(cell: str) -> tuple[str, ...]:
    return tuple(part for text in cell.split("|") if (part := text.strip()))
