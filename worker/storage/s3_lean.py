"""The requests that every image costs, without the parts of botocore that an ordinary answer does not need.

boto3 takes 1.5 to 2.5 ms of processor time a request, most of it for finding the endpoint, for hooks and for parsing:
with seven requests an image that, and not the model, would bound a worker with a GPU. Here a request is signed by
botocore and sent by botocore's own connections, and that is all: half the time. Whatever is not the plain answer (an
error, a redirect, nothing at all) is left to boto3, which asks again, with its retries and its errors.
"""

import base64
import struct
import zlib
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError
from botocore.utils import percent_encode
from urllib3.exceptions import HTTPError

from worker.storage.counted import Meter

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

NO_KEY = b"<Code>NoSuchKey</Code>"
SOME_KEY = "k"
MOST_BYTES = 16 << 20
"""Larger objects are left to boto3, with which a body that breaks off goes on where it was."""
DISTRUST = 3
"""After so many answers in a row that only boto3 could do something with, everything is left to it."""


QUERY = {
    "Prefix": "prefix",
    "Delimiter": "delimiter",
    "StartAfter": "start-after",
    "ContinuationToken": "continuation-token",
    "MaxKeys": "max-keys",
}
"""Parameters of a listing as boto3 names them, and as S3 does."""


class Answer(Enum):
    """What may be there instead of an object."""

    MISSING = "there is no such object, and the bucket is there"
    REFUSED = "a condition of writing does not hold"


class Found(NamedTuple):
    """An object: its ETag, length, content if that was asked for, and when it was written, if the store says."""

    etag: str
    size: int
    data: bytes
    modified: float | None = None


class LeanRequests:
    """HEAD, GET and conditional PUT of objects of one bucket. Methods give `None` for what boto3 has to do.

    Args:
        client: whose endpoint, connections and settings are used.
        bucket: its name.
        credentials: boto3's, which renew themselves; `None` leaves everything to boto3.
        meter: is told of every request.
        checksums: whether checksums go with what is written, for the store to keep, and are asked for when it is read.
    """

    def __init__(self, client: "S3Client", bucket: str, credentials: Any, meter: Meter, *, checksums: bool) -> None:
        self._credentials = credentials
        self._meter = meter
        self._checksums = checksums
        self._region = client.meta.region_name
        # botocore has no public way to its connections: without this one, boto3 does everything.
        self._http = getattr(getattr(client, "_endpoint", None), "http_session", None)
        self._distrust = 0
        # Buckets of another kind (directory buckets, access points) are signed in other ways.
        plain = not (bucket.startswith("arn:") or bucket.endswith("--x-s3"))
        self._able = plain and credentials is not None and self._http is not None and bool(self._region)
        if self._able:
            url = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": SOME_KEY})
            self._base = url.partition("?")[0].removesuffix(SOME_KEY)

    def head(self, key: str) -> Found | None:
        """Look at an object."""
        response = self._send("HEAD", key)
        return None if response is None or response.status_code != 200 else self._found(response, b"")

    def get(self, key: str, etag: str | None = None, most: int = MOST_BYTES) -> Found | Answer | None:
        """An object with its content, the one with `etag` if given, compared with its checksum if it has one.

        One of more than `most` bytes is left to boto3, unread.
        """
        headers = {"x-amz-checksum-mode": "ENABLED"} if self._checksums else {}
        response = self._send("GET", key, headers | ({"If-Match": etag} if etag else {}), most=most)
        if response is None:
            return None
        if response.status_code == 404 and NO_KEY in response.content:
            self._distrust = 0
            return Answer.MISSING
        found = self._found(response, response.content) if response.status_code == 200 else None
        if found is None or found.size != len(found.data) or _is_altered(response.headers, found.data):
            return None
        return found

    def start(self, key: str, length: int, etag: str) -> Found | None:
        """The first bytes of an object with this ETag, and how many those are; there is no checksum of them alone."""
        headers = {"If-Match": etag, "Range": f"bytes=0-{length - 1}"}
        response = self._send("GET", key, headers, most=length)
        if response is None or response.status_code != 206:
            return None
        found = self._found(response, response.content)
        return found if found and found.size == len(found.data) else None

    def list(self, parameters: Mapping[str, str]) -> bytes | None:
        """The XML of `list_objects_v2` with these parameters, keys URL-encoded, since XML cannot hold all of them."""
        given = {"list-type": "2", "encoding-type": "url"} | {QUERY[name]: value for name, value in parameters.items()}
        query = "&".join(f"{name}={percent_encode(value, safe='-._~')}" for name, value in sorted(given.items()))
        response = self._send("GET", "", query=f"?{query}")
        if response is None or response.status_code != 200:
            return None
        content: bytes = response.content
        return content

    def put(self, key: str, data: bytes, condition: tuple[str, str]) -> str | Answer | None:
        """Write under a condition, a header; returns the ETag. `None` does not mean that nothing was written."""
        headers = dict([condition])
        if self._checksums:
            headers |= {"x-amz-checksum-crc32": _crc32(data), "x-amz-sdk-checksum-algorithm": "CRC32"}
        response = self._send("PUT", key, headers, data)
        if response is None:
            return None
        if response.status_code == 412:
            self._distrust = 0
            return Answer.REFUSED
        found = self._found(response, b"") if response.status_code == 200 else None
        return found and found.etag

    def _found(self, response: Any, data: bytes) -> Found | None:
        etag, size = response.headers.get("ETag"), response.headers.get("Content-Length", "0")
        if not etag or not size.isdigit():
            return None  # a proxy's page, say
        self._distrust = 0
        modified = seconds(response.headers.get("Last-Modified"))
        return Found(etag if etag.endswith('"') else f'"{etag}"', int(size), data, modified)

    def _send(
        self,
        method: str,
        key: str,
        headers: dict[str, str] | None = None,
        data: bytes = b"",
        most: int = MOST_BYTES,
        query: str = "",
    ) -> Any:
        """The answer, read to its end, or `None`; also where it has more than `most` bytes."""
        if not self._able or self._distrust >= DISTRUST:
            return None
        url = self._base + percent_encode(key, safe="/~") + query
        request = AWSRequest(method, url, headers or {}, data)
        try:
            frozen = self._credentials.get_frozen_credentials()
            S3SigV4Auth(frozen, "s3", self._region).add_auth(request)
            assert self._http is not None
            self._meter.sent(method, url, len(data))
            response = self._http.send(request.prepare())
            if int(response.headers.get("Content-Length") or 0) > most and method == "GET":
                response.raw.close()
                return None
            # Read to the end, so that the connection can be used again.
            self._meter.received(len(response.content))
        except (BotoCoreError, HTTPError, OSError, ValueError):
            return None
        if response.status_code in (301, 307, 400, 403):
            self._distrust += 1
        return response


def seconds(date: str | None) -> float | None:
    """A date as HTTP has it, in seconds since 1970; `None` for none, and for what is no date."""
    try:
        return None if date is None else parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None


def _crc32(data: bytes) -> str:
    """A checksum as S3 spells it (Amazon S3 user guide, "Checking object integrity")."""
    return base64.b64encode(struct.pack(">I", zlib.crc32(data))).decode()


def _is_altered(headers: Any, data: bytes) -> bool:
    """Whether the content is not what was stored. CRC-32 is what SDKs add by themselves; others boto3 looks at."""
    stored = headers.get("x-amz-checksum-crc32")
    # Of an object in parts it is made of theirs, and says how many there are.
    return stored is not None and "-" not in stored and stored != _crc32(data)
