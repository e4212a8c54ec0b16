"""One page of a listing, read out of S3's XML, or out of what boto3 made of it.

boto3 takes 30 µs and more of processor time for a key, most of it for parsing; this takes a fifth of that.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import unquote_plus
from xml.etree.ElementTree import Element, ParseError, fromstring

from tasks.ports import Stat
from worker.storage.s3_keys import quoted

ROOT = "ListBucketResult"


class Page(NamedTuple):
    """A page of a listing.

    Attributes:
        objects: in the store's order.
        prefixes: of what lies deeper, likewise; where the listing is of one level.
        truncated: whether there is more.
        following: what to ask for more with; a store may fail to say.
    """

    objects: list[Stat]
    prefixes: list[str]
    truncated: bool
    following: str | None


def parse(body: bytes) -> Page | None:
    """A page as `list_objects_v2` answers; `None` for what is no such answer, or not all of one."""
    try:
        # Expat, which knows what entities may grow to; and it is the store's own answer.
        root = fromstring(body)  # noqa: S314
    except ParseError:
        return None
    space = root.tag.removesuffix(ROOT)
    truncated = root.findtext(f"{space}IsTruncated")
    if not root.tag.endswith(ROOT) or truncated not in ("true", "false"):
        return None
    encoded = root.findtext(f"{space}EncodingType") == "url"
    try:
        objects = list(_objects(root, space, encoded))
    except ValueError:
        return None
    names = root.iterfind(f"{space}CommonPrefixes/{space}Prefix")
    prefixes = [_decoded(name.text or "", encoded) for name in names]
    return Page(objects, prefixes, truncated == "true", root.findtext(f"{space}NextContinuationToken"))


def of_response(response: Any) -> Page:
    """A page as boto3 gives it. Raises `KeyError` and `ValueError` for what no store answers."""
    objects = [
        Stat(item["Key"], quoted(item.get("ETag", "")), int(item["Size"]), seconds(item["LastModified"]))
        for item in response.get("Contents", ())
    ]
    prefixes = [item["Prefix"] for item in response.get("CommonPrefixes", ())]
    return Page(objects, prefixes, bool(response["IsTruncated"]), response.get("NextContinuationToken"))


def seconds(time: str) -> float:
    """A time as S3 writes it in XML, in seconds since 1970."""
    return datetime.fromisoformat(time).timestamp()


def _objects(root: Element, space: str, encoded: bool) -> Iterator[Stat]:
    key, etag, size, modified = (f"{space}{name}" for name in ("Key", "ETag", "Size", "LastModified"))
    for item in root.iterfind(f"{space}Contents"):
        name, length, written = item.findtext(key), item.findtext(size), item.findtext(modified)
        if not name or length is None or written is None:
            raise ValueError("an object without a key, a size or a time")
        yield Stat(_decoded(name, encoded), quoted(item.findtext(etag, "")), int(length), seconds(written))


def _decoded(text: str, encoded: bool) -> str:
    return unquote_plus(text) if encoded and ("%" in text or "+" in text) else text
