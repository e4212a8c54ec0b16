"""What S3 asks of its store beyond the contract: lost answers, broken bodies, errors, odd keys. On real servers."""

import logging
import os
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tasks.errors import ConfigurationError, Conflict, Reason, Rejected, Replaced, StockmetaError, Unavailable, Vanished
from tests.faults import proxy
from tests.faults.proxy import Passing, Proxy
from tests.servers import Server, free_ports
from tests.worker.storage.s3_stores import opened
from worker.storage import s3_client
from worker.storage.s3 import S3Store
from worker.storage.s3_body import PART
from worker.storage.s3_client import S3Options

OPERATIONS: dict[str, Callable[[S3Store], object]] = {
    "stat": lambda store: store.stat("a"),
    "fetch": lambda store: store.fetch("a"),
    "read": lambda store: store.read("a"),
    "put": lambda store: store.put("a", b"x", if_match=None),
    "replace": lambda store: store.put("a", b"x", if_match='"0"'),
    "delete": lambda store: store.delete("a", if_match='"0"'),
    "list": lambda store: list(store.list()),
}

pytestmark = pytest.mark.integration


@pytest.fixture
def store(seaweed: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Store]:
    with opened(seaweed, monkeypatch) as found:
        yield found


@pytest.fixture
def between(seaweed: Server) -> Iterator[Proxy]:
    with Proxy(("127.0.0.1", seaweed.ports[0])) as found:
        yield found


@pytest.fixture
def far(store: S3Store, between: Proxy, seaweed: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Store]:
    """The bucket of `store`, through a proxy."""
    endpoint = f"http://127.0.0.1:{between.port}"
    with opened(seaweed, monkeypatch, store.bucket, endpoint=endpoint, attempts=3, read_seconds=5.0) as found:
        yield found


class Requests:
    """A rule that writes down how requests begin."""

    def __init__(self) -> None:
        self.heads: list[str] = []

    def __call__(self, passing: Passing) -> None:
        if passing.toward == "server" and passing.before == 0:
            self.heads.append(passing.request.decode("latin-1"))

    def header(self, name: str) -> list[str | None]:
        found = [re.search(rf"(?im)^{name}: *(.*?)\r$", head) for head in self.heads]
        return [match and match[1] for match in found]


def each_raises(store: S3Store, message: str, *, but: str = "") -> None:
    """Every operation ends as `Unavailable`, with a message that shows neither the endpoint nor credentials."""
    for name, operation in OPERATIONS.items():
        if name != but:
            with pytest.raises(Unavailable, match=message) as caught:
                operation(store)
            assert not re.search("127.0.0.1|wrongkey|wrongsecret|demosecret", str(caught.value))


