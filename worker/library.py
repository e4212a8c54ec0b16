"""A library: where images lie and where their sidecars go, as the settings name them."""

from dataclasses import dataclass

from tasks.layout import Layout
from tasks.ports import Store
from worker.settings import Settings


@dataclass(frozen=True)
class Library:
    """Images in one bucket or folder, and the output root that belongs to them.

    Attributes:
        source: where the images lie.
        prefix: only keys that begin so belong to the library.
        sidecars: where the output root lies; the same object as `source` where they share a bucket.
        layout: paths below the output root.
    """

    source: Store
    prefix: str
    sidecars: Store
    layout: Layout


def open_library(settings: Settings) -> Library:
    """The library that the settings name. Raises `ConfigurationError`."""
    raise NotImplementedError
