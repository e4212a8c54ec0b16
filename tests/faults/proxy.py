"""A TCP proxy that does harm: between any client and any server, on loopback, with rules that see every piece of data.

A rule is called with each `Passing` before it is sent on. It returns to let it pass, sleeps or waits to hold it up, and
raises `Cut` or `Answer` to end the connection. So a rule is also the place to kill a process at that very moment.
"""

import logging
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from types import TracebackType
from typing import Literal, Self

logger = logging.getLogger(__name__)

Address = tuple[str, int]
PIECE = 64 << 10
LINGER = struct.pack("ii", 1, 0)
"""SO_LINGER of no seconds: closing sends a reset."""


@dataclass(frozen=True)
class Passing:
    """A piece of data on its way.

    Attributes:
        toward: which side gets it.
        request: how the request begins that it is part of, or the answer to.
        before: bytes of this request, or of this answer, that passed earlier.
    """

    toward: Literal["server", "client"]
    data: bytes
    request: bytes
    before: int

    def asks(self, pattern: str) -> bool:
        """Whether this is a request whose beginning matches; each request only once."""
        return self.toward == "server" and self.before == 0 and self.is_of(pattern)

    def answers(self, pattern: str) -> bool:
        """Whether this is the beginning of an answer to a request that matches."""
        return self.toward == "client" and self.before == 0 and self.is_of(pattern)

    def is_of(self, pattern: str) -> bool:
        """Whether the request's beginning matches."""
        return re.match(pattern.encode(), self.request, re.DOTALL) is not None


Rule = Callable[[Passing], None]
Matches = Callable[[Passing], bool]


class Cut(Exception):
    """Send `first` on and end the connection: with a reset, or as if all had been sent."""

    def __init__(self, first: bytes = b"", *, reset: bool = True) -> None:
        self.first, self.reset = first, reset


class Answer(Exception):
    """Tell the client this in the server's place, and end the connection; the server gets nothing."""

    def __init__(self, data: bytes) -> None:
        self.data = data


@dataclass(eq=False)
class _Connection:
    """Two sockets and what has passed between them; the server's is opened with the first piece."""

    client: socket.socket
    server: socket.socket
    request: bytes = b""
    asked: int = 0
    answered: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def passing(self, toward: Literal["server", "client"], data: bytes) -> Passing:
        """Account for a piece of data. Requests are answered one after the other, as HTTP and Redis do here."""
        with self.lock:
            if toward == "server":
                if self.answered or not self.asked:
                    self.request, self.asked, self.answered = data[:4096], 0, 0
                before = self.asked
                self.asked += len(data)
            else:
                before = self.answered
                # "100 Continue" is not the answer yet: the request's body is still to come.
                self.answered += 0 if data.startswith(b"HTTP/1.1 100 ") and data.endswith(b"\r\n\r\n") else len(data)
            return Passing(toward, data, self.request, before)

    def end(self, *, reset: bool = False) -> None:
        for each in (self.client, self.server):
            with suppress(OSError):
                if reset:
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
                    # Wakes the thread that reads here, without which closing would wait for it.
                    each.shutdown(socket.SHUT_RD)
                else:
                    each.shutdown(socket.SHUT_RDWR)
            each.close()


