"""What a caption says of people, less what nobody can tell from a picture.

`taxonomy/data/words/people.tsv` says which words name a personal attribute, an identity or an opinion, and what stands
in their place: `a young woman` is a person, `two boys` are two people. Kinds that a policy asks for stay. What no word
of the table helps against, such as a name, makes the caption unusable.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import NamedTuple

from taxonomy.concepts import PERSONAL, TaxonomyError
from taxonomy.files import read_table
from worker.captioners import english
from worker.captioners.phrases import Phrases

COLUMNS = ("word", "kind", "use", "instead")
KINDS = PERSONAL | {"identity", "opinion"}
USES = frozenset({"noun", "adjective", "any", "pronoun"})
UNUSABLE = "!"

NEAR = 4
"""An adjective belongs to a person that comes within so many words."""
BETWEEN = frozenset({"and", ",", "very", "or"})
GENERAL = frozenset({"person", "people", "persons", "group", "crowd", "team", "couple"})
OBJECTIVE = frozenset(
    {"and", "in", "on", "at", "with", "to", "from", "by", "while", "as", ".", ",", "for", "near", "a", "an", "the"}
)
"""Before one of these `her` stands for somebody; else it says whose."""

_TOKEN = re.compile(r"[\w][\w'’-]*|[^\w\s]")
_POSSESSIVE = re.compile(r"^(.+?)(['’]s|s['’])$")
_SOMEBODY = r"(?:(?P<{0}one>(?:an?|the|one|another) person|person)|(?:(?:the|some|several|\w+) )?people)"
_TOGETHER = re.compile(
    rf"\b{_SOMEBODY.format('a')},? (?:and|with|next to|beside) {_SOMEBODY.format('b')}\b"
    r"(?P<verb> (?:is|was|has)\b)?",
    re.IGNORECASE,
)
_PLURAL = {" is": " are", " was": " were", " has": " have"}


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
        nouns = {words[-1] for words, rules in self._rules.words.items() if any(one.use == "noun" for one in rules)}
        self._persons = GENERAL | nouns

    def neutral(self, text: str) -> str | None:
        """The caption with other words for people; `None` where it must not be used."""
        found = _Text(_TOKEN.findall(text))
        if self._named(found.lower):
            return None
        at = 0
        while at < len(found.tokens):
            step = self._apply(found, at)
            if step is None:
                return None
            at += step
        return None if self._personal_left(found.lower) else _joined(found.tokens)

    def _named(self, words: Sequence[str]) -> bool:
        """Whether a person's name is in it."""
        plain = [match[1] if (match := _POSSESSIVE.match(word)) else word for word in words]
        return any(
            tuple(plain[at : at + size]) in self._rules.names
            for at in range(len(plain))
            for size in range(1, self._longest + 1)
        )

    def _apply(self, text: _Text, at: int) -> int | None:
        """Apply the first rule for what begins at `at`; gives how far to go on, or `None` for an unusable caption."""
        lower = text.lower
        for size in range(min(self._longest, len(lower) - at), 0, -1):
            words, ending = _without_possessive(lower[at : at + size])
            for rule in self._rules.words.get(words, ()):
                if rule.kind in self._personal or not self._applies(rule, lower, at, at + size):
                    continue
                if rule.instead == UNUSABLE:
                    return None
                instead = rule.instead
                if words == ("her",) and (at + 1 == len(lower) or lower[at + 1] in OBJECTIVE):
                    instead = "them"
                text.replace(at, at + size, instead + ending if instead else "")
                # What is there now may have a rule of its own: boy, child, person.
                return 0
        return 1

    def _applies(self, rule: Rule, words: Sequence[str], start: int, stop: int) -> bool:
        """Whether the words from `start` to `stop` are used as the rule says, of a person."""
        if rule.use == "adjective":
            return self._before_person(words, stop)
        if rule.use != "noun":
            return True
        longer = self._phrases.at(words, start)
        if longer is not None and longer.stop > stop:
            return all(self._vocabulary.concepts[position].personal for position in longer.positions)
        return stop > start + 1 or not self._of_a_thing(rule, words, stop)

    def _of_a_thing(self, rule: Rule, words: Sequence[str], at: int) -> bool:
        """Whether a noun says what kind of thing comes behind it: a baby elephant is no baby, nor is a baby bottle."""
        following = self._phrases.at(words, at) if at < len(words) else None
        facets = {"animal"} if rule.kind != "age" else {"animal", "object", "clothing", "food", "vehicle"}
        return following is not None and any(
            self._vocabulary.concepts[position].facet in facets for position in following.positions
        )

    def _before_person(self, words: Sequence[str], at: int) -> bool:
        """Whether a person follows, with nothing but adjectives between."""
        for word in words[at : at + NEAR]:
            plain = _without_possessive([word])[0]
            if plain[0] in self._persons or self._is_person(plain):
                return True
            between = word in BETWEEN or any(
                rule.use in ("adjective", "any") for rule in self._rules.words.get((word,), ())
            )
            if not between:
                return False
        return False

    def _is_person(self, words: Sequence[str]) -> bool:
        span = self._phrases.at(words, 0)
        return span is not None and all(
            self._vocabulary.concepts[position].facet == "person" for position in span.positions
        )

    def _personal_left(self, words: Sequence[str]) -> bool:
        """Whether the vocabulary knows a word for something personal that no rule has taken out."""
        return any(
            all(self._vocabulary.concepts[position].personal - self._personal for position in span.positions)
            for span in self._phrases.find(words)
            if tuple(words[span.start : span.stop]) not in self._rules.words
        )


def _without_possessive(words: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """The words, and the `'s` that the last one had."""
    match = _POSSESSIVE.match(words[-1])
    if match is None or tuple(words[-1:]) in (("he's",), ("she's",)):
        return tuple(words), ""
    plural = match[2].startswith("s")
    return (*words[:-1], match[1] + "s" * plural), "'s"


def _joined(words: Sequence[str]) -> str:
    """Words as a line, articles put right, and several persons counted."""
    text = re.sub(r" (?=[.,;:!?)])|(?<=\() ", "", " ".join(words))
    before, text = "", with_articles(text)
    while text != before:
        before, text = text, _TOGETHER.sub(_counted, text)
    return with_articles(text)


def with_articles(text: str) -> str:
    """`a` or `an`, as the word behind it sounds; no article before a plural of persons."""
    text = re.sub(r"\b(an?) (?=(?:two |some |several )?people\b)", "", text, flags=re.IGNORECASE)

    def right(match: re.Match[str]) -> str:
        article = english.article(match[2])
        return f"{article.capitalize() if match[1][0].isupper() else article} {match[2]}"

    return re.sub(r"\b(an?) ([\w][\w'’-]*)", right, text, flags=re.IGNORECASE)


def _counted(match: re.Match[str]) -> str:
    """`a person and a person` as two people; more of them as people."""
    count = "two people" if match["aone"] and match["bone"] else "people"
    return count + _PLURAL.get((match["verb"] or "").lower(), "")
