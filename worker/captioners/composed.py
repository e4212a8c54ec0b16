"""Captions composed from the keywords: no second model, and nothing said that the keywords do not say."""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from tasks.ports import Picture, Words
from tasks.records import UNTITLED, Embedded
from taxonomy.choose import DECIMALS, Chosen
from taxonomy.concepts import Vocabulary
from taxonomy.limits import Limits, load_limits
from worker.captioners import english, facts
from worker.captioners.mentions import Mention, Selector
from worker.captioners.patterns import Candidate, Patterns

VERSION = "composed/2"

TITLE_MENTIONS = 3
ALT_MENTIONS = 4


class ComposedCaptioner:
    """Composes candidate sentences and takes the one nearest to the picture.

    Every sentence follows one of a few patterns that claim no more than presence: `A dog and a ball`, `A dog with a
    ball, grass and a tree`, `A beach scene with a dog`. Nothing is on, under or doing anything.

    A candidate stands for the normalised sum of the embeddings of the concepts that it mentions, and is ranked by the
    cosine of that with the picture's embedding: encoding the sentences themselves would cost more than the picture.
    All candidates mention the surest concept; which concepts may be mentioned at all, and that a narrow one is
    preferred to its parent when nearly as sure, is decided in `mentions`.

    Args:
        vocabulary: m concepts.
        embeddings: theirs, (m, d), unit length.
        limits: lengths of the texts; by default the tightest that the agencies set.
        withheld: positions of the concepts that a policy never shows, and no text mentions either.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        embeddings: NDArray[np.float32],
        limits: Limits | None = None,
        withheld: Collection[int] = (),
    ) -> None:
        if len(embeddings) != len(vocabulary.concepts):
            raise ValueError(f"{len(embeddings)} embeddings for {len(vocabulary.concepts)} concepts")
        self.vocabulary = vocabulary
        self.limits = load_limits() if limits is None else limits
        self._embeddings = embeddings
        self._selector = Selector(vocabulary, withheld)
        self._patterns = Patterns(vocabulary)
        # The vocabulary's own fingerprint leaves out what only sentences need.
        grammars = [concept.grammar for concept in vocabulary.concepts]
        content = repr((VERSION, vocabulary.fingerprint, grammars, tuple(self.limits)))
        self.fingerprint = hashlib.sha256(content.encode()).hexdigest()[:16]

    def caption(self, picture: Picture, keywords: Sequence[Chosen]) -> Words | None:
        """Title, caption and alt text.

        Args:
            picture: what is known of it otherwise.
            keywords: the picture's, of this captioner's vocabulary.

        Returns:
            `None` without keywords, or where none of them has a letter or digit.
        """
        mentions = self._selector.select(keywords, things=2 if self.vocabulary.flat else 4)
        if not mentions:
            return self._untitled(picture.embedded) if any(english.clean(k.concept.label) for k in keywords) else None
        around = tuple(mention for mention in mentions if mention.around)
        ranked = self._ranked(picture.vector, [mention for mention in mentions if not mention.around] or around)
        candidates = [candidate if candidate == around else (*candidate, *around) for candidate in ranked]
        return Words(
            title=self._title(candidates),
            caption=self._caption(candidates, picture.embedded),
            alt_text=self._sentence(candidates, self.limits.alt_text, most=ALT_MENTIONS),
        )

    def _ranked(self, embedding: NDArray[np.float32], mentions: Sequence[Mention]) -> list[Candidate]:
        """Candidates, the best first; of equals the one that mentions fewer."""
        sets = _sets(mentions)
        vectors = np.asarray(self._embeddings[[mention.chosen.position for mention in mentions]], dtype=np.float64)
        member = np.zeros((len(sets), len(mentions)))
        for row, places in enumerate(sets):
            member[row, places] = 1
        along = member @ (vectors @ embedding.astype(np.float64))
        length = np.sqrt(((member @ (vectors @ vectors.T)) * member).sum(axis=1))
        cosine = np.round(along / np.maximum(length, 1e-9), DECIMALS)
        return [tuple(mentions[place] for place in sets[i]) for i in np.argsort(-cosine, kind="stable")]

    def _title(self, ranked: Sequence[Candidate]) -> str:
        said = (self._patterns.headline(candidate) for candidate in ranked if _length(candidate) <= TITLE_MENTIONS)
        texts = map(english.plain, said)
        return english.headline(_fitting(texts, self.limits.title), self.limits.title)

    def _untitled(self, embedded: Embedded | None) -> Words:
        """Words for a picture of which nothing is sure enough to be said."""
        endings = (f"a picture taken{ending}" if ending else "a picture" for ending in facts.endings(embedded))
        caption = english.sentence(_fitting(endings, self.limits.caption - 1), self.limits.caption)
        return Words(UNTITLED, caption, "A picture.")

    def _caption(self, ranked: Sequence[Candidate], embedded: Embedded | None) -> str:
        """The sentence, with as much of place and date as there is room for."""
        said = self._sentence(ranked, self.limits.caption, most=len(ranked[0]))
        endings = (f"{said[:-1]}{ending}" for ending in facts.endings(embedded))
        return english.sentence(_fitting(endings, self.limits.caption - 1), self.limits.caption)

    def _sentence(self, ranked: Sequence[Candidate], limit: int, most: int) -> str:
        texts = (self._patterns.statement(candidate) for candidate in ranked if _length(candidate) <= most)
        return english.sentence(_fitting(texts, limit - 1), limit)


def _sets(mentions: Sequence[Mention]) -> list[list[int]]:
    """All sets of mentions, as places, with the surest in it and at most one setting; the smaller first."""
    others = range(1, len(mentions))
    sets = [[0, *more] for count in range(len(mentions)) for more in combinations(others, count)]
    return [places for places in sets if sum(mentions[place].setting for place in places) <= 1]


def _length(candidate: Candidate) -> int:
    """How many things and places it mentions."""
    return sum(not mention.around for mention in candidate)


def _fitting(texts: Iterable[str], limit: int) -> str:
    """The first text that is short enough, else the shortest."""
    tried = []
    for text in texts:
        if len(text) <= limit:
            return text
        tried.append(text)
    return min(tried, key=len)
