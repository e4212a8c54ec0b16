"""The words that leave the system: what a person decided over what the file itself says over what was generated.

Pure functions of a record and of the human document beside it; `worker.sidecars` reads both.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Self

import msgspec

from tasks.records import UNTITLED, Category, Embedded, Flag, Image, Keyword, Record, Source, decoded

OWN_WORD = "embedded:"
"""What the id of a keyword begins with that is a word of the file's and no concept."""

HUMAN_SCHEMA: Literal["stockmeta-human/1"] = "stockmeta-human/1"

Origin = Literal["human", "embedded", "generated"]
"""Whose words they are, the strongest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Human:
    """What people decided about one image, `<output>/human/<bucket>/<key>.json`; unknown fields are left alone.

    Attributes:
        keywords: the keywords in their order; they replace all others. `None` leaves the others as they are.
        rejected: words that are not to be keywords, in whatever language.
    """

    schema: Literal["stockmeta-human/1"] = HUMAN_SCHEMA
    title: str | None = None
    caption: str | None = None
    alt_text: str | None = None
    keywords: tuple[str, ...] | None = None
    rejected: tuple[str, ...] = ()

    def to_json(self) -> str:
        """One line, UTF-8, `schema` first."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Inverse of `to_json`; fields may be missing. Raises `ValueError`, saying where, if it is nothing such."""
        return decoded(text, cls)


@dataclass(frozen=True, slots=True)
class Text:
    """A text, and whose it is."""

    value: str
    source: Origin


@dataclass(frozen=True, slots=True)
class Word:
    """A keyword.

    Attributes:
        labels: by language. A word of a person's has one, under `en`, `ko` or, where its letters do not tell, `und`.
        concept: id of the concept, if it is one of ours.
    """

    labels: Mapping[str, str]
    concept: str | None
    source: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What is said of one image to the outside.

    Attributes:
        keywords: the most useful first: those that a person stands behind, then ours by rank.
        embedded: what the file says of its place, its date, its makers.
    """

    image: Image
    title: Text | None = None
    caption: Text | None = None
    alt_text: Text | None = None
    keywords: tuple[Word, ...] = ()
    categories: Mapping[str, tuple[Category, ...]]
    flags: tuple[Flag, ...] = ()
    embedded: Embedded | None = None


def published(record: Record, human: Human | None = None) -> Published:
    """What leaves the system of a record: each text from the strongest source that has one."""
    decided = human or Human()
    embedded = record.embedded or Embedded()
    titled = record.title != UNTITLED
    return Published(
        image=record.image,
        title=_text(decided.title, embedded.title or embedded.headline, record.title if titled else None),
        caption=_text(decided.caption, embedded.description, record.caption if titled else None),
        alt_text=_text(decided.alt_text, embedded.alt_text, record.alt_text if titled else None),
        keywords=tuple(_keywords(record, decided, embedded)),
        categories=record.categories,
        flags=record.flags,
        embedded=record.embedded,
    )


def _text(human: str | None, embedded: str | None, generated: str | None) -> Text | None:
    sources: tuple[Origin, ...] = ("human", "embedded", "generated")
    for value, source in zip((human, embedded, generated), sources, strict=True):
        if value is not None and value.strip():
            return Text(value.strip(), source)
    return None


def _keywords(record: Record, human: Human, embedded: Embedded) -> Iterator[Word]:
    """Without what a person rejected, and each word once."""
    taken = {_same(word) for word in human.rejected}
    if human.keywords is not None:
        ordered = _of_people(human.keywords, record.keywords, "human")
    else:
        # What the file says comes first, or an agency's greatest number of keywords would cut a person's words off.
        ordered = [*_in_the_file(record.keywords, embedded), *(_ours(keyword) for keyword in record.keywords)]
    for word in ordered:
        forms = {_same(label) for label in word.labels.values()}
        if forms and taken.isdisjoint(forms):
            taken |= forms
            yield word


def _in_the_file(keywords: Iterable[Keyword], embedded: Embedded) -> list[Word]:
    """The file's words: those that we know by our rank, then the others in the file's order."""
    if not embedded.keywords:
        return [_ours(keyword) for keyword in keywords if keyword.source is Source.EMBEDDED]
    known = {_same(word) for word in embedded.keywords}
    ranked = [
        Word(keyword.labels, _concept(keyword), "embedded")
        for keyword in keywords
        if keyword.source is Source.EMBEDDED or not known.isdisjoint(map(_same, keyword.labels.values()))
    ]
    return ranked + _of_people(embedded.keywords, (), "embedded")


def _of_people(words: Iterable[str], keywords: Iterable[Keyword], source: Origin) -> list[Word]:
    """Words as concepts of ours where they are the label of one among `keywords`."""
    known = {_same(label): keyword for keyword in keywords for label in keyword.labels.values()}
    found = ((" ".join(word.split()), known.get(_same(word))) for word in words)
    return [
        Word(keyword.labels, _concept(keyword), source) if keyword else Word({_language(word): word}, None, source)
        for word, keyword in found
        if word
    ]


def _ours(keyword: Keyword) -> Word:
    origin: Origin = "human" if keyword.source is Source.HUMAN else "generated"
    return Word(keyword.labels, _concept(keyword), "embedded" if keyword.source is Source.EMBEDDED else origin)


def _concept(keyword: Keyword) -> str | None:
    return None if keyword.id.startswith(OWN_WORD) else keyword.id


@lru_cache(1 << 16)
def _same(word: str) -> str:
    """What two spellings of one word have in common. Kept, since keywords repeat from picture to picture."""
    return " ".join(unicodedata.normalize("NFC", word).casefold().split())


def _language(word: str) -> str:
    """Of a word that comes without one. Latin letters are taken for English, which is what agencies are sent."""
    if any("가" <= character <= "힣" for character in word):
        return "ko"
    return "en" if all(character < "ɐ" or not character.isalpha() for character in word) else "und"
