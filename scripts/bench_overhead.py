"""The queue alone: sending, taking, acknowledging and the ledger, with images that end at once."""

import logging
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr
from typing import Any, cast

import psutil
from bench_stand import cpu_of, until
from celery import Celery
from celery.contrib.testing.worker import start_worker
from celery.signals import setup_logging

from tasks.describe import Provenance, blank
from tasks.messages import UPLOADS, TagMessage
from tasks.records import Image, ImageRef, Outcome, Status
from tasks.tag import Tagger
from tasks.work import Work
from worker import logs
from worker.broker import embedded_broker
from worker.celery_settings import celery_settings
from worker.metrics import Metrics
from worker.queue.connection import connect
from worker.queue.ledger import LEDGERS
from worker.queue.redis_queue import RedisQueue
from worker.settings import Settings, load_settings

MADE = Provenance("0123456789ab", "none", "none", "none")


class Nothing:
    """A tagger whose images are committed as soon as they are asked for."""

    def attempt(self, ref: ImageRef) -> Outcome:
        """Said to be committed."""
        return Outcome(ref, blank(MADE, Image(ref.bucket, ref.key, ref.etag), Status.EMPTY))


class Service:
    """What Celery's tasks find on the application."""

    def __init__(self, work: Work) -> None:
        self.work = self.suspects = work

    def pause(self, seconds: float) -> None:
        """No message is one of a newer version."""


def overhead(images: int, size: int) -> list[str]:
    """Lines of figures, with messages of `size` references, and with messages of one."""
    lines = ["the queue alone (sending, taking, acknowledging, ledger, one log line an image), an image:"]
    for each in (size, 1):
        # A message of one costs many times more an image: fewer tell as much.
        count = images if each > 1 else max(1, images // 8)
        lines.append(_measure(count, each))
    return lines


def _measure(images: int, size: int) -> str:
    with embedded_broker() as url, tempfile.TemporaryFile("w") as log, redirect_stderr(log):
        settings = load_settings(broker_url=url)
        app = Celery("stockmeta-bench", include=["tasks.jobs"])
        app.conf.update(celery_settings(settings))
        with connect(settings) as client, ThreadPoolExecutor(settings.threads) as pool, app:
            queue = RedisQueue(app, client)
            work = _work(queue, pool, settings)
            cast("Any", app).stockmeta = Service(work)
            redis = int(client.info("server")["process_id"])
            with start_worker(app, pool="threads", concurrency=settings.concurrency, perform_ping_check=False):
                _send(queue, size, size, client)  # the connections are there
                before, ours = cpu_of(redis), sum(psutil.Process().cpu_times()[:2])
                sending, seconds = _send(queue, images, size, client)
                after, ours = cpu_of(redis), sum(psutil.Process().cpu_times()[:2]) - ours
    each = 1000 / images
    return (
        f"  {size:2} a message  {seconds * each:6.3f} ms, of which sending {sending * each:.3f} ms; "
        f"processor time {ours * each:.3f} ms, Redis's {(after - before) * each:.3f} ms"
    )


def _work(queue: RedisQueue, pool: ThreadPoolExecutor, settings: Settings) -> Work:
    return Work(
        tagger=cast("Tagger", Nothing()),
        queue=queue,
        pool=pool,
        observer=Metrics(),
        generation=MADE.generation,
        deadline=settings.deadline_seconds,
        closing=threading.Event(),
        stop=threading.Event(),
    )


@setup_logging.connect
def _log(**_: Any) -> None:
    """As a worker's; Celery would set up its own, and open_clip has done so for this process."""
    logging.basicConfig(handlers=[], force=True)
    logs.configure("json", logging.INFO)


def _send(queue: RedisQueue, images: int, size: int, client: Any) -> tuple[float, float]:
    """Seconds until all was sent, and until all had ended."""
    start = time.perf_counter()
    for first in range(0, images, size):
        refs = tuple(
            ImageRef("photos", f"folder/photo-{number:07}.jpg", f'"{number:032x}"')
            for number in range(first, first + size)
        )
        queue.send(TagMessage(refs), UPLOADS)
    sent = time.perf_counter() - start
    until(lambda: not client.zcard(LEDGERS[UPLOADS]), 120, "all images have ended", pause=0.005)
    return sent, time.perf_counter() - start
