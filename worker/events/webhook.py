"""Events over HTTP: a POST with a notification is answered with 200 when what it says is in the queue."""

import asyncio
import hmac
import logging
import threading
import time
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tasks.errors import Unavailable
from worker.events.backoff import growing
from worker.events.intake import Drop, Intake
from worker.events.records import MAX_BYTES, MalformedError, Notification, parse

logger = logging.getLogger(__name__)

HOLD_SECONDS = 8.0
"""A request is held for so long while the queue is away: SeaweedFS never comes again (4.48, whatever its settings say),
and by default waits ten seconds."""
BODY_SECONDS = 10.0
"""A sender has so long for the whole body."""
RETRY_SECONDS = "5"
"""What a sender is told when the queue is away."""


def make_app(
    intake: Intake,
    secret: str | None,
    ready: Callable[[], object],
    body_seconds: float = BODY_SECONDS,
    hold: float = HOLD_SECONDS,
    stop: threading.Event | None = None,
) -> Starlette:
    """The application.

    Args:
        intake: takes what comes.
        secret: what senders present as a bearer's token; `None` takes from anybody.
        ready: raises `Unavailable` when messages could not be sent now.
        body_seconds: how long a sender may take for the body.
        hold: seconds for which a request is held while the queue is away.
        stop: ends that when set.
    """
    webhook = _Webhook(intake, secret, ready, body_seconds, hold, stop or threading.Event())
    return Starlette(
        routes=[
            Route("/", webhook.post, methods=["POST"]),
            Route("/healthz", webhook.healthz),
            Route("/readyz", webhook.readyz),
        ]
    )


class _Webhook:
    def __init__(
        self,
        intake: Intake,
        secret: str | None,
        ready: Callable[[], object],
        body_seconds: float,
        hold: float,
        stop: threading.Event,
    ) -> None:
        self._intake = intake
        self._secret = None if secret is None else secret.encode()
        self._ready = ready
        self._body_seconds = body_seconds
        self._hold = hold
        self._stop = stop
        self._strange = False

    async def post(self, request: Request) -> Response:
        if not self._is_allowed(request):
            return _refused(401, "present the secret as Authorization: Bearer", {"WWW-Authenticate": "Bearer"})
        try:
            async with asyncio.timeout(self._body_seconds):
                body = await _body(request)
        except TimeoutError:
            return _refused(408, f"the body did not come within {self._body_seconds:g} seconds", CLOSE)
        except ClientDisconnect:
            # Nobody reads this, but an answer has to be given.
            return _refused(400, "the body was not sent whole", CLOSE)
        if body is None:
            return _refused(413, f"the body may have {MAX_BYTES} bytes", CLOSE)
        return await run_in_threadpool(self._take, body)

    def _take(self, body: bytes) -> Response:
        try:
            found = parse(body)
            images = self._sent(found)
        except MalformedError as error:
            return _refused(400, str(error))
        except Unavailable as error:
            logger.warning("an event was turned away, its sender has to come again: %s", error)
            return _refused(503, "the queue is not available", {"Retry-After": RETRY_SECONDS})
        self._intake.tally.drop(Drop.IGNORED, found.ignored)
        self._intake.tally.drop(Drop.UNKNOWN, found.unknown)
        if found.unknown and not self._strange:
            # Once. And accepted: a sender that is told of an error sends the same again, and what follows waits.
            self._strange = True
            logger.warning("an event has a form that is not known; it and others like it are counted, not taken")
        return JSONResponse({"images": images, "ignored": found.ignored, "unknown": found.unknown})

    def _sent(self, found: Notification) -> int:
        """Send, for some seconds if need be. Raises `Unavailable`."""
        end = time.monotonic() + self._hold
        for seconds in growing(0.25):
            try:
                return self._intake.take(found.refs)
            except Unavailable:
                # A listener that is to stop does not wait for what may never come.
                if time.monotonic() + seconds > end or self._stop.wait(seconds):
                    raise
        raise AssertionError("waits do not end")

    async def healthz(self, _: Request) -> Response:
        return JSONResponse({"alive": True})

    async def readyz(self, _: Request) -> Response:
        try:
            await run_in_threadpool(self._ready)
        except Unavailable as error:
            return JSONResponse({"ready": False, "detail": str(error)}, 503)
        return JSONResponse({"ready": True})

    def _is_allowed(self, request: Request) -> bool:
        if self._secret is None:
            return True
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        # As the bytes that were sent: compare_digest takes no text beyond ASCII.
        return scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode("latin-1"), self._secret)


CLOSE = {"Connection": "close"}
"""What was not read of a request would be taken for the next one."""


def _refused(status: int, why: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": why}, status, headers)


async def _body(request: Request) -> bytes | None:
    """The body, `None` if it is too large: by its own account, or by what comes."""
    declared = request.headers.get("content-length", "0")
    # h11 has refused what is no number.
    if int(declared) > MAX_BYTES:
        return None
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BYTES:
            return None
    return bytes(body)
