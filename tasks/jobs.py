"""The Celery tasks: explicit names, JSON in, nothing out. They find what they need on the application."""

import logging
import time
from typing import Any, NamedTuple, Protocol, cast

from celery import Task, shared_task
from celery.exceptions import Reject

from tasks.errors import Unavailable
from tasks.messages import SENT, SUSPECT_TASK, TASK, NewerMessage, TagMessage

logger = logging.getLogger(__name__)

NEWER_SECONDS = 5
"""Pause before a message of a newer version goes back, for a newer worker to take."""


class Delivery(NamedTuple):
    """How a message came.

    Attributes:
        queue: where it waited.
        redelivered: it was given to a worker before that did not finish it.
        waited: seconds since it was published, by two clocks; `None`: it does not say when that was.
    """

    queue: str
    redelivered: bool
    waited: float | None = None


class Worker(Protocol):
    """Does what a message asks for. What does not end is in another message when `run` returns."""

    def run(self, message: TagMessage, delivery: Delivery) -> None:
        """Raises `Unavailable` when the queue does not take what is left: then the message has to go back itself."""


class Service(Protocol):
    """What `worker.service` puts on the application."""

    work: Worker
    suspects: Worker

    def pause(self, seconds: float) -> None:
        """Wait, unless the process is to stop."""


@shared_task(name=TASK, bind=True)
def tag(self: "Task[Any, None]", message: object) -> None:
    """Bring the images of one message up to date."""
    service: Service = cast("Any", self.app).stockmeta
    _run(self, service, service.work, message)


@shared_task(name=SUSPECT_TASK, bind=True)
def suspect(self: "Task[Any, None]", message: object) -> None:
    """Bring one image up to date in a process of its own: it may be what brought a worker down."""
    service: Service = cast("Any", self.app).stockmeta
    _run(self, service, service.suspects, message)


def _run(task: "Task[Any, None]", service: Service, worker: Worker, data: object) -> None:
    """Only `Reject` with `requeue` keeps a message: a task that raises anything else is acknowledged."""
    try:
        message = TagMessage.from_dict(data)
    except NewerMessage as error:
        service.pause(NEWER_SECONDS)
        raise Reject(str(error), requeue=True) from error
    except ValueError as error:
        # Nobody can ever read it, and it names no image. Its beginning is logged, without control characters.
        logger.error("dropped what is no message (%s): %.200r", error, data)
        return
    info = cast("dict[str, Any]", task.request.delivery_info or {})
    try:
        worker.run(message, Delivery(str(info.get("routing_key")), bool(info.get("redelivered")), _waited(task)))
    except Unavailable as error:
        raise Reject(str(error), requeue=True) from error


def _waited(task: "Task[Any, None]") -> float | None:
    sent = getattr(task.request, SENT, None)
    return time.time() - sent if isinstance(sent, float) else None
