"""The Celery tasks: explicit names, JSON in, nothing out. They find what they need on the application."""

import logging
from typing import Any, Protocol, cast

from celery import Task, shared_task

from tasks.messages import TagMessage
from tasks.tag import Tagger, tag_many

logger = logging.getLogger(__name__)

MAX_RETRIES = 5
BACKOFF_SECONDS = 5


class Runtime(Protocol):
    """What `worker.runtime` puts on the application."""

    tagger: Tagger
    threads: int


@shared_task(name="stockmeta.tag", bind=True, max_retries=MAX_RETRIES)
def tag(self: "Task[Any, None]", message: object) -> None:
    """Tag the images of one message.

    Committed images are not touched again by a redelivery. What did not end, because a store or a device was not
    there, goes back to the queue alone, later and later.
    """
    runtime: Runtime = cast("Any", self.app).stockmeta
    work = TagMessage.from_dict(message)
    unfinished = []
    for outcome in tag_many(runtime.tagger, work.refs, runtime.threads):
        if not outcome.committed and outcome.record.reason != "vanished":
            logger.warning("%r did not end: %s", outcome.ref.key, outcome.record.detail)
            unfinished.append(outcome.ref)
    if unfinished:
        again = work.only(unfinished).to_dict()
        raise self.retry(args=(again,), countdown=BACKOFF_SECONDS * 2**self.request.retries)
