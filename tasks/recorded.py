"""Records and what people decided, as they lie in the output root: read, understood, and with their ETags."""

from typing import NamedTuple

from tasks.layout import Layout
from tasks.ports import Store
from tasks.published import Human
from tasks.records import ImageRef, Record


class Sidecar(NamedTuple):
    """A record with metadata, and the ETag of its object."""

    record: Record
    etag: str


class Decided(NamedTuple):
    """What people decided about an image, and the ETag of its object."""

    human: Human
    etag: str


def read_sidecar(store: Store, layout: Layout, generation: str, ref: ImageRef) -> Sidecar | None:
    """The sidecar of an image in a generation; `None` where there is none.

    Raises:
        ValueError: naming the path, where it cannot be understood, or speaks of another image.
        Rejected: the key is too long to have one.
        Unavailable: the store does not answer.
    """
    path = layout.done(generation, ref)
    found = store.read(path)
    return None if found is None else Sidecar(parse_record(path, found[0], ref), found[1])


def read_decided(store: Store, layout: Layout, ref: ImageRef) -> Decided | None:
    """What people decided about an image; `None` where that is nothing.

    Raises:
        ValueError: naming the document, where it cannot be understood.
        Rejected: the key is too long to have one.
        Unavailable: the store does not answer.
    """
    path = layout.human(ref)
    found = store.read(path)
    if found is None:
        return None
    try:
        return Decided(Human.from_json(found[0]), found[1])
    except ValueError as error:
        raise ValueError(f"{path}: what people decided cannot be read: {error}") from error


def parse_record(path: str, data: bytes, ref: ImageRef) -> Record:
    """The record at a path. Raises `ValueError`, naming the path, if it is none, or none of this image."""
    try:
        record = Record.from_json(data)
    except ValueError as error:
        raise ValueError(f"{path}: it is no record: {error}") from error
    if (record.image.bucket, record.image.key) != (ref.bucket, ref.key):
        raise ValueError(f"{path}: it speaks of another image, {record.image.key!r} in {record.image.bucket!r}")
    return record
