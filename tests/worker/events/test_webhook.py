import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest
from starlette.types import ASGIApp

from tasks.errors import ConfigurationError, Unavailable
from tests.worker.events.conftest import Remembered
from tests.worker.events.test_event_records import filer, s3
from worker.events.intake import Drop, Intake
from worker.events.records import MAX_BYTES
from worker.events.serving import CONNECTIONS, listening, serve
from worker.events.webhook import make_app

pytestmark = pytest.mark.integration

SECRET = "grüße, secret"  # noqa: S105 - of this test
BEARER = {"Authorization": f"Bearer {SECRET}".encode()}


@contextmanager
def served(app: ASGIApp, header_seconds: float = 5.0) -> Iterator[httpx.Client]:
    """The application on a real socket."""
    stop = threading.Event()
    listener = listening("127.0.0.1", 0)
    port = listener.getsockname()[1]
    thread = threading.Thread(target=serve, args=(app, listener, stop, header_seconds))
    thread.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=10) as client:
            yield client
    finally:
        stop.set()
        thread.join(15)
        assert not thread.is_alive()


@pytest.fixture
def client(intake: Intake) -> Iterator[httpx.Client]:
    with served(make_app(intake, SECRET, lambda: "answers", body_seconds=0.3, hold=0)) as client:
        yield client


def test_an_event_is_answered_with_200_when_it_is_in_the_queue(client: httpx.Client, queue: Remembered) -> None:
    answer = client.post("/", json={"Records": [s3("a b.jpg"), s3("notes.txt")]}, headers=BEARER)
    assert (answer.status_code, answer.json()) == (200, {"images": 1, "ignored": 0, "unknown": 0})
    event = filer("create", "/buckets/stock/녹색.jpg", new={"name": "녹색.jpg"}, parent="/buckets/stock")
    assert client.post("/", json=event, headers=BEARER).status_code == 200
    assert queue.keys == ["a b.jpg", "녹색.jpg"]


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": b"Bearer \xff\xfe"}, {"Authorization": SECRET.encode()}],
)
def test_without_the_secret_nothing_is_taken(
    client: httpx.Client, queue: Remembered, headers: dict[str, str | bytes]
) -> None:
    answer = client.post("/", json={"Records": [s3("a.jpg")]}, headers=headers)
    assert answer.status_code == 401
    assert "Bearer" in answer.headers["www-authenticate"]
    assert not queue.sent


def test_anybody_may_when_told_so(intake: Intake, queue: Remembered) -> None:
    with served(make_app(intake, None, lambda: "answers")) as client:
        assert client.post("/", json={"Records": [s3("a.jpg")]}).status_code == 200
    assert queue.keys == ["a.jpg"]


def test_what_is_no_json_object_is_400_and_an_unknown_form_is_counted(
    client: httpx.Client, intake: Intake, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.post("/", content=b"{", headers=BEARER)
    assert (answer.status_code, answer.json()) == (400, {"error": "not JSON"})
    for _ in range(3):
        assert client.post("/", json={"hello": 1}, headers=BEARER).status_code == 200
    assert intake.tally.dropped == {Drop.UNKNOWN: 3}
    assert len([record for record in caplog.records if "not known" in record.message]) == 1


@pytest.mark.parametrize("chunked", [False, True])
def test_large_bodies_are_refused(client: httpx.Client, queue: Remembered, chunked: bool) -> None:
    body = json.dumps({"Records": [s3("a.jpg")], "padding": "x" * MAX_BYTES}).encode()
    parts = (body[at : at + 65536] for at in range(0, len(body), 65536))
    answer = client.post("/", content=parts if chunked else body, headers=BEARER)
    assert answer.status_code == 413
    assert not queue.sent


def test_a_body_may_be_just_small_enough(client: httpx.Client) -> None:
    body = json.dumps({"Records": []}).encode()
    answer = client.post("/", content=body.ljust(MAX_BYTES), headers=BEARER)
    assert answer.status_code == 200


def test_a_sender_is_sent_away_while_the_queue_is_away_and_the_event_arrives_when_it_comes_again(
    client: httpx.Client, queue: Remembered
) -> None:
    queue.fail = 1
    answer = client.post("/", json={"Records": [s3("a.jpg")]}, headers=BEARER)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert client.post("/", json={"Records": [s3("a.jpg")]}, headers=BEARER).status_code == 200
    assert queue.keys == ["a.jpg"]


def test_a_request_is_held_while_the_queue_is_away_for_a_moment(intake: Intake, queue: Remembered) -> None:
    queue.fail = 1
    with served(make_app(intake, None, lambda: "answers", hold=5)) as client:
        assert client.post("/", json={"Records": [s3("a.jpg")]}).status_code == 200


def test_a_request_that_is_held_does_not_hold_up_the_end(intake: Intake, queue: Remembered) -> None:
    queue.fail = 1_000
    stop, answers = threading.Event(), []
    with served(make_app(intake, None, lambda: None, hold=60, stop=stop)) as client:
        body = {"Records": [s3("a.jpg")]}
        sender = threading.Thread(target=lambda: answers.append(client.post("/", json=body).status_code))
        sender.start()
        while queue.fail == 1_000:
            time.sleep(0.01)
        stop.set()
        sender.join(5)
    assert answers == [503]


def test_readiness_tells_whether_the_queue_answers(intake: Intake) -> None:
    broken = ""

    def ready() -> str:
        if broken:
            raise Unavailable(broken)
        return "answers"

    with served(make_app(intake, SECRET, ready)) as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 200
        broken = "Redis cannot be reached"
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()["detail"]) == (503, "Redis cannot be reached")
        assert client.get("/healthz").status_code == 200