def test_a_missing_bucket_is_not_a_missing_object(seaweed: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(seaweed, monkeypatch, "no-such-bucket") as store:
        # SeaweedFS refuses a replacement with 412, without looking at the bucket.
        each_raises(store, "no such bucket", but="replace")


def test_a_store_that_is_not_there(seaweed: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = f"http://127.0.0.1:{free_ports(1)[0]}"
    with opened(seaweed, monkeypatch, "photos", endpoint=endpoint, attempts=2) as store:
        each_raises(store, r"s3://photos.* nothing answers; check .*STOCKMETA_S3_ENDPOINT")


def test_errors_say_what_to_do(seaweed: Server, between: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {
        ("403 Forbidden", "AccessDenied"): "access denied; grant",
        ("403 Forbidden", "RequestTimeTooSkewed"): "clock",
        ("400 Bad Request", "ExpiredToken"): "has expired; renew",
        ("503 Slow Down", "SlowDown"): "fewer requests",
        ("500 Internal Server Error", "InternalError"): "the store failed",
        ("501 Not Implemented", "NotImplemented"): "STOCKMETA_S3_CHECKSUMS",
        ("418 Teapot", "NeverHeardOf"): r"refused \(NeverHeardOf, status 418\)",
    }
    endpoint = f"http://127.0.0.1:{between.port}"
    with opened(seaweed, monkeypatch, "photos", endpoint=endpoint, attempts=1) as store:
        for (status, code), message in answers.items():
            with between.rule(proxy.answer_all(status, code)):
                each_raises(store, message)


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        ("409 Conflict", "ConditionalRequestConflict", Conflict),
        ("412 Precondition Failed", "PreconditionFailed", Conflict),
        ("404 Not Found", "NoSuchKey", Conflict),
        ("400 Bad Request", "KeyTooLongError", Rejected),
        ("400 Bad Request", "InvalidURI", Rejected),
    ],
)
def test_refused_writes(status: str, code: str, expected: type[StockmetaError], far: S3Store, between: Proxy) -> None:
    with between.rule(proxy.answer_all(status, code)), pytest.raises(expected):
        far.put("a", b"x", if_match='"0"')


@contextmanager
def credentials(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Iterator[None]:
    """These in the environment, and none elsewhere."""
    with monkeypatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        nowhere = {"AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_CONFIG_FILE": os.devnull}
        for name, value in {**nowhere, "AWS_EC2_METADATA_DISABLED": "true", **variables}.items():
            patch.setenv(name, value)
        yield


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"AWS_ACCESS_KEY_ID": "demo", "AWS_SECRET_ACCESS_KEY": "wrongsecret"}, "secret key does not fit"),
        ({"AWS_ACCESS_KEY_ID": "wrongkey", "AWS_SECRET_ACCESS_KEY": "wrongsecret"}, "does not know the access key"),
        ({}, "no credentials were found"),
    ],
)
def test_wrong_credentials_are_told_and_not_shown(
    variables: dict[str, str], message: str, seaweed: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with credentials(monkeypatch, **variables):
        store = S3Store("photos", S3Options(seaweed.endpoint, "us-east-1", "path"))
        each_raises(store, message)
        store.close()


@pytest.mark.parametrize(
    ("variables", "options", "message"),
    [
        ({"AWS_PROFILE": "nobody"}, S3Options(), "AWS_PROFILE"),
        ({"AWS_ACCESS_KEY_ID": "half"}, S3Options(), "part of the credentials"),
        ({}, S3Options(endpoint="store:9000"), "STOCKMETA_S3_ENDPOINT"),
    ],
)
def test_options_of_which_no_client_can_be_made(
    variables: dict[str, str], options: S3Options, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with credentials(monkeypatch, **variables), pytest.raises(ConfigurationError, match=message):
        S3Store("photos", options)


def test_credentials_that_somebody_renewed_are_found(
    store: S3Store, seaweed: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(s3_client, "RENEW_SECONDS", 0)
    file = tmp_path / "credentials"
    text = "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n"
    file.write_text(text.format("expired", "x"))
    with credentials(monkeypatch, AWS_SHARED_CREDENTIALS_FILE=str(file)):
        mine = S3Store(store.bucket, S3Options(seaweed.endpoint, "us-east-1", "path"))
        for _ in range(2):
            with pytest.raises(Unavailable, match="access key"):
                mine.read("a")
        file.write_text(text.format(seaweed.access_key, seaweed.secret_key))
        assert mine.read("a") is None
        mine.close()


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("size", [0, 300, 60_000])
def test_an_answer_that_breaks_off_is_asked_for_again(
    size: int, reset: bool, store: S3Store, far: S3Store, between: Proxy
) -> None:
    data = os.urandom(1_000_000)
    etag = store.put("a", data, if_match=None)
    with between.rule(proxy.CutAfter(size, "GET", times=2, reset=reset)):
        assert far.fetch("a", etag).body == data
    with between.rule(proxy.CutAfter(size, "GET", reset=reset)), pytest.raises(Unavailable):
        far.fetch("a", etag)
    with between.rule(proxy.CutAfter(size, "GET", reset=reset)), pytest.raises(Unavailable):
        far.read("a")


def test_a_body_that_was_changed_on_its_way_is_asked_for_again(
    seaweed: Server, moto_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(passing: Passing) -> None:
        if (
            passing.toward == "client"
            and passing.request.startswith(b"GET")
            and passing.data.endswith(b"body")
            and left
        ):
            left.pop()
            raise proxy.Cut(passing.data[:-4] + b"BODY", reset=False)

    for server in (seaweed, moto_server):
        with Proxy(("127.0.0.1", server.ports[0])) as between, between.rule(change):
            endpoint = f"http://127.0.0.1:{between.port}"
            with opened(server, monkeypatch, endpoint=endpoint, attempts=3) as store:
                left = [1]
                etag = store.put("a", b"body", if_match=None)
                assert store.read("a") == (b"body", etag)
                assert not left
                left = [1] * 10
                with pytest.raises(Unavailable, match="another checksum"):
                    store.fetch("a")


def test_a_large_body_goes_on_where_it_broke_off(store: S3Store, far: S3Store, between: Proxy) -> None:
    data = os.urandom(2 * PART + 5)
    etag = store.put("a", data, if_match=None)
    requests = Requests()
    # The first of these finds that it is large, and leaves it to boto3.
    with between.rule(proxy.CutAfter(PART + (1 << 20), "GET", times=2), requests):
        assert far.fetch("a").body == data
    assert requests.header("range") == [None, None, f"bytes={PART}-"]
    assert requests.header("if-match") == [None, None, etag]


def test_parts_are_of_one_object(store: S3Store, far: S3Store, between: Proxy) -> None:
    old, new = (letter * (PART + (2 << 20)) for letter in (b"o", b"n"))
    etag = store.put("a", old, if_match=None)

    def replace() -> None:
        store.put("a", new, if_match=etag)

    def broken(passing: Passing) -> bool:
        return passing.toward == "client" and passing.before > PART

    replaced = between.rule(proxy.once(broken, replace), proxy.CutAfter(PART + (1 << 20), "GET", times=1))
    with replaced, pytest.raises(Replaced):
        far.fetch("a", etag)
    etag = store.put("a", old, if_match=store.stat("a").etag)
    with between.rule(proxy.once(broken, replace), proxy.CutAfter(PART + (1 << 20), "GET", times=1)):
        assert far.read("a") == (new, store.stat("a").etag)


def test_a_silent_store(far: S3Store, between: Proxy, seaweed: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    endpoint = f"http://127.0.0.1:{between.port}"
    with opened(seaweed, monkeypatch, far.bucket, endpoint=endpoint, attempts=1, read_seconds=0.2) as hasty:
        with between.rule(proxy.black_hole(over)), pytest.raises(Unavailable, match="silent"):
            hasty.read("a")
        over.set()


def test_a_write_whose_answer_was_lost_is_ours(store: S3Store, far: S3Store, between: Proxy) -> None:
    requests = Requests()
    with between.rule(proxy.CutAfter(0, "PUT", times=1), requests):
        first = far.put("a", b"1", if_match=None)
    assert [head[:3] for head in requests.heads] == ["PUT", "PUT", "GET"]
    assert store.read("a") == (b"1", first)
    with between.rule(proxy.CutAfter(0, "PUT", times=1)):
        second = far.put("a", b"2", if_match=first)
    assert store.read("a") == (b"2", second)


def test_a_write_that_was_tried_twice_may_still_have_lost(store: S3Store, far: S3Store, between: Proxy) -> None:
    store.put("a", b"somebody's", if_match=None)
    with between.rule(proxy.CutAfter(0, "PUT", times=1)), pytest.raises(Conflict):
        far.put("a", b"mine", if_match=None)


def test_a_removal_whose_answer_was_lost_is_done(store: S3Store, far: S3Store, between: Proxy) -> None:
    etag = store.put("a", b"1", if_match=None)
    with between.rule(proxy.CutAfter(0, "DELETE", times=1)):
        far.delete("a", if_match=etag)
    assert store.read("a") is None


def test_a_removal_is_conditional_at_the_store(store: S3Store, far: S3Store, between: Proxy) -> None:
    """The object changes after it was compared and before it is removed."""
    etag = store.put("a", b"1", if_match=None)
    change = proxy.once(lambda passing: passing.asks("DELETE"), lambda: void(store.put("a", b"2", if_match=etag)))
    with between.rule(change), pytest.raises(Conflict):
        far.delete("a", if_match=etag)
    newer = store.stat("a").etag
    gone = proxy.once(lambda passing: passing.asks("DELETE"), lambda: store.delete("a", if_match=newer))
    with between.rule(gone), pytest.raises(Vanished):
        far.delete("a", if_match=newer)


def test_a_rewritten_object_keeps_what_is_not_content(store: S3Store, seaweed: Server) -> None:
    given = {"ContentType": "image/jpeg", "CacheControl": "max-age=60", "Metadata": {"photographer": "kim"}}
    client = seaweed.s3()
    client.put_object(Bucket=store.bucket, Key="a", Body=b"1", Tagging="shoot=7&place=sea+side", **given)
    store.rewrite("a", b"22", if_match=store.stat("a").etag)
    found = client.get_object(Bucket=store.bucket, Key="a")
    assert {name: found[name] for name in given} == given
    assert found["Body"].read() == b"22"
    tags = client.get_object_tagging(Bucket=store.bucket, Key="a")["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"shoot": "7", "place": "sea side"}


def test_a_rewrite_whose_answer_was_lost_is_ours(store: S3Store, far: S3Store, between: Proxy) -> None:
    first = store.put("a", b"1", if_match=None)
    with between.rule(proxy.CutAfter(0, "PUT", times=1)):
        second = far.rewrite("a", b"22", if_match=first)
    assert store.read("a") == (b"22", second)


def void(_: object) -> None: ...


def test_pages(store: S3Store, seaweed: Server) -> None:
    keys = {f"{n % 7}/{n:04}.jpg" for n in range(1100)}
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda key: store.put(key, b"", if_match=None), keys))
    listed = [stat.key for stat in store.list()]
    assert len(listed) == len(set(listed)) == 1100
    assert set(listed) == keys


def test_a_listing_with_a_hole_is_no_listing(store: S3Store, far: S3Store, between: Proxy) -> None:
    store.put("a", b"", if_match=None)
    with between.rule(proxy.CutAfter(200, "GET")), pytest.raises(Unavailable):
        list(far.list())


def test_keys_of_which_seaweed_makes_others(store: S3Store) -> None:
    for key in ("a//b", "/c", "a/../b", "../a", "a/./b", "back\\slash", "."):
        with pytest.raises(Rejected) as caught:
            store.put(key, b"x", if_match=None)
        assert caught.value.reason is Reason.KEY_INVALID
        assert list(store.list()) == []
        assert store.read(key) is None


def test_a_key_of_which_seaweed_makes_one_that_is_there(store: S3Store) -> None:
    etag = store.put("a/b", b"x", if_match=None)
    with pytest.raises(Rejected):
        store.put("a//b", b"y", if_match=None)
    for look in (store.stat, store.fetch):
        with pytest.raises(Vanished):
            look("a//b")
    assert store.read("a//b") is None
    assert store.read("a/b") == (b"x", etag)


def test_keys_that_a_store_keeps_are_kept(moto_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(moto_server, monkeypatch) as store:
        for key in ("a//b", "/a", "a/../b", "a/./b", "back\\slash", "a/"):
            etag = store.put(key, b"x", if_match=None)
            assert store.read(key) == (b"x", etag)
            assert [stat.key for stat in store.list()] == [key]
            store.delete(key, if_match=etag)
            assert store.read(key) is None


def test_keys_that_are_no_text(store: S3Store) -> None:
    for key in ("\ud800", "a\0b"):
        with pytest.raises(Rejected) as caught:
            store.put(key, b"", if_match=None)
        assert caught.value.reason is Reason.KEY_INVALID
        assert store.read(key) is None
    assert list(store.list("\ud800")) == []


def test_etags_without_quotes_as_in_events(store: S3Store) -> None:
    etag = store.put("a", b"1", if_match=None)
    bare = etag.strip('"')
    assert store.stat("a", bare).etag == store.fetch("a", bare).stat.etag == etag
    newer = store.put("a", b"2", if_match=bare)
    with pytest.raises(Replaced):
        store.stat("a", bare)
    store.delete("a", if_match=newer.strip('"'))


def test_there_is_a_connection_for_each_thread(
    store: S3Store, caplog: pytest.LogCaptureFixture, seaweed: Server
) -> None:
    store.put("a", b"1", if_match=None)
    barrier = threading.Barrier(16)

    def read(_: int) -> None:
        barrier.wait()
        store.read("a")

    with caplog.at_level(logging.WARNING, "urllib3"), ThreadPoolExecutor(16) as threads:
        for _ in range(3):
            list(threads.map(read, range(16)))
    assert caplog.records == []


class Page(BaseHTTPRequestHandler):
    """Says `200 OK` to everything, as a proxy in front of a store may that is being worked on."""

    body = b""

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(self.body)

    do_GET = do_HEAD = do_PUT = do_DELETE = answer  # noqa: N815 - as the base class has them

    def log_message(self, *_: object) -> None: ...


@pytest.mark.parametrize("body", [b"", b"<html>Back soon</html>", b"Back soon"])
def test_a_page_is_no_answer_of_a_store(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else good images would end as failures, or, by an empty listing, look deleted."""
    with credentials(monkeypatch, AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="y", AWS_DEFAULT_REGION="us-east-1"):  # noqa: S106 - nobody looks at it
        handler = type("Handler", (Page,), {"body": body})
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            endpoint = f"http://127.0.0.1:{server.server_port}"
            store = S3Store("bucket", S3Options(endpoint=endpoint, addressing="path", attempts=1))
            for act in (
                lambda: store.stat("a.jpg"),
                lambda: store.fetch("a.jpg", '"e"'),
                lambda: store.read("a.jpg"),
                lambda: store.put("a.jpg", b"x", if_match=None),
                lambda: store.put("a.jpg", b"x", if_match='"e"'),
                lambda: store.delete("a.jpg", if_match='"e"'),
                lambda: list(store.list()),
            ):
                with pytest.raises(Unavailable):
                    act()
            store.close()
            server.shutdown()
