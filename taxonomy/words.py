"""Words that must not be sold as keywords: brands and offensive words, as whole words only.

`data/words/brands.tsv` (word, verdict, source) and `data/words/offensive.tsv` (word, language, verdict, place, source)
are made by `scripts/build_words.py`, which says what was decided. A word that is plain is blocked; one that also means
something innocent (apple, tit) is for a person to review. `place` is `alone` for a word that counts only where it is
the whole text.

Compared is what remains when case, accents, apostrophes and punctuation are taken away. Scunthorpe, assess and cockpit
pass: parts of words are never looked at. Korean particles are taken off a word's end: 섹스를 is 섹스.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from typing import Literal, NamedTuple

from taxonomy.concepts import Concept, Vocabulary
from taxonomy.files import read_table

Level = Literal["pass", "review", "block"]
LEVELS: tuple[Level, ...] = ("pass", "review", "block")
"""The least severe first."""

BRAND = "a brand name"
"""The kind of the words in `brands.tsv`."""

BRANDS = ("word", "verdict", "source")
OFFENSIVE = ("word", "language", "verdict", "place", "source")

_TOKEN = re.compile(r"[^\W_]+|[&+]")
_APOSTROPHE = "['’‘`´]"
_POSSESSIVE = re.compile(rf"{_APOSTROPHE}s\b", re.IGNORECASE)
_COMBINING = re.compile("[\u0300-\u036f]")
_HANGUL = re.compile("[가-힣]+")
_PARTICLE = re.compile(
    "(?:들)?(?:은|는|이|가|을|를|의|에|와|과|도|만|로|으로|에서|에게|한테|처럼|보다|까지|부터|님|들)$"
)


class Verdict(NamedTuple):
    """What becomes of a text, and why; the reason of a pass is empty."""

    level: Level
    reason: str = ""


PASS = Verdict("pass")


class Word(NamedTuple):
    """A word or sequence of words to look for.

    Attributes:
        kind: what it is, such as `a brand name`.
        alone: whether it counts only where it is the whole text.
        language: of the word, or empty for any.
    """

    level: Level
    kind: str
    alone: bool = False
    language: str = ""


def tokens(text: str) -> tuple[str, ...]:
    """The words of a text as they are compared: case folded, without accents, apostrophes and punctuation."""
    return tuple(_TOKEN.findall(re.sub(_APOSTROPHE, "", _plain(text))))


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", text).casefold())
    # Not every combining mark: in Japanese they tell one syllable from another.
    return unicodedata.normalize("NFC", _COMBINING.sub("", decomposed))


@dataclass(frozen=True)
class Screen:
    """Looks for words in texts, by hashed sequences of whole words.

    Attributes:
        words: what to look for, by its tokens with single spaces.
        known: innocent sequences of several words, such as `apple pie`; a word for review inside one does not count.
    """

    words: Mapping[str, Word]
    known: frozenset[str] = field(default=frozenset())

    @cached_property
    def _longest(self) -> dict[str, int]:
        """By first token, the greatest number of tokens of what begins with it."""
        longest: dict[str, int] = {}
        for entry in (*self.words, *self.known):
            parts = entry.split(" ")
            longest[parts[0]] = max(longest.get(parts[0], 0), len(parts))
        return longest

    def screen(self, text: str) -> Verdict:
        """The gravest verdict on any word of the text; of equals, the first."""
        found = PASS
        for form in {tokens(text): None, tokens(_POSSESSIVE.sub("", text)): None}:
            for verdict in self._verdicts(form):
                if LEVELS.index(verdict.level) > LEVELS.index(found.level):
                    found = verdict
        return found

    def _verdicts(self, form: tuple[str, ...]) -> Iterator[Verdict]:
        covered = 0
        for start, first in enumerate(form):
            longest = min(self._longest.get(first, 1), len(form) - start)
            for size in range(longest, 0, -1):
                phrase, word = self._match(form, start, start + size)
                if word is not None and (word.level == "block" or start + size > covered):
                    yield Verdict(word.level, f"{phrase!r} is {word.kind}")
                if phrase in self.known:
                    covered = max(covered, start + size)

    def _match(self, form: tuple[str, ...], start: int, stop: int) -> tuple[str, Word | None]:
        """The tokens from `start` to `stop` as one phrase, and the word that it is, if any."""
        phrase = " ".join(form[start:stop])
        for candidate, language in _forms(phrase):
            word = self.words.get(candidate)
            if word is None or (language and word.language != language):
                continue
            if not word.alone or (stop - start == len(form) and candidate == phrase):
                return candidate, word
        return phrase, None

    def extended(self, blocked: Iterable[str] = (), allowed: Iterable[str] = (), known: Iterable[str] = ()) -> "Screen":
        """With words of a customer's own: `blocked` and `allowed` win over the lists, and `allowed` over `blocked`."""
        words = dict(self.words)
        words.update((" ".join(tokens(text)), Word("block", "blocked by the policy")) for text in blocked)
        for text in allowed:
            words.pop(" ".join(tokens(text)), None)
        phrases = (tokens(text) for text in known)
        more = frozenset(" ".join(phrase) for phrase in phrases if len(phrase) > 1)
        return Screen(words, (self.known | more) - {word for word in words if words[word].level == "block"})

    def parted(self, kind: str) -> tuple["Screen", "Screen"]:
        """One that looks for the words of a kind alone, and one that looks for all others."""
        same = {text: word for text, word in self.words.items() if word.kind == kind}
        others = {text: word for text, word in self.words.items() if text not in same}
        return Screen(same, self.known), Screen(others, self.known)


