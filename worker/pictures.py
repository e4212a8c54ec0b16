"""Pictures for pages: thumbnails as `data:` URIs, so that a page works without a network and wherever it is moved."""

import base64
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import NamedTuple

from tasks.errors import StockmetaError
from tasks.ports import Decoded
from worker.library import Library
from worker.runtime import make_thumbnailer
from worker.settings import Settings

SIZE = 320
"""Pixels of the longer side."""
AHEAD = 4
"""Originals in memory at a time."""


class Wanted(NamedTuple):
    """An image as a page speaks of it; with an ETag only if it still is the same."""

    bucket: str
    key: str
    etag: str | None


def pictures(images: Sequence[Wanted], library: Library, settings: Settings) -> Iterator[str | None]:
    """Each image's picture, made where hostile files do no harm; `None` for one that is not there as it was."""
    if not images:
        return
    # No more processes than pictures: to stop one that has not yet started makes a noise.
    processes = min(settings.decode_processes, len(images))
    decoder = make_thumbnailer(settings.model_copy(update={"decode_processes": processes}), SIZE)
    waiting: deque[Future[Decoded] | None] = deque()
    try:
        for image in images:
            body = _body(image, library, settings)
            waiting.append(None if body is None else decoder.submit(body))
            if len(waiting) >= AHEAD:
                yield _data_uri(waiting.popleft())
        while waiting:
            yield _data_uri(waiting.popleft())
    finally:
        decoder.close()


def _body(image: Wanted, library: Library, settings: Settings) -> bytes | Path | None:
    if image.bucket != library.source.bucket:
        return None
    try:
        if library.source.stat(image.key, image.etag).size > settings.max_bytes:
            return None
        return library.source.fetch(image.key, image.etag).body
    except StockmetaError:
        return None


def _data_uri(future: "Future[Decoded] | None") -> str | None:
    try:
        thumbnail = None if future is None else future.result().thumbnail
    except StockmetaError:
        return None
    return None if thumbnail is None else f"data:image/jpeg;base64,{base64.b64encode(thumbnail).decode('ascii')}"
