"""The words of a policy file: own concepts, label files, preferred terms and added synonyms."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from taxonomy import files
from taxonomy.concepts import FACETS, FLAGS, GRAMMARS, TIERS, Concept, TaxonomyError, Vocabulary
from taxonomy.policy_reader import Table
from taxonomy.rules import Finder, fold, suggest
from taxonomy.words import Screen

CONCEPT = (
    *("id", "label", "hint", "parent", "facet", "tier", "grammar", "plural", "british", "synonyms", "flags"),
    "labels",
)
SHIPPED = ("wn30:", "sm:")
"""What ids of the shipped vocabulary begin with, now and in later versions."""

_ID = re.compile(r"[A-Za-z0-9_-]+:[A-Za-z0-9_.:-]+")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")

Labels = dict[str, dict[str, tuple[str, ...]]]
"""Language to concept id to labels, the preferred one first."""


@dataclass
class Wording:
    """Looks at every word that a customer adds; collects what a person should look at too."""

    screen: Screen
    warnings: list[str] = field(default_factory=list)

    def accepts(self, table: Table, key: str, word: str) -> bool:
        """Whether a word may be a keyword; notes the problem at `key` where not."""
        level, reason = self.screen.screen(word)
        if level == "block":
            cause = f"{word!r} cannot be a keyword: {reason}; use another word, or put it into `allow` under [words]"
            table.problem(key, cause, word)
        elif level == "review":
            self.warn(table, key, f"{word!r}: {reason}; see that it is meant", word)
        return level != "block"

    def warn(self, table: Table, key: str, what: str, word: str) -> None:
        """Note what is allowed and may still be a mistake."""
        line = table.document.line((*table.keys, key), word)
        self.warnings.append(f"{table.document.path}:{line}: {what}")


def read_concepts(tables: list[Table], vocabulary: Vocabulary, wording: Wording) -> tuple[tuple[Concept, ...], Labels]:
    """The tables `[[concept]]`: concepts whose parents exist, and their labels in other languages."""
    named: dict[str, tuple[Concept, Table]] = {}
    labels: Labels = {}
    names = {concept.name: concept.id for concept in vocabulary.concepts}
    for table in tables:
        concept = _concept(table, wording)
        if concept is None or not _new(table, concept, vocabulary, named, names):
            continue
        named[concept.id], names[concept.name] = (concept, table), concept.id
        for language, words in _translated(table.table("labels"), wording):
            labels.setdefault(language, {})[concept.id] = words
    return tuple(_placed(vocabulary, named)), labels


def _concept(table: Table, wording: Wording) -> Concept | None:
    """One table as a concept, its parent still as it is written."""
    id_, label = table.text("id"), table.text("label")
    for key, value in (("id", id_), ("label", label)):
        if key not in table:
            table.problem(key, f"a concept has no {key}; add one under [[concept]]")
        elif key == "label" and value and not wording.accepts(table, key, value):
            return None
    # Everything is read, so that every problem is told.
    texts = {key: table.texts(key) for key in ("british", "synonyms")}
    texts = {key: tuple(word for word in words if wording.accepts(table, key, word)) for key, words in texts.items()}
    plural = table.text("plural")
    if plural and not wording.accepts(table, "plural", plural):
        plural = None
    concept = Concept(
        id=id_ or "",
        label=label or "",
        hint=table.text("hint") or "",
        parent=table.text("parent"),
        # Of the parent, where it is not said: see `_placed`.
        facet=table.text("facet", choices=FACETS) or "",
        grammar=table.text("grammar", choices=GRAMMARS) or "count",
        flags=frozenset(table.texts("flags", choices=FLAGS)),
        tier=table.text("tier", choices=TIERS) or "B",
        plural=plural or "",
        **texts,
    )
    return concept if id_ and label else None


def _new(
    table: Table,
    concept: Concept,
    vocabulary: Vocabulary,
    own: Mapping[str, tuple[Concept, Table]],
    names: Mapping[str, str],
) -> bool:
    """Whether id and name are free; notes the problem where not."""
    if not _ID.fullmatch(concept.id):
        table.problem("id", f"{concept.id!r} is no id; write a prefix of your own, a colon and a name, as in acme:lamp")
    elif concept.id in vocabulary.index or concept.id in own:
        table.problem("id", f"the id {concept.id!r} is there already; take another")
    elif concept.id.startswith(SHIPPED):
        table.problem("id", f"ids with {' and '.join(SHIPPED)} belong to the shipped vocabulary; take another prefix")
    elif concept.name in names:
        what = f"{concept.name!r} is a concept already ({names[concept.name]})"
        table.problem("label", f"{what}; give this one a hint, or add words to that one under [synonyms]")
    else:
        return True
    return False


def _placed(vocabulary: Vocabulary, own: Mapping[str, tuple[Concept, Table]]) -> Iterator[Concept]:
    """The concepts with their parents' ids; those without a sound parent are left out, and the problem is noted."""
    finder = Finder(vocabulary)
    by_word: dict[str, list[str]] = {}
    for concept, _ in own.values():
        for word in dict.fromkeys(map(fold, (concept.id, concept.label, concept.name))):
            by_word.setdefault(word, []).append(concept.id)
    parents: dict[str, str | None] = {}
    for concept, table in own.values():
        try:
            parents[concept.id] = None if concept.parent is None else _parent(concept, concept.parent, by_word, finder)
        except TaxonomyError as error:
            table.problem("parent", f"the parent {error}", concept.parent)
    for concept, table in own.values():
        above = list(_above(concept.id, parents)) if concept.id in parents else []
        if above and (above[-1] is None or above[-1] in vocabulary.index):
            yield _inheriting(concept, above, own, vocabulary)
        elif above and above[-1] == concept.id:
            table.problem("parent", f"{concept.label!r} is its own parent, by way of others; break the circle")


