"""What a worker needs to work, each tried: checks for `/readyz`. They return a few words, or raise `Unavailable`."""

from redis import Redis

from tasks.errors import Unavailable
from tasks.generations.pointer import read_current
from tasks.inference import Inference
from worker.library import Library
from worker.queue.connection import redis_errors
from worker.queue.snapshot import take

WRITTEN = "stockmeta:ready"
"""A key that says nothing; to write it is the check."""

SLOW_SECONDS = 60.0
"""A batch takes a second or two; on a device that others keep busy perhaps ten."""


def check_redis(client: Redis) -> str:
    """The queue can be looked at, and written to: a Redis whose memory or disk is full still reads."""
    take(client)
    with redis_errors("the queue cannot be written to"):
        client.set(WRITTEN, 1, ex=60)
    return "answers"


def redis_is_away(client: Redis) -> bool:
    """Whether the queue cannot be looked at."""
    try:
        take(client)
    except Unavailable:
        return True
    return False


def check_store(library: Library) -> str:
    """The images can be listed and the sidecars read."""
    next(iter(library.source.list(library.prefix)), None)
    library.sidecars.read(library.layout.current)
    return f"{library.source.bucket} answers"


def check_model(inference: Inference, model: str) -> str:
    """The model worked when it was last tried, and is not at one batch for ever."""
    if inference.broken is not None:
        raise Unavailable(inference.broken)
    if (busy := inference.busy_seconds) > SLOW_SECONDS:
        raise Unavailable(f"{model} has been at one batch for {busy:.0f} s")
    return f"{model} works"


def check_generation(library: Library, generation: str) -> str:
    """The library is kept in what this worker makes."""
    written = read_current(library.sidecars, library.layout).written
    if generation not in written:
        kept = " and ".join(written) or "none"
        raise Unavailable(f"this worker makes {generation}, and the library is kept in {kept}")
    return generation
