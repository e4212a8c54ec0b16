"""Messages for a generation that nobody writes any more: it was dropped, or another one was promoted."""

import logging
from collections.abc import Callable
from dataclasses import replace

from tasks.errors import Unavailable
from tasks.generations.pointer import Current
from tasks.messages import TagMessage, new_id

logger = logging.getLogger(__name__)

PATIENCE = 5
"""Tries that are left to a worker that makes it: half a minute and more, in which the pointer is known everywhere."""

ReadCurrent = Callable[[], Current]


def nobody_knows() -> Current:
    """Stands for a pointer that is not to be had: nothing is taken for stray."""
    return Current()


def readdressed(message: TagMessage, current: ReadCurrent) -> TagMessage | None:
    """The same for the generation that serves, if what the message is for neither serves nor is being filled.

    Without it such a message would be put off for ever: no worker that starts now may make its generation. An image
    that was uploaded while the pointer moved gets into the serving one by this; one that is there costs two requests.

    Args:
        message: put off by workers that do not make its generation, `tries` times.
        current: reads the pointer; raises `Unavailable`.
    """
    if message.tries < PATIENCE:
        return None
    try:
        now = current()
    except Unavailable:
        return None
    if now.serving is None or message.generation in (None, *now.written):
        return None
    logger.warning("nobody makes %s any more; its message goes to %s", message.generation, now.serving)
    return replace(message, generation=now.serving, id=new_id(), tries=0, stored=None, redo=None)
