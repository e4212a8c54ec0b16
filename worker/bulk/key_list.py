"""Images by name instead of a listing: a list of keys, each of which is looked at."""

import re
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import BinaryIO

from tasks.bulk.feed import Stopped
from tasks.errors import Vanished
from tasks.listing.merge import Found
from tasks.ports import Stat
from worker.library import Library

LOOKS = 16
CHUNK = 1 << 16


def read_keys(file: BinaryIO, *, null: bool = False) -> Iterator[str]:
    """The keys of a list, one a line, or ended by NUL; bytes that are not UTF-8 are in no key, and so in no library."""
    end = b"\0" if null else b"\n"
    rest = b""
    while chunk := file.read1(CHUNK) if hasattr(file, "read1") else file.read(CHUNK):
        *lines, rest = (rest + chunk).split(end)
        yield from filter(None, (_key(line, null=null) for line in lines))
    if key := _key(rest, null=null):
        yield key


def _key(line: bytes, *, null: bool) -> str:
    return (line if null else line.removesuffix(b"\r")).decode("utf-8", "replace")


class KeySweep:
    """`tasks.bulk.backfill.Sweep` over a list of keys; those that are gone are counted among what is no image.

    Args:
        library: where they lie.
        keys: whole keys, as records name them; `s3://bucket/key` is understood too. What comes twice in a row of
            thousands is taken once.
        stored: whether there is a generation whose embeddings may be scored again.
    """

    def __init__(self, library: Library, keys: Iterable[str], *, stored: bool = False) -> None:
        self._library, self._keys, self._stored = library, keys, stored
        self.complete = False
        self.objects = 0
        self.stop = Event()

    def __iter__(self) -> Iterator[Found]:
        """The images that are there. Raises `Unavailable`; and `Stopped` once `stop` is set."""
        waiting: deque[Future[Found | None]] = deque()
        pool = ThreadPoolExecutor(LOOKS, thread_name_prefix="key")
        try:
            for key in self._owned():
                waiting.append(pool.submit(self._look, key))
                while len(waiting) > 2 * LOOKS:
                    if found := waiting.popleft().result():
                        yield found
            while waiting:
                if found := waiting.popleft().result():
                    yield found
            self.complete = True
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _owned(self) -> Iterator[str]:
        bucket = re.compile(f"s3://{re.escape(self._library.source.bucket)}/")
        recent: dict[str, None] = {}
        for given in self._keys:
            key = bucket.sub("", given, count=1) if given.startswith("s3://") else given
            if key in recent:
                continue
            recent[key] = None
            if len(recent) > CHUNK:
                del recent[next(iter(recent))]
            if self.stop.is_set():
                raise Stopped
            self.objects += 1
            if self._library.owns(key):
                yield key

    def _look(self, key: str) -> Found | None:
        try:
            image = self._library.source.stat(key)
        except Vanished:
            return None
        # Perhaps: whether there are records, the reconciler finds by reading them.
        perhaps = Stat(key, "", 0)
        return Found(key, image, perhaps, perhaps, perhaps if self._stored else None)
