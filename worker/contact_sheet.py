"""The contact sheet: one self-contained page of thumbnails with everything that was written about them."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment

from tasks.records import Record


@dataclass(frozen=True, slots=True)
class Entry:
    """A record and its thumbnail, a JPEG, or `None` where the image could not be read."""

    record: Record
    thumbnail: bytes | None

    @property
    def data_uri(self) -> str | None:
        """The thumbnail inside the page: the page works without a network, and wherever it is moved."""
        if self.thumbnail is None:
            return None
        return f"data:image/jpeg;base64,{base64.b64encode(self.thumbnail).decode('ascii')}"


def render(
    entries: Sequence[Entry], *, title: str, summary: str, languages: Sequence[str], schemes: Mapping[str, str]
) -> str:
    """The page, HTML; `schemes` has the titles of category schemes by name.

    Every text in it comes from somebody's file, so every text is escaped.
    """
    template = (files("worker") / "templates" / "contact-sheet.html").read_text(encoding="utf-8")
    page = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(template)
    return page.render(entries=entries, title=title, summary=summary, languages=languages, schemes=schemes)
