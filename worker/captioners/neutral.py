"""What a caption says of people, less what nobody can tell from a picture.

`taxonomy/data/words/people.tsv` says which words name a personal attribute, an identity or an opinion, and what stands
in their place: `a young woman` is a person, `two boys` are two people. Kinds that a policy asks for stay. What no word
of the table helps against, such as a name, makes the caption unusable.
"""

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import NamedTuple

from taxonomy.concepts import PERSONAL, TaxonomyError
from taxonomy.files import read_table
from worker.captioners import persons
from worker.captioners.cleaning import FUNCTION
from worker.captioners.nouns import ALIVE, HOMES, THINGS, Nouns, plural
from worker.captioners.phrases import Phrases

COLUMNS = ("word", "kind", "use", "instead")
KINDS = PERSONAL | {"identity", "opinion"}
USES = frozenset({"noun", "adjective", "any", "pronoun"})
UNUSABLE = "!"

NEAR = 4
"""An adjective belongs to a person that comes within so many words."""
BETWEEN = frozenset({"and", ",", "very", "or"})
COLOURS = frozenset({"black", "white", "brown"})
QUALITIES = frozenset({"color", "emotion", "style", "activity"})
"""Facets whose words stand before persons: a smiling man."""
ADVERBS = frozenset({"very", "really", "extremely", "quite"})
COPULA = frozenset({"is", "are", "was", "were", "looks", "being"})
DOING = frozenset({"wearing", "holding", "sitting", "standing", "riding", "walking", "eating", "playing", "looking"})
ONE = frozenset({"a", "an", "one", "another"})
OBJECTIVE = frozenset(
    {"and", "in", "on", "at", "with", "to", "from", "by", "while", "as", ".", ",", "for", "near", "a", "an", "the"}
)
"""Before one of these `her` stands for somebody; else it says whose."""

_TOKEN = re.compile(r"\d+(?:[:.,/]\d+)+|[\w][\w'’-]*|[^\w\s]")
_POSSESSIVE = re.compile(r"^(.+?)(['’]s|s['’])$")

_YEARS = re.compile(
    r"\b(?:(?:\d+|one|two|three|four|five|six|seven|eight|nine|ten|\w+teen|\w+ty)[- ])?"
    r"(?:year|month|week|day)s?[- ]olds?\b",
    re.IGNORECASE,
)
_DECADES = re.compile(
    r",? in (?:his|her|their) (?:early |mid[- ]|late )?"
    r"(?:\d0['’]?s|teens|(?:twen|thir|for|fif|six|seven|eigh|nine)ties)\b",
    re.IGNORECASE,
)


class Rule(NamedTuple):
    """A row of the table."""

    kind: str
    use: str
    instead: str


class Rules(NamedTuple):
    """The tables: rules by words, and people's names, both as tuples of lower-case words."""

    words: Mapping[tuple[str, ...], Sequence[Rule]]
    names: frozenset[tuple[str, ...]]


def load_rules() -> Rules:
    """The shipped tables. Raises `TaxonomyError` with file and line."""
    folder = files("taxonomy") / "data" / "words"
    words: dict[tuple[str, ...], list[Rule]] = {}
    for line, row in read_table(folder / "people.tsv", COLUMNS[:3], COLUMNS):
        if row["kind"] not in KINDS or row["use"] not in USES:
            raise TaxonomyError(f"people.tsv:{line}: {row['kind']!r} and {row['use']!r} have to be known kind and use")
        words.setdefault(tuple(row["word"].split()), []).append(Rule(row["kind"], row["use"], row["instead"]))
    for rules in words.values():
        # `male` goes from before a person, and is one elsewhere.
        rules.sort(key=lambda rule: rule.use != "adjective")
    names = frozenset(tuple(row["name"].split()) for _, row in read_table(folder / "names.tsv", ("name",), ("name",)))
    return Rules(words, names)


@dataclass
class _Text:
    """A caption's tokens as they stand, and in lower case."""

    tokens: list[str]

    @property
    def lower(self) -> list[str]:
        return [token.lower().replace("’", "'") for token in self.tokens]

    def replace(self, start: int, stop: int, instead: str) -> None:
        self.tokens[start:stop] = instead.split()


