"""An object's body, read to its end however often it breaks off."""

import random
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

from botocore.exceptions import FlexibleChecksumError

from tasks.errors import Reason, Rejected, Unavailable
from worker.storage.s3_errors import BROKEN_OFF

PART = 16 << 20
"""Bytes read at once, and lost at most when a connection breaks."""

PROGRESS = 1 << 20
"""Bytes after which a body that breaks off once more has all its tries again."""

PAUSE = 0.1
"""Seconds before a body that broke off is asked for again; twice as long each time."""


def read_body(
    get: Callable[..., Any], etag: str | None, most: int | None, attempts: int, received: Callable[[int], None]
) -> tuple[bytes, Any]:
    """A body and the last answer. botocore tries again until a body begins; what breaks off later goes on here.

    Going on means a range from what has come, pinned to its ETag.

    Args:
        get: sends the request through boto3, with more parameters.
        etag: of the object to read, in quotes; `None` for whatever is there.
        most: bytes that it may have.
        attempts: how often it may break off without getting on.
        received: is told of bytes that came.

    Raises:
        Rejected: it has more bytes.
    """
    parts: list[bytes] = []
    tries = 0
    while True:
        had = sum(map(len, parts))
        condition = ({"IfMatch": etag} if etag else {}) | ({"Range": f"bytes={had}-"} if had else {})
        response = get(**condition)
        if most is not None and size(response) > most:
            response["Body"].close()
            raise Rejected(Reason.TOO_MANY_BYTES, f"it has {size(response)} bytes, and {most} are allowed")
        try:
            if had and not str(response.get("ContentRange", "")).startswith(f"bytes {had}-"):
                # The store does not know ranges, and sends all.
                parts = []
            # Not `with response["Body"]`, which gives the raw stream: it checks neither length nor checksum.
            with closing(response["Body"]) as body:
                while part := body.read(PART):
                    received(len(part))
                    parts.append(part)
        except BROKEN_OFF as error:
            # A store that dribbles a few bytes each time must not keep us for ever.
            tries = 1 if sum(map(len, parts)) - had >= PROGRESS else tries + 1
            if tries >= attempts:
                raise
            if isinstance(error, FlexibleChecksumError):
                parts = []
            etag = response["ETag"]
            time.sleep(random.uniform(0, PAUSE * 2**tries))  # noqa: S311 - a pause, no secret
        else:
            return b"".join(parts), response


def read_range(get: Callable[..., Any], etag: str, begin: int, attempts: int, received: Callable[[int], None]) -> bytes:
    """At most `PART` bytes from `begin` on, of the object with this ETag; the arguments are those of `read_body`.

    Raises:
        Unavailable: the store does not know ranges.
    """
    tries = 1
    while True:
        response = get(IfMatch=etag, Range=f"bytes={begin}-{begin + PART - 1}")
        try:
            with closing(response["Body"]) as body:
                if not str(response.get("ContentRange", "")).startswith(f"bytes {begin}-"):
                    raise Unavailable("the store sends whole objects where a range is asked for")
                data: bytes = body.read()
        except BROKEN_OFF:
            if tries >= attempts:
                raise
            time.sleep(random.uniform(0, PAUSE * 2**tries))  # noqa: S311 - a pause, no secret
            tries += 1
        else:
            received(len(data))
            return data


def size(response: Any) -> int:
    """Length of the whole object, of which the answer may be a range."""
    total = str(response.get("ContentRange", "")).rpartition("/")[2]
    return int(total) if total.isdigit() else int(response["ContentLength"])
