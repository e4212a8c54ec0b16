"""An OpenSearch that is none, over the real wire: osmem-server, with a proxy before it that can do harm."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any
from urllib.parse import urlsplit

from osmem_server import OsmemServer

from tests.faults.proxy import Answer, Passing, Proxy, Rule
from tests.worker.feeds.opensearch.indexed_documents import BUCKET
from worker.feeds.opensearch.access import Access, Patience
from worker.feeds.opensearch.sink import OpenSearchSink

_numbers = count()


@dataclass
class Stage:
    """A cluster and the proxy before it; `alias` is this test's own."""

    server: OsmemServer
    proxy: Proxy
    alias: str
    pauses: list[float]

    def sink(self, alias: str | None = None, bucket: str = BUCKET, **patience: Any) -> OpenSearchSink:
        """A sink that goes through the proxy, and only notes its pauses."""
        access, waits = self.access(**patience)
        return OpenSearchSink(access, bucket, "", alias or self.alias, waits)

    def access(self, **patience: Any) -> tuple[Access, Patience]:
        """The way through the proxy."""
        waits = {"attempts": 4, "first": 0.01, "read": 60.0, "sleep": self.pauses.append, **patience}
        return Access(f"http://127.0.0.1:{self.proxy.port}"), Patience(**waits)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """A request past the proxy."""
        return self.server.request(method, path, body)

    def letters(self) -> dict[str, Any]:
        """Dead letters by key."""
        self.ask("POST", f"/{self.alias}-dead-letters/_refresh")
        hits = self.ask("GET", f"/{self.alias}-dead-letters/_search?size=100")["hits"]["hits"]
        return {hit["_source"]["key"]: hit["_source"] for hit in hits}


@contextmanager
def running() -> Iterator[OsmemServer]:
    """A server; its own `close` would leave a pipe open."""
    with OsmemServer.start(japanese=False) as server:
        yield server
    assert server.process.stdout is not None
    server.process.stdout.close()


@contextmanager
def staged(server: OsmemServer) -> Iterator[Stage]:
    """A stage on a server that others use too, by other names."""
    parts = urlsplit(server.url)
    assert parts.hostname is not None and parts.port is not None
    with Proxy((parts.hostname, parts.port)) as proxy:
        yield Stage(server, proxy, f"stockmeta-test{next(_numbers)}", [])


def said(status: str, body: object, *headers: str) -> bytes:
    """An answer of the cluster, or of something before it."""
    text = body if isinstance(body, str) else json.dumps(body)
    kind = "text/html" if isinstance(body, str) else "application/json"
    head = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(text.encode())}", "Connection: close"]
    return ("\r\n".join([*head, *headers, "", ""]) + text).encode()


def error(kind: str, reason: str) -> dict[str, Any]:
    """An error as the API has it."""
    return {"error": {"root_cause": [{"type": kind, "reason": reason}], "type": kind, "reason": reason}, "status": 0}


def instead(answer: bytes, times: int, pattern: str = r"POST /[^ ]+/_bulk") -> Rule:
    """Answer the first requests that match, in the server's place."""
    left = count(times, -1)

    def rule(passing: Passing) -> None:
        if passing.asks(pattern) and next(left) > 0:
            raise Answer(answer)

    return rule


def counting(pattern: str = r"POST /[^ ]+/_bulk") -> tuple[list[bytes], Rule]:
    """The beginnings of requests that match, as they pass."""
    seen: list[bytes] = []

    def rule(passing: Passing) -> None:
        if passing.asks(pattern):
            seen.append(passing.data)

    return seen, rule
