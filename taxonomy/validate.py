"""What is wrong with a taxonomy, all of it, and what is worth a look: every rule that an edit has to keep.

`problems` takes the files as they are. First their form (columns, closed lists), then the tree, then words, languages
and categories; where the tree does not stand there is nothing to ask the rest of.
"""

from collections.abc import Iterable, Iterator, Sequence

from taxonomy import validate_categories, validate_words
from taxonomy.concepts import FACETS, FLAGS, GRAMMARS, TIERS, Concept, TaxonomyError, Vocabulary, build
from taxonomy.files import COLUMNS, CONTRARY_COLUMNS, IMPLIED_COLUMNS
from taxonomy.problem import Problem, Subject
from taxonomy.tables import Row, Sheet, Tables
from taxonomy.words import Screen

DEEPEST = 6
"""Steps from a concept to its root; more than that nobody reads."""
LABEL_COLUMNS = ("id", "label", "synonyms")
CLOSED = (("facet", FACETS), ("tier", TIERS), ("grammar", GRAMMARS), ("flags", FLAGS))


def problems(tables: Tables, screen: Screen, extra: Sequence[Sheet] = ()) -> list[Problem]:
    """Every problem and note, by file and line.

    Args:
        tables: the taxonomy.
        screen: brands and offensive words.
        extra: category schemes of a customer's own.
    """
    found = [*_form(tables.concepts, COLUMNS, COLUMNS[:2], CLOSED)]
    for sheet in tables.labels.values():
        found += _form(sheet, LABEL_COLUMNS, LABEL_COLUMNS[:2])
    for table, columns in ((tables.implied, IMPLIED_COLUMNS), (tables.contrary, CONTRARY_COLUMNS)):
        found += _form(table, columns, columns) if table is not None else ()
    if not tables.concepts.rows:
        what = "the vocabulary has no concepts; write one a line beneath the header"
        found.append(Problem(tables.concepts.path, tables.concepts.header, what))
    found += _unique(tables.concepts)
    vocabulary = None if found else _vocabulary(tables, found)
    if vocabulary is not None:
        subject = Subject(tables, vocabulary, screen)
        for rule in (*RULES, *validate_words.RULES):
            found += rule(subject)
        found += validate_categories.problems(tables, vocabulary, extra)
    return sorted(found)


def _form(
    sheet: Sheet, columns: Sequence[str], required: Sequence[str], closed: Iterable[tuple[str, Iterable[str]]] = ()
) -> Iterator[Problem]:
    """Columns, cells and closed lists."""
    for column in sheet.columns:
        if column not in columns:
            yield Problem(sheet.path, sheet.header, f"unknown column {column!r}; known: {', '.join(columns)}")
    for row in sheet.rows:
        if row.extra:
            cells = len(sheet.columns) + row.extra
            yield Problem(sheet.path, row.line, f"{cells} cells under {len(sheet.columns)} columns; remove a tab")
        for column in required:
            if not row[column]:
                yield Problem(sheet.path, row.line, f"the {column} is empty; fill it in")
        for column, known in closed:
            for value in row.several(column):
                if value not in known:
                    what = f"the {column} {value!r} is none of {', '.join(sorted(known))}"
                    yield Problem(sheet.path, row.line, what)


def _unique(sheet: Sheet) -> Iterator[Problem]:
    """Ids, and pairs of label and hint, whatever their case."""
    ids: dict[str, Row] = {}
    names: dict[str, Row] = {}
    for row in sheet.rows:
        if row["id"] in ids:
            yield Problem(sheet.path, row.line, f"the id {row['id']!r} is there already, in line {ids[row['id']].line}")
        name = row.name.casefold()
        if name in names:
            what = f"{row.name!r} is there already, in line {names[name].line}; give both a hint, or remove one"
            yield Problem(sheet.path, row.line, what)
        ids.setdefault(row["id"], row)
        names.setdefault(name, row)


