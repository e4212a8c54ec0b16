"""The report of an evaluation: one self-contained page, with the worst images to look at."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment

from tasks.errors import StockmetaError
from taxonomy.evaluation import Judged, Results
from taxonomy.measure import Figure
from taxonomy.truth import Relation
from worker.runtime import Model, make_decoder
from worker.settings import Settings

THUMBNAIL = 320
MARKS = {
    Relation.EXACT: ("right", "✓", "a true term"),
    Relation.ABOVE: ("above", "↑", "above a true term"),
    Relation.BENEATH: ("beneath", "?", "a kind of a true term: unknown"),
    Relation.WRONG: ("wrong", "✗", "no true term"),
}
"""Class, sign and meaning: a colour alone would not tell everybody."""


@dataclass(frozen=True, slots=True)
class Page:
    """What the page says above the images; of each list of words at most so many."""

    title: str
    summary: tuple[str, ...]
    results: Results
    most: int


def render(
    page: Page, worst: Sequence[tuple[Judged, float]], paths: Mapping[str, Path], settings: Settings, model: Model
) -> str:
    """The page, HTML. Every text in it comes from somebody's file, so every text is escaped."""
    pictures = _thumbnails([paths[picture.key] for picture, _ in worst], settings, model)
    template = (files("worker") / "templates" / "evaluation.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["percent"] = _percent
    rows = [(picture, f1, uri) for (picture, f1), uri in zip(worst, pictures, strict=True)]
    return environment.from_string(template).render(page=page, results=page.results, worst=rows, marks=MARKS)


def _thumbnails(paths: Sequence[Path], settings: Settings, model: Model) -> list[str | None]:
    """Pictures as data: URIs, made where hostile files do no harm; `None` for one that cannot be read any more."""
    decoder = make_decoder(settings, model.encoder, thumbnail=THUMBNAIL)
    found: list[str | None] = []
    try:
        for future in [decoder.submit(path) for path in paths]:
            try:
                thumbnail = future.result().thumbnail
            except StockmetaError:
                thumbnail = None
            found.append(None if thumbnail is None else _data_uri(thumbnail))
    finally:
        decoder.close()
    return found


def _data_uri(picture: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(picture).decode('ascii')}"


def _percent(figure: Figure, part: str) -> str:
    """A value of a figure as a CSS percentage."""
    return f"{100 * float(getattr(figure, part)):.2f}%"
