"""What S3 takes for a key, and what stores that speak S3 make of it."""

import re

from tasks.errors import Reason, Rejected

MAX_KEY = 1024
"""Bytes of UTF-8 in a key."""

ODD = re.compile(r"(?:^|/)\.{0,2}(?:/|$)|\\")
"""A component that is empty, `.` or `..`, or a backslash: Amazon's S3 keeps it, SeaweedFS makes another key of it."""


def check(key: str) -> None:
    """Raise `Rejected` for what S3 cannot hold."""
    if not key or "\0" in key or not is_text(key):
        raise Rejected(Reason.KEY_INVALID, "a key is text of at least one character, without NUL")
    if len(key.encode()) > MAX_KEY:
        raise Rejected(Reason.KEY_TOO_LONG, f"a key has at most {MAX_KEY} bytes")


def is_key(key: str) -> bool:
    """Whether S3 can hold an object under this key."""
    try:
        check(key)
    except Rejected:
        return False
    return True


def is_text(key: str) -> bool:
    """Whether it is Unicode text, without half a surrogate pair."""
    return not any("\ud800" <= character <= "\udfff" for character in key)


def plain(key: str) -> str:
    """What SeaweedFS makes of a key: a path without empty components, with slashes for backslashes."""
    if not ODD.search(key):
        return key
    end = "/" if key.endswith("/") else ""
    return "/".join(part for part in key.replace("\\", "/").split("/") if part not in ("", ".")) + end


def quoted(etag: str) -> str:
    """An ETag as HTTP spells it: events and some listings leave out the quotes."""
    return etag if etag.endswith('"') else f'"{etag}"'
