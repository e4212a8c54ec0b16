"""Rules about words: what they look like, whose they are, in which languages, and what must not be among them."""

import re
from collections.abc import Iterator

from taxonomy.concepts import Concept, TaxonomyError
from taxonomy.overview import shared_words
from taxonomy.problem import Problem, Subject
from taxonomy.rules import Finder
from taxonomy.words import collisions

FIRST_TIER = "A"
_ENGLISH = re.compile(r"[A-Za-z0-9é][A-Za-z0-9é '.,&/-]*")
_ID = re.compile(r"[A-Za-z0-9_-]+:[A-Za-z0-9_.:-]+")


def _clean(subject: Subject) -> Iterator[Problem]:
    """Letters that every agency takes, single spaces, ids that a URL takes."""
    for concept in subject.vocabulary.concepts:
        if not _ID.fullmatch(concept.id):
            yield subject.at(concept, f"{concept.id!r} is no id; write a prefix, a colon and a name, as in acme:lamp")
        for word in concept.words:
            if not _ENGLISH.fullmatch(word) or word != " ".join(word.split()):
                yield subject.at(
                    concept, f"{word!r} has signs that agencies refuse; write letters, digits, ' . , & / -"
                )
        if concept.grammar == "proper" and not any(letter.isupper() for letter in concept.label):
            yield subject.at(
                concept, f"{concept.label!r} is a name and has no capital; write one, or change its grammar"
            )


def _owners(subject: Subject) -> Iterator[Problem]:
    """A label may be shared, with hints; any other form belongs to one concept and is nobody's label."""
    labels: dict[str, list[Concept]] = {}
    for concept in subject.vocabulary.concepts:
        labels.setdefault(concept.label.casefold(), []).append(concept)
    for shared in labels.values():
        for concept in shared if len(shared) > 1 else ():
            if not concept.hint:
                other = next(one for one in shared if one.id != concept.id)
                yield subject.at(concept, f"{concept.label!r} is the label of {other.id} too; give both a hint")
    forms: dict[str, Concept] = {}
    for concept in subject.vocabulary.concepts:
        for kind, word in _forms(concept):
            others = (*labels.get(word, ()), *([forms[word]] if word in forms else ()))
            if word == concept.label.casefold() and kind != "plural":
                yield subject.at(concept, f"the {kind} {word!r} of {concept.name!r} is the label itself; remove it")
            # The two cranes share their plural as they share their label.
            elif owner := next((one for one in others if one.label.casefold() != concept.label.casefold()), None):
                what = f"the {kind} {word!r} of {concept.name!r} is a word of {owner.name!r}; one of them has to go"
                yield subject.at(concept, what)
            elif kind == "synonym" and forms.get(word, concept) is not concept:
                yield subject.at(
                    concept, f"the synonym {word!r} of {concept.name!r} is one of {forms[word].name!r} too"
                )
            forms.setdefault(word, concept)


def _forms(concept: Concept) -> Iterator[tuple[str, str]]:
    """Every form but the label, folded, with what it is."""
    if concept.plural:
        yield "plural", concept.plural.casefold()
    yield from (("British form", word.casefold()) for word in concept.british)
    yield from (("synonym", word.casefold()) for word in concept.synonyms)


def _spellings(subject: Subject) -> Iterator[Problem]:
    """As policies and label files look words up, among all forms in all languages, a British form means one concept."""
    finder = Finder(subject.vocabulary)
    for concept in subject.vocabulary.concepts:
        for word in concept.british:
            try:
                found = finder.one(word)
            except TaxonomyError as error:
                yield subject.at(concept, f"the British form of {concept.name!r}: {error}, or remove the form")
                continue
            if found.id != concept.id:
                what = f"the British form {word!r} of {concept.name!r} leads to {found.name!r}; remove it"
                yield subject.at(concept, what)


def _shared(subject: Subject) -> Iterator[Problem]:
    """Listed here, told apart by hints, and folded where keywords are chosen."""
    for (language, word), owners in shared_words(subject.vocabulary).items():
        if len(owners) > 1:
            names = ", ".join(repr(concept.name) for concept in owners)
            yield subject.at(owners[0], f"shared word in {language}: {word!r} is said of {names}", "note")


def _languages(subject: Subject) -> Iterator[Problem]:
    for language, sheet in subject.tables.labels.items():
        seen: dict[str, int] = {}
        for row in sheet.rows:
            if row["id"] not in subject.vocabulary.index:
                yield Problem(
                    sheet.path, row.line, f"no concept has the id {row['id']!r}; correct it or remove the line"
                )
            if row["id"] in seen:
                yield Problem(sheet.path, row.line, f"{row['id']!r} has a line already, {seen[row['id']]}; keep one")
            seen.setdefault(row["id"], row.line)
            words = (row["label"], *row.several("synonyms"))
            if len(set(words)) < len(words):
                yield Problem(sheet.path, row.line, f"a word is there twice among {', '.join(words)}; keep one")
            if language == "ko":
                yield from (Problem(sheet.path, row.line, what) for word in words if (what := _korean(word)))
        for concept in subject.vocabulary.concepts:
            if concept.tier == FIRST_TIER and concept.id not in seen:
                yield subject.at(concept, f"{concept.name!r} is of tier A and has no label in {language!r}; add one")


def _korean(word: str) -> str:
    """What is wrong with a Korean word; Koreans type SUV, CCTV and DNA as they are."""
    hangul = re.search("[가-힣]", word) or re.fullmatch("[A-Z][A-Z0-9]{1,4}", word)
    if hangul and re.fullmatch(r"[가-힣A-Za-z0-9 /]+", word):
        return ""
    return f"{word!r} is no Korean word; write Hangul, or an abbreviation in capitals"


def _denied(subject: Subject) -> Iterator[Problem]:
    for concept, form, verdict in collisions(subject.vocabulary, subject.screen):
        blocked = verdict.level == "block"
        what = f"{form!r} of {concept.name!r}: {verdict.reason}"
        yield subject.at(concept, f"{what}; use another word" if blocked else what, "error" if blocked else "note")


RULES = (_clean, _owners, _spellings, _shared, _languages, _denied)
