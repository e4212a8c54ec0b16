"""A person's keywords, from the file itself, beside ours: theirs first, in their order and spelling; ours fold in.

- A word that names a concept of the vocabulary, in any form or language, takes its id and labels; in the language in
  which it names it, the label is what the person wrote. Of several concepts it is the one that the picture shows most.
- Any other word is `embedded:<the word folded>`. So is a second word for a concept that has one: none is dropped.
- They are the person's responsibility: no policy denies or translates them away. A brand or an offensive word among
  them is a flag, `embedded_words`, for somebody to look at.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tasks.ports import Words
from tasks.records import Embedded, Flag, Keyword, Source
from taxonomy.choose import DECIMALS
from taxonomy.choose import said as sense
from taxonomy.concepts import Concept, Vocabulary
from taxonomy.policy import Policy
from taxonomy.truth import Lexicon, folded
from taxonomy.words import Screen, load_screen

VERSION = 1
"""Raised when the same words would become other keywords."""

FLAG = "embedded_words"
_SOURCE = Source.EMBEDDED
_LONGEST_TITLE = 200
_LONGEST_ALT_TEXT = 250
_HANGUL = re.compile("[가-힣]")


class FileWords:
    """Makes keywords of a file's own.

    Args:
        vocabulary: the m concepts that are scored.
        policy: the labels' languages, the number of keywords, and what is blocked besides the shipped words.
        whole: more concepts, which the encoder cannot tell, but which have names in other languages.
    """

    def __init__(self, vocabulary: Vocabulary, policy: Policy, whole: Vocabulary | None = None) -> None:
        self._scored = vocabulary
        self._vocabulary = whole or vocabulary
        self._policy = policy

    @cached_property
    def _lexicon(self) -> Lexicon:
        return Lexicon(self._vocabulary)

    @cached_property
    def _screen(self) -> Screen:
        return load_screen(self._vocabulary).extended(self._policy.blocked, self._policy.unblocked)

    def merged(self, words: Sequence[str], ours: Sequence[Keyword], raw: NDArray[np.float32]) -> tuple[Keyword, ...]:
        """All keywords of an image, at most as many as it may have.

        Args:
            words: the file's, as written.
            ours: what the picture shows, the most useful first.
            raw: (m,) corrected cosine of the picture with each concept.
        """
        if not words:
            return tuple(ours)
        theirs = list(self._theirs(words, raw))
        ids = {keyword.id for keyword in theirs}
        senses = {sense(label) for keyword in theirs for label in keyword.labels.values()}
        senses |= {sense(word) for word in words}
        others = (
            keyword
            for keyword in ours
            if keyword.id not in ids and not any(sense(label) in senses for label in keyword.labels.values())
        )
        return tuple(replace(keyword, rank=rank) for rank, keyword in enumerate((*theirs, *others), 1))[
            : self._policy.max_keywords
        ]

    def flags(self, words: Sequence[str]) -> tuple[Flag, ...]:
        """A flag if any of the words is a brand or offensive."""
        reasons = [verdict.reason for word in words if (verdict := self._screen.screen(word)).level == "block"]
        return (Flag(FLAG, "yes", f"in the file's own keywords {'; '.join(reasons[:5])}"),) if reasons else ()

    def _theirs(self, words: Sequence[str], raw: NDArray[np.float32]) -> Iterator[Keyword]:
        ids: set[str] = set()
        for word in words:
            if f"embedded:{folded(word)}" in ids:
                continue
            concept = self._concept(word, raw)
            if concept is not None and concept.id not in ids:
                keyword = Keyword(0, concept.id, self._labels(concept, word), 1.0, self._raw(concept, raw), _SOURCE)
            else:
                keyword = Keyword(0, f"embedded:{folded(word)}", self._unknown(word), 1.0, 0.0, _SOURCE)
            ids |= {keyword.id, f"embedded:{folded(word)}"}
            yield keyword

    def _concept(self, word: str, raw: NDArray[np.float32]) -> Concept | None:
        """What the word names; of several what the picture shows most, the first where it can be told of none."""
        found = self._lexicon.find(word)
        return max(found, key=lambda concept: self._raw(concept, raw, -1.0), default=None)

    def _raw(self, concept: Concept, raw: NDArray[np.float32], default: float = 0.0) -> float:
        position = self._scored.index.get(concept.id)
        return default if position is None else round(float(raw[position]), DECIMALS)

    def _labels(self, concept: Concept, word: str) -> dict[str, str]:
        labels = self._vocabulary.labels(concept, self._policy.languages)
        return labels | {self._language(concept, word): word}

    def _unknown(self, word: str) -> dict[str, str]:
        """Labels of a word that is in no vocabulary: English stands for whatever it is; Korean can be told."""
        return {"en": word} | ({"ko": word} if _HANGUL.search(word) and "ko" in self._policy.languages else {})

    def _language(self, concept: Concept, word: str) -> str:
        """The language in which the word names the concept; English if it is no other's."""
        for language in sorted(set(self._vocabulary.translations) - {"en"}):
            names = self._vocabulary.translations[language].get(concept.id, ())
            if folded(word) in map(folded, names) and folded(word) not in map(folded, concept.words):
                return language
        return "en"


def words_of(embedded: Embedded) -> Words:
    """Title, caption and alt text of a picture of which only its file says anything."""
    title = embedded.title or embedded.headline or embedded.description or ", ".join(embedded.keywords)
    caption = embedded.description or title
    return Words(
        _cut(title, _LONGEST_TITLE),
        _cut(caption, _LONGEST_TITLE),
        _cut(embedded.alt_text or caption, _LONGEST_ALT_TEXT),
    )


def _cut(text: str, most: int) -> str:
    """After a whole word, if there is one."""
    if len(text) <= most:
        return text
    head, space, _ = text[: most + 1].rpartition(" ")
    return (head if space else text[:most]).rstrip(" ,;:-")
