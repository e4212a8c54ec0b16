"""Listings of S3, a page of 1,000 keys at a time."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from tasks.errors import Unavailable
from tasks.order import Order, sortable
from tasks.ports import Stat
from worker.storage.s3_errors import reporting
from worker.storage.s3_keys import quoted

LAST = "\U0010ffff"
"""Comes after all that we write below an output root, and before all that lies beside it, in either order."""


def pages(call: Callable[..., Any], bucket: str, prefix: str, **parameters: str) -> Iterator[Any]:
    """Answers of `list_objects_v2`.

    Args:
        call: sends it, as `S3Store` does.
        bucket: for messages.
        prefix: what keys begin with.
        parameters: more of the request.

    Raises:
        Unavailable: a page cannot be had; a listing with a hole would make its images look deleted.
    """
    after: dict[str, str] = {}
    while True:
        with reporting(bucket, prefix):
            page = call("list_objects_v2", Prefix=prefix, **parameters, **after)
        yield page
        if not page.get("IsTruncated"):
            return
        token = page.get("NextContinuationToken")
        if not token or token == after.get("ContinuationToken"):
            raise Unavailable(f"s3://{bucket}: the store broke off a listing without saying where to go on")
        after = {"ContinuationToken": token}


def listed(call: Callable[..., Any], bucket: str, prefix: str, without: str) -> Iterator[Stat]:
    """All objects under a prefix, less those below `without`: where they begin, the listing goes on after them.

    Raises:
        Unavailable: a page cannot be had.
    """
    for page in pages(call, bucket, prefix):
        for stat in objects(page):
            if without and stat.key.startswith(without):
                after = without + LAST
                yield from (more for one in pages(call, bucket, prefix, StartAfter=after) for more in objects(one))
                return
            yield stat


def objects(page: Any) -> Iterator[Stat]:
    """The objects of a page."""
    for item in page.get("Contents", ()):
        modified = datetime.fromisoformat(item["LastModified"]).timestamp()
        yield Stat(item["Key"], quoted(item["ETag"]), item["Size"], modified)


def level(page: Any, order: Order) -> Iterator[Stat | str]:
    """The objects of a page and the prefixes of what lies deeper, as one sequence in the store's order."""
    found: list[Stat | str] = [*objects(page), *(item["Prefix"] for item in page.get("CommonPrefixes", ()))]
    return iter(sorted(found, key=lambda one: sortable(one if isinstance(one, str) else one.key, order)))
