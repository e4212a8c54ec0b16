"""Metrics that are looked up when somebody scrapes: the queue, and what a listener counts anyway."""

import logging
from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tasks.errors import StockmetaError
from tasks.messages import QUEUES
from tasks.traffic import OPERATIONS
from worker.events.intake import Drop, Tally
from worker.labels import SOURCES, VERDICTS, known
from worker.probes import Probe
from worker.queue.snapshot import QueueState, Snapshot
from worker.storage.counted import Meter

logger = logging.getLogger(__name__)

SCRAPE_SECONDS = 2.0
"""What a look at the queue may take: a scrape has ten seconds by default, and shows the rest without it."""


class ListenerEvents(Collector):
    """A listener's tally; it counts anyway, for its log."""

    def __init__(self, source: str, tally: Tally) -> None:
        self._source = known(source, SOURCES)
        self._tally = tally

    def collect(self) -> Iterator[Metric]:
        """All verdicts, from the first scrape on, so that rates are right."""
        labels = ("source", "verdict")
        family = CounterMetricFamily("stockmeta_events", "Events, accepted or why they were dropped.", labels=labels)
        dropped = self._tally.dropped
        for verdict in sorted(VERDICTS - {"accepted"}):
            family.add_metric((self._source, verdict), dropped.get(Drop(verdict), 0))
        family.add_metric((self._source, "accepted"), self._tally.accepted)
        yield family


class StoreTraffic(Collector):
    """A library's meter, which counts anyway. Folders have no requests."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def collect(self) -> Iterator[Metric]:
        """All kinds, from the first scrape on, so that rates are right."""
        total = self._meter.total
        requests = CounterMetricFamily(
            "stockmeta_store_requests", "Requests to S3, as it bills them.", labels=("operation",)
        )
        for operation in OPERATIONS:
            requests.add_metric((operation,), getattr(total, operation))
        size = CounterMetricFamily(
            "stockmeta_store_bytes", "Bytes read from S3, and written to it.", labels=("direction",)
        )
        size.add_metric(("read",), total.read)
        size.add_metric(("written",), total.written)
        return iter((requests, size))


class WholeQueue(Collector):
    """What the queue holds; where it cannot be looked at, only that."""

    def __init__(self, look: Callable[[], Snapshot], fresh: float) -> None:
        self._probe = Probe(look, fresh, SCRAPE_SECONDS)

    def describe(self) -> Iterator[Metric]:
        """Names only: the registry must not look at the queue to learn them."""
        return iter(queue_families(None))

    def collect(self) -> Iterator[Metric]:
        """Look at the queue, and say what it holds."""
        snapshot = None
        try:
            snapshot = self._probe.get()
        except StockmetaError as error:
            logger.warning("the queue cannot be looked at: %s", error)
        except Exception:
            logger.exception("a bug, met at looking at the queue")
        families = queue_families(snapshot)
        return iter(families if snapshot else families[:1])


def queue_families(snapshot: Snapshot | None) -> list[Metric]:
    """What is shown of the queue, the first being whether it could be looked at; `None` gives the names alone."""
    up = GaugeMetricFamily("stockmeta_queue_up", "Whether the queue could be looked at.", float(snapshot is not None))
    queues = snapshot.queues if snapshot else ()
    by_queue: tuple[tuple[str, str, Callable[[QueueState], float | None]], ...] = (
        ("queue_messages", "Messages that wait.", lambda queue: queue.waiting),
        (
            "queue_oldest_seconds",
            "Age of the oldest that waits.",
            lambda queue: _age(queue.oldest_seconds, queue.waiting),
        ),
        ("ledger_messages", "Messages that are not done.", lambda queue: queue.open),
        (
            "ledger_oldest_seconds",
            "Age of the oldest that is not done.",
            lambda queue: _age(queue.open_seconds, queue.open),
        ),
    )
    found: list[Metric] = [up]
    for name, said, measure in by_queue:
        family = GaugeMetricFamily(f"stockmeta_{name}", said, labels=("queue",))
        for queue in queues:
            if (value := measure(queue)) is not None:
                family.add_metric((known(queue.name, QUEUES),), value)
        found.append(family)
    whole: tuple[tuple[str, str, Callable[[Snapshot], float]], ...] = (
        ("queue_in_hand", "Messages that workers have taken and not acknowledged.", lambda all_: all_.in_hand),
        ("deferred_messages", "Messages that wait for their time.", lambda all_: all_.deferred),
        ("failing_images", "Images that failed alone within a week and did not end since.", lambda all_: all_.failing),
        ("workers", "Workers that told of themselves within half a minute.", lambda all_: len(all_.workers)),
        ("images_per_second", "Of all workers, over the last minute.", lambda all_: all_.per_second),
    )
    found += [GaugeMetricFamily(f"stockmeta_{n}", said, f(snapshot) if snapshot else 0) for n, said, f in whole]
    return found


def _age(seconds: float | None, messages: int) -> float | None:
    """None waits: 0. Some wait and none says since when: unknown."""
    return 0.0 if not messages else seconds
