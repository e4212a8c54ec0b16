"""The concept table: what there is to say about a picture, as a tree.

`data/concepts.tsv` has one concept a line, tab-separated, readable in a diff:

    id          stable: WordNet 3.0's where there is one (`wn30:02084071-n`), else our own (`sm:copy-space`)
    label       American English, as a stock buyer types it; `label (hint)` is unique
    hint        one or two words where the bare label is ambiguous: crane (bird)
    parent      the parent's `label` or `label (hint)`; empty for a root
    facet       what kind of thing it says: one of `FACETS`
    grammar     count, mass, plural, proper, adjective, phrase: how a sentence uses it
    synonyms    separated by `|`
    flags       separated by `|`: hidden (means nothing to a buyer, never shown), personal (age, gender, origin …)

`data/labels/<language>.tsv` adds a language: id, label, synonyms.
"""

import csv
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from io import StringIO
from pathlib import Path

FACETS = frozenset(
    "object vehicle animal plant food drink clothing place building nature weather activity sport person body "
    "composition lighting color style emotion concept season event material symbol".split()
)
GRAMMARS = frozenset("count mass plural proper adjective phrase".split())
FLAGS = frozenset({"hidden", "personal"})
COLUMNS = ("id", "label", "hint", "parent", "facet", "grammar", "synonyms", "flags")


class TaxonomyError(ValueError):
    """A vocabulary file that cannot be used; says file, line and cause."""


@dataclass(frozen=True, slots=True)
class Concept:
    """One thing that can be said about a picture; `parent` is the parent's id, or `None` for a root."""

    id: str
    label: str
    hint: str = ""
    parent: str | None = None
    facet: str = "object"
    grammar: str = "count"
    synonyms: tuple[str, ...] = ()
    flags: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """Unique in a vocabulary: the label, with the hint where there is one."""
        return f"{self.label} ({self.hint})" if self.hint else self.label
