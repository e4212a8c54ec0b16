"""Listings of S3, a page of 1,000 keys at a time."""

from collections.abc import Callable, Iterator
from typing import Any

from tasks.errors import Unavailable
from tasks.listing.order import Order, sortable
from tasks.ports import Stat
from worker.storage.s3_errors import reporting
from worker.storage.s3_lean import LeanRequests
from worker.storage.s3_page import Page, of_response, parse

LAST = "\U0010ffff"
"""Comes after all that we write below an output root, and before all that lies beside it, in either order."""


class Listings:
    """Of one bucket.

    Args:
        bucket: for messages.
        lean: gives the ways to send a plain request at the moment.
        call: sends any request through boto3.
    """

    def __init__(self, bucket: str, lean: Callable[[], LeanRequests], call: Callable[..., Any]) -> None:
        self._bucket, self._lean, self._call = bucket, lean, call

    def objects(self, prefix: str, without: str) -> Iterator[Stat]:
        """All objects under a prefix, less those below `without`: where these begin, it goes on after them.

        Raises:
            Unavailable: a page cannot be had; a listing with a hole would make its images look deleted.
        """
        for page in self._pages({"Prefix": prefix}, without):
            if without:
                yield from (stat for stat in page.objects if not stat.key.startswith(without))
            else:
                yield from page.objects

    def level(self, prefix: str, order: Order) -> Iterator[Stat | str]:
        """The objects of one level and the prefixes of what lies deeper, page by page in the store's order."""
        for page in self._pages({"Prefix": prefix, "Delimiter": "/"}):
            both: list[Stat | str] = [*page.objects, *page.prefixes]
            yield from sorted(both, key=lambda one: sortable(one if isinstance(one, str) else one.key, order))

    def order(self) -> Order:
        """As the store's name tells: SeaweedFS lists like a folder, everybody else by bytes. Raises `Unavailable`."""
        with reporting(self._bucket, ""):
            headers = self._call("head_bucket")["ResponseMetadata"]["HTTPHeaders"]
        return "path" if headers.get("server", "").startswith("SeaweedFS") else "bytes"

    def _pages(self, parameters: dict[str, str], without: str = "") -> Iterator[Page]:
        """Pages to the end; one that ends below `without` is followed by what comes after that."""
        after: dict[str, str] = {}
        while True:
            page = self._page(parameters | after)
            yield page
            if not page.truncated:
                return
            if without and page.objects and page.objects[-1].key.startswith(without):
                after = {"StartAfter": without + LAST}
            elif page.following and page.following != after.get("ContinuationToken"):
                after = {"ContinuationToken": page.following}
            else:
                raise Unavailable(f"s3://{self._bucket}: the store broke off a listing without saying where to go on")

    def _page(self, parameters: dict[str, str]) -> Page:
        body = self._lean().list(parameters)
        if body is not None and (page := parse(body)):
            return page
        with reporting(self._bucket, parameters["Prefix"]):
            response = self._call("list_objects_v2", **parameters)
        try:
            return of_response(response)
        except (KeyError, ValueError) as error:
            raise Unavailable(f"s3://{self._bucket}: what answers is no store (list_objects_v2)") from error
