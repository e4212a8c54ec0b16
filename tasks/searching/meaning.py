"""A query as a direction among the pictures: what a model's text encoder makes of it.

Text encoders know English, some of them nothing else. So what was understood is encoded by its English names, in
whatever language it was asked for: a query of names alone has the same direction in all of them. Only English is also
encoded as it was typed, where it says more than names.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tasks.ports import Embeddings
from tasks.searching.understand import Understood
from taxonomy.concepts import Concept

NAMES = 0.5
"""Weight of the concepts' own directions beside that of the text."""


class TextEncoder(Protocol):
    """The part of an `Encoder` that a query needs.

    Attributes:
        prompts: templates with one `{}`.
    """

    prompts: tuple[str, ...]

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """N texts to embeddings (n, d) of unit length."""


class Text(NamedTuple):
    """A text to encode, and how much its direction counts in the query's."""

    text: str
    weight: float


@dataclass(frozen=True)
class Meaning:
    """Gives queries their direction. `load` gives the text encoder, when one is first needed."""

    load: Callable[[], TextEncoder]

    def direction(self, understood: Understood) -> NDArray[np.float32] | None:
        """A unit vector (d,); `None` where nothing was understood and the text is not English."""
        texts = list(texts_of(understood))
        if not texts:
            return None
        encoder = self.load()
        prompts = encoder.prompts
        found = encoder.encode_texts([prompt.format(text) for text, _ in texts for prompt in prompts])
        each = found.reshape(len(texts), len(prompts), -1).astype(np.float64).mean(axis=1)
        each /= np.maximum(np.linalg.norm(each, axis=1, keepdims=True), 1e-12)
        total = np.array([weight for _, weight in texts]) @ each
        length = np.linalg.norm(total)
        return None if length < 1e-6 else (total / length).astype(np.float32)


def texts_of(understood: Understood) -> Iterator[Text]:
    """What to encode of a query, in English."""
    wanted = understood.wanted
    sentence = _sentence(understood)
    if sentence is not None:
        yield Text(sentence, 1.0)
    for phrase in wanted:
        share = (1.0 if sentence is None else NAMES) / len(wanted) / sum(weight for _, weight in phrase.concepts)
        for concept, weight in phrase.concepts:
            names = (concept.name, *concept.synonyms)
            yield from (Text(name, share * weight / len(names)) for name in names)


def _sentence(understood: Understood) -> str | None:
    """The query as one English text; `None` where a single name says it all, or where there is no English for it."""
    if understood.language == "en" and not understood.only_names and not understood.negated:
        return understood.text.strip() or None
    names = [_label(phrase.concepts) for phrase in understood.wanted]
    return " and ".join(sorted(names)) if len(names) > 1 else None


def _label(concepts: Sequence[tuple[Concept, float]]) -> str:
    """What a phrase means, in English: all that it means with the same right."""
    return " or ".join(concept.label for concept, weight in concepts if weight == concepts[0][1])
