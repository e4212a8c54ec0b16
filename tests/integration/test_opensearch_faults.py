"""OpenSearch down, slow, overloaded, full or wrong, on the real wire: what is tried again, and what is told."""

import ipaddress
import json
import logging
import random
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from osmem_server import OsmemServer

from tasks.errors import ConfigurationError, Unavailable
from tasks.feeding.ports import Delivered, Put, Remove
from tests.faults.proxy import Answer, Cut, CutAfter, Passing, black_hole
from tests.integration.opensearch_stage import Stage, counting, error, instead, running, said, staged
from tests.servers import free_ports
from tests.worker.feeds.opensearch.indexed_documents import GENERATION, document
from worker.feeds.opensearch import listing
from worker.feeds.opensearch.access import Access, Patience
from worker.feeds.opensearch.client import Client
from worker.feeds.opensearch.index import OpenSearchIndex
from worker.feeds.opensearch.refusals import Refusal
from worker.feeds.opensearch.sink import OpenSearchSink

TOO_MANY = error("es_rejected_execution_exception", "rejected execution of primary operation")
BULK = r"POST /[^ ]+/_bulk"


@pytest.fixture(scope="module")
def server() -> Iterator[OsmemServer]:
    with running() as server:
        yield server


@pytest.fixture
def stage(server: OsmemServer) -> Iterator[Stage]:
    with staged(server) as stage:
        yield stage


@pytest.fixture
def sink(stage: Stage) -> Iterator[OpenSearchSink]:
    sink = stage.sink()
    yield sink
    sink.close()


@pytest.fixture
def index(sink: OpenSearchSink) -> OpenSearchIndex:
    return sink.open(GENERATION)


def puts(number: int, version: int = 1) -> list[Put]:
    return [Put(document(f"{n:04}.jpg", version)) for n in range(number)]


def keys(stage: Stage, index: OpenSearchIndex) -> set[str]:
    return {indexed.key for indexed in index.listed()}


def item_answer(*errors: dict[str, Any] | None) -> bytes:
    """An answer to a bulk request in which some operations failed."""
    items = [
        {"index": {"status": 201, "result": "created"}} if each is None else {"index": {**each, "error": each["error"]}}
        for each in errors
    ]
    return said("200 OK", {"errors": True, "items": items})


def failed(status: int, kind: str, reason: str = "because") -> dict[str, Any]:
    return {"status": status, "error": {"type": kind, "reason": reason}}


@pytest.mark.parametrize(
    "status", ["429 Too Many Requests", "502 Bad Gateway", "503 Service Unavailable", "504 Timeout"]
)
@pytest.mark.parametrize("body", [TOO_MANY, "<html>go away</html>", ""])
def test_overload_is_waited_for(stage: Stage, index: OpenSearchIndex, status: str, body: object) -> None:
    with stage.proxy.rule(instead(said(status, body), 2)):
        assert index.deliver(puts(10)) == Delivered(put=10)
    assert len(stage.pauses) == 2


def test_the_server_says_how_long(stage: Stage, index: OpenSearchIndex) -> None:
    with stage.proxy.rule(instead(said("429 Too Many Requests", TOO_MANY, "Retry-After: 7"), 1)):
        index.deliver(puts(1))
    assert stage.pauses == [7.0]


def test_bulks_get_smaller_under_overload_and_larger_again(stage: Stage, index: OpenSearchIndex) -> None:
    sizes: list[int] = []
    send = index._bulk._once

    def noted(piece: Any) -> Any:
        sizes.append(len(piece))
        return send(piece)

    index._bulk._once = noted  # type: ignore[method-assign]
    with stage.proxy.rule(instead(said("429 Too Many Requests", TOO_MANY), 3)):
        assert index.deliver(puts(1500)).put == 1500
    assert sizes[:4] == [500, 250, 125, 62] and sizes[4:6] == [124, 248] and max(sizes[6:]) > 400


def test_overload_without_end_is_unavailable_after_all_tries(stage: Stage, index: OpenSearchIndex) -> None:
    seen, rule = counting()
    with (
        stage.proxy.rule(rule, instead(said("429 Too Many Requests", TOO_MANY), 1000)),
        pytest.raises(Unavailable, match="tried 4 times: 429 es_rejected"),
    ):
        index.deliver(puts(1))
    assert len(seen) == 4 and len(stage.pauses) == 3
    assert index.deliver(puts(1)).put == 1


