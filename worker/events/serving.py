"""An HTTP server for the open: besides what uvicorn limits, a connection has only so long to send its headers."""

import asyncio
import logging
import socket
import threading
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from tasks.errors import ConfigurationError

logger = logging.getLogger(__name__)

CONNECTIONS = 128
"""At once; more are answered with 503."""
HEADER_SECONDS = 10.0
STOP_SECONDS = 10.0
"""Requests under way may take so long when the server stops: as long as publishing to a frozen Redis."""


class _Patience(H11Protocol):
    """uvicorn waits for ever for a request that has begun, or on a connection on which none was ever sent."""

    seconds = HEADER_SECONDS
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base class
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Start the clock when a request is awaited; stop it when one is there."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._cancel()
        elif self._timer is None:
            self._timer = self.loop.call_later(self.seconds, self.transport.abort)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 is a free one. Raises `ConfigurationError`."""
    try:
        family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(where[:2], family=family, backlog=CONNECTIONS)
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {host}, port {port}: {error.strerror or error}") from error


def serve(app: ASGIApp, listener: socket.socket, stop: threading.Event, header_seconds: float = HEADER_SECONDS) -> None:
    """Serve an application on a listening socket until `stop` is set; requests under way are answered first."""
    protocol = type("Patience", (_Patience,), {"seconds": header_seconds})
    options: dict[str, Any] = {"access_log": False, "log_config": None, "server_header": False, "lifespan": "off"}
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http=protocol,
            ws="none",
            proxy_headers=False,
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=int(STOP_SECONDS),
            **options,
        )
    )
    # In a thread uvicorn leaves the signals to the command, which sets `stop`.
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="webhook", daemon=True)
    thread.start()
    while thread.is_alive() and not stop.wait(0.2):
        pass
    server.should_exit = True
    thread.join(STOP_SECONDS + 2)
    listener.close()
