"""Whether what a caption names is in the picture, as far as the encoder can tell.

The encoder rejects a concept where even the best `raw` among it and all beneath it is no better than that of most
concepts. Ranks, because cosines of one encoder say nothing of another's. Words of kinds that the encoder cannot tell
are not looked for, and a word of several meanings is rejected where all of them are.

Measured with `starter` on the 80 COCO photographs of the shared set that have people's own captions: of those 400
the rule lets 354 pass, and of 400 taken from pictures that show other things 145 (docs/captions.md).
"""

import numpy as np
from numpy.typing import NDArray

from taxonomy.concepts import Vocabulary
from taxonomy.words import tokens
from worker.captioners.phrases import Phrases

REJECTED = 0.7
"""Share of the vocabulary that lies below a concept whose mention stands."""

FEWEST = 100
"""Ranks among fewer concepts say nothing."""


class Claims:
    """Checks what captions claim.

    Args:
        vocabulary: m concepts, those that the encoder can tell.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._phrases = Phrases(vocabulary)
        self._idle = vocabulary.flat or len(vocabulary.concepts) < FEWEST

    def rejected(self, text: str, raw: NDArray[np.float32]) -> str | None:
        """The first thing that a text names and the encoder does not see; `None` where there is no such thing.

        Args:
            text: a caption.
            raw: corrected cosine of the picture with each concept, (m,).
        """
        if self._idle:
            return None
        words = tokens(text)
        for span in self._phrases.find(words):
            best = max(self._best(position, raw) for position in span.positions)
            if np.count_nonzero(raw < best) < REJECTED * len(raw):
                return " ".join(words[span.start : span.stop])
        return None

    def _best(self, position: int, raw: NDArray[np.float32]) -> float:
        """The best `raw` of a concept and of all beneath it."""
        return max(float(raw[start:stop].max()) for start, stop in self._vocabulary.runs(position))
