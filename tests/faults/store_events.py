"""Events as stores send them, and a listener in a process of its own."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote_plus

import httpx

from tests.faults.processes import Program
from tests.faults.stage import Stage

SECRET = "of this test"  # noqa: S105  it guards nothing
HEADERS = {"Authorization": f"Bearer {SECRET}"}


def event(stage: Stage, key: str, name: str = "ObjectCreated:Put") -> dict[str, object]:
    """A record as S3 sends it."""
    encoded = quote_plus(key.encode("utf-8", "surrogatepass"))
    return {"eventName": name, "s3": {"bucket": {"name": stage.bucket}, "object": {"key": encoded}}}


def post(address: str, events: list[dict[str, object]]) -> int:
    """Send records; returns the status of the answer."""
    # Not httpx.post, which reads all certificates anew each time.
    with httpx.Client(verify=False, timeout=30) as client:  # noqa: S501  on loopback, without TLS
        return client.post(address, json={"Records": events}, headers=HEADERS).status_code


@contextmanager
def listening(stage: Stage, port: int = 0, hold: float = 8, **settings: object) -> Iterator[str]:
    """A webhook in a process of its own; gives its address."""
    command = ["-m", "worker.cli", "listen", "webhook", "--port", str(port), "--hold", str(hold)]
    environment = stage.environment(WEBHOOK_SECRET=SECRET, **settings)
    program = Program("listener", command, environment, stage.folder)
    stage.programs.append(program)
    found = r"listening on (http://127.0.0.1:\d+/)"
    stage.wait(lambda: re.search(found, program.text()) or not program.alive, 30, "the listener listens")
    address = re.search(found, program.text())
    assert address, program.tail()
    yield address[1]
    program.process.terminate()
    assert program.wait(15) == 0
