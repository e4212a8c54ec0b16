"""A query by words, as tantivy is asked it, and why a document was found.

Queries are made of terms and never of a string that is parsed, so that nothing that a person types has a meaning.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import msgspec
import tantivy
from tantivy import Occur, Query

from tasks.feeding.document import Term
from tasks.searching.ports import Filters, WordQuery
from worker.feeds.local import terms
from worker.feeds.local.analysis import analyzer, spaced

_BOOSTS = {"labels": 2.0, "title": 2.0, "caption": 1.0, "alt_text": 0.8, "place": 1.5, "creators": 1.5, "path": 0.5}

_CONCEPT = 2.0
"""What a concept of full weight counts, beside a word in a title."""

_NAMED = 0.3
"""What a word counts that is part of a concept's name, for pictures that have it in a text alone."""

_TIES = 0.1

_LABELS = 50_000


class Known(msgspec.Struct):
    """What of a document says why it was found, decoded without the rest."""

    key: str
    keywords: tuple[Term, ...] = ()
    title: str | None = None
    caption: str | None = None
    alt_text: str | None = None
    location: str | None = None
    city: str | None = None
    state: str | None = None
    country: str | None = None
    creators: tuple[str, ...] = ()


@dataclass(frozen=True)
class Understood:
    """A query, ready to be asked.

    Attributes:
        query: scores documents.
        concepts: what each counts in the score, at full strength.
        words: the terms of each word.
        language: of labels in reasons.
    """

    query: Query
    concepts: Mapping[str, float]
    words: Sequence[Sequence[str]]
    language: str


class Words:
    """Makes queries. One thread at a time."""

    def __init__(self) -> None:
        self._analyzer = analyzer()
        # Documents share their keywords, and a hundred of them have two thousand labels.
        self._labels = lru_cache(_LABELS)(lambda label: frozenset(self.tokens(label)))

    def understood(self, query: WordQuery, schema: tantivy.Schema, searcher: tantivy.Searcher) -> Understood | None:
        """The query in tantivy's form; `None` if there is nothing in it to look for."""
        parts: list[Query] = []
        counts = {}
        for concept, weight in query.concepts.items():
            asked = list(_concept(concept, weight, schema, searcher))
            if asked:
                counts[concept] = asked[0][0]
                parts += [part for _, part in asked]
        words = [tokens for word in query.rest if (tokens := self.tokens(word))]
        parts += [_word(tokens, schema) for tokens in words]
        named = {tuple(tokens) for word in query.text.split() if (tokens := self.tokens(word)) and tokens not in words}
        parts += [Query.boost_query(_word(tokens, schema), _NAMED) for tokens in sorted(named)]
        if not parts:
            return None
        either = Query.boolean_query([(Occur.Should, part) for part in parts])
        return Understood(either, counts, words, query.language)

    def tokens(self, text: str) -> list[str]:
        """The terms of a text."""
        found: list[str] = self._analyzer.analyze(spaced(_writable(text)))
        return found

    def reasons(self, asked: Understood, known: Known) -> tuple[str, ...]:
        """What a document was found by."""
        found = [f"keyword {_label(each, asked.language)}" for each in known.keywords if each.concept in asked.concepts]
        if asked.words:
            named = [
                each
                for each in known.keywords
                if any(_has(asked, self._labels(label)) for label in each.labels.values())
            ]
            found += [f"keyword {_label(each, asked.language)}" for each in named]
            found += [reason for reason, text in _texts(known) if text and _has(asked, frozenset(self.tokens(text)))]
        return tuple(dict.fromkeys(found))


def strength(asked: Understood, known: Known) -> float:
    """What the levels of a document's keywords rounded off of its score."""
    total = 0.0
    for term in known.keywords:
        counts = asked.concepts.get(term.concept or "")
        if counts is not None:
            total += counts * (terms.strength(term) - terms.value(terms.level(term)))
    return total


def only(schema: tantivy.Schema, query: Query, filters: Filters) -> Query:
    """A query of which only what passes the filters is left."""
    parts = [(Occur.Must, query), *((Occur.Must, each) for each in filtering(schema, filters))]
    return Query.boolean_query(parts) if len(parts) > 1 else query


def filtering(schema: tantivy.Schema, filters: Filters) -> list[Query]:
    """What has to be true for some filters; nothing of it counts in a score."""
    facets = terms.asked(filters)
    if any(_writable(each) != each for each in (*facets, filters.prefix)):
        return [Query.empty_query()]
    parts = [Query.term_query(schema, "facets", facet, index_option="basic") for facet in facets]
    if filters.prefix:
        # No letter may differ. A regular expression would take less than the 1,024 bytes that a key may have.
        parts.append(Query.fuzzy_term_query(schema, "key", filters.prefix, 0, False, prefix=True))
    return [Query.const_score_query(part, 0.0) for part in parts]


def _concept(
    concept: str, weight: float, schema: tantivy.Schema, searcher: tantivy.Searcher
) -> Iterator[tuple[float, Query]]:
    names = {level: terms.concept_term(level, concept) for level in range(terms.LEVELS)}
    there = {level: searcher.doc_freq("concepts", name) for level, name in names.items()}
    documents = sum(there.values())
    # As BM25 has it, so that concepts and words count on one scale.
    counts = _CONCEPT * weight * math.log1p((searcher.num_docs - documents + 0.5) / (documents + 0.5))
    for level, frequency in there.items():
        if frequency:
            term = Query.term_query(schema, "concepts", names[level], index_option="basic")
            yield counts, Query.const_score_query(term, counts * terms.value(level))


def _word(tokens: Sequence[str], schema: tantivy.Schema) -> Query:
    fields = [Query.boost_query(_in_field(name, tokens, schema), _BOOSTS[name]) for name in terms.TEXTS]
    return Query.disjunction_max_query(fields, _TIES)


def _in_field(name: str, tokens: Sequence[str], schema: tantivy.Schema) -> Query:
    if len(tokens) == 1:
        return Query.term_query(schema, name, tokens[0])
    phrase = Query.phrase_query(schema, name, list(tokens))
    if len(tokens) == 2:
        return phrase
    # A compound may be spaced in one place and not in another: most of its pairs are enough, and count less.
    most = Query.boolean_query(
        [(Occur.Should, Query.term_query(schema, name, token)) for token in dict.fromkeys(tokens)],
        minimum_number_should_match=math.ceil(0.75 * len(set(tokens))),
    )
    return Query.disjunction_max_query([phrase, Query.boost_query(most, 0.5)])


def _has(asked: Understood, there: frozenset[str]) -> bool:
    return any(there.issuperset(word) for word in asked.words)


def _texts(known: Known) -> Iterator[tuple[str, str | None]]:
    yield "title", known.title
    yield "caption", known.caption
    yield "alt text", known.alt_text
    yield "place", " ".join(filter(None, (known.location, known.city, known.state, known.country)))
    yield "creator", " ".join(known.creators)
    yield "name of the file", known.key


def _label(term: Term, language: str) -> str:
    return term.labels.get(language) or term.labels.get("en") or next(iter(term.labels.values()), term.concept or "")


def _writable(text: str) -> str:
    """What of a text is UTF-8; a terminal may give bytes that are not, and no document has them."""
    return text.encode("utf-8", "replace").decode()
