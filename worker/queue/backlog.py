"""What Celery's own keys say: how many messages wait, and how long the oldest has.

kombu pushes to the left of a queue's list and pops from the right. `unacked` is one hash for all queues: delivery tag
-> `[message, exchange, routing key]`.
"""

import json
from collections.abc import Iterable
from typing import Any

from redis import Redis

from tasks.messages import SENT

UNACKED = "unacked"
ENDS = 16
"""So many messages at either end of a list are looked at: what is put back may come at either, and is old."""


def oldest_waiting(client: Redis, queue: str) -> float | None:
    """When the oldest message that waits in a queue was published; `None`: none waits, or none says."""
    with client.pipeline(transaction=True) as pipe:
        pipe.lrange(queue, -ENDS, -1)
        pipe.lrange(queue, 0, ENDS - 1)
        right, left = pipe.execute()
    return _oldest(json.loads(raw) for raw in (*right, *left))


def oldest_open(client: Redis, queue: str) -> float | None:
    """As `oldest_waiting`, over those that workers have in hand, too; reads all of these."""
    # In one transaction: a message on its way from the one to the other would otherwise be seen in neither.
    with client.pipeline(transaction=True) as pipe:
        pipe.lrange(queue, -ENDS, -1)
        pipe.lrange(queue, 0, ENDS - 1)
        pipe.hvals(UNACKED)
        right, left, unacked = pipe.execute()
    rows = [json.loads(raw) for raw in unacked]
    in_hand = [message for message, _, routing_key in rows if routing_key == queue]
    return _oldest([*map(json.loads, (*right, *left)), *in_hand])


def _oldest(messages: Iterable[dict[str, Any]]) -> float | None:
    # A message without our header was not published by us and has no entry. It says nothing about those that have:
    # were it taken for old, one that is stuck would keep all that is lost from being repaired, and the most that goes
    # wrong otherwise is that a message is worked on twice.
    times = [message.get("headers", {}).get(SENT) for message in messages]
    return min((time for time in times if isinstance(time, float)), default=None)