class Proxy:
    """Passes everything on to `upstream`, but for what its rules do. Use as a context manager."""

    def __init__(self, upstream: Address) -> None:
        self.upstream = upstream
        self._rules: dict[int, Rule] = {}
        self._ids = count()
        self._connections: set[_Connection] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]

    @contextmanager
    def rule(self, *rules: Rule) -> Iterator[None]:
        """Have these rules while the block runs, for connections that are open already too."""
        names = [next(self._ids) for _ in rules]
        self._rules |= dict(zip(names, rules, strict=True))
        try:
            yield
        finally:
            for name in names:
                del self._rules[name]

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Listen no more while the block runs: connections are refused, and those that were open are reset."""
        self._close()
        try:
            yield
        finally:
            self._listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
            self.__enter__()

    def cut(self) -> None:
        """Reset all connections."""
        for connection in tuple(self._connections):
            connection.end(reset=True)

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, name=f"proxy-{self.port}", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        listener = self._listener
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self.upstream, timeout=5)
        except OSError:
            # What a client sees of a server that is not there.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
            client.close()
            return
        server.settimeout(None)
        for each in (client, server):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = _Connection(client, server)
        self._connections.add(connection)
        threading.Thread(target=self._pass, args=(connection, "client"), daemon=True).start()
        self._pass(connection, "server")

    def _pass(self, connection: _Connection, toward: Literal["server", "client"]) -> None:
        source, target = connection.client, connection.server
        if toward == "client":
            source, target = target, source
        try:
            while data := source.recv(PIECE):
                self._consult(connection.passing(toward, data))
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
            # Requests are over; the answer to the last may still come.
            if toward == "server":
                return
        except Cut as cut:
            with suppress(OSError):
                target.sendall(cut.first)
            connection.end(reset=cut.reset)
        except Answer as answer:
            _tell(connection.client, answer.data)
        except OSError:
            pass  # one side hung up, which is what this proxy is for; both are ended
        connection.end()
        self._connections.discard(connection)

    def _consult(self, passing: Passing) -> None:
        for rule in tuple(self._rules.values()):
            rule(passing)


def _tell(client: socket.socket, data: bytes) -> None:
    """Answer, and read what the client still sends: closing on unread data would reset the connection."""
    with suppress(OSError):
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        client.settimeout(1)
        while client.recv(PIECE):
            pass


def http_error(status: str, code: str) -> bytes:
    """An answer of S3's, such as `503 Slow Down` with the code `SlowDown`."""
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>proxy</Message></Error>'
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\nConnection: close"
    return f"{head}\r\n\r\n{body}".encode()


def answer_all(status: str, code: str, pattern: str = "") -> Rule:
    """Answer requests that match with an error, in the server's place."""

    def rule(passing: Passing) -> None:
        if passing.asks(pattern):
            raise Answer(http_error(status, code))

    return rule


def slow(bytes_a_second: float) -> Rule:
    """Let answers trickle."""

    def rule(passing: Passing) -> None:
        if passing.toward == "client":
            time.sleep(len(passing.data) / bytes_a_second)

    return rule


@dataclass
class CutAfter:
    """A rule: end the connection after `size` bytes of an answer to what matches, `times` times at most.

    Attributes:
        reset: whether the client sees an error, or an end as if all had been sent.
        cuts: how often it did.
    """

    size: int
    pattern: str = ""
    times: int = 1 << 30
    reset: bool = True
    cuts: int = 0

    def __call__(self, passing: Passing) -> None:
        """See `Rule`."""
        matches = passing.toward == "client" and passing.is_of(self.pattern)
        if matches and self.cuts < self.times and passing.before + len(passing.data) > self.size:
            self.cuts += 1
            raise Cut(passing.data[: max(0, self.size - passing.before)], reset=self.reset)


class Seen:
    """A rule that only counts what matches."""

    def __init__(self, matches: Matches) -> None:
        self.matches, self.count = matches, 0

    def __call__(self, passing: Passing) -> None:
        """See `Rule`."""
        self.count += self.matches(passing)


def black_hole(until: threading.Event) -> Rule:
    """Keep everything back until told otherwise."""

    def rule(passing: Passing) -> None:
        until.wait()

    return rule


def once(matches: Matches, act: Callable[[], None]) -> Rule:
    """Do something at the very moment when the first piece that matches is to pass; it passes afterwards."""
    waiting = threading.Lock()

    def rule(passing: Passing) -> None:
        if matches(passing) and waiting.acquire(blocking=False):
            act()

    return rule


def reset() -> None:
    """An act for `once`: what was to pass is lost with its connection."""
    raise Cut


def popped(passing: Passing) -> bool:
    """Whether a message comes out of a list: the answer to a BRPOP that did not time out, on its way to a worker."""
    return passing.answers(r".*BRPOP") and passing.data.startswith(b"*2\r\n")
