"""Sweeps as a library needs them: how many lanes, what has to be sorted, and images out of an inventory."""

from tasks.errors import ConfigurationError
from tasks.listing.shards import LANES, Sweep
from worker.bulk.inventory import Inventory, read_manifest
from worker.bulk.sorting import sort_on_disk
from worker.library import Library, Place, parse, s3_store
from worker.settings import Settings
from worker.storage.local import LocalStore

MANIFEST = "/manifest.json"


def open_sweep(
    library: Library, generation: str, stored: str | None, lanes: int | None = None, inventory: Inventory | None = None
) -> Sweep:
    """A passage through a library.

    Args:
        library: what to list.
        generation: whose records are looked for.
        stored: whose embeddings may be used again, if any.
        lanes: listings at the same time; default: 8, and in a folder 1, where more gain nothing.
        inventory: instead of a listing of the images.
    """
    if lanes is None:
        lanes = 1 if isinstance(library.source, LocalStore) else LANES
    images = None if inventory is None else inventory.objects()
    return Sweep(library, generation, stored, lanes, sort_on_disk, images)


def open_inventory(url: str, library: Library, settings: Settings) -> Inventory:
    """The inventory that `s3://bucket/path/manifest.json` names.

    Raises:
        ConfigurationError: there is none that can be read, or it is another bucket's.
        Unavailable: the store does not answer.
    """
    place = parse(url.removesuffix(MANIFEST), "--inventory") if url.endswith(MANIFEST) else None
    if not isinstance(place, Place):
        raise ConfigurationError(f"--inventory {url}: give the URL of a manifest: s3://bucket/path/manifest.json")
    from worker.storage.s3 import S3Store  # slow to import, and folders need none

    store = s3_store(place.bucket, settings, library.meter)
    assert isinstance(store, S3Store)
    inventory = read_manifest(store, f"{place.prefix}{MANIFEST[1:]}")
    if inventory.bucket != library.source.bucket:
        raise ConfigurationError(
            f"--inventory {url}: it lists the bucket {inventory.bucket!r}, and the library is in "
            f"{library.source.bucket!r}"
        )
    return inventory
