"""Messages for tests, and what became of them, read from the server's own keys."""

import base64
import json
from typing import Any

from redis import Redis

from tasks.messages import TagMessage
from tasks.records import ImageRef


def message(*keys: str) -> TagMessage:
    return TagMessage(tuple(ImageRef("photos", key, "etag") for key in keys or ("a.jpg",)), "generation")


def waiting(client: Redis, queue: str = "uploads") -> list[TagMessage]:
    """The messages of a queue, the next to be delivered first."""
    return [parse(raw) for raw in reversed(client.lrange(queue, 0, -1))]


def parse(raw: str) -> TagMessage:
    return TagMessage.from_dict(body(raw)[0][0])


def body(raw: str) -> Any:
    return json.loads(base64.b64decode(json.loads(raw)["body"]))


def lose(client: Redis, queue: str = "uploads") -> TagMessage:
    """Take the next message off the list, as a worker that dies before it notes that it has it."""
    raw = client.rpop(queue)
    assert isinstance(raw, str)
    return parse(raw)
