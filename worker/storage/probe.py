"""Proof, on the real store, that it keeps to the conditions of writes: nothing else stops workers from overwriting.

Not every store that speaks S3 does; some take the header and ignore it.
"""

import time
import uuid
from contextlib import suppress

from tasks.errors import ConfigurationError, Conflict, StockmetaError, Vanished
from tasks.layout import Layout
from tasks.ports import Store

PREFIX = "probe-"
OLD_SECONDS = 3600


def require_conditional_writes(store: Store, layout: Layout) -> None:
    """Write, overwrite and remove an object of a unique name below the output root.

    Raises:
        ConfigurationError: the store does what it was to refuse.
        Unavailable: it does not answer, or does not let us write.
    """
    _clean_up(store, layout)
    key = f"{layout.root}{PREFIX}{int(time.time()):012}-{uuid.uuid4().hex}"
    etag = store.put(key, b"1", if_match=None)
    try:
        _require_refusal(store, key, b"2", None, "writes over what is there (If-None-Match: *)")
        try:
            newer = store.put(key, b"3", if_match=etag)
        except Conflict as error:
            raise _wrong(store, "refuses to replace an object by its ETag (If-Match)") from error
        stale, etag = etag, newer
        _require_refusal(store, key, b"4", stale, "writes over a newer object (If-Match)")
        with suppress(Conflict):
            store.delete(key, if_match=stale)
            raise _wrong(store, "removes a newer object (If-Match)")
    finally:
        _clean(store, key)


def _require_refusal(store: Store, key: str, data: bytes, if_match: str | None, what: str) -> None:
    with suppress(Conflict):
        store.put(key, data, if_match=if_match)
        raise _wrong(store, what)


def _wrong(store: Store, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"the store of {store.bucket!r} {what}: workers would lose each other's writes; use a store or a release that "
        "knows conditional writes (Amazon S3, SeaweedFS 4, a recent MinIO), or a folder"
    )


def _clean_up(store: Store, layout: Layout) -> None:
    """Remove what a proof left that was killed in the middle; one under way is younger."""
    below = len(layout.root) + len(PREFIX)
    for stat in store.list(f"{layout.root}{PREFIX}"):
        began = stat.key[below:].partition("-")[0]
        if began.isdigit() and int(began) < time.time() - OLD_SECONDS:
            _clean(store, stat.key)


def _clean(store: Store, key: str) -> None:
    # What went wrong before says more than what goes wrong here.
    with suppress(StockmetaError):
        if found := store.read(key):
            with suppress(Vanished):
                store.delete(key, if_match=found[1])
