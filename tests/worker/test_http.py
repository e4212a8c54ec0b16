"""The pages of a supervisor, asked over a real socket."""

import logging
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from tasks.errors import ConfigurationError, Unavailable
from worker.http import Checks, HttpServer, make_app
from worker.metrics import Metrics


def fine() -> str:
    return "fine"


def gone() -> str:
    raise Unavailable("redis://:hunter2@host does not answer")


def bug() -> str:
    raise ZeroDivisionError("hunter2")


@pytest.fixture
def never() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def get(server: HttpServer, page: str) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{server.port}/{page}", timeout=30)


def test_all_is_well() -> None:
    app = make_app({"consumer": fine}, {"model": fine, "redis": fine}, Metrics().registry)
    with HttpServer(app, "127.0.0.1", 0) as server:
        assert server.port
        assert get(server, "healthz").json() == {"alive": True, "checks": {"consumer": {"ok": True, "detail": "fine"}}}
        ready = get(server, "readyz")
        assert ready.status_code == 200
        assert ready.json()["ready"] is True
        assert get(server, "metrics").text.startswith("# HELP stockmeta_")
        assert get(server, "").status_code == 404


def test_one_that_is_gone_is_not_ready_and_says_which_without_secrets() -> None:
    with HttpServer(make_app({"consumer": fine}, {"model": fine, "redis": gone}), "127.0.0.1", 0) as server:
        ready = get(server, "readyz")
        assert ready.status_code == 503
        assert ready.json()["ready"] is False
        assert ready.json()["checks"]["model"] == {"ok": True, "detail": "fine"}
        assert ready.json()["checks"]["redis"] == {"ok": False, "detail": "redis://***@host does not answer"}
        assert get(server, "healthz").status_code == 200, "a restart would not help"
        assert get(server, "metrics").status_code == 404, "there are none"


def test_a_check_that_fails_by_a_bug_is_red_and_tells_only_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), HttpServer(make_app({}, {"store": bug}), "127.0.0.1", 0) as server:
        ready = get(server, "readyz")
    assert ready.status_code == 503
    assert ready.json()["checks"]["store"] == {"ok": False, "detail": "ZeroDivisionError"}
    assert "hunter2" in caplog.text


def test_what_hangs_is_red_in_time_and_holds_up_no_other_page(never: threading.Event) -> None:
    def hang() -> str:
        never.wait()
        return ""

    checks = Checks({"redis": hang, "store": hang, "generation": hang, "model": fine}, fresh=0, patience=0.5)
    start = time.monotonic()
    found = checks.findings()
    assert time.monotonic() - start < 1.4, "all wait together"
    assert found["model"].ok
    assert not found["redis"].ok
    assert "no answer" in found["store"].detail


def test_checks_are_made_once_however_many_ask() -> None:
    made = []

    def count() -> str:
        made.append(1)
        return ""

    checks = Checks({"model": count}, fresh=60)
    for _ in range(5):
        assert checks.findings()["model"].ok
    assert len(made) == 1


def test_a_port_in_use_is_a_matter_for_the_operator() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"STOCKMETA_HTTP_PORT.*{port}.*in use"):
            HttpServer(make_app({}, {}), "127.0.0.1", port)


def test_an_address_that_is_none_is_a_matter_for_the_operator() -> None:
    with pytest.raises(ConfigurationError, match="STOCKMETA_HTTP_HOST"):
        HttpServer(make_app({}, {}), "no such host.invalid", 0)


def test_a_server_that_was_closed_is_gone_and_its_port_is_free() -> None:
    with HttpServer(make_app({}, {}), "127.0.0.1", 0) as server:
        assert get(server, "healthz").status_code == 200
    with pytest.raises(httpx.TransportError):
        get(server, "healthz")
    HttpServer(make_app({}, {}), "127.0.0.1", server.port).close()
