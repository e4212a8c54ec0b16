"""One bucket of S3, or of a store that speaks S3."""

from collections.abc import Iterator
from contextlib import closing, suppress
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from tasks.errors import Conflict, Reason, Rejected, Replaced, StockmetaError, Unavailable, Vanished
from tasks.listing.order import Order
from tasks.ports import Fetched, Stat
from worker.storage.counted import Meter
from worker.storage.s3_body import PART, read_body, read_range, size
from worker.storage.s3_client import Connection, S3Options
from worker.storage.s3_errors import STALE, code, missing, refused, reporting, retried, status
from worker.storage.s3_kept import to_keep
from worker.storage.s3_keys import ODD, check, is_key, is_text, plain, quoted
from worker.storage.s3_lean import MOST_BYTES, Answer, Found, seconds
from worker.storage.s3_listing import Listings

SIGNS = {"head_object": "ETag", "get_object": "ETag", "put_object": "ETag", "list_objects_v2": "IsTruncated"}
"""What every store's answer has, and a web server's has not."""


class S3Store:
    """A bucket, with conditional writes. Safe to share among threads.

    ETags are as S3 spells them, in quotes; those given to methods may lack the quotes, as in events.

    A write whose answer was lost is sent again, and then refused because it had succeeded. So a refusal after more than
    one try is looked into: where the object is byte for byte what was written, it is ours.

    Args:
        bucket: its name.
        options: how to reach it.
        meter: counts requests and bytes, on the wire; default: one of its own.

    Raises:
        ConfigurationError: options of which no client can be made.
    """

    def __init__(self, bucket: str, options: S3Options, meter: Meter | None = None) -> None:
        self.bucket = bucket
        self.meter = meter or Meter()
        self._attempts = options.attempts
        self._order: Order | None = None if options.order == "auto" else options.order
        self._connection = Connection(bucket, options, self.meter)
        self._listings = Listings(bucket, lambda: self._connection.lean, self._call)

    def stat(self, key: str, etag: str | None = None) -> Stat:
        """Look at an object, the one with `etag` if given. Raises `Vanished`, `Replaced`, `Unavailable`."""
        self._require_key(key)
        if not ODD.search(key) and (seen := self._connection.lean.head(key)):
            return self._of(Stat(key, seen.etag, seen.size, seen.modified), etag)
        with reporting(self.bucket, key):
            try:
                response = self._call("head_object", Key=key)
            except ClientError as error:
                if not code(error).isdigit():
                    raise
                # An answer to HEAD has no body, so no reason: a missing bucket looks like a missing object. GET tells.
                response = self._call("get_object", Key=key, Range="bytes=0-0")
                response["Body"].close()
            self._require_held(key)
        return self._of(Stat(key, response["ETag"], size(response), seconds(response.get("LastModified"))), etag)

    def fetch(self, key: str, etag: str | None = None, *, most: int | None = None) -> Fetched:
        """Get an object's bytes, of the one with `etag` if given. Raises as `Store` says."""
        self._require_key(key)
        if not ODD.search(key):
            lean = self._connection.lean.get(key, etag and quoted(etag), min(most or MOST_BYTES, MOST_BYTES))
            if lean is Answer.MISSING:
                raise Vanished(f"s3://{self.bucket}: {key!r} is gone")
            if isinstance(lean, Found):
                return Fetched(self._of(Stat(key, lean.etag, lean.size, lean.modified), etag), lean.data)
        with reporting(self.bucket, key):
            get = partial(self._call, "get_object", Key=key)
            data, answer = read_body(get, etag and quoted(etag), most, self._attempts, self.meter.received)
            self._require_held(key)
        # Compared once more, for a store that does not know conditions of reading.
        found = Stat(key, answer["ETag"], len(data), seconds(answer.get("LastModified")))
        return Fetched(self._of(found, etag), data)

    def read(self, key: str) -> tuple[bytes, str] | None:
        """An object's bytes and ETag, of the same moment; `None` where there is none. Raises `Unavailable`."""
        if is_key(key) and not ODD.search(key) and (found := self._connection.lean.get(key)):
            return (found.data, found.etag) if isinstance(found, Found) else None
        for _ in range(self._attempts):
            try:
                fetched = self.fetch(key)
            except Replaced:  # between two parts
                continue
            except Vanished:
                return None
            assert isinstance(fetched.body, bytes)
            return fetched.body, fetched.stat.etag
        raise Unavailable(f"s3://{self.bucket}: {key!r} is written more often than it can be read")

    def put(self, key: str, data: bytes, *, if_match: str | None) -> str:
        """Write all or nothing if the object's ETag is `if_match`; returns the new ETag.

        Raises:
            Conflict: somebody else was first.
            Unavailable: the store does not answer, or refuses the credentials.
            Rejected: a key that S3 cannot hold, or this store not faithfully.
        """
        check(key)
        header = ("If-None-Match", "*") if if_match is None else ("If-Match", quoted(if_match))
        written = None if ODD.search(key) else self._connection.lean.put(key, data, header)
        if written is Answer.REFUSED:
            raise Conflict(f"s3://{self.bucket}: {key!r} was written by somebody else")
        if isinstance(written, str):
            return written
        # It may have been written, and the answer lost.
        tried = not ODD.search(key)
        condition = {header[0].replace("-", ""): header[1]}
        with reporting(self.bucket, key, writing=True):
            try:
                etag: str = self._call("put_object", Key=key, Body=data, **condition)["ETag"]
            except ClientError as error:
                if not refused(error):
                    raise
                if if_match is None and not self._holds(key):
                    raise Rejected(Reason.KEY_INVALID, "the store makes another key of it") from error
                etag = self._written(key, data, error, tried=tried)
            if not self._holds(key):
                self._call("delete_object", Key=key, IfMatch=etag)
                raise Rejected(Reason.KEY_INVALID, "the store makes another key of it")
        return etag

    def rewrite(self, key: str, data: bytes, *, if_match: str) -> str:
        """Write as `put` does, and keep headers, metadata, tags and storage class; not access list and lock."""
        self._require_key(key)
        with reporting(self.bucket, key, writing=True):
            seen = self._call("head_object", Key=key, IfMatch=quoted(if_match))
            if quoted(if_match) != seen["ETag"]:
                raise Conflict(f"s3://{self.bucket}: {key!r} was written by somebody else")
            kept = to_keep(seen, partial(self._call, Key=key))
            try:
                return str(self._call("put_object", Key=key, Body=data, IfMatch=quoted(if_match), **kept)["ETag"])
            except ClientError as error:
                if not refused(error):
                    raise
                return self._written(key, data, error, tried=False)

    def delete(self, key: str, *, if_match: str) -> None:
        """Remove an object if its ETag is `if_match`. Raises `Conflict`, `Vanished`, `Unavailable`.

        The ETag is compared before, and sent as a condition too. Not every store heeds or knows the condition, and
        Amazon's says yes to removing what is not there. Where the store ignores it, a write between the two requests
        would be lost, and found missing by the next listing.
        """
        if self.stat(key).etag != quoted(if_match):
            raise Conflict(f"s3://{self.bucket}: {key!r} was written by somebody else")
        with reporting(self.bucket, key, writing=True):
            try:
                self._call("delete_object", Key=key, IfMatch=quoted(if_match))
            except ClientError as error:
                if code(error) == "NotImplemented":
                    self._call("delete_object", Key=key)
                    return
                if refused(error) and self._is_gone(key):
                    if retried(error):
                        return
                    raise Vanished(f"s3://{self.bucket}: {key!r} is gone") from error
                raise

    def list(self, prefix: str = "", *, without: str = "") -> Iterator[Stat]:
        """Every object whose key begins with `prefix`, a page of 1,000 at a time, in the store's own order.

        Amazon's S3 orders by the keys' bytes, SeaweedFS by path component (`a/b` before `a b`).

        Raises:
            Unavailable: a page cannot be had; a listing with a hole would make its images look deleted.
        """
        if is_text(prefix):
            yield from self._listings.objects(prefix, without)

    def walk(self, prefix: str = "") -> Iterator[Stat | str]:
        """One level of `list`, with what lies deeper as prefixes that end with `/`. Raises `Unavailable`."""
        if is_text(prefix):
            yield from self._listings.level(prefix, self.order)

    @property
    def order(self) -> Order:
        """As the options say, or as the store's name tells: SeaweedFS lists like a folder. Raises `Unavailable`."""
        if self._order is None:
            self._order = self._listings.order()
        return self._order

    def fetch_start(self, key: str, length: int, *, etag: str) -> bytes:
        """The first bytes of the object with this ETag. Raises `Vanished`, `Replaced`, `Unavailable`."""
        self._require_key(key)
        if not ODD.search(key) and (lean := self._connection.lean.start(key, length, quoted(etag))):
            self._of(Stat(key, lean.etag, lean.size), etag)
            return lean.data
        with reporting(self.bucket, key):
            try:
                response = self._call("get_object", Key=key, IfMatch=quoted(etag), Range=f"bytes=0-{length - 1}")
            except ClientError as error:
                if status(error) != 416:
                    raise
                # Nothing has no first byte.
                self.stat(key, etag)
                return b""
            with closing(response["Body"]) as body:
                start: bytes = body.read(length)
            self.meter.received(len(start))
        self._of(Stat(key, response["ETag"], size(response)), etag)
        return start

    def pieces(self, key: str) -> Iterator[bytes]:
        """An object of any size, 16 MiB at a time, all of the same content. Raises as `fetch` does."""
        whole = self.stat(key)
        for begin in range(0, whole.size, PART):
            with reporting(self.bucket, key):
                get = partial(self._call, "get_object", Key=key)
                yield read_range(get, whole.etag, begin, self._attempts, self.meter.received)

    def close(self) -> None:
        """Close the connections; not needed where the process ends anyway."""
        self._connection.client.close()

    def _call(self, operation: str, **parameters: Any) -> Any:
        client = self._connection.client
        try:
            response = getattr(client, operation)(Bucket=self.bucket, **parameters)
        except ClientError as error:
            if code(error) not in STALE or not self._connection.renew(client):
                raise
            response = getattr(self._connection.client, operation)(Bucket=self.bucket, **parameters)
        if (sign := SIGNS.get(operation)) and sign not in response:
            # A proxy's page, say, with status 200: taken for a bug it would end as the image's fault.
            raise Unavailable(f"s3://{self.bucket}: what answers is no store ({operation} without {sign})")
        return response

    def _of(self, found: Stat, etag: str | None) -> Stat:
        """What was found, if that is the one with `etag`. Raises `Replaced`."""
        if etag is not None and quoted(etag) != found.etag:
            raise Replaced(f"s3://{self.bucket}: {found.key!r} was replaced")
        return found

    def _written(self, key: str, data: bytes, error: ClientError, *, tried: bool) -> str:
        """The ETag of what a write had written before it was refused. Raises `error` where it had not."""
        found = None
        if tried or retried(error):
            # What cannot be found out is no reason to believe in it.
            with suppress(StockmetaError):
                found = self.read(key)
        if found is None or found[0] != data:
            raise error
        return found[1]

    def _require_key(self, key: str) -> None:
        """Raise `Vanished` for what no object can be called."""
        try:
            check(key)
        except Rejected as error:
            raise Vanished(f"s3://{self.bucket}: {key!r} is no key: {error.detail}") from error

    def _require_held(self, key: str) -> None:
        if not self._holds(key):
            raise Vanished(f"s3://{self.bucket}: {key!r} is another key's object, which the store made of it")

    def _holds(self, key: str) -> bool:
        """Whether the store has an object under this key, and not under one that it made of it."""
        made = plain(key)
        if not made or made == key:
            return True
        odd, other = (self._identity(name) for name in (key, made))
        return other is None or odd != other

    def _identity(self, key: str) -> tuple[str, str] | None:
        """What tells one object from another of equal content, as far as S3 does; `None` where there is none."""
        try:
            response = self._call("head_object", Key=key)
        except ClientError as error:
            if missing(error):
                return None
            raise
        return response["ETag"], str(response["LastModified"])

    def _is_gone(self, key: str) -> bool:
        try:
            self.stat(key)
        except Vanished:
            return True
        return False