def test_a_cut_connection_is_opened_again(stage: Stage, index: OpenSearchIndex) -> None:
    left = [2]

    def cut(passing: Passing) -> None:
        if passing.asks(BULK) and left[0]:
            left[0] -= 1
            raise Cut

    with stage.proxy.rule(cut):
        assert index.deliver(puts(10)) == Delivered(put=10)
    assert left == [0]


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize("size", [0, 20, 200, 700])
def test_half_an_answer_is_no_answer(stage: Stage, index: OpenSearchIndex, size: int, reset: bool) -> None:
    """What was done already is told as outrun: the index has that very version, as a look at it shows."""
    cut = CutAfter(size, BULK, times=1, reset=reset)
    with stage.proxy.rule(cut):
        delivered = index.deliver([*puts(10), Remove("x.jpg", 5), Put(document("f.jpg"), forced=True)])
    assert cut.cuts == 1
    assert delivered.put + len(delivered.outrun) >= 11 and not delivered.refused
    assert {each.tag for each in index.indexed([f"{n:04}.jpg" for n in range(10)]).values()} == {"1:etag-1"}
    assert len(keys(stage, index)) == 11


@pytest.mark.parametrize(
    "answer",
    [
        said("200 OK", "it works!"),
        said("200 OK", ""),
        said("200 OK", []),
        said("200 OK", {}),
        said("200 OK", {"items": []}),
        said("200 OK", {"items": None}),
        said("200 OK", {"items": [{}, {}, {}]}),
        said("200 OK", {"items": [{"index": {}}] * 3}),
        said("200 OK", {"items": ["a", 1, None]}),
        b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{"errors":false,"items":[{"ind',
        b"not http at all\r\n\r\n",
    ],
)
def test_an_answer_that_makes_no_sense_is_no_answer(stage: Stage, index: OpenSearchIndex, answer: bytes) -> None:
    with stage.proxy.rule(instead(answer, 1)):
        assert index.deliver(puts(3)) == Delivered(put=3)
    assert len(stage.pauses) == 1


def test_no_other_request_takes_sense_from_nonsense(stage: Stage, sink: OpenSearchSink) -> None:
    """Each request is answered once with JSON that is none of the cluster's; only its absence is the end of it."""
    answered: set[bytes] = set()

    def rule(passing: Passing) -> None:
        line = passing.request.split(b" HTTP")[0]
        names = (b"/_mapping", b"/_alias/", b"/_index_template/", b"/_aliases", b"/_delete_by_query")
        if passing.asks("(GET|POST) ") and line not in answered and not any(name in line for name in names):
            answered.add(line)
            raise Answer(said("200 OK", {"message": "sign in first"}))

    with stage.proxy.rule(rule):
        index = sink.open(GENERATION)
        index.deliver(puts(3))
        assert len(list(index.listed())) == 3 and len(index.indexed(["0000.jpg"])) == 1
    assert len(answered) >= 6


def test_silence_ends_with_the_time_limit(stage: Stage, server: OsmemServer) -> None:
    sink = stage.sink(attempts=2, read=0.3)
    index = sink.open(GENERATION)
    until = threading.Event()
    try:
        with stage.proxy.rule(black_hole(until)):
            began = time.monotonic()
            with pytest.raises(Unavailable, match="tried 2 times"):
                index.deliver(puts(1))
            assert time.monotonic() - began < 10
    finally:
        until.set()
        sink.close()


def test_what_was_given_up_is_asked_once_until_it_answers(stage: Stage, index: OpenSearchIndex) -> None:
    bad = said("503 Service Unavailable", "")
    # Four times, and once.
    with stage.proxy.rule(instead(bad, 5, r"(GET|POST) /")):
        for ask in (index.commit, index.commit):
            with pytest.raises(Unavailable):
                ask()
        index.commit()
    with stage.proxy.rule(instead(bad, 3, r"(GET|POST) /")):
        index.commit()


def test_who_is_told_to_end_waits_for_one_answer_at_most(stage: Stage, server: OsmemServer) -> None:
    stop = threading.Event()
    sink = stage.sink(attempts=9, read=0.5, sleep=stop.wait)
    index = sink.open(GENERATION)
    until = threading.Event()
    try:
        with stage.proxy.rule(black_hole(until)):
            stop.set()
            began = time.monotonic()
            for ask in (lambda: index.deliver(puts(1)), index.commit, sink.serving):
                with pytest.raises(Unavailable, match="time to end"):
                    ask()
            assert time.monotonic() - began < 2
    finally:
        until.set()
        sink.close()


def test_a_cluster_that_is_not_there_is_unavailable() -> None:
    (port,) = free_ports(1)
    sink = OpenSearchSink(Access(f"http://127.0.0.1:{port}"), "photos", patience=Patience(attempts=2, first=0.01))
    for ask in (sink.serving, lambda: sink.open(GENERATION)):
        with pytest.raises(Unavailable, match=f"127.0.0.1:{port}"):
            ask()
    sink.close()


def test_of_items_that_failed_only_those_are_sent_again(stage: Stage, index: OpenSearchIndex) -> None:
    errors = [failed(429, "es_rejected_execution_exception"), None, failed(503, "unavailable_shards_exception"), None]
    sizes: list[int] = []
    send = index._bulk._once

    def noted(piece: Any) -> Any:
        sizes.append(len(piece))
        return send(piece)

    index._bulk._once = noted  # type: ignore[method-assign]
    with stage.proxy.rule(instead(item_answer(*errors), 1)):
        assert index.deliver(puts(4)) == Delivered(put=4)
    assert sizes == [4, 2] and len(stage.pauses) == 1
    assert keys(stage, index) == {"0000.jpg", "0002.jpg"}


def test_items_each_end_in_their_own_way(stage: Stage, index: OpenSearchIndex) -> None:
    errors = [
        failed(409, "version_conflict_engine_exception"),
        None,
        failed(400, "mapper_parsing_exception", "failed to parse"),
        failed(400, "illegal_argument_exception", "Document contains at least one immense term"),
    ]
    with stage.proxy.rule(instead(item_answer(*errors), 1)):
        delivered = index.deliver(puts(4))
    assert delivered.put == 1 and delivered.outrun == ("0000.jpg",)
    assert [(each.key, each.kind) for each in delivered.refused] == [
        ("0002.jpg", "mapper_parsing_exception"),
        ("0003.jpg", "illegal_argument_exception"),
    ]
    assert set(stage.letters()) == {"0002.jpg", "0003.jpg"}


def test_items_that_fail_again_and_again_are_unavailable_and_no_dead_letters(
    stage: Stage, index: OpenSearchIndex
) -> None:
    answer = item_answer(failed(503, "unavailable_shards_exception", "primary shard is not active"))
    with stage.proxy.rule(instead(answer, 1000)), pytest.raises(Unavailable, match="primary shard is not active"):
        index.deliver(puts(1))
    assert not stage.letters()


def test_a_disk_that_is_full_is_for_the_operator(stage: Stage, index: OpenSearchIndex) -> None:
    setting = "index.blocks.read_only_allow_delete"
    stage.ask("PUT", f"/{index.physical}/_settings", {setting: True})
    with pytest.raises(ConfigurationError, match=r"watermark.*read_only_allow_delete"):
        index.deliver(puts(3))
    assert not stage.pauses and not stage.letters()
    stage.ask("PUT", f"/{index.physical}/_settings", {setting: None})
    assert index.deliver(puts(3)).put == 3


@pytest.mark.parametrize(
    ("status", "told"), [("401 Unauthorized", "STOCKMETA_OPENSEARCH_PASSWORD"), ("403 Forbidden", "docs/opensearch.md")]
)
def test_who_may_not_is_told_at_once(stage: Stage, index: OpenSearchIndex, status: str, told: str) -> None:
    answer = said(status, error("security_exception", "no permissions for [indices:data/write/bulk]"))
    with stage.proxy.rule(instead(answer, 1000)), pytest.raises(ConfigurationError, match=told):
        index.deliver(puts(1))
    with (
        stage.proxy.rule(instead(item_answer(failed(403, "security_exception")), 1000)),
        pytest.raises(ConfigurationError, match="does not permit"),
    ):
        index.deliver(puts(1))
    assert not stage.pauses


def test_a_request_that_is_too_large_is_halved_down_to_the_one_document(stage: Stage, index: OpenSearchIndex) -> None:
    """A cluster behind something that takes 20 kB at most, as compressed."""
    stopped = said("413 Payload Too Large", "<html>too large</html>")
    limit = 20_000

    def rule(passing: Passing) -> None:
        if passing.asks(BULK):
            head = passing.data.partition(b"\r\n\r\n")[0].decode().lower()
            (length,) = (int(line.split(":")[1]) for line in head.splitlines() if line.startswith("content-length"))
            if length > limit:
                raise Answer(stopped)

    noise = random.Random(1)  # noqa: S311 - what does not compress
    operations = [Put(document(f"{n}.jpg", caption=noise.randbytes(2000).hex())) for n in range(40)]
    operations[17] = Put(document("huge.jpg", caption=noise.randbytes(40_000).hex()))
    with stage.proxy.rule(rule):
        delivered = index.deliver(operations)
    assert delivered.put == 39 and [each.key for each in delivered.refused] == ["huge.jpg"]
    assert delivered.refused[0].kind == "http_413"
    assert "huge.jpg" in stage.letters() and len(keys(stage, index)) == 39


def test_a_request_that_is_refused_whole_costs_only_the_document_at_fault(stage: Stage, index: OpenSearchIndex) -> None:
    real = index._bulk.client._wire.send

    def refusing(method: str, path: str, params: Any, body: bytes | None) -> Any:
        if path.endswith("_bulk") and b"0007.jpg" in (body or b"") and "letters" not in path:
            raise Refusal(400, "illegal_argument_exception", "Malformed action/metadata line")
        return real(method, path, params, body)

    index._bulk.client._wire.send = refusing  # type: ignore[method-assign]
    delivered = index.deliver(puts(20))
    assert delivered.put == 19 and [each.key for each in delivered.refused] == ["0007.jpg"]


def test_every_other_request_is_tried_again_too(stage: Stage, sink: OpenSearchSink) -> None:
    """The first try of each is cut, and of each the answer to the second is lost."""
    cut: dict[bytes, int] = {}

    def rule(passing: Passing) -> None:
        line = passing.request.split(b" HTTP")[0]
        done = cut.setdefault(line, 0)
        if passing.before == 0 and done < 2 and (passing.toward == "server") == (done == 0):
            cut[line] += 1
            raise Cut

    with stage.proxy.rule(rule):
        index = sink.open(GENERATION)
        index.deliver(puts(3))
        index.commit()
        assert len(list(index.listed())) == 3 and len(index.indexed(["0000.jpg"])) == 1
        index.completed()
        assert index.complete
        anew = sink.open(GENERATION, anew=True)
        sink.serve(anew)
        assert sink.serving() == GENERATION
    assert list(stage.ask("GET", f"/_alias/{stage.alias}")) == [anew.physical]
    assert max(cut.values()) == 2 and len(cut) > 10


def test_a_swap_whose_answer_was_lost_is_known(stage: Stage, sink: OpenSearchSink) -> None:
    """As a real cluster says it when it is asked to take an alias away again."""
    first, second = sink.open(GENERATION), sink.open("ba9876543210")
    sink.serve(first)
    asked: list[bytes] = []

    def rule(passing: Passing) -> None:
        if passing.answers("POST /_aliases"):
            raise Cut
        if passing.asks("POST /_aliases"):
            asked.append(passing.data)
            if len(asked) == 2:
                raise Answer(said("404 Not Found", error("aliases_not_found_exception", "aliases [a] missing")))

    with stage.proxy.rule(rule):
        sink.serve(second)
    assert len(asked) == 2 and list(stage.ask("GET", f"/_alias/{stage.alias}")) == [second.physical]


def test_a_listing_that_breaks_off_for_good_is_an_error_and_no_end(stage: Stage, index: OpenSearchIndex) -> None:
    index.deliver(puts(30))
    listed = listing.listed(index._client, index.physical, index._engine, page=10)
    seen = [next(listed) for _ in range(5)]
    gone = instead(said("503 Service Unavailable", ""), 1000, "POST /_search")
    with stage.proxy.rule(gone), pytest.raises(Unavailable):
        seen += listed
    assert len(seen) == 10


def test_a_part_of_an_answer_is_not_taken_for_all_of_it(stage: Stage, index: OpenSearchIndex) -> None:
    index.deliver(puts(3))
    partial = {"timed_out": False, "_shards": {"total": 2, "successful": 1, "failed": 1}, "hits": {"hits": []}}
    with (
        stage.proxy.rule(instead(said("200 OK", partial), 1000, "POST /_search")),
        pytest.raises(Unavailable, match="only a part"),
    ):
        list(index.listed())


def test_where_there_are_no_points_in_time_documents_are_listed_all_the_same(
    stage: Stage, index: OpenSearchIndex
) -> None:
    index.deliver(puts(7))
    no_such = said("405 Method Not Allowed", {"error": "Incorrect HTTP method for uri", "status": 405})
    seen, rule = counting(r"POST /[^ ]*-1/_search\?")
    with stage.proxy.rule(instead(no_such, 1000, r"POST /[^ ]+point_in_time"), rule):
        assert len(list(index.listed())) == 7
    assert len(seen) == 1


def test_keys_in_another_order_are_told(stage: Stage, index: OpenSearchIndex) -> None:
    index.deliver(puts(3))
    hits = [{"_id": key, "_version": 1, "sort": [key], "fields": {"tag": ["t"]}} for key in ("b", "a")]
    answer = {"timed_out": False, "_shards": {"failed": 0}, "hits": {"hits": hits}}
    with (
        stage.proxy.rule(instead(said("200 OK", answer), 1000, "POST /_search")),
        pytest.raises(ConfigurationError, match="order of their bytes"),
    ):
        list(index.listed())


def test_nothing_that_is_logged_or_told_has_the_password(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    secret = "päss wörd"  # noqa: S105 - no password of anything
    access = Access(f"http://127.0.0.1:{stage.proxy.port}", "me", secret)
    client = Client(access, Patience(attempts=2, sleep=lambda _: None))
    caplog.set_level(logging.DEBUG)
    seen, rule = counting("GET /")
    with stage.proxy.rule(rule):
        client.need("GET", "/")
    # In UTF-8, as RFC 7617 has it.
    assert b"authorization: Basic bWU6cMOkc3Mgd8O2cmQ=" in seen[0]
    with (
        stage.proxy.rule(instead(said("503 Service Unavailable", "x"), 9, "GET /")),
        pytest.raises(Unavailable) as unavailable,
    ):
        client.need("GET", "/")
    client.close()
    told = caplog.text + str(unavailable.value) + repr(unavailable.value) + repr(access)
    assert "trying again" in told and secret not in told and "bWU6cMOkc3Mgd8O2cmQ=" not in told


class _Root(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"version": {"distribution": "opensearch"}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@contextmanager
def https(folder: Path) -> Iterator[tuple[int, Path]]:
    """A server with a certificate that nobody signed: its port, and the certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "ca.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(key.private_bytes(*form))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, folder / "key.pem")
    with ThreadingHTTPServer(("127.0.0.1", 0), _Root) as httpd:
        httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        try:
            yield httpd.server_address[1], pem
        finally:
            httpd.shutdown()
            thread.join()


def test_only_a_trusted_certificate_is_talked_to(tmp_path: Path) -> None:
    with https(tmp_path) as (port, pem):
        untrusting = Client(Access(f"https://127.0.0.1:{port}"), Patience(attempts=2, sleep=lambda _: None))
        with pytest.raises(ConfigurationError, match="STOCKMETA_OPENSEARCH_CA"):
            untrusting.need("GET", "/")
        untrusting.close()
        trusting = Client(Access(f"https://127.0.0.1:{port}", ca=pem), Patience(attempts=2))
        assert trusting.need("GET", "/")["version"]["distribution"] == "opensearch"
        trusting.close()
