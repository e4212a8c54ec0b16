"""What a supervisor, a load balancer and Prometheus ask of a process: `/healthz`, `/readyz`, `/metrics`."""

import logging
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Self

import uvicorn
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from tasks.errors import ConfigurationError, StockmetaError
from worker.logs import scrub, visible
from worker.probes import Check, Probe

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 3.0
"""For all checks together: a supervisor that waits longer than that gives up on us."""

FRESH_SECONDS = 2.0
"""Checks are not made more often than that, however many ask."""

CONNECTIONS = 32
"""At once; more are refused with 503. Fewer than the 40 threads that answer, so that no check waits for a thread."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    ok: bool
    detail: str


class Checks:
    """Named checks, made together, each within `patience` seconds, each at most every `fresh` seconds."""

    def __init__(
        self, checks: Mapping[str, Check], fresh: float = FRESH_SECONDS, patience: float = PATIENCE_SECONDS
    ) -> None:
        self._probes = {name: Probe(check, fresh, patience) for name, check in checks.items()}

    def findings(self) -> dict[str, Finding]:
        """What each found; never raises."""
        for probe in self._probes.values():
            probe.begin()
        return {name: _finding(name, probe) for name, probe in self._probes.items()}


def _finding(name: str, probe: Probe[str]) -> Finding:
    try:
        return Finding(True, visible(scrub(probe.get())))
    except StockmetaError as error:
        return Finding(False, visible(scrub(str(error))))
    except Exception as error:
        logger.warning("the check %s failed", name, exc_info=error)
        return Finding(False, type(error).__name__)


def make_app(
    alive: Mapping[str, Check], ready: Mapping[str, Check], registry: CollectorRegistry | None = None
) -> Starlette:
    """The three pages.

    Args:
        alive: what only a restart can put right, such as a consumer's loop that stands still.
        ready: what work needs: `model`, `redis`, `store`, `generation`. Gone is not dead: a restart would not help.
        registry: what `/metrics` shows; without it there is no such page.
    """
    pages = [Route("/healthz", _page(Checks(alive), "alive")), Route("/readyz", _page(Checks(ready), "ready"))]
    if registry is not None:
        pages.append(Route("/metrics", _metrics(registry)))
    return Starlette(routes=pages)


# Not `async`: Starlette gives these to a thread, where they may wait.
def _page(checks: Checks, name: str) -> Callable[[Request], Response]:
    def page(_: Request) -> Response:
        findings = checks.findings()
        good = all(finding.ok for finding in findings.values())
        body = {name: good, "checks": {check: asdict(finding) for check, finding in findings.items()}}
        return JSONResponse(body, 200 if good else 503, headers={"Cache-Control": "no-store"})

    return page


def _metrics(registry: CollectorRegistry) -> Callable[[Request], Response]:
    def page(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return page


class HttpServer:
    """Serves an application from a daemon thread, from `start` to `close`.

    Args:
        app: what to serve.
        host: address to listen on.
        port: 0 takes a free one; `port` is the one that was taken.
    """

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        self._socket = _listen(host, port)
        self.host, self.port = host, int(self._socket.getsockname()[1])
        config = uvicorn.Config(
            app,
            # Our own logging is configured already, and requests are not worth a line.
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="http", daemon=True
        )

    def start(self) -> None:
        """Serve. The port already takes connections; they are answered from now on."""
        self._thread.start()
        logger.info("serving on http://%s:%d", self.host, self.port)

    def close(self) -> None:
        """Stop; requests under way get a second."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        with suppress(OSError):
            self._socket.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `ConfigurationError`; uvicorn, binding by itself, would end the process."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigurationError(f"STOCKMETA_HTTP_HOST: {host!r} is no address to listen on: {error}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"STOCKMETA_HTTP_PORT: cannot listen on {host} port {port}: {error.strerror}; take another, or 0 for any"
        ) from error
    return listener
