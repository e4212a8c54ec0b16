"""`stockmeta search`: finds images by words, by meaning and by likeness."""

import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tasks.errors import ConfigurationError, Unavailable
from tasks.feeding.document import Document
from tasks.searching.meaning import Meaning
from tasks.searching.ports import Filters, Searcher
from tasks.searching.search import Asked, Hit, Results, Search
from tasks.searching.understand import Phrase, Understanding, Understood
from taxonomy.concepts import Vocabulary, build
from worker import console
from worker.library import Library, open_library
from worker.searching import like
from worker.searching.engines import Place, load_texts, open_searcher
from worker.settings import Settings

OK = 0
SHOWN_KEYWORDS = 10


@dataclass(frozen=True, slots=True)
class Query:
    """What the command line asks for.

    Attributes:
        text: what to search for; empty where only `like` counts.
        like: key or path of a picture.
        language: two letters, of the text.
        sheet: file for a page with the hits' pictures.
        explain: say what was understood, and each hit's place in each list.
    """

    text: str = ""
    like: str | None = None
    language: str | None = None
    filters: Filters = field(default_factory=Filters)
    limit: int = 20
    words_only: bool = False
    folded: bool = True
    sheet: Path | None = None
    as_json: bool = False
    explain: bool = False


def run(settings: Settings, place: Place, query: Query) -> int:
    """Search, print the hits, write the page if asked; returns the exit status."""
    started = time.monotonic()
    library = open_library(settings)
    searcher = open_searcher(settings, library, place)
    try:
        results = _find(settings, library, searcher, query)
    finally:
        searcher.close()
    seconds = time.monotonic() - started
    if query.explain:
        for line in told(results.understood):
            console.say(line)
        console.say(f"{len(results.hits)} hits of {' and '.join(results.lists) or 'nothing'} in {seconds:.2f} s")
    _emit(results, query, searcher.generation)
    if not results.hits:
        console.say("nothing was found" + ("" if query.filters == Filters() else "; fewer filters may find more"))
    if query.sheet is not None:
        _write_sheet(settings, library, results, query)
    return OK


def _find(settings: Settings, library: Library, searcher: Searcher, query: Query) -> Results:
    found = None if query.like is None else like.find(query.like, searcher, library, settings)
    meaning = Meaning(lambda: load_texts(settings, searcher.model))
    vocabulary = _vocabulary(settings, query)
    search = Search(searcher, Understanding(vocabulary), meaning)
    if searcher.model is None and query.text:
        console.say("the index has no embeddings: searching by words alone")
    asked = Asked(
        text=query.text,
        like=None if found is None else found.direction,
        without=frozenset() if found is None or found.document is None else frozenset({found.document}),
        filters=query.filters,
        limit=query.limit,
        language=query.language,
        words_only=query.words_only or searcher.model is None,
        folded=query.folded,
    )
    results = search.find(asked)
    _say_what_is_amiss(results, asked, vocabulary)
    if not results.hits and asked.filters.people is not None:
        _say_if_people_are_unknown(search, asked)
    return results


def _say_if_people_are_unknown(search: Search, asked: Asked) -> None:
    found = search.find(replace(asked, filters=replace(asked.filters, people=None))).hits
    if found and all(hit.document.people is None for hit in found):
        console.say(
            "whether there are people is not known of any image found without --people or --no-people: "
            "the model that tagged them does not tell"
        )


def _say_what_is_amiss(results: Results, asked: Asked, vocabulary: Vocabulary) -> None:
    understood = results.understood
    concepts = {term.concept for hit in results.hits for term in hit.document.keywords if term.concept is not None}
    if asked.text and concepts and concepts.isdisjoint(vocabulary.index):
        console.say(
            "the index was made with another vocabulary: set STOCKMETA_VOCABULARY and STOCKMETA_POLICY as they were"
        )
    if asked.text and not understood.wanted and not understood.rest:
        _say_that_nothing_is_asked_for(understood, asked)
    if asked.words_only or understood.language == "en" or not asked.text:
        return
    if not understood.wanted:
        console.say(
            f"no word of {asked.text!r} is in the vocabulary, and text encoders know English: searched by words alone"
        )
    elif understood.rest:
        console.say(f"not in the vocabulary, so searched by words alone: {', '.join(understood.rest)}")


