"""A document as tantivy has it: its fields, and what of a picture goes into which."""

from functools import lru_cache

import tantivy

from tasks.feeding.document import Document, Term
from tasks.searching.ports import Filters
from worker.feeds.local.analysis import ANALYZER, spaced

LEVELS = 12
"""Steps in which a keyword's strength counts until the best are compared exactly."""

_BY_RANK = 0.25

TEXTS = ("labels", "title", "caption", "alt_text", "place", "creators", "path")
"""Fields of words."""

STATE = 0
"""The row of a document that is no picture: it says up to which change the index has come. SQLite begins at 1."""


def schema() -> tantivy.Schema:
    """The fields; nothing is stored, since SQLite has it."""
    builder = tantivy.SchemaBuilder()
    builder.add_integer_field("row", indexed=True, fast=True)
    builder.add_integer_field("sequence", fast=True)
    builder.add_integer_field("format", fast=True)
    builder.add_text_field("concepts", tokenizer_name="raw", index_option="basic")
    builder.add_text_field("facets", tokenizer_name="raw", index_option="basic")
    builder.add_text_field("key", tokenizer_name="raw", index_option="basic")
    for name in TEXTS:
        builder.add_text_field(name, tokenizer_name=ANALYZER, index_option="position")
    return builder.build()


def document(row: int, source: Document) -> tantivy.Document:
    """What tantivy gets of one picture."""
    made = tantivy.Document()
    made.add_integer("row", row)
    made.add_text("key", source.key)
    made.add_text("path", spaced(source.key))
    for term in source.keywords:
        if term.concept is not None:
            made.add_text("concepts", concept_term(level(term), term.concept))
        for label in dict.fromkeys(term.labels.values()):
            made.add_text("labels", _spaced_label(label))
    for name, text in (("title", source.title), ("caption", source.caption), ("alt_text", source.alt_text)):
        if text:
            made.add_text(name, spaced(text))
    for place in (source.location, source.city, source.state, source.country):
        if place:
            made.add_text("place", spaced(place))
    for creator in source.creators:
        made.add_text("creators", spaced(creator))
    for facet in facets(source):
        made.add_text("facets", facet)
    return made


# Of a vocabulary, so that documents share them.
_spaced_label = lru_cache(50_000)(spaced)


def state(sequence: int, version: int) -> tantivy.Document:
    """The document that is no picture."""
    made = tantivy.Document()
    made.add_integer("row", STATE)
    made.add_integer("sequence", sequence)
    made.add_integer("format", version)
    return made


def strength(term: Term) -> float:
    """How strong a keyword is, 0 to 1: its weight, of which the last ranks keep most."""
    return min(term.weight, 1.0) * (1.0 - _BY_RANK * min(term.rank - 1, 49) / 49)


def level(term: Term) -> int:
    """Its strength in steps, 0 to `LEVELS` - 1."""
    return min(LEVELS - 1, max(0, int(strength(term) * LEVELS)))


def value(of_level: int) -> float:
    """What a keyword of a level counts, the middle of what is in it."""
    return (of_level + 0.5) / LEVELS


def concept_term(of_level: int, concept: str) -> str:
    """The term of a concept at a level."""
    return f"{of_level}/{concept}"


def facets(source: Document) -> list[str]:
    """What filters may ask for."""
    made = [
        f"category/{scheme}/{category.id}"
        for scheme, categories in source.categories.items()
        for category in categories
    ]
    made += [f"color/{name}" for name in source.color_names]
    if source.orientation is not None:
        made.append(f"orientation/{source.orientation}")
    if source.people is not None:
        made.append(f"people/{source.people}")
    return made


def asked(filters: Filters) -> list[str]:
    """The facets that a document has to have for some filters, but for the prefix of its key."""
    made = [f"category/{scheme}/{number}" for scheme, number in filters.categories]
    made += [f"color/{name}" for name in filters.colors]
    if filters.orientation is not None:
        made.append(f"orientation/{filters.orientation}")
    if filters.people is not None:
        made.append(f"people/{filters.people}")
    return made
