"""Which generation's stored embeddings a library can be scored again from, and why not."""

from dataclasses import fields

from tasks.errors import ConfigurationError
from tasks.generations.description import Sight, read_description, reusable
from tasks.generations.pointer import read_current
from worker.library import Library

WORDS = {
    "encoder": "another model, engine or precision",
    "decoding": "another way of making pixels",
    "reading": "another way of reading what files say themselves",
    "generator": "another model that generates captions",
    "rendition": "other renditions in place of the originals",
}
"""What a difference in a `Sight` means, in words."""


class NotReusable(ConfigurationError):
    """Nothing that is stored may be scored again; `generation` is the one that was to be filled."""

    def __init__(self, message: str, generation: str) -> None:
        super().__init__(message)
        self.generation = generation


def stored_for(library: Library, generation: str, sight: Sight | None = None) -> str | None:
    """The serving generation, if a backfill of another one may use its embeddings. Raises `Unavailable`."""
    serving = read_current(library.sidecars, library.layout).serving
    if serving is None or serving == generation:
        return None
    new, old = sight or _sight(library, generation), _sight(library, serving)
    return serving if new and old and reusable(new, old) else None


def require_stored(library: Library, generation: str, given: str | None, sight: Sight | None = None) -> str | None:
    """The generation whose embeddings a re-score takes; `None` if there is none but the one to be filled.

    Args:
        library: whose.
        generation: to be filled.
        given: which to take; default: the one that serves.
        sight: of the generation to be filled, if it is not described yet.

    Raises:
        NotReusable: what it has stored is not what would be seen now; says why.
        Unavailable: the store does not answer.
    """
    stored = given or read_current(library.sidecars, library.layout).serving
    if stored is None or stored == generation:
        return None
    new, old = sight or _sight(library, generation), _sight(library, stored)
    if old is None:
        raise NotReusable(
            f"generation {stored} does not say what it was made with, as those of earlier versions: run a worker with "
            "its settings once, which writes that down; or run `stockmeta backfill`",
            generation,
        )
    if new is None:
        raise NotReusable(f"generation {generation} does not say what it is made with: update its workers", generation)
    if not reusable(new, old):
        names = [field.name for field in fields(Sight) if getattr(new, field.name) != getattr(old, field.name)]
        raise NotReusable(
            f"generation {generation} cannot take what {stored} has stored: it was seen with "
            f"{', and with '.join(WORDS[name] for name in names)}. Run `stockmeta backfill`, which reads the images",
            generation,
        )
    return stored


def _sight(library: Library, generation: str) -> Sight | None:
    description = read_description(library.sidecars, library.layout, generation)
    return description.sight if description else None