def _say_that_nothing_is_asked_for(understood: Understood, asked: Asked) -> None:
    if understood.negated:
        names = ", ".join(phrase.text for phrase in understood.negated)
        console.say(f"{names}: not wanted, and nothing else is asked for; say what to search for as well")
    elif asked.words_only or understood.language != "en":
        console.say(f"no word of {asked.text!r} says what to search for")
    else:
        console.say(f"no word of {asked.text!r} says what to search for: hits are a guess, by the text as a whole")


def _vocabulary(settings: Settings, query: Query) -> Vocabulary:
    """The words to understand; reading them takes a moment that a search by likeness alone need not wait for."""
    if not query.text:
        return build([])
    from worker.vocabulary import load_wording

    return load_wording(settings).vocabulary


def _emit(results: Results, query: Query, generation: str) -> None:
    hits = [hit_to_dict(hit, query) for hit in results.hits]
    if not query.as_json:
        for hit in hits:
            console.emit(json.dumps(hit, ensure_ascii=False))
        return
    answer = {
        "schema": "stockmeta-search/1",
        "text": query.text,
        "like": None if query.like is None else query.like.encode("utf-8", "replace").decode(),
        "generation": generation,
        "understood": _understood(results.understood),
        "lists": results.lists,
        "hits": hits,
    }
    console.emit(json.dumps(answer, ensure_ascii=False))


def hit_to_dict(hit: Hit, query: Query) -> dict[str, Any]:
    """One hit, as it is printed."""
    document = hit.document
    found: dict[str, Any] = {
        "rank": hit.rank,
        "key": document.key,
        "score": hit.score,
        "why": hit.why,
        "title": document.title,
        "keywords": keywords(document, query.language),
        "duplicates": [other.key for other in hit.duplicates],
    }
    return found | ({"ranks": hit.ranks} if query.explain else {})


def keywords(document: Document, language: str | None) -> list[str]:
    """The first keywords of a document, in a language where they have a label in it."""
    labels = (term.labels for term in document.keywords[:SHOWN_KEYWORDS])
    return [each.get(language or "en") or each.get("en") or next(iter(each.values()), "") for each in labels]


def told(understood: Understood) -> list[str]:
    """What a text was taken to mean, for people."""
    lines = [
        f"{phrase.text}: {'not ' if phrase.negated else ''}{_concepts(phrase) or phrase.text}"
        for phrase in understood.phrases
    ]
    return lines + [f"{word}: not in the vocabulary" for word in understood.rest]


def _concepts(phrase: Phrase) -> str:
    return ", ".join(concept.name if weight == 1 else f"{concept.name} {weight}" for concept, weight in phrase.concepts)


def _understood(understood: Understood) -> dict[str, Any]:
    return {
        "language": understood.language,
        "concepts": [
            {"text": phrase.text, "id": concept.id, "label": concept.label, "weight": weight}
            for phrase in understood.wanted
            for concept, weight in phrase.concepts
        ],
        "not_wanted": [phrase.text for phrase in understood.negated],
        "rest": understood.rest,
    }


def _write_sheet(settings: Settings, library: Library, results: Results, query: Query) -> None:
    from worker.searching import sheet

    assert query.sheet is not None
    if query.sheet.is_dir():
        raise ConfigurationError(f"--sheet {query.sheet}: it is a folder; name a file")
    page = sheet.render(results, title=query.text or f"like {query.like}", library=library, settings=settings)
    try:
        query.sheet.write_text(page, encoding="utf-8")
    except OSError as error:
        raise Unavailable(f"{query.sheet}: {error.strerror}") from error
    console.say(f"page: {query.sheet}")