def _forms(phrase: str) -> Iterator[tuple[str, str]]:
    """What a phrase may be in the lists, with the language that it takes: itself, a plural, without a particle."""
    yield phrase, ""
    if phrase.endswith("s") and len(phrase) > 3:
        yield phrase[:-1], "en"
    if _HANGUL.search(phrase) and (stem := _PARTICLE.sub("", phrase)) and stem != phrase:
        yield stem, "ko"


def load_screen(vocabulary: Vocabulary | None = None) -> Screen:
    """The shipped lists; with a vocabulary, its phrases of several words are known to be innocent.

    Raises:
        TaxonomyError: with file and line.
    """
    folder = files("taxonomy") / "data" / "words"
    words = {}
    for _, row in read_table(folder / "brands.tsv", BRANDS, BRANDS):
        language = "ko" if _HANGUL.search(row["word"]) else ""
        words[row["word"]] = _word(row["verdict"], BRAND, language=language)
    for _, row in read_table(folder / "offensive.tsv", OFFENSIVE, OFFENSIVE):
        if (before := words.get(row["word"])) is None or before.level != "block":
            words[row["word"]] = _word(row["verdict"], "an offensive word", row["language"], row["place"] == "alone")
    screen = Screen(words)
    return screen if vocabulary is None else screen.extended(known=_phrases(vocabulary))


def _word(verdict: str, kind: str, language: str = "", alone: bool = False) -> Word:
    if verdict == "block":
        return Word("block", kind, alone, language)
    return Word("review", f"an ordinary word or {kind}", alone, language)


def _phrases(vocabulary: Vocabulary) -> Iterator[str]:
    for concept in vocabulary.concepts:
        yield from concept.words
    for table in vocabulary.translations.values():
        for labels in table.values():
            yield from labels


def collisions(vocabulary: Vocabulary, screen: Screen) -> list[tuple[Concept, str, Verdict]]:
    """Every form of every concept, in every language, that does not pass: the concept, the form, the verdict."""
    return [
        (concept, form, verdict)
        for concept in vocabulary.concepts
        for form in dict.fromkeys((*concept.words, *_translated(vocabulary, concept)))
        if (verdict := screen.screen(form)).level != "pass"
    ]


def _translated(vocabulary: Vocabulary, concept: Concept) -> Iterator[str]:
    for table in vocabulary.translations.values():
        yield from table.get(concept.id, ())
