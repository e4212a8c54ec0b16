"""Whether there are people in a picture, as far as anybody said so.

Asked one after the other, and the first who speaks decides: what people decided, what the file says, what was
generated. Each may say that there are people, in a keyword or in words, or that there are none, which only a keyword
says ("no people", a concept of the vocabulary). Silence is not an answer: a model that knows things finds no person in
any picture, and one that knows persons may overlook somebody. So `False` can be relied on, and `None` is common.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from tasks.published import Human, Origin, Published, Word
from taxonomy.concepts import Vocabulary
from taxonomy.truth import folded

PERSON = "wn30:00007846-n"
"""The concept of the shipped vocabulary beneath which persons, their occupations and groups of them are."""
NUMBER = "sm:number-of-people"
"""The concept beneath which the numbers of people are, and the next one."""
NOBODY = "sm:no-people"
MINOR = "minor"
"""The review flag of recognisable minors."""

_PERSONS = (
    r"person|persons|people|man|men|woman|women|boy|boys|girl|girls|child|children|kid|kids|toddler|toddlers|adults|"
    r"teenagers?|lady|ladies|gentlem[ae]n|guys?|crowds?"
)
_ENGLISH = re.compile(rf"(?<![\w-])(?:{_PERSONS})(?![\w'’-])", re.IGNORECASE)
_KOREAN_PERSONS = "사람|남자|여자|남성|여성|소년|소녀|아이|어린아이|어린이|군중|관중"
_PARTICLES = (
    "은|는|이|가|을|를|의|에|에서|에게|에게서|한테|께|께서|와|과|랑|이랑|하고|도|만|로|으로|처럼|같은|보다|까지|부터|마다|"
    "이나|나|이다|인|이며|이고|입니다"
)
# To the end of the word but for particles: 아이스크림 is ice cream, 여성용 for women, 소년원 a prison.
_KOREAN = re.compile(
    rf"(?<![가-힣])(?:[두세네]|한|여러)?(?:{_KOREAN_PERSONS})+(?:친구)?들?(?:{_PARTICLES}){{0,2}}(?![가-힣])"
)
_NEGATED = re.compile(rf"(?<!\w)(?:no|without|nobody)(?: \w+)?(?: (?:{_PERSONS}))?(?!\w)", re.IGNORECASE)
_ROOT = frozenset({"person", "people", "human", "사람", "인물"})
_SOURCES: tuple[Origin, ...] = ("human", "embedded", "generated")


@dataclass(frozen=True)
class PeopleRule:
    """Knows what names people.

    Attributes:
        persons: ids of concepts.
        nobody: ids of the concepts that say there are none.
        words: every label of `persons` that names nothing else, folded; likewise `nobody_words`.
    """

    persons: frozenset[str]
    nobody: frozenset[str]
    words: frozenset[str] = field(repr=False)
    nobody_words: frozenset[str]

    @classmethod
    def of(cls, vocabulary: Vocabulary) -> Self:
        """The rule by a vocabulary; where it has no such concepts, only texts and review flags say anything."""
        nobody = frozenset({NOBODY} & vocabulary.index.keys())
        persons = frozenset(_beneath(vocabulary, PERSON) | _beneath(vocabulary, NUMBER)) - nobody
        named = _named(vocabulary)
        return cls(persons, nobody, _only(named, persons), _only(named, nobody))

    def people(self, published: Published, human: Human | None) -> bool | None:
        """Whether there are people; `None` where nobody said, or the model said both."""
        if human is not None and (decided := self._rejected(human)) is not None:
            return decided
        for source in _SOURCES:
            said = {self._word(word) for word in published.keywords if word.source == source}
            if source == "generated" and any(flag.name == MINOR and flag.verdict == "yes" for flag in published.flags):
                said.add(True)
            texts = (published.title, published.caption, published.alt_text)
            if any(text.source == source and names_people(text.value) for text in texts if text is not None):
                said.add(True)
            said.discard(None)
            if said:
                return said.pop() if len(said) == 1 else None
        return None

    def _word(self, word: Word) -> bool | None:
        """What one keyword says."""
        if word.concept is not None:
            return True if word.concept in self.persons else False if word.concept in self.nobody else None
        return self._labels(word.labels.values())

    def _labels(self, labels: Iterable[str]) -> bool | None:
        forms = {folded(label) for label in labels}
        return False if forms & self.nobody_words else True if forms & self.words else None

    def _rejected(self, human: Human) -> bool | None:
        """Somebody who rejects `person` says that there is none; who rejects `man` does not."""
        forms = {folded(word) for word in human.rejected}
        if forms & self.nobody_words:
            return True
        return False if forms & _ROOT and self.persons else None


def names_people(text: str) -> bool:
    """Whether a title or a caption, English or Korean, speaks of people; of none is not told from silence."""
    if _KOREAN.search(text):
        return "없" not in text
    return bool(_ENGLISH.search(_NEGATED.sub(" ", text)))


def _beneath(vocabulary: Vocabulary, identifier: str) -> set[str]:
    """Ids of a concept and of everything beneath it."""
    at = vocabulary.index.get(identifier)
    return set() if at is None else {concept.id for concept in vocabulary.concepts[at : vocabulary.end[at]]}


def _named(vocabulary: Vocabulary) -> Mapping[str, set[str]]:
    """Which concepts each word of any language names, folded."""
    named: dict[str, set[str]] = {}
    for concept in vocabulary.concepts:
        for word in concept.words:
            named.setdefault(folded(word), set()).add(concept.id)
    for table in vocabulary.translations.values():
        for identifier, labels in table.items():
            for label in labels:
                named.setdefault(folded(label), set()).add(identifier)
    return named


def _only(named: Mapping[str, set[str]], wanted: frozenset[str]) -> frozenset[str]:
    return frozenset(word for word, concepts in named.items() if concepts <= wanted)
