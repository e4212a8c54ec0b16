"""The page of a comparison: one self-contained file, with the images that differ most to look at."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment

from tasks.generations.compare import Often, Pair
from tasks.records import Keyword
from worker.generations.found import Generation
from worker.library import Library
from worker.pictures import Wanted, pictures
from worker.settings import Settings

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, slots=True)
class Page:
    """What the page says above the images."""

    made: tuple[Generation, Generation]
    summary: tuple[str, ...]
    gained: tuple[Often, ...]
    lost: tuple[Often, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One image: its two records and its picture."""

    pair: Pair
    picture: str | None
    words: tuple[tuple[tuple[str, bool], ...], tuple[tuple[str, bool], ...]]
    """Each side's keywords in order, and whether the other side has them too."""


def made_by(made: Generation) -> str:
    """A generation in one line."""
    known = made.to_dict()
    said = [made.name, made.state if made.state != "kept" else None, known["model"], known["engine"]]
    if known["captioner"]:
        said.append(f"captioner {known['captioner']}")
    if known["opened_at"]:
        said.append(f"opened {known['opened_at'][:10]}")
    return ", ".join(filter(None, said))


def render(page: Page, worst: Sequence[Pair], library: Library, settings: Settings, progress: Progress) -> str:
    """The page, HTML. Every text in it comes from somebody's file, so every text is escaped."""
    entries = []
    images = [Wanted(pair.a.image.bucket, pair.a.image.key, pair.a.image.etag) for pair in worst]
    for pair, picture in zip(worst, pictures(images, library, settings), strict=True):
        lost, gained = ({word.id for word in words} for words in (pair.lost, pair.gained))
        sides = (_words(pair.a.keywords, lost), _words(pair.b.keywords, gained))
        entries.append(Entry(pair, picture, sides))
        progress("pictures", len(entries), len(worst))
    template = (files("worker") / "templates" / "compare.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(page=page, entries=entries, made=[made_by(m) for m in page.made])


def _words(words: Sequence[Keyword], alone: set[str]) -> tuple[tuple[str, bool], ...]:
    return tuple((word.labels.get("en", word.id), word.id not in alone) for word in words)
