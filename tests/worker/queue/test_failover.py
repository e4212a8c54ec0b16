"""A server that was the primary, and is a replica now: its address is another server's, so it is connected to anew."""

from collections.abc import Callable

import pytest
from redis import Redis

from tasks.errors import Unavailable
from tasks.feeding.changes import Change
from worker.queue.changes import RedisAnnouncer, RedisChangeStream

CHANGE = Change("0123456789ab", "photos", "a.jpg")

ACTS: dict[str, Callable[[Redis], object]] = {
    "read": lambda client: RedisChangeStream(client, "feed").read(1, 0.0),
    "announce": lambda client: RedisAnnouncer(client, 10).announce([CHANGE, CHANGE]),
}


@pytest.mark.parametrize("act", ACTS)
def test_a_connection_to_a_replica_is_closed(act: str, client: Redis) -> None:
    RedisChangeStream(client, "feed").missed()
    before = client.client_id()
    ACTS[act](client)
    assert client.client_id() == before
    client.replicaof("127.0.0.1", 1)
    try:
        with pytest.raises(Unavailable, match="read-only replica"):
            ACTS[act](client)
        assert client.client_id() != before
    finally:
        client.replicaof("NO", "ONE")
    ACTS[act](client)
