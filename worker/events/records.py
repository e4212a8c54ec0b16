"""Notifications as stores send them, parsed: Amazon S3 (plain, through SNS, through EventBridge), MinIO, SeaweedFS.

Pure functions. Whatever happened to an object, only its name is taken; a rename names two. Each source encodes keys in
its own way: S3 and MinIO as in a query string, EventBridge and SeaweedFS not at all.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from tasks.records import ImageRef

MAX_BYTES = 1 << 20
"""Of one notification: the most that SQS and EventBridge carry. S3 sends about a kilobyte."""
MAX_RECORDS = 1_000
"""In one notification; S3 and MinIO send one."""

CHANGES = ("ObjectCreated:", "ObjectRemoved:", "ObjectRestore:Completed", "LifecycleExpiration:")
"""S3's events after which other bytes may be there, or readable, than before. The others must not be taken: MinIO also
tells of every GET and HEAD, and the worker's own would come back as events for ever."""

EVENTBRIDGE_CHANGES = frozenset({"ObjectCreated", "ObjectDeleted", "ObjectRestoreCompleted"})
"""EventBridge's names of the same, without blanks, of which moto has none."""

FILER_EVENTS = frozenset({"create", "update", "delete", "rename"})
_BUCKETS = "/buckets/"
_VERSION = re.compile(r"(.+)\.versions/v_[0-9a-f]{32}", re.DOTALL)
"""Where SeaweedFS keeps an object of a bucket with versions; of the object itself it says nothing (tried with 4.48)."""

Json = Mapping[str, Any]


class MalformedError(ValueError):
    """What came is no notification that anybody could have meant; the text says why."""


@dataclass(frozen=True, slots=True)
class Notification:
    """What one notification says.

    Attributes:
        refs: the objects that something happened to, without ETags, in the order told.
        ignored: records that were understood and mean no work: tests, folders, reads, changes of tags.
        unknown: records of a form that nobody here knows.
    """

    refs: tuple[ImageRef, ...] = ()
    ignored: int = 0
    unknown: int = 0

    def __add__(self, other: "Notification") -> "Notification":
        return Notification(self.refs + other.refs, self.ignored + other.ignored, self.unknown + other.unknown)


IGNORED = Notification(ignored=1)
UNKNOWN = Notification(unknown=1)


def parse(body: bytes | str) -> Notification:
    """Read a notification. Raises `MalformedError` for what is too large or no JSON object."""
    data = _load(body)
    if data.get("Type") == "Notification" and isinstance(data.get("Message"), str):
        # SNS puts the notification into its own as a text; one in another would be nobody's.
        data = _load(data["Message"])
    return _recognized(data)


def _load(body: bytes | str) -> Json:
    if len(body) > MAX_BYTES:
        raise MalformedError(f"more than {MAX_BYTES} bytes")
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedError("not JSON") from error
    if not isinstance(data, dict):
        raise MalformedError("not a JSON object")
    return data


def _recognized(data: Json) -> Notification:
    if data.get("Event") == "s3:TestEvent":
        return IGNORED
    if isinstance(data.get("Records"), list):
        return _together(data["Records"], _s3)
    if "detail-type" in data:
        return _eventbridge(data)
    if "event_type" in data and "message" in data:
        return _filer(data)
    return UNKNOWN


def _together(records: list[Any], read: Callable[[Any], Notification]) -> Notification:
    if len(records) > MAX_RECORDS:
        raise MalformedError(f"{len(records)} records, more than {MAX_RECORDS}")
    total = Notification()
    for record in records:
        total += read(record)
    return total


def _s3(record: Any) -> Notification:
    """One of `Records`, as S3 and MinIO write them."""
    event = _at(record, "eventName")
    bucket, key = _at(record, "s3", "bucket", "name"), _at(record, "s3", "object", "key")
    if not (isinstance(event, str) and isinstance(bucket, str) and isinstance(key, str)):
        return UNKNOWN
    if not event.removeprefix("s3:").startswith(CHANGES):
        return IGNORED
    try:
        return _one(bucket, unquote_plus(key, errors="strict"))
    except UnicodeDecodeError:
        return UNKNOWN


def _eventbridge(data: Json) -> Notification:
    kind, bucket, key = data["detail-type"], _at(data, "detail", "bucket", "name"), _at(data, "detail", "object", "key")
    if data.get("source") != "aws.s3" or not isinstance(kind, str):
        return UNKNOWN
    if kind.replace(" ", "") not in EVENTBRIDGE_CHANGES:
        return IGNORED
    return _one(bucket, key) if isinstance(bucket, str) and isinstance(key, str) else UNKNOWN


def _filer(data: Json) -> Notification:
    """An event of SeaweedFS's filer: paths instead of buckets and keys, and folders have events too."""
    path, old, new = data.get("key"), _at(data, "message", "old_entry"), _at(data, "message", "new_entry")
    kind = data["event_type"]
    if not isinstance(kind, str) or kind not in FILER_EVENTS or not isinstance(path, str):
        return UNKNOWN
    if _at(old, "is_directory") is True or _at(new, "is_directory") is True:
        # What lies in a folder that is renamed or deleted has events of its own.
        return IGNORED
    paths = [path]
    parent, name = _at(data, "message", "new_parent_path"), _at(new, "name")
    if isinstance(parent, str) and isinstance(name, str):
        paths.append(f"{parent}/{name}")
    found = dict.fromkeys(ref for path in paths if (ref := _of_path(path)))
    return Notification(tuple(found)) if found else IGNORED


def _of_path(path: str) -> ImageRef | None:
    """`None` for what lies in no bucket."""
    bucket, _, key = path.removeprefix(_BUCKETS).partition("/")
    if not path.startswith(_BUCKETS) or not bucket or not key:
        return None
    version = _VERSION.fullmatch(key)
    return ImageRef(bucket, version[1] if version else key)


def _one(bucket: str, key: str) -> Notification:
    return Notification((ImageRef(bucket, key),))


def _at(data: Any, *names: str) -> Any:
    """What lies at a path of names, `None` where there is no such."""
    for name in names:
        if not isinstance(data, dict):
            return None
        data = data.get(name)
    return data
