"""Rules about what refers to concepts by name: categories, what is implied, what excludes each other."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from taxonomy.categories import Scheme, read_scheme, targets
from taxonomy.concepts import TaxonomyError, Vocabulary
from taxonomy.problem import Problem
from taxonomy.rules import suggest
from taxonomy.tables import IMPLIED, Sheet, Tables

ABSTRACT = frozenset(
    ("material", "symbol", "composition", "lighting", "color", "style", "emotion", "concept", "season", "event")
)
"""Facets that say how a photograph is or what it stands for, rather than what there is to see in it."""


def problems(tables: Tables, vocabulary: Vocabulary, extra: Sequence[Sheet]) -> Iterator[Problem]:
    """What is wrong with the category schemes and with the tables of what is implied and what excludes each other."""
    for sheet in (*tables.categories.values(), *extra):
        yield from _named(sheet, "concepts", vocabulary)
        try:
            scheme = read_scheme(Path(sheet.path))
        except TaxonomyError as error:
            yield _from(error, sheet)
            continue
        yield from _covered(sheet, scheme, vocabulary)
    if tables.implied is not None:
        for column in ("concept", "implied by"):
            yield from _named(tables.implied, column, vocabulary)
        for row in tables.implied.rows:
            if row["concept"] in row.several("implied by"):
                yield Problem(tables.implied.path, row.line, f"{row['concept']!r} implies itself in {IMPLIED}")
    if tables.contrary is not None:
        yield from _named(tables.contrary, "concepts", vocabulary)
        for row in tables.contrary.rows:
            if len(row.several("concepts")) == 1:
                what = f"{row['concepts']!r} stands alone and excludes nothing; name another, or remove the line"
                yield Problem(tables.contrary.path, row.line, what)


def _from(error: TaxonomyError, sheet: Sheet) -> Problem:
    line, _, what = str(error).removeprefix(f"{sheet.path}:").partition(": ")
    return Problem(sheet.path, int(line), what) if line.isdecimal() else Problem(sheet.path, 0, str(error))


def _named(sheet: Sheet, column: str, vocabulary: Vocabulary) -> Iterator[Problem]:
    for row in sheet.rows:
        names = row.several(column)
        for name in names:
            if name not in vocabulary.by_name:
                near = suggest(name, vocabulary.by_name)
                yield Problem(sheet.path, row.line, f"{name!r} is not a concept{near}")
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield Problem(sheet.path, row.line, f"{name!r} is there twice; keep one")


def _covered(sheet: Sheet, scheme: Scheme, vocabulary: Vocabulary) -> Iterator[Problem]:
    """Whatever a photograph shows leads to a category, in schemes that say so."""
    if not scheme.covers_things:
        return
    for concept, found in zip(vocabulary.concepts, targets(scheme, vocabulary), strict=True):
        # A hidden root is not a thing that a photograph shows.
        if not found and "hidden" not in concept.flags and concept.facet not in ABSTRACT:
            what = f"{concept.name!r} leads to no category, and the scheme covers things; name it or a parent of it"
            yield Problem(sheet.path, 0, what)
