"""Concepts and vocabularies: what there is to say about a picture, as a tree. `taxonomy.files` reads them."""

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

_THINGS = ("object", "vehicle", "animal", "plant", "food", "drink", "clothing", "material", "symbol")
_PLACES = ("place", "building", "landmark", "nature", "weather", "season")
_PEOPLE = ("person", "body", "activity", "sport", "event", "emotion", "concept")
_LOOKS = ("composition", "lighting", "color", "style")
FACETS = frozenset((*_THINGS, *_PLACES, *_PEOPLE, *_LOOKS))
"""Kinds of thing that can be said about a picture; an encoder says which of them it can tell."""
GRAMMARS = frozenset({"count", "mass", "plural", "proper", "adjective", "phrase"})
TIERS = ("A", "B", "C")
"""How often buyers type it: often, sometimes, rarely."""
PERSONAL = frozenset(
    ("age", "disability", "ethnicity", "family", "gender", "health", "orientation", "religion")  # as laws name them
)
"""Kinds of personal attribute, which no keyword names unless a policy asks for it."""
FLAGS = frozenset({"hidden", *(f"personal:{kind}" for kind in PERSONAL)})


class TaxonomyError(ValueError):
    """A vocabulary file that cannot be used; says file, line and cause."""


@dataclass(frozen=True, slots=True)
class Concept:
    """One thing that can be said about a picture; the columns of `taxonomy.files`, but for `parent`.

    Attributes:
        parent: the parent's id, or `None` for a root.
    """

    id: str
    label: str
    hint: str = ""
    parent: str | None = None
    facet: str = "object"
    grammar: str = "count"
    synonyms: tuple[str, ...] = ()
    flags: frozenset[str] = frozenset()
    tier: str = "B"
    plural: str = ""
    british: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Unique in a vocabulary: the label, with the hint where there is one."""
        return f"{self.label} ({self.hint})" if self.hint else self.label

    @property
    def words(self) -> tuple[str, ...]:
        """Every English form under which somebody may look for it; the label first."""
        plural = (self.plural,) if self.plural else ()
        return (self.label, *plural, *self.british, *self.synonyms)

    @property
    def personal(self) -> frozenset[str]:
        """The kinds of personal attribute that it names; empty for most."""
        return frozenset(flag.removeprefix("personal:") for flag in self.flags if flag.startswith("personal:"))


@dataclass(frozen=True)
class Vocabulary:
    """The concepts in use, in the order of a walk down the tree: every subtree is one run of neighbours.

    Attributes:
        concepts: parents before children.
        end: for each concept, the index after the last one beneath it.
        flat: a plain word list, taken literally: no tree, no policy, nothing hidden or folded.
        translations: language to id to labels, the preferred one first; for English only what is shown instead of the
            concept's own label, where a policy says so.
        implied: id to ids of concepts elsewhere in the tree where it is true as well: where a bed is, it is indoors.
        contrary: groups of ids of which a picture shows one: it is indoors or outdoors.
    """

    concepts: tuple[Concept, ...]
    end: tuple[int, ...]
    flat: bool = False
    translations: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    implied: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    contrary: tuple[tuple[str, ...], ...] = ()

    @cached_property
    def index(self) -> dict[str, int]:
        """Position of each id."""
        return {concept.id: i for i, concept in enumerate(self.concepts)}

    @cached_property
    def by_name(self) -> dict[str, Concept]:
        """Concepts by unique name."""
        return {concept.name: concept for concept in self.concepts}

    @cached_property
    def by_word(self) -> dict[str, tuple[Concept, ...]]:
        """Concepts by every English form of theirs, case folded, with hints and what is shown; some mean several."""
        found: dict[str, dict[str, Concept]] = {}
        for concept in self.concepts:
            for word in (concept.name, *concept.words, self.shown(concept)):
                found.setdefault(word.casefold(), {})[concept.id] = concept
        return {word: tuple(concepts.values()) for word, concepts in found.items()}

    @cached_property
    def fingerprint(self) -> str:
        """Changes when anything in it does; 16 hex digits."""
        content = [
            (c.id, c.words, c.hint, c.parent, c.facet, c.grammar, c.tier, sorted(c.flags)) for c in self.concepts
        ]
        labels = sorted((language, sorted(table.items())) for language, table in self.translations.items())
        content_of_all = (self.flat, content, labels, sorted(self.implied.items()), self.contrary)
        return hashlib.sha256(repr(content_of_all).encode()).hexdigest()[:16]

    @property
    def languages(self) -> tuple[str, ...]:
        """English, and what there are label files for."""
        return ("en", *sorted(set(self.translations) - {"en"}))

    def labels(self, concept: Concept, languages: Iterable[str]) -> dict[str, str]:
        """Labels of a concept by language, English always; a language without one is left out."""
        found = {"en": concept.label}
        for language in ("en", *languages):
            if names := self.translations.get(language, {}).get(concept.id):
                found[language] = names[0]
        return found

    def shown(self, concept: Concept) -> str:
        """The English word for a concept: its label, or what a policy prefers."""
        names = self.translations.get("en", {}).get(concept.id)
        return names[0] if names else concept.label

    def ancestors(self, concept: Concept) -> Iterator[Concept]:
        """Parent, grandparent and so on, nearest first."""
        while concept.parent is not None:
            concept = self.concepts[self.index[concept.parent]]
            yield concept

    def runs(self, position: int) -> tuple[tuple[int, int], ...]:
        """Where the evidence for a concept lies: its subtree, and those of what implies it; apart, and in order."""
        return self._runs[position]

    @cached_property
    def _runs(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        return tuple(map(self._runs_of, range(len(self.concepts))))

    def _runs_of(self, position: int) -> tuple[tuple[int, int], ...]:
        sources = (self.index[source] for source in self.implied.get(self.concepts[position].id, ()))
        runs: list[tuple[int, int]] = []
        for start in sorted({position, *sources}):
            if not runs or start >= runs[-1][1]:
                runs.append((start, self.end[start]))
        return tuple(runs)

    def only(self, facets: frozenset[str]) -> "Vocabulary":
        """The concepts of these kinds; a concept whose parent goes moves up to the nearest ancestor that stays."""
        if self.flat or all(concept.facet in facets for concept in self.concepts):
            return self
        kept = [concept for concept in self.concepts if concept.facet in facets]
        ids = {concept.id for concept in kept}
        moved = []
        for concept in kept:
            parent = next((above.id for above in self.ancestors(concept) if above.id in ids), None)
            moved.append(concept if parent == concept.parent else replace(concept, parent=parent))
        implied = {
            target: sources
            for target, named in self.implied.items()
            if target in ids and (sources := tuple(source for source in named if source in ids))
        }
        contrary = (tuple(one for one in group if one in ids) for group in self.contrary)
        return build(
            moved,
            translations=self.translations,
            implied=implied,
            contrary=[group for group in contrary if len(group) > 1],
        )


def build(
    concepts: Sequence[Concept],
    *,
    flat: bool = False,
    translations: Mapping[str, Mapping[str, tuple[str, ...]]] | None = None,
    implied: Mapping[str, tuple[str, ...]] | None = None,
    contrary: Iterable[tuple[str, ...]] = (),
) -> Vocabulary:
    """Put concepts in tree order.

    Raises:
        TaxonomyError: for a repeated id, a missing parent, a cycle, or an implied concept that is not there.
    """
    children: dict[str | None, list[Concept]] = {}
    ids: set[str] = set()
    for concept in concepts:
        if concept.id in ids:
            raise TaxonomyError(f"the id {concept.id!r} is there twice")
        ids.add(concept.id)
        children.setdefault(concept.parent, []).append(concept)
    if missing := [parent for parent in children if parent is not None and parent not in ids]:
        raise TaxonomyError(
            f"no concept has the id {missing[0]!r}, which {children[missing[0]][0].name!r} calls parent"
        )

    contrary = tuple(contrary)
    named = {*itertools.chain(*contrary), *(one for entry in (implied or {}).items() for one in (entry[0], *entry[1]))}
    if lost := named - ids:
        raise TaxonomyError(f"no concept has the id {min(lost)!r}, which is said to imply others or to exclude them")

    ordered: list[Concept] = []
    end: list[int] = []
    # By hand rather than recursively: a customer's tree may be deep.
    stack: list[Concept | int] = list(reversed(children.get(None, [])))
    while stack:
        entry = stack.pop()
        if isinstance(entry, int):
            end[entry] = len(ordered)
            continue
        stack.append(len(ordered))
        ordered.append(entry)
        end.append(0)
        stack.extend(reversed(children.get(entry.id, [])))
    if len(ordered) < len(concepts):
        loop = ids - {concept.id for concept in ordered}
        raise TaxonomyError(f"these concepts are each other's parents: {', '.join(sorted(loop)[:5])}")
    return Vocabulary(tuple(ordered), tuple(end), flat, translations or {}, implied or {}, contrary)


def literal(terms: Iterable[str]) -> Vocabulary:
    """A plain word list, one term each, taken literally: blank lines and repetitions are dropped, nothing else."""
    unique = dict.fromkeys(term for line in terms if (term := line.strip()))
    if not unique:
        raise TaxonomyError("the vocabulary has no terms")
    return build([Concept(id=f"term:{term}", label=term) for term in unique], flat=True)
