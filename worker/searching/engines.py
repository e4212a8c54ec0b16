"""Which index a search reads, and with which model."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tasks.errors import ConfigurationError
from tasks.searching.meaning import TextEncoder
from tasks.searching.ports import Searcher
from worker.feeding_places import index_folder
from worker.library import Library
from worker.settings import Settings

if TYPE_CHECKING:
    from worker.feeds.opensearch.access import Access

Engine = Literal["local", "opensearch"]


@dataclass(frozen=True, slots=True)
class Place:
    """Which index is meant: the embedded one in a folder, or one of a cluster.

    Attributes:
        folder: default: the library's own in the cache.
        url: of the cluster; `name` is the index's, default the library's own.
    """

    engine: Engine = "local"
    folder: Path | None = None
    url: str | None = None
    name: str | None = None


def open_searcher(settings: Settings, library: Library, place: Place) -> Searcher:
    """The index that serves.

    Raises:
        ConfigurationError: there is none yet; says how to make it.
        Unavailable: the cluster does not answer.
    """
    if place.engine == "opensearch":
        from worker.feeds.opensearch.searcher import OpenSearchSearcher

        return OpenSearchSearcher(_access(settings, place), library.source.bucket, library.prefix, place.name)
    from worker.feeds.local.folder import Folder
    from worker.feeds.local.folder import Library as Owner
    from worker.feeds.local.searcher import LocalSearcher

    folder = index_folder(settings, library, place.folder)
    if not (folder / "serving.json").exists():
        option = "" if place.folder is None else f" --index {shlex.quote(str(place.folder))}"
        raise ConfigurationError(
            f"there is no index of this library yet: run `stockmeta feed local {shlex.quote(settings.library or '')}"
            f"{option}` first, after its images were tagged"
        )
    Folder(folder).check(Owner(library.source.bucket, library.prefix))
    return LocalSearcher(folder)


def _access(settings: Settings, place: Place) -> "Access":
    from worker.feeds.opensearch.access import Access

    password = settings.opensearch_password
    return Access(
        place.url or settings.opensearch_url,
        settings.opensearch_user,
        None if password is None else password.get_secret_value(),
        settings.opensearch_ca,
    )


def load_texts(settings: Settings, model: str | None) -> TextEncoder:
    """The text side of the model that made an index.

    Raises:
        ConfigurationError: the settings name another model, or the model is not to be had.
    """
    if model is None:
        raise ConfigurationError("the index has no embeddings")
    if "model" in settings.model_fields_set and settings.model != model:
        raise ConfigurationError(
            f"the index was made with the model {model!r}, and STOCKMETA_MODEL is {settings.model!r}: a text has to be "
            "encoded by the model that encoded the images; unset it, or search with --words-only"
        )
    from worker.encoders.queries import load_query_encoder

    return load_query_encoder(model, cache_dir=settings.cache_dir, sha256=settings.weights_sha256)
