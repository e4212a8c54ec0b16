"""The short way to S3, beside boto3's: the same answers, and boto3 for whatever is not a plain one."""

import pytest

from tasks.errors import Conflict, Unavailable
from tests.faults import proxy
from tests.faults.proxy import Proxy
from tests.servers import Server
from tests.worker.storage.s3_stores import opened
from worker.storage.s3_lean import DISTRUST, Answer, Found, LeanRequests, seconds

pytestmark = pytest.mark.integration
KEYS = ("a.jpg", "2026/a b+c&d=%2F~.jpg", "한글/사진 #1.jpg", "quote'\"?;:@$,()!*.jpg")


@pytest.fixture(params=["seaweed", "moto_server"])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


def test_both_ways_agree(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(server, monkeypatch) as store:
        lean, client = store._connection.lean, store._connection.client
        for key in KEYS:
            etag = lean.put(key, b"content", ("If-None-Match", "*"))
            seen = client.head_object(Bucket=store.bucket, Key=key)
            assert seen["ETag"] == etag
            written = seconds(seen["LastModified"])
            assert lean.head(key) == Found(str(etag), 7, b"", written)
            assert lean.get(key) == lean.get(key, str(etag)) == Found(str(etag), 7, b"content", written)
            assert client.get_object(Bucket=store.bucket, Key=key, ChecksumMode="ENABLED")["ChecksumCRC32"]
        assert {stat.key for stat in store.list()} == set(KEYS)


def test_what_is_plain_and_what_is_left_to_boto3(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(server, monkeypatch) as store:
        lean = store._connection.lean
        etag = store.put("a", b"1", if_match=None)
        assert lean.put("a", b"2", ("If-None-Match", "*")) is Answer.REFUSED
        assert lean.put("a", b"2", ("If-Match", '"0"')) is Answer.REFUSED
        assert lean.get("gone") is Answer.MISSING
        assert lean.head("gone") is None
        assert lean.get("a", '"0"') is None
        assert store.read("a") == (b"1", etag)


def test_a_bucket_that_is_missing_is_no_missing_object(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(server, monkeypatch, bucket="no-such-bucket") as store:
        assert store._connection.lean.get("a") is None
        with pytest.raises(Unavailable, match="no such bucket"):
            store.read("a")


def test_a_write_whose_answer_was_lost_is_found(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with Proxy(("127.0.0.1", server.ports[0])) as between:
        endpoint = f"http://127.0.0.1:{between.port}"
        with opened(server, monkeypatch, endpoint=endpoint) as store:
            with between.rule(proxy.CutAfter(0, "PUT", times=1)):
                etag = store.put("a", b"mine", if_match=None)
            assert store.read("a") == (b"mine", etag)
            with pytest.raises(Conflict):
                store.put("a", b"mine too", if_match=None)


def test_a_store_that_refuses_it_is_not_asked_that_way_again(seaweed: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(seaweed, monkeypatch) as store:
        lean = store._connection.lean
        store.put("a", b"1", if_match=None)
        monkeypatch.setattr(lean, "_region", "elsewhere-1")
        good = lean._credentials
        monkeypatch.setattr(lean, "_credentials", Wrong())
        for _ in range(DISTRUST):
            assert lean.head("a") is None
            assert store.stat("a").size == 1
        monkeypatch.setattr(lean, "_credentials", good)
        assert lean.head("a") is None
        assert store.stat("a").size == 1


class Wrong:
    """Credentials that the store does not know."""

    access_key, secret_key, token = "nobody", "nothing", None

    def get_frozen_credentials(self) -> "Wrong":
        return self


def test_listings_agree(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(server, monkeypatch) as store:
        for key in (*KEYS, "x\x01y.jpg", "2026/b/c.jpg"):
            store.put(key, b"content", if_match=None)
        whole = LeanRequests.list
        monkeypatch.setattr(LeanRequests, "list", lambda self, given: whole(self, {**given, "MaxKeys": "2"}))
        asked = store.meter.total.list
        lean = [list(store.list()), list(store.list("2026/")), list(store.walk()), list(store.list("nothing"))]
        assert store.meter.total.list - asked > 6
        monkeypatch.setattr(LeanRequests, "list", lambda *_: None)
        assert lean == [list(store.list()), list(store.list("2026/")), list(store.walk()), list(store.list("nothing"))]
        assert len(lean[0]) == len(KEYS) + 2