def _vocabulary(tables: Tables, found: list[Problem]) -> Vocabulary | None:
    """The vocabulary, or nothing and the problems why its tree does not stand."""
    sheet = tables.concepts
    by_name = {row.name: row for row in sheet.rows}
    before = len(found)
    for row in sheet.rows:
        if row["parent"] and row["parent"] not in by_name:
            what = (
                f"the parent {row['parent']!r} is no concept of this file; write its label, with its hint if it has one"
            )
            found.append(Problem(sheet.path, row.line, what))
        elif _circular(row, by_name):
            found.append(Problem(sheet.path, row.line, f"{row.name!r} is its own parent, by way of others"))
    if len(found) > before:
        return None
    translations = {
        language: {row["id"]: (row["label"], *row.several("synonyms")) for row in labels.rows}
        for language, labels in tables.labels.items()
    }
    return build([_concept(row, by_name) for row in sheet.rows], translations=translations)


def standing(tables: Tables) -> Vocabulary | None:
    """The vocabulary that the files make, to check a policy against; nothing where it does not stand."""
    try:
        vocabulary = _vocabulary(tables, [])
    except TaxonomyError:  # told by `problems`
        return None
    return vocabulary if vocabulary is not None and vocabulary.concepts else None


def _circular(row: Row, by_name: dict[str, Row]) -> bool:
    seen = set()
    current: Row | None = row
    while current is not None and current["parent"] and current.line not in seen:
        seen.add(current.line)
        current = by_name.get(current["parent"])
        if current is not None and current.line == row.line:
            return True
    return False


def _concept(row: Row, by_name: dict[str, Row]) -> Concept:
    return Concept(
        id=row["id"],
        label=row["label"],
        hint=row["hint"],
        parent=by_name[row["parent"]]["id"] if row["parent"] else None,
        facet=row["facet"] or "object",
        grammar=row["grammar"] or "count",
        synonyms=row.several("synonyms"),
        flags=frozenset(row.several("flags")),
        tier=row["tier"] or "B",
        plural=row["plural"],
        british=row.several("british"),
    )


def _depth(subject: Subject) -> Iterator[Problem]:
    for concept in subject.vocabulary.concepts:
        steps = sum(1 for _ in subject.vocabulary.ancestors(concept))
        if steps > DEEPEST:
            yield subject.at(concept, f"{concept.name!r} is {steps} steps from its root; at most {DEEPEST}")


def _inherited(subject: Subject) -> Iterator[Problem]:
    """A facet goes with its whole tree, or an encoder would drop half of it; so does what is personal."""
    for concept in subject.vocabulary.concepts:
        if concept.parent is None:
            continue
        parent = next(subject.vocabulary.ancestors(concept))
        if concept.facet != parent.facet:
            what = f"{concept.name!r} is of facet {concept.facet}, its parent {parent.name!r} of facet {parent.facet}"
            yield subject.at(concept, f"{what}; make them equal, or move it")
        if lost := sorted(parent.personal - concept.personal):
            what = f"{concept.name!r} is not personal:{lost[0]} and its parent {parent.name!r} is; add the flag"
            yield subject.at(concept, what)


def _hidden(subject: Subject) -> Iterator[Problem]:
    parents = {concept.parent for concept in subject.vocabulary.concepts}
    for concept in subject.vocabulary.concepts:
        if "hidden" in concept.flags and concept.id not in parents:
            yield subject.at(concept, f"{concept.name!r} is hidden and groups nothing; show it, or remove it")


def _order(subject: Subject) -> Iterator[Problem]:
    """Parents first, siblings by name: a new concept has one place to go and is one line of a diff."""
    lines = {row["id"]: row.line for row in subject.tables.concepts.rows}
    last: dict[str | None, Concept] = {}
    before = 0
    for concept in subject.vocabulary.concepts:
        elder = last.get(concept.parent) if concept.parent is not None else None
        if elder is not None and elder.name.casefold() > concept.name.casefold():
            yield subject.at(concept, f"{concept.name!r} comes after {elder.name!r}; siblings are sorted by name")
        elif lines[concept.id] < before:
            yield subject.at(concept, f"{concept.name!r} is not in the order of the tree; put it beneath its parent")
        last[concept.parent] = concept
        before = max(before, lines[concept.id])


RULES = (_depth, _inherited, _hidden, _order)
