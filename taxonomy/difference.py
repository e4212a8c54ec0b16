"""What differs between two versions of a taxonomy, concept by concept; ids say which is which."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from taxonomy.categories import HEAD
from taxonomy.tables import Row, Sheet, Tables

Kind = Literal["added", "removed", "renamed", "moved", "changed", "implied", "contrary", "label", "category", "scheme"]
KINDS: tuple[Kind, ...] = (
    *("added", "removed", "renamed", "moved", "changed"),
    *("implied", "contrary", "label", "category", "scheme"),
)

Related = Mapping[str, Mapping[str, str]]
"""Ids of concepts to the concepts that they are said to go with: id to name."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs.

    Attributes:
        kind: what happened to a concept: it came, went, was renamed (label or hint), moved (parent), changed (another
            column), or what it is `implied` by, what is `contrary` to it, its `label` in another language, a
            `category` of a scheme or the head of the `scheme` did.
        id: the concept's, or the category's; a scheme's name.
        name: of the concept, as the newer version has it.
        where: the column, language, scheme or line of its head; empty where it goes without saying.
        old: before; empty if there was nothing.
        new: after.
    """

    kind: Kind
    id: str
    name: str
    where: str
    old: str
    new: str


def changes(old: Tables, new: Tables) -> list[Change]:
    """All that differs, by kind and then in the order of the files."""
    found = [*_concepts(old.concepts, new.concepts)]
    names = {row["id"]: row.name for sheet in (old.concepts, new.concepts) for row in sheet.rows}
    found += _related("implied", _implied(old), _implied(new), names)
    found += _related("contrary", _contrary(old), _contrary(new), names)
    for language in sorted({*old.labels, *new.labels}):
        found += _cells("label", language, old.labels.get(language), new.labels.get(language), names)
    for scheme in sorted({*old.categories, *new.categories}):
        found += _cells("category", scheme, old.categories.get(scheme), new.categories.get(scheme), {})
        found += _heads(scheme, old.categories.get(scheme), new.categories.get(scheme))
    return sorted(found, key=lambda change: KINDS.index(change.kind))


def _concepts(old: Sheet, new: Sheet) -> Iterator[Change]:
    before, after = _by_id(old), _by_id(new)
    old_ids, new_ids = _ids(old), _ids(new)
    for id_, row in after.items():
        if id_ not in before:
            yield Change("added", id_, row.name, "", "", row.name)
            continue
        was = before[id_]
        if was.name != row.name:
            yield Change("renamed", id_, row.name, "", was.name, row.name)
        # By id: a parent that got another name has not moved its children.
        if old_ids.get(was["parent"], "") != new_ids.get(row["parent"], ""):
            yield Change("moved", id_, row.name, "", was["parent"], row["parent"])
        for column in dict.fromkeys((*old.columns, *new.columns)):
            if column not in ("id", "label", "hint", "parent") and was[column] != row[column]:
                yield Change("changed", id_, row.name, column, was[column], row[column])
    for id_, row in before.items():
        if id_ not in after:
            yield Change("removed", id_, row.name, "", row.name, "")


def _cells(kind: Kind, where: str, old: Sheet | None, new: Sheet | None, names: Mapping[str, str]) -> Iterator[Change]:
    """Changes of a file with one line an id."""
    before, after = _by_id(old), _by_id(new)
    for id_ in dict.fromkeys((*after, *before)):
        was, now = _content(before.get(id_), old), _content(after.get(id_), new)
        if was != now:
            row = after.get(id_) or before[id_]
            yield Change(kind, id_, names.get(id_, row["label"]), where, was, now)


def _heads(scheme: str, old: Sheet | None, new: Sheet | None) -> Iterator[Change]:
    before, after = (dict(sheet.head) if sheet else {} for sheet in (old, new))
    for key in HEAD:
        was, now = before.get(key, ""), after.get(key, "")
        if was != now:
            yield Change("scheme", scheme, scheme, key, was, now)


def _related(kind: Kind, before: Related, after: Related, names: Mapping[str, str]) -> Iterator[Change]:
    """By id, as parents are: what only got another name is the same."""
    for id_ in dict.fromkeys((*after, *before)):
        was, now = before.get(id_, {}), after.get(id_, {})
        if was.keys() != now.keys():
            yield Change(kind, id_, names.get(id_, id_), "", "|".join(was.values()), "|".join(now.values()))


def _implied(tables: Tables) -> Related:
    ids = _ids(tables.concepts)
    return {
        ids.get(row["concept"], row["concept"]): {ids.get(name, name): name for name in row.several("implied by")}
        for row in (tables.implied.rows if tables.implied else ())
    }


def _contrary(tables: Tables) -> Related:
    ids = _ids(tables.concepts)
    found: dict[str, dict[str, str]] = {}
    for row in tables.contrary.rows if tables.contrary else ():
        group = {ids.get(name, name): name for name in row.several("concepts")}
        for id_ in group:
            found.setdefault(id_, {}).update((other, name) for other, name in group.items() if other != id_)
    return found


def _by_id(sheet: Sheet | None) -> dict[str, Row]:
    return {row["id"]: row for row in sheet.rows} if sheet else {}


def _ids(sheet: Sheet) -> dict[str, str]:
    return {row.name: row["id"] for row in sheet.rows}


def _content(row: Row | None, sheet: Sheet | None) -> str:
    """A line's cells but for the id and what is empty, as they are told apart and shown."""
    if row is None or sheet is None:
        return ""
    return "; ".join(f"{column} {row[column]}" for column in sheet.columns if column != "id" and row[column])
