import json
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tasks.records import ImageRef
from worker.events.records import MAX_BYTES, MAX_RECORDS, MalformedError, Notification, parse

KEYS = ["a b+c%2F.jpg", "deep/dir/녹색.jpg", "new\nline.jpg", "plain.jpg"]


def s3(key: str, event: str = "ObjectCreated:Put", bucket: str = "stock") -> dict[str, Any]:
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": event,
        "s3": {"bucket": {"name": bucket}, "object": {"key": quote_plus(key), "sequencer": "0A1B"}},
    }


def eventbridge(key: str, kind: str = "Object Created") -> dict[str, Any]:
    return {
        "version": "0",
        "detail-type": kind,
        "source": "aws.s3",
        "detail": {"bucket": {"name": "stock"}, "object": {"key": key, "etag": "x", "sequencer": "0A1B"}},
    }


def filer(event: str, key: str, *, old: Any = None, new: Any = None, parent: str | None = None) -> dict[str, Any]:
    """As SeaweedFS 4.48 sends it, without the chunks and attributes."""
    message = {"old_entry": old, "new_entry": new, "new_parent_path": parent, "delete_chunks": True}
    return {"event_type": event, "key": key, "message": {name: v for name, v in message.items() if v is not None}}


def found(data: object) -> Notification:
    return parse(json.dumps(data))


def refs(*keys: str) -> Notification:
    return Notification(tuple(ImageRef("stock", key) for key in keys))


@pytest.mark.parametrize("key", KEYS)
def test_s3_and_minio_encode_keys(key: str) -> None:
    assert found({"Records": [s3(key)]}) == refs(key)
    minio = {"EventName": "s3:ObjectCreated:Put", "Key": f"stock/{key}", "Records": [s3(key, "s3:ObjectCreated:Put")]}
    assert found(minio) == refs(key)


@pytest.mark.parametrize("key", KEYS)
def test_eventbridge_does_not(key: str) -> None:
    assert found(eventbridge(key)) == refs(key)


@pytest.mark.parametrize("key", KEYS)
def test_nor_does_seaweedfs(key: str) -> None:
    name = {"name": key.rpartition("/")[2]}
    parent = f"/buckets/stock/{key}".rpartition("/")[0]
    assert found(filer("create", f"/buckets/stock/{key}", new=name, parent=parent)) == refs(key)
    assert found(filer("update", f"/buckets/stock/{key}", old=name, new=name, parent=parent)) == refs(key)
    assert found(filer("delete", f"/buckets/stock/{key}", old=name)) == refs(key)


def test_both_names_of_a_rename() -> None:
    event = filer(
        "rename", "/buckets/stock/a.jpg", old={"name": "a.jpg"}, new={"name": "b.jpg"}, parent="/buckets/stock/d"
    )
    assert found(event) == refs("a.jpg", "d/b.jpg")


def test_out_of_a_bucket_and_into_one() -> None:
    event = filer("rename", "/tmp/a.jpg", old={"name": "a.jpg"}, new={"name": "a.jpg"}, parent="/buckets/stock")  # noqa: S108
    assert found(event) == refs("a.jpg")


@pytest.mark.parametrize(
    "event",
    [
        filer("create", "/buckets/stock/d", new={"name": "d", "is_directory": True}, parent="/buckets/stock"),
        filer("delete", "/buckets/stock/d.jpg", old={"name": "d.jpg", "is_directory": True}),
        filer("create", "/buckets", new={"name": "buckets"}, parent="/"),
        filer("create", "/buckets/stock", new={"name": "stock"}, parent="/buckets"),
        filer("create", "/etc/conf.jpg", new={"name": "conf.jpg"}, parent="/etc"),
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "stock"},
        eventbridge("a.jpg", "Object Tags Added"),
        {"Records": [s3("a.jpg", "s3:ObjectAccessed:Head")]},
        {"Records": [s3("a.jpg", "ObjectTagging:Put")]},
        {"Records": [s3("a.jpg", "ObjectRestore:Post")]},
    ],
)
def test_what_changes_no_object_is_ignored(event: dict[str, Any]) -> None:
    assert found(event) == Notification(ignored=1)


