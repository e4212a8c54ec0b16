"""What there is in a vocabulary: figures of the whole, and all that is known of one concept."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from taxonomy.categories import Scheme, targets
from taxonomy.choose import said
from taxonomy.concepts import Concept, Vocabulary
from taxonomy.rules import fold


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of one language: how many concepts have a label, by tier, and how many words there are in all."""

    concepts: int
    tiers: Mapping[str, int]
    words: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """Figures of a vocabulary.

    Attributes:
        concepts: all there are.
        shown: those that are not hidden.
        words: English forms.
        depths: how many concepts are so many steps from a root.
        parents: concepts with something beneath them.
        shared: words that several concepts are called by, in English or another language.
        sources: how many ids come from where: `wn30` is WordNet 3.0, `sm` is our own.
        personal: how many name a personal attribute, by kind.
        categories: by scheme, how many categories there are and how many concepts lead to one.
    """

    concepts: int
    shown: int
    words: int
    roots: int
    parents: int
    hidden: int
    shared: int
    facets: Mapping[str, int]
    tiers: Mapping[str, int]
    depths: Mapping[int, int]
    sources: Mapping[str, int]
    personal: Mapping[str, int]
    languages: Mapping[str, Coverage]
    categories: Mapping[str, tuple[int, int]]


def statistics(vocabulary: Vocabulary, schemes: Sequence[Scheme]) -> Statistics:
    """Count what there is."""
    concepts = vocabulary.concepts
    hidden = sum("hidden" in concept.flags for concept in concepts)
    steps = Counter(sum(1 for _ in vocabulary.ancestors(concept)) for concept in concepts)
    return Statistics(
        concepts=len(concepts),
        shown=len(concepts) - hidden,
        words=sum(len(concept.words) for concept in concepts),
        roots=steps[0],
        parents=len({concept.parent for concept in concepts} - {None}),
        hidden=hidden,
        shared=len({word for word, owners in shared_words(vocabulary).items() if len(owners) > 1}),
        facets=_falling(concept.facet for concept in concepts),
        tiers=dict(sorted(Counter(concept.tier for concept in concepts).items())),
        depths=dict(sorted(steps.items())),
        sources=_falling(concept.id.partition(":")[0] for concept in concepts),
        personal=_falling(kind for concept in concepts for kind in concept.personal),
        languages={language: _coverage(vocabulary, language) for language in vocabulary.translations},
        categories={scheme.name: (len(scheme.rows), sum(map(bool, targets(scheme, vocabulary)))) for scheme in schemes},
    )


def _falling(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items(), key=lambda entry: (-entry[1], entry[0])))


def _coverage(vocabulary: Vocabulary, language: str) -> Coverage:
    table = vocabulary.translations[language]
    with_label = [concept for concept in vocabulary.concepts if table.get(concept.id)]
    tiers = dict(sorted(Counter(concept.tier for concept in with_label).items()))
    return Coverage(len(with_label), tiers, sum(map(len, table.values())))


def shared_words(vocabulary: Vocabulary) -> dict[tuple[str, str], tuple[Concept, ...]]:
    """What is said, by language and word, and the concepts whose label says it; most have one."""
    groups: dict[tuple[str, str], list[Concept]] = {}
    for concept in vocabulary.concepts:
        groups.setdefault(("en", said(concept.label)), []).append(concept)
        for language, table in vocabulary.translations.items():
            if language != "en" and (labels := table.get(concept.id)):
                groups.setdefault((language, fold(labels[0])), []).append(concept)
    return {word: tuple(concepts) for word, concepts in groups.items()}


@dataclass(frozen=True, slots=True)
class Entry:
    """All that is known of a concept; other concepts by name.

    Attributes:
        path: from the root down to it.
        labels: by language, the preferred one first.
        categories: by scheme, id and label of each category that it leads to.
        shared: by word, the other concepts that are called so.
    """

    concept: Concept
    path: tuple[str, ...]
    children: tuple[str, ...]
    beneath: int
    labels: Mapping[str, tuple[str, ...]]
    categories: Mapping[str, tuple[tuple[str, str], ...]]
    shared: Mapping[str, tuple[str, ...]]
    implied_by: tuple[str, ...]


def entry(vocabulary: Vocabulary, schemes: Sequence[Scheme], concept: Concept) -> Entry:
    """Look a concept up in all its files."""
    position = vocabulary.index[concept.id]
    names = {other.id: other.name for other in vocabulary.concepts}
    shared = {
        f"{language}: {word}": tuple(other.name for other in owners if other.id != concept.id)
        for (language, word), owners in shared_words(vocabulary).items()
        if len(owners) > 1 and concept in owners
    }
    return Entry(
        concept=concept,
        path=(*(above.name for above in reversed(list(vocabulary.ancestors(concept)))), concept.name),
        children=tuple(other.name for other in vocabulary.concepts if other.parent == concept.id),
        beneath=vocabulary.end[position] - position - 1,
        labels={lang: labels for lang, table in vocabulary.translations.items() if (labels := table.get(concept.id))},
        categories={scheme.name: _categories(scheme, vocabulary, position) for scheme in schemes},
        shared=shared,
        implied_by=tuple(names[id_] for id_ in vocabulary.implied.get(concept.id, ())),
    )


def _categories(scheme: Scheme, vocabulary: Vocabulary, position: int) -> tuple[tuple[str, str], ...]:
    """After the categories above them, each once."""
    led = (above for target in targets(scheme, vocabulary)[position] for above in reversed([*scheme.above(target)]))
    return tuple((scheme.rows[i].id, scheme.rows[i].label) for i in dict.fromkeys(led))
