"""What has been committed below a folder: the images that went with it when it was moved away or deleted."""

from collections.abc import Iterator

from tasks.generations.pointer import Current
from tasks.layout import Kind, Layout
from tasks.ports import Store

KINDS: tuple[Kind, ...] = ("done", "failed")


def committed_below(sidecars: Store, layout: Layout, current: Current, bucket: str, prefix: str) -> Iterator[str]:
    """Keys that begin with `prefix` and have a record in a generation that is written. Raises `Unavailable`."""
    for generation in current.written:
        for kind in KINDS:
            for stat in sidecars.list(layout.prefix(kind, generation, bucket, prefix)):
                place = layout.parse(stat.key)
                if place is not None:
                    yield place.key
