"""What people say about hits that they want, as filters."""

from collections.abc import Iterable
from pathlib import Path

from tasks.errors import ConfigurationError
from tasks.feeding import colors
from taxonomy import categories
from taxonomy.categories import Scheme
from taxonomy.concepts import TaxonomyError
from taxonomy.rules import suggest
from taxonomy.truth import folded

FEW = 40
"""Categories of a scheme that are all told to who names one that it has not."""


def find_categories(names: Iterable[str], extra: Iterable[Path] = ()) -> tuple[tuple[str, str], ...]:
    """Categories as `scheme:id`, as `scheme:label`, or by a label that only one scheme has, as scheme and id.

    Raises:
        ConfigurationError: there is no such category, or several; says which there are.
    """
    names = list(names)
    if not names:
        return ()
    try:
        schemes = categories.load_schemes(tuple(extra))
    except TaxonomyError as error:
        raise ConfigurationError(str(error)) from error
    return tuple(_category(name, schemes) for name in names)


def _category(name: str, schemes: tuple[Scheme, ...]) -> tuple[str, str]:
    scheme_name, colon, id_ = name.partition(":")
    known = {scheme.name: scheme for scheme in schemes}
    if colon and scheme_name in known:
        rows = known[scheme_name].rows
        for row in rows:
            if row.id == id_ or folded(row.label) == folded(id_):
                return scheme_name, row.id
        which = f"; there are {', '.join(f'{row.id} {row.label}' for row in rows)}" if len(rows) <= FEW else ""
        raise ConfigurationError(
            f"--category {name}: {scheme_name} has no category with the id or label {id_!r}{which}"
        )
    found = [(scheme.name, row.id) for scheme in schemes for row in scheme.rows if folded(row.label) == folded(name)]
    if len(found) == 1:
        return found[0]
    if found:
        choice = ", ".join(f"{scheme}:{id_}" for scheme, id_ in found)
        raise ConfigurationError(f"--category {name}: several have that name; give one of {choice}")
    labels = [row.label for scheme in schemes for row in scheme.rows]
    raise ConfigurationError(
        f"--category {name}: no category is called so{suggest(name, labels)}; give its label, or scheme:id with one of "
        f"the schemes {', '.join(known)}"
    )


def find_colors(names: Iterable[str]) -> tuple[str, ...]:
    """Names of colours, in any language that has them, as documents have them. Raises `ConfigurationError`."""
    found = []
    for name in names:
        if (color := colors.find(name)) is None:
            raise ConfigurationError(f"--color {name}: no colour is called so; there are {', '.join(colors.NAMES)}")
        found.append(color)
    return tuple(dict.fromkeys(found))
