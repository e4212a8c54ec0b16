"""What is said of a taxonomy that breaks a rule, and what the rules look at."""

from dataclasses import dataclass, field
from typing import Literal

from taxonomy.concepts import Concept, Vocabulary
from taxonomy.tables import Tables
from taxonomy.words import Screen

Level = Literal["error", "note"]


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something that has to be put right (`error`), or that a person should know (`note`).

    Attributes:
        line: in the file, from 1; 0 where it is about the whole.
        what: what is wrong and what to do.
    """

    file: str
    line: int
    what: str
    level: Level = "error"

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.what}"


@dataclass(frozen=True)
class Subject:
    """What the rules look at: the tables, the vocabulary that they make, the words that must not be there."""

    tables: Tables
    vocabulary: Vocabulary
    screen: Screen
    _lines: dict[str, int] = field(default_factory=dict)

    def at(self, concept: Concept, what: str, level: Level = "error") -> Problem:
        """A problem at a concept's line."""
        if not self._lines:
            self._lines.update((row["id"], row.line) for row in self.tables.concepts.rows)
        return Problem(self.tables.concepts.path, self._lines.get(concept.id, 0), what, level)
