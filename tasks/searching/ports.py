"""What a search needs of an index, as a Protocol, and what it asks. `worker/feeds/` has the adapters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tasks.feeding.document import Document


@dataclass(frozen=True, slots=True)
class Filters:
    """What all hits have to be; what is empty or `None` does not matter.

    Attributes:
        categories: scheme and id, all of them.
        colors: names, all of them.
        people: whether there are people; pictures of which that is unknown are left out when asked.
        prefix: what keys begin with.
    """

    categories: tuple[tuple[str, str], ...] = ()
    orientation: Literal["landscape", "portrait", "square"] | None = None
    colors: tuple[str, ...] = ()
    people: bool | None = None
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class WordQuery:
    """A query by words.

    Attributes:
        text: all of it in words: what the concepts are called, in every language, and the rest; for pictures that
            have them in a text alone, which counts little.
        language: two letters, of the words that are no concepts.
        concepts: ids of the concepts that were understood, and how much each counts, above 0 up to 1.
        rest: the words that are part of no concept's name.
    """

    text: str
    language: str
    concepts: Mapping[str, float]
    rest: tuple[str, ...] = ()


class Ranked(NamedTuple):
    """A document in one list of results; `id` is `Document.id`, `why` what it was found by, in words."""

    id: str
    score: float
    why: tuple[str, ...] = ()


class Searcher(Protocol):
    """Reads the index that serves. Any number may, beside the feed that writes.

    Attributes:
        generation: which the documents are of.
        model: which made their embeddings, as `Record.model` names it; `None` where the index is empty.
    """

    generation: str
    model: str | None

    def by_words(self, query: WordQuery, filters: Filters, limit: int) -> Sequence[Ranked]:
        """The best first. Raises `Unavailable`."""

    def by_vector(self, vector: NDArray[np.float32], filters: Filters, limit: int) -> Sequence[Ranked]:
        """The nearest by cosine first, to a unit vector (d,). Raises `Unavailable`."""

    def documents(self, ids: Sequence[str]) -> Mapping[str, Document]:
        """Documents by id, those that are there. Raises `Unavailable`."""

    def close(self) -> None:
        """Let go of files and connections."""
