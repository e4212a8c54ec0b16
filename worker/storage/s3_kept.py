"""What an object has besides its content, and would lose when it is written anew: PUT has to be told all of it."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from botocore.exceptions import ClientError

from worker.storage.s3_errors import code

HEADERS = (
    *("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Metadata"),
    *("ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled", "StorageClass", "WebsiteRedirectLocation"),
)
"""What HEAD tells, by the names of PUT's parameters. `Expires` is out of use, and botocore reads it oddly."""

NO_TAGS = frozenset({"NotImplemented", "NoSuchTagSet", "MethodNotAllowed"})
"""Codes of a store that knows no tags."""


def to_keep(head: Mapping[str, Any], call: Callable[[str], Any]) -> dict[str, Any]:
    """PUT's parameters that keep what there is: headers, metadata, encryption, storage class, tags.

    Args:
        head: HEAD's answer.
        call: sends a request about the object. What it raises for reasons other than tags that do not exist is raised.
    """
    kept = {name: head[name] for name in HEADERS if head.get(name)}
    try:
        tags = call("get_object_tagging").get("TagSet", ())
    except ClientError as error:
        if code(error) not in NO_TAGS:
            raise
        tags = ()
    if tags:
        kept["Tagging"] = urlencode([(tag["Key"], tag["Value"]) for tag in tags])
    return kept
