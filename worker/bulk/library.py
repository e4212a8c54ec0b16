"""Which library a bulk command means: the one that it names, as a part of the one that workers know."""

from dataclasses import replace
from pathlib import Path

from tasks.errors import ConfigurationError
from worker.library import Library, Place, open_library, parse
from worker.settings import Settings, load_settings


def locate(settings: Settings, given: str) -> tuple[Settings, Library]:
    """The library that is given, and settings for workers that read it.

    Within the settings' library it is a part of that, so that paths of records hold the same keys for all.

    Raises:
        ConfigurationError: no such folder; or it lies outside of the library of the workers that a broker is for.
    """
    place = parse(given, "LIBRARY")
    if isinstance(place, Path) and not place.is_dir():
        raise ConfigurationError(f"there is no folder {given!r}")
    if settings.library is not None:
        prefix = _within(place, parse(settings.library, "STOCKMETA_LIBRARY"))
        if prefix is not None:
            return settings, replace(open_library(settings), prefix=prefix)
        if settings.broker_url is not None:
            raise ConfigurationError(
                f"{given} lies outside of the workers' library, {settings.library} (STOCKMETA_LIBRARY): they would not "
                "find its images. Name that library or a part of it; or run workers for this one, with a broker of "
                "their own"
            )
    ours = load_settings(**settings.model_dump(exclude_unset=True) | {"library": given})
    return ours, open_library(ours)


def _within(place: Path | Place, whole: Path | Place) -> str | None:
    """The prefix of a place within a library; `None` outside of it."""
    if isinstance(place, Place):
        same = isinstance(whole, Place) and whole.bucket == place.bucket and place.prefix.startswith(whole.prefix)
        return place.prefix if same else None
    if isinstance(whole, Place):
        return None
    inside, root = place.resolve(), whole.resolve()
    if not inside.is_relative_to(root):
        return None
    below = inside.relative_to(root).as_posix()
    return "" if below == "." else f"{below}/"
