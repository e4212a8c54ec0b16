"""The hits of a search as one self-contained page to look at."""

from importlib.resources import files

from jinja2 import Environment

from tasks.searching.search import Hit, Results
from worker.library import Library
from worker.pictures import Wanted, pictures
from worker.settings import Settings


def render(results: Results, *, title: str, library: Library, settings: Settings) -> str:
    """The page, HTML. Every text in it comes from somebody's file or query, so every text is escaped."""
    wanted = [_wanted(hit) for hit in results.hits]
    entries = list(zip(results.hits, pictures(wanted, library, settings), strict=True))
    template = (files("worker") / "templates" / "search.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(title=title, entries=entries, understood=results.understood)


def _wanted(hit: Hit) -> Wanted:
    return Wanted(hit.document.bucket, hit.document.key, hit.document.etag)