class Neutralizer:
    """Makes captions neutral.

    Args:
        phrases: the words of the whole vocabulary: its concepts of personal kinds make a caption unusable, and its
            longer words (`baby carriage`) are let be.
        personal: kinds that may be named.
        rules: the tables; the shipped ones by default.
    """

    def __init__(self, phrases: Phrases, personal: Collection[str] = (), rules: Rules | None = None) -> None:
        self._phrases, self._vocabulary = phrases, phrases.vocabulary
        self._personal = frozenset(personal)
        self._rules = load_rules() if rules is None else rules
        self._longest = max(map(len, (*self._rules.words, *self._rules.names)), default=1)
        nouns = {words[0] for words, rules in self._rules.words.items() if len(words) == 1 and _has_noun(rules)}
        self._nouns = Nouns(phrases, nouns)

    def neutral(self, text: str) -> str | None:
        """The caption with other words for people; `None` where it must not be used."""
        found = _Text(_TOKEN.findall(text if "age" in self._personal else self._ageless(text)))
        if self._named(found.lower):
            return None
        at = 0
        while at < len(found.tokens):
            step = None if self._said_of(found.lower, at) else self._apply(found, at)
            if step is None:
                return None
            at += step
        if self._personal_left(found.lower):
            return None
        return persons.joined(re.sub(r" (?=[.,;:!?)])|(?<=\() ", "", " ".join(found.tokens)))

    def _named(self, words: Sequence[str]) -> bool:
        """Whether a person's name is in it."""
        plain = [_unaccented(match[1] if (match := _POSSESSIVE.match(word)) else word) for word in words]
        for at in range(len(plain)):
            for size in range(1, self._longest + 1):
                # A musk ox has no name.
                longer = self._phrases.at(words, at)
                if tuple(plain[at : at + size]) in self._rules.names and not (longer and longer.stop > at + size):
                    return True
        return False

    def _apply(self, text: _Text, at: int) -> int | None:
        """Apply the first rule for what begins at `at`; gives how far to go on, or `None` for an unusable caption."""
        lower = text.lower
        for size in range(min(self._longest, len(lower) - at), 0, -1):
            words, ending = _without_possessive(lower[at : at + size])
            for rule in self._rules.words.get(words, ()):
                if rule.kind in self._personal or not self._applies(rule, lower, at, at + size):
                    continue
                if rule.instead == UNUSABLE or (rule.use == "any" and at and lower[at - 1] in COPULA):
                    return None
                instead = self._instead(rule, words, lower, at, at + size)
                before = int(not instead and at > 0 and lower[at - 1] in ADVERBS)
                text.replace(at - before, at + size, instead + ending if instead else "")
                # What is there now may have a rule of its own: boy, child, person.
                return -before
        return 1

    def _instead(self, rule: Rule, words: tuple[str, ...], text: Sequence[str], start: int, stop: int) -> str:
        """What stands in place of the words from `start` to `stop`."""
        if words == ("her",) and (stop == len(text) or text[stop] in OBJECTIVE):
            return "them"
        if words == ("a", "couple") and self._nouns.counted(text, stop):
            return "two"
        if not rule.instead and _ends_there(text, stop):
            return "person" if start and text[start - 1] in ONE else "people"
        attribute = rule.use == "noun" and stop == start + 1 and self._nouns.attribute(text, start, stop)
        return "" if attribute else rule.instead

    def _said_of(self, words: Sequence[str], at: int) -> bool:
        """Whether a sentence says of a person what goes before one else: the man is old."""
        rules = self._rules.words.get((words[at],), ()) if at and words[at - 1] in COPULA else ()
        told = any(rule.use == "adjective" and rule.kind in PERSONAL - self._personal for rule in rules)
        near = range(max(at - 4, 0), at - 1)
        return told and words[at] not in COLOURS and any(self._nouns.person(words, place) for place in near)

    def _applies(self, rule: Rule, words: Sequence[str], start: int, stop: int) -> bool:
        """Whether the words from `start` to `stop` are used as the rule says, of a person."""
        if rule.use not in ("adjective", "noun"):
            return True
        longer = self._phrases.at(words, start)
        concepts = () if longer is None or longer.stop <= stop else [self._vocabulary.concepts[p] for p in longer[2]]
        if self._nouns.animals(words, start, stop):
            return False
        if rule.use == "adjective":
            if stop < len(words) and words[stop].endswith(("haired", "eyed", "clad", "dressed")):
                return False
            animal = bool(concepts) and all(concept.facet != "person" for concept in concepts)
            return not animal and (self._before_person(words, stop) or self._is_noun(rule, words, start, stop))
        if concepts:
            return all(concept.personal for concept in concepts)
        return not self._of_a_thing(rule, words, start, stop)

    def _of_a_thing(self, rule: Rule, words: Sequence[str], start: int, stop: int) -> bool:
        """Whether a noun says what kind of thing comes behind it."""
        plain, ending = _without_possessive(words[start:stop])
        if ending:
            # A man's dog is a person's, a children's book is none of theirs.
            return rule.kind == "age" and self._nouns.thing(words, start, stop, THINGS - ALIVE)
        if plain[-1] in ("family", "twin"):
            return self._nouns.thing(words, start, stop, HOMES)
        if len(plain) > 1 or plural(plain[-1]):
            return False
        return self._nouns.thing(words, start, stop, THINGS if rule.kind == "age" else ALIVE)

    def _is_noun(self, rule: Rule, words: Sequence[str], start: int, stop: int) -> bool:
        """Whether an adjective stands for a person: an asian on a bike."""
        origin = rule.kind in ("ethnicity", "religion") and words[start] not in COLOURS
        if not origin or start == 0 or words[start - 1] not in ONE:
            return False
        return _ends_there(words, stop) or words[stop] in DOING

    def _before_person(self, words: Sequence[str], at: int) -> bool:
        """Whether a person follows, with nothing but adjectives between."""
        plain = [
            *words[:at],
            *(_without_possessive([word])[0][0] for word in words[at : at + NEAR]),
            *words[at + NEAR :],
        ]
        for place in range(at, min(at + NEAR, len(plain))):
            if end := self._nouns.person(plain, place):
                # A white baby bear is no white baby.
                return plain[place] != words[place] or not self._nouns.thing(words, place, end, ALIVE)
            word = plain[place]
            if word not in BETWEEN and not self._adjective(plain, place):
                return False
        return False

    def _adjective(self, words: Sequence[str], at: int) -> bool:
        """Whether a word may stand before a person as an adjective does: old, smiling, white haired."""
        if any(rule.use in ("adjective", "any") for rule in self._rules.words.get((words[at],), ())):
            return True
        span = self._phrases.at(words, at)
        facets = {self._vocabulary.concepts[position].facet for position in span.positions} if span else set()
        return words[at].isalpha() and words[at] not in FUNCTION and facets <= QUALITIES

    def _ageless(self, text: str) -> str:
        """The text without people's years: a 5 year old boy, in her thirties."""

        def instead(match: re.Match[str]) -> str:
            behind = _TOKEN.findall(text[match.end() :].lower())
            if _ends_there(behind, 0):
                return "people" if match[0].endswith("s") else "person"
            return "" if self._before_person(behind, 0) else match[0]

        return _YEARS.sub(instead, _DECADES.sub("", text))

    def _personal_left(self, words: Sequence[str]) -> bool:
        """Whether the vocabulary knows a word for something personal that no rule has taken out."""
        return any(
            all(self._vocabulary.concepts[position].personal - self._personal for position in span.positions)
            for span in self._phrases.find(words)
            if tuple(words[span.start : span.stop]) not in self._rules.words
            and not self._nouns.animals(words, span.start, span.start + 1)
        )


def _has_noun(rules: Sequence[Rule]) -> bool:
    return any(rule.use == "noun" for rule in rules)


def _ends_there(words: Sequence[str], at: int) -> bool:
    """Whether no noun follows."""
    return at == len(words) or (words[at] in FUNCTION and words[at] not in ("and", "or")) or not words[at][0].isalnum()


def _unaccented(word: str) -> str:
    return "".join(letter for letter in unicodedata.normalize("NFD", word) if not unicodedata.combining(letter))


def _without_possessive(words: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """The words, and the `'s` that the last one had."""
    match = _POSSESSIVE.match(words[-1])
    if match is None or tuple(words[-1:]) in (("he's",), ("she's",)):
        return tuple(words), ""
    plural = match[2].startswith("s")
    return (*words[:-1], match[1] + "s" * plural), "'s"