def test_an_object_with_versions_on_seaweedfs_is_the_object() -> None:
    path = "/buckets/stock/d/a.jpg.versions/v_6715bc39630398773168aa804846f7c7"
    name = {"name": "v_6715bc39630398773168aa804846f7c7"}
    assert found(filer("create", path, new=name, parent=path.rpartition("/")[0])) == refs("d/a.jpg")


@pytest.mark.parametrize(
    "event",
    [
        "ObjectRemoved:Delete",
        "ObjectRemoved:DeleteMarkerCreated",
        "ObjectRestore:Completed",
        "LifecycleExpiration:Delete",
    ],
)
def test_what_goes_or_comes_back_is_told_like_what_comes(event: str) -> None:
    assert found({"Records": [s3("a.jpg", event)]}) == refs("a.jpg")
    assert found(eventbridge("a.jpg", "Object Deleted")) == refs("a.jpg")


def test_sns_wraps_once() -> None:
    inner = json.dumps({"Records": [s3("a b.jpg")]})
    assert found({"Type": "Notification", "Message": inner}) == refs("a b.jpg")
    twice = json.dumps({"Type": "Notification", "Message": inner})
    assert found({"Type": "Notification", "Message": twice}) == Notification(unknown=1)
    with pytest.raises(MalformedError):
        found({"Type": "Notification", "Message": "hello"})


def test_records_are_judged_one_by_one() -> None:
    records = [s3("a.jpg"), {"nonsense": 1}, s3("b.jpg", "ObjectTagging:Put"), s3("c.jpg"), None]
    assert found({"Records": records}) == Notification(refs("a.jpg", "c.jpg").refs, ignored=1, unknown=2)


@pytest.mark.parametrize("key", [None, 7, ["a.jpg"], {"a": 1}, True])
def test_keys_that_are_no_text_are_unknown(key: Any) -> None:
    record = s3("a.jpg")
    record["s3"]["object"]["key"] = key
    assert found({"Records": [record]}) == Notification(unknown=1)
    assert found(eventbridge(key)) == Notification(unknown=1)
    assert found(filer("create", key)) == Notification(unknown=1)


@pytest.mark.parametrize("kind", [None, 7, ["create"], {"create": 1}])
def test_events_that_are_no_text_are_unknown(kind: Any) -> None:
    assert found(filer("create", "/buckets/b/a.jpg") | {"event_type": kind}) == Notification(unknown=1)


def test_a_key_that_is_no_utf8_is_unknown() -> None:
    record = s3("a.jpg")
    record["s3"]["object"]["key"] = "%ff.jpg"
    assert found({"Records": [record]}) == Notification(unknown=1)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"7", b"null", b"\xff\xfe\xfa", b'{"Records": [', b"[" * 100_000, b'{"a":' * 50_000,
        b" " * (MAX_BYTES + 1), json.dumps({"Records": [0] * (MAX_RECORDS + 1)}).encode(), b"1" * 5000,
    ],
)  # fmt: skip
def test_what_nobody_can_have_meant_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedError):
        parse(body)


@given(some.binary(max_size=300))
def test_bytes_never_make_it_fall_over(body: bytes) -> None:
    _either(body)


NAMES = (
    *("Records", "eventName", "s3", "bucket", "name", "object", "key", "detail-type", "detail", "source", "Type"),
    *("event_type", "message", "old_entry", "new_entry", "new_parent_path", "Message", "Event"),
)
JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.sampled_from(NAMES), inner, max_size=6),
    max_leaves=20,
)


@given(JSON)
def test_nor_does_json_with_our_names_in_it(data: object) -> None:
    _either(json.dumps(data))


def _either(body: bytes | str) -> None:
    try:
        notification = parse(body)
    except MalformedError:
        return
    assert all(isinstance(ref.bucket, str) and isinstance(ref.key, str) for ref in notification.refs)
