"""Which concepts a policy's rules and terms mean.

A rule is a word, with `*` for any letters and `?` for one, that is compared with the whole of each form of a concept,
whatever its case: label, label with hint, plural, British and other synonyms, labels in other languages, id.
`under:WORD` adds everything beneath, `facet:NAME` is a facet. A term is a rule without wildcards that means exactly one
concept.
"""

import difflib
import fnmatch
import re
from collections.abc import Iterable
from functools import cached_property

from taxonomy.concepts import FACETS, Concept, TaxonomyError, Vocabulary


class Finder:
    """Finds the concepts of a vocabulary. All its methods raise `TaxonomyError` with cause and what to do."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary

    @cached_property
    def _forms(self) -> dict[str, list[int]]:
        """Positions by form, folded."""
        forms: dict[str, list[int]] = {}
        for position, concept in enumerate(self.vocabulary.concepts):
            translated = (table.get(concept.id, ()) for table in self.vocabulary.translations.values())
            words = (concept.id, concept.name, *concept.words, *(label for labels in translated for label in labels))
            for form in dict.fromkeys(map(fold, words)):
                forms.setdefault(form, []).append(position)
        return forms

    def matching(self, rule: str) -> frozenset[str]:
        """Ids of all concepts that a rule means; at least one."""
        kind, colon, rest = rule.partition(":")
        if colon and kind.strip() == "facet":
            return self._facet(rest.strip())
        if colon and kind.strip() == "under":
            found = self._matching(rest)
            end = self.vocabulary.end
            return frozenset(self.vocabulary.concepts[i].id for start in found for i in range(start, end[start]))
        return frozenset(self.vocabulary.concepts[i].id for i in self._matching(rule))

    def _facet(self, facet: str) -> frozenset[str]:
        if facet not in FACETS:
            raise TaxonomyError(f"{facet!r} is no facet{suggest(facet, FACETS)}; there are {', '.join(sorted(FACETS))}")
        return frozenset(concept.id for concept in self.vocabulary.concepts if concept.facet == facet)

    def _matching(self, rule: str) -> list[int]:
        pattern = fold(rule)
        if not pattern:
            raise TaxonomyError("a rule is empty; remove it or write a word")
        if not set("*?") & set(pattern):
            found = self._forms.get(pattern, [])
        else:
            # As the shell's, without its brackets; its translation never goes back over what a star took.
            matches = re.compile(fnmatch.translate(pattern.replace("[", "[[]"))).match
            found = [position for form, positions in self._forms.items() if matches(form) for position in positions]
        if not found:
            raise TaxonomyError(f"{rule!r} is no word of the vocabulary{suggest(pattern, self._forms)}")
        return found

    def one(self, term: str) -> Concept:
        """The one concept that a term means: by its id, its name, its label, or any other form."""
        term = fold(term)
        found = [self.vocabulary.concepts[i] for i in self._forms.get(term, ())]
        if not found:
            raise TaxonomyError(f"{term!r} is no word of the vocabulary{suggest(term, self._forms)}")
        for forms in ([c.id for c in found], [c.name for c in found], [c.label for c in found]):
            exact = [concept for concept, form in zip(found, forms, strict=True) if fold(form) == term]
            if len(exact) == 1:
                return exact[0]
        if len(found) > 1:
            names = ", ".join(repr(concept.name) for concept in found[:5])
            raise TaxonomyError(f"{term!r} means several concepts; write one of {names}")
        return found[0]


def fold(text: str) -> str:
    """A word as it is compared: without case, with single spaces."""
    return " ".join(text.casefold().split())


def suggest(word: str, known: Iterable[str]) -> str:
    """`; did you mean …?` with what is spelled alike, or nothing."""
    near = [e for e in known if abs(len(e) - len(word)) <= max(2, len(word) // 3) and (":" in word or ":" not in e)]
    close = difflib.get_close_matches(word, near, n=3, cutoff=0.66)
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
