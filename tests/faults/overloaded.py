"""A cluster whose write queue is full: it takes a part of each bulk request, and tells the rest to come again."""

import gzip
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.faults.cluster import Cluster

FULL = {"type": "rejected_execution_exception", "reason": "rejected execution of coordinating operation"}


class Overloaded:
    """Stands before a cluster and takes a part of each bulk request only, as a full write queue does.

    What it takes it passes on. Of the rest the answer says 429, inside an HTTP 200.

    Attributes:
        refused: how often operations were refused, by id.
        taken: operations that were passed on.
        takes: whether the nth operation of a request is taken.
    """

    def __init__(self, cluster: Cluster, takes: Callable[[int], bool]) -> None:
        self.refused = Counter[str]()
        self.taken = 0
        self.takes = takes
        self._cluster = cluster
        self._lock = threading.Lock()

    @contextmanager
    def served(self) -> Iterator[int]:
        """Serve while the block runs; gives the port."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                """Nothing."""

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, data = outer.answer(self.command, self.path, body, self.headers)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815  names of the library's

        return Handler

    def answer(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body of an answer."""
        if headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        operations = _operations(body) if "/_bulk" in path else []
        passed = [self.takes(number) for number in range(len(operations))]
        if operations:
            body = b"".join(lines for (_, _, lines), passes in zip(operations, passed, strict=True) if passes)
        items: list[Any] = []
        if not operations or any(passed):
            kind = {"Content-Type": headers.get("Content-Type") or "application/json"}
            answer = self._cluster.http.request(method, path, content=body, headers=kind)
            if not operations or not answer.is_success:
                return answer.status_code, answer.content
            items = answer.json()["items"]
        return 200, json.dumps({"errors": not all(passed), "items": self._items(operations, passed, items)}).encode()

    def _items(self, operations: "list[tuple[str, str, bytes]]", passed: list[bool], answered: list[Any]) -> list[Any]:
        items = []
        left = iter(answered)
        for (action, name, _), passes in zip(operations, passed, strict=True):
            if passes:
                items.append(next(left))
            else:
                reason = {
                    "type": "rejected_execution_exception",
                    "reason": "rejected execution of coordinating operation",
                }
                items.append({action: {"_id": name, "status": 429, "error": reason}})
            with self._lock:
                self.taken += passes
                self.refused[name] += not passes
        return items


def _operations(body: bytes) -> list[tuple[str, str, bytes]]:
    """Action, id and lines of each operation of a bulk request."""
    found = []
    lines = iter(body.splitlines(keepends=True))
    for line in lines:
        ((action, about),) = json.loads(line).items()
        found.append((action, about["_id"], line if action == "delete" else line + next(lines)))
    return found