def _parent(concept: Concept, term: str, own: Mapping[str, list[str]], finder: Finder) -> str:
    """The id that a concept's parent means: another own concept, else a shipped one, else the concept itself."""
    word = fold(term)
    if others := [id_ for id_ in own.get(word, ()) if id_ != concept.id]:
        return others[-1]
    try:
        return finder.one(term).id
    except TaxonomyError:
        if word in (fold(concept.id), fold(concept.name)):
            return concept.id  # told as a circle, which it is
        raise


def _above(start: str, parents: Mapping[str, str | None]) -> Iterator[str | None]:
    """Parent, grandparent and so on as far as they are own concepts, and the first that is not; a circle ends it."""
    seen: set[str | None] = set()
    current = parents[start]
    while current not in seen:
        yield current
        seen.add(current)
        if current is None or current == start or current not in parents:
            return
        current = parents[current]


def _inheriting(
    concept: Concept, above: list[str | None], own: Mapping[str, tuple[Concept, Table]], vocabulary: Vocabulary
) -> Concept:
    """With the parent's id, the nearest facet above where none is given, and every personal attribute above."""
    parents = [own[id_][0] if id_ in own else vocabulary.concepts[vocabulary.index[id_]] for id_ in above if id_]
    facet = next((one.facet for one in (concept, *parents) if one.facet), "object")
    personal = {f"personal:{kind}" for parent in parents for kind in parent.personal}
    return replace(concept, parent=above[0], facet=facet, flags=concept.flags | personal)


def _translated(table: Table, wording: Wording) -> Iterator[tuple[str, tuple[str, ...]]]:
    """An own concept's labels by language: a text, or a list with the preferred one first."""
    for language in table.data:
        if not language_code(table, language):
            continue
        words = table.texts(language) if isinstance(table.data[language], list) else _single(table, language)
        if kept := tuple(word for word in words if wording.accepts(table, language, word)):
            yield language, kept


def _single(table: Table, key: str) -> tuple[str, ...]:
    word = table.text(key)
    return (word,) if word else ()


def language_code(table: Table, language: str) -> bool:
    """Whether a key names a language other than English; notes the problem where not."""
    if language == "en":
        table.problem(language, "English is the concepts' own language; use `label`, [prefer] or [synonyms]")
    elif not _LANGUAGE.fullmatch(language):
        table.problem(language, f"{language!r} is no code of a language; write one as in fr or pt-BR")
    else:
        return True
    return False


def read_label_files(table: Table, vocabulary: Vocabulary, wording: Wording) -> Labels:
    """The table `[languages]`: a file of labels for each language, in the form of `taxonomy/data/labels`."""
    found: Labels = {}
    for language in table.data:
        name = table.text(language)
        if not language_code(table, language) or name is None:
            continue
        path = table.document.path.parent / name
        try:
            labels = files.read_labels(path)
        except (OSError, UnicodeDecodeError) as error:
            cause = error.strerror if isinstance(error, OSError) else f"not UTF-8 at byte {error.start}"
            table.problem(language, f"the label file {name!r} cannot be read: {cause}; see that it is there, in UTF-8")
            continue
        except TaxonomyError as error:
            table.problem(language, f"the label file {name!r} is wrong: {error}")
            continue
        if unknown := sorted(set(labels) - set(vocabulary.index)):
            near = suggest(unknown[0], vocabulary.index)
            cause = f"the label file {name!r} has {len(unknown)} ids that no concept has, such as {unknown[0]!r}{near}"
            table.problem(language, f"{cause}; correct or remove them")
        for words in labels.values():
            for word in words:
                wording.accepts(table, language, word)
        found[language] = labels
    return found


def read_synonyms(table: Table, finder: Finder, wording: Wording) -> dict[str, dict[str, tuple[str, ...]]]:
    """The table `[synonyms]`: term to words, and a table of the same for each other language."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for language, part, term in _terms(table, finder):
        if concept := _one(part, term, finder):
            words = tuple(word for word in part.texts(term) if wording.accepts(part, term, word))
            entry = found.setdefault(language, {})
            entry[concept.id] = (*entry.get(concept.id, ()), *words)
    return found


def read_preferred(table: Table, finder: Finder, wording: Wording) -> dict[str, dict[str, str]]:
    """The table `[prefer]`: term to the label that is shown, and a table of the same for each other language."""
    found: dict[str, dict[str, str]] = {}
    for language, part, term in _terms(table, finder):
        concept, label = _one(part, term, finder), part.text(term)
        if concept is None or label is None or not wording.accepts(part, term, label):
            continue
        if concept.id in found.setdefault(language, {}):
            part.problem(term, f"{concept.name!r} has a preferred label already; keep one of the two")
            continue
        found[language][concept.id] = label
        others = [other.name for other in finder.vocabulary.concepts if other.label == label and other != concept]
        if others:
            wording.warn(part, term, f"{label!r} is shown for {others[0]!r} too", label)
    return found


def _terms(table: Table, finder: Finder) -> Iterator[tuple[str, Table, str]]:
    """Every term of such a table: its language, the table it stands in, the term."""
    languages = sorted({"en", *finder.vocabulary.languages})
    for key, value in table.data.items():
        if not isinstance(value, dict):
            yield "en", table, key
        elif key not in languages:
            table.problem(key, f"no language {key!r}{suggest(key, languages)}; there are {', '.join(languages)}")
        else:
            part = table.table(key)
            yield from ((key, part, term) for term in part.data)


def _one(table: Table, term: str, finder: Finder) -> Concept | None:
    try:
        return finder.one(term)
    except TaxonomyError as error:
        table.problem(term, str(error))
        return None
