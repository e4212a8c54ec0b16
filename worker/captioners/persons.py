"""Grammar of sentences in which several words have become `person`: how many there are, articles, `another person`."""

import re

from worker.captioners import english

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_ONE = r"(?:(?:an?|the|one|another) )?person"
_MANY = rf"(?:(?:the|some|several|many|{'|'.join(NUMBERS[2:])}) )?people"
_SOMEBODY = rf"(?:{_ONE}|{_MANY})"
_TOGETHER = re.compile(
    rf"\b(?P<one>{_SOMEBODY})(?:,? (?:and|with|next to|beside)|,) (?P<other>{_SOMEBODY})\b(?!['’]| on their\b)"
    r"(?P<verb> (?:is|was|has)\b)?",
    re.IGNORECASE,
)
_PLURAL = {" is": " are", " was": " were", " has": " have"}
_DO = re.compile(r"(?<!of )\b(two people) (is|was|has|[a-z]+(?<!s)s)\b(?!['’])")


def joined(text: str) -> str:
    """A line with its articles put right, and with several persons counted and told from each other."""
    # Adjectives on both sides of it are gone: a young and old man.
    text = re.sub(r"\b(an?|the) (?:and|or) (?=person\b)", r"\1 ", text, flags=re.IGNORECASE)
    before, text = "", others(with_articles(text))
    while text != before:
        before, text = text, _TOGETHER.sub(_counted, text)
    text = _DO.sub(lambda match: f"{match[1]} {_plural_verb(match[2])}", text)
    return with_articles(_told_apart(text))


def with_articles(text: str) -> str:
    """`a` or `an`, as the word behind it sounds; no article before a plural of persons."""
    text = re.sub(r"\b(an?) (?=(?:two |some |several )?people\b)", "", text, flags=re.IGNORECASE)

    def right(match: re.Match[str]) -> str:
        article = english.article(match[2])
        return f"{article.capitalize() if match[1][0].isupper() else article} {match[2]}"

    return re.sub(r"\b(an?) ([\w][\w'’-]*)", right, text, flags=re.IGNORECASE)


def others(text: str) -> str:
    """Nobody is somebody's person: a mother holding her baby is a person holding another person."""

    def instead(match: re.Match[str]) -> str:
        known = re.search(r"\b(person|people)\b", text[: match.start()])
        if match[1] == "person":
            return "another person" if known else "a person"
        return "other people" if known else "people"

    return re.sub(r"\b(?:their|its) (person|people)\b", instead, text)


def _told_apart(text: str) -> str:
    """The second `a person` is another one."""
    first = re.search(r"\b(?:an?|the|one) person\b", text, re.IGNORECASE)
    if first is None:
        return text
    return text[: first.end()] + re.sub(r"\ba person\b(?!['’])", "another person", text[first.end() :])


def _plural_verb(verb: str) -> str:
    """What two do where one does that: sits, watches, carries."""
    if known := _PLURAL.get(f" {verb}"):
        return known[1:]
    if verb.endswith("ies"):
        return f"{verb[:-3]}y"
    return verb[: -2 if verb.endswith(("ches", "shes", "sses", "xes", "goes", "does")) else -1]


def _counted(match: re.Match[str]) -> str:
    """`a person and a person` as two people; as people where nobody knows how many."""
    one, other = _number(match["one"]), _number(match["other"])
    total = one + other if one and other else len(NUMBERS)
    count = f"{NUMBERS[total]} people" if total < len(NUMBERS) else "people"
    return count + _PLURAL.get((match["verb"] or "").lower(), "")


def _number(somebody: str) -> int:
    """How many persons that is; 0 where it does not say."""
    first, *noun = somebody.lower().split()
    if "person" in (first, *noun):
        return 1
    return NUMBERS.index(first) if first in NUMBERS else 0