def connected(client: httpx.Client) -> socket.socket:
    return socket.create_connection(("127.0.0.1", client.base_url.port or 0), timeout=5)


def test_a_body_that_does_not_come_ends_as_408(client: httpx.Client, queue: Remembered) -> None:
    request = f"POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\nContent-Length: 50\r\n\r\n{{"
    with connected(client) as sender:
        sender.sendall(request.encode())
        assert sender.recv(4096).startswith(b"HTTP/1.1 408")
    assert not queue.sent


def test_a_length_that_lies_is_refused(client: httpx.Client, queue: Remembered) -> None:
    for length in ("-1", "1e3", "x", "5, 6"):
        with connected(client) as sender:
            sender.sendall(f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode())
            assert sender.recv(4096).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("drip", [b"", b"POST / HT", b"POST / HTTP/1.1\r\nHost: x\r\nX: "])
def test_a_sender_of_no_or_endless_headers_is_cut_off(intake: Intake, drip: bytes) -> None:
    with served(make_app(intake, SECRET, lambda: None), header_seconds=0.3) as client, connected(client) as sender:
        start = time.monotonic()
        sender.sendall(drip)
        with pytest.raises((ConnectionError, TimeoutError)):
            while True:
                sender.sendall(b"x" if drip else b"")
                sender.settimeout(0.05)
                try:
                    if sender.recv(1) == b"":
                        raise ConnectionResetError
                except TimeoutError:
                    if time.monotonic() - start > 4:
                        pytest.fail("the connection is still open")
        assert time.monotonic() - start < 4


def test_a_connection_may_be_used_again_after_the_time_for_headers(intake: Intake, queue: Remembered) -> None:
    with served(make_app(intake, None, lambda: None), header_seconds=0.2) as client:
        connection = http.client.HTTPConnection("127.0.0.1", client.base_url.port or 0, timeout=5)
        sockets = set()
        for _ in range(3):
            connection.request("POST", "/", json.dumps({"Records": [s3("a.jpg")]}))
            sockets.add(connection.sock)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
            # There is nothing to wait for but the time itself.
            time.sleep(0.3)
        assert len(sockets) == 1
        connection.close()
    assert len(queue.sent) == 3


def test_too_many_connections_are_sent_away_until_they_are_cut_off(intake: Intake, queue: Remembered) -> None:
    with served(make_app(intake, None, lambda: None), header_seconds=1.0) as client, ExitStack() as stack:
        for _ in range(CONNECTIONS):
            stack.enter_context(connected(client))
        statuses = []
        end = time.monotonic() + 5
        while statuses[-1:] != [200] and time.monotonic() < end:
            statuses.append(httpx.post(client.base_url, json={"Records": [s3("a.jpg")]}, trust_env=False).status_code)
        assert statuses[0] == 503
        assert statuses[-1] == 200
    assert queue.keys == ["a.jpg"]


def test_a_port_that_is_taken_is_the_operators_to_change() -> None:
    with listening("127.0.0.1", 0) as taken, pytest.raises(ConfigurationError, match="cannot listen on 127"):
        listening("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(ConfigurationError, match="cannot listen on no"):
        listening("no.such.host.invalid", 0)
