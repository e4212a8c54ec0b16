"""The Celery tasks: explicit names, JSON in, nothing out. They find what they need on the application."""

import logging
from typing import Any, Protocol, cast

from celery import Task, shared_task
from celery.exceptions import Reject

from tasks.messages import TagMessage
from tasks.tag import Tagger, tag_many

logger = logging.getLogger(__name__)

BACKOFF_SECONDS, MOST_SECONDS = 5, 300
BUG_ATTEMPTS = 3
AGAIN = frozenset({"unavailable", "conflict"})
"""What passes by itself, however long it takes; giving up would lose the images."""


class Runtime(Protocol):
    """What `worker.runtime` puts on the application."""

    tagger: Tagger
    threads: int


@shared_task(name="stockmeta.tag", bind=True, max_retries=None)
def tag(self: "Task[Any, None]", message: object) -> None:
    """Tag the images of one message.

    Committed images are not touched again by a redelivery. What did not end, because a store or a device was not
    there, goes back to the queue alone, later and later. A bug is tried a few times, then left in the log: the image
    has no sidecar, and so is found by the next listing.
    """
    runtime: Runtime = cast("Any", self.app).stockmeta
    unfinished = []
    for outcome in tag_many(runtime.tagger, TagMessage.from_dict(message).refs, runtime.threads):
        if outcome.committed:
            continue
        logger.warning("%r did not end: %s: %s", outcome.ref.key, outcome.record.reason, outcome.record.detail)
        bug = outcome.record.reason == "internal_error" and self.request.retries < BUG_ATTEMPTS
        if bug or outcome.record.reason in AGAIN:
            unfinished.append(outcome.ref)
    if unfinished:
        again = TagMessage(tuple(unfinished)).to_dict()
        countdown = min(MOST_SECONDS, BACKOFF_SECONDS * 2 ** min(self.request.retries, 10))
        try:
            raise self.retry(args=(again,), countdown=countdown)
        except Reject as error:
            # The queue did not take it, being full or away. Celery would acknowledge the message and lose its images.
            raise Reject(str(error), requeue=True) from error
