"""Prometheus metrics of one process, in a registry of their own. What may be a label is known beforehand."""

import logging
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tasks.errors import Reason, StockmetaError
from tasks.messages import QUEUES
from tasks.records import Outcome, Status
from worker.events.intake import Drop, Tally
from worker.probes import Probe
from worker.queue.snapshot import QueueState, Snapshot

logger = logging.getLogger(__name__)

OTHER = "other"
STATUSES = frozenset(Status)
REASONS = frozenset(Reason) | {
    "",
    "no_evidence",
    "vanished",
    "replaced",
    "conflict",
    "unavailable",
    "failed",
    "internal_error",
}
STAGES = frozenset({"fetch", "decode", "encode", "caption", "commit"})
SOURCES = frozenset({"sqs", "webhook", "folder"})
VERDICTS = frozenset(Drop) | {"accepted"}

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
WAITED = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14400, 86400)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)

SCRAPE_SECONDS = 2.0
"""What a look at the queue may take: a scrape has ten seconds by default, and shows the rest without it."""


def known(value: str, values: Iterable[str]) -> str:
    """The value if it is one of those, else `other`: whatever comes from outside would be a time series each."""
    return value if value in values else OTHER


class Metrics:
    """An `Observer` that counts, and `registry`, what it counted."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter = partial(Counter, namespace="stockmeta", registry=self.registry)
        histogram = partial(Histogram, namespace="stockmeta", registry=self.registry)
        self._build = Info("build", "What runs here.", namespace="stockmeta", registry=self.registry)
        self._under_way = Gauge(
            "images_under_way", "Images being worked on.", namespace="stockmeta", registry=self.registry
        )
        self._outcomes = counter(
            "outcomes",
            "Images that ended, by result: new, known (committed before), open (nothing is committed).",
            ("queue", "result", "status", "reason"),
        )
        self._image = histogram("image_seconds", "One new image, from fetch to commit.", ("queue",), buckets=SECONDS)
        self._stage = histogram("stage_seconds", "One stage of one new image.", ("stage",), buckets=SECONDS)
        self._batch = histogram("batch_images", "Images that were encoded together.", buckets=SIZES)
        self._batch_seconds = histogram("batch_seconds", "Encoding and scoring one batch.", buckets=SECONDS)
        self._batch_failures = counter("batch_failures", "Batches on which the encoder failed.")
        self._messages = counter("messages", "Messages that were taken.", ("queue",))
        self._redelivered = counter("redelivered_messages", "Messages that were taken before.", ("queue",))
        self._waited = histogram("wait_seconds", "From publishing a message to taking it.", ("queue",), buckets=WAITED)
        self._put_off = counter("put_off_images", "Images that are tried again later.", ("queue",))
        self._suspects = counter("suspect_failures", "Images that failed in a process of their own.", ("reason",))

    def describe(self, *, generation: str = "", model: str = "", engine: str = "") -> None:
        """Say what runs here."""
        names = {"version": version("stockmeta"), "generation": generation, "model": model, "engine": engine}
        self._build.info(names)

    def taken(self, queue: str, images: int, waited: float | None = None, *, again: bool = False) -> None:  # noqa: ARG002 - part of the Protocol
        """Count a message."""
        label = known(queue, QUEUES)
        self._messages.labels(label).inc()
        if again:
            self._redelivered.labels(label).inc()
        if waited is not None:
            self._waited.labels(label).observe(max(0.0, waited))

    def began(self) -> None:
        """One image more is under way."""
        self._under_way.inc()

    def outcome(self, outcome: Outcome, queue: str, seconds: float) -> None:
        """Count an image; times are those of new ones."""
        self._under_way.dec()
        record, label = outcome.record, known(queue, QUEUES)
        result = "known" if outcome.cached else "new" if outcome.committed else "open"
        reason = known(record.reason or "", REASONS)
        self._outcomes.labels(label, result, known(record.status, STATUSES), reason).inc()
        if result == "new":
            self._image.labels(label).observe(seconds)
            for stage, milliseconds in record.timings_ms.items():
                self.stage(stage, milliseconds / 1000)

    def gave_up(self) -> None:
        """One image less is under way."""
        self._under_way.dec()

    def stage(self, name: str, seconds: float) -> None:
        """Time a stage."""
        self._stage.labels(known(name, STAGES)).observe(seconds)

    def put_off(self, queue: str, images: int) -> None:
        """Count images."""
        self._put_off.labels(known(queue, QUEUES)).inc(images)

    def batch(self, images: int, seconds: float) -> None:
        """Measure a batch."""
        self._batch.observe(images)
        self._batch_seconds.observe(seconds)

    def batch_failed(self, images: int) -> None:  # noqa: ARG002 - part of the Protocol
        """Count a batch."""
        self._batch_failures.inc()

    def suspect_failed(self, reason: str) -> None:
        """Count an image."""
        self._suspects.labels(known(reason, REASONS)).inc()

    def watch(self, look: Callable[[], Snapshot], fresh: float = 5.0) -> None:
        """Show the queue too, as `look` finds it when somebody scrapes, at most every `fresh` seconds."""
        self.registry.register(_Queue(Probe(look, fresh, SCRAPE_SECONDS)))

    def listen(self, source: str, tally: Tally) -> None:
        """Show what a listener (`sqs`, `webhook` or `folder`) took and dropped."""
        self.registry.register(_Events(known(source, SOURCES), tally))


class _Events(Collector):
    """A listener's tally; it counts anyway, for its log."""

    def __init__(self, source: str, tally: Tally) -> None:
        self._source = source
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


class _Queue(Collector):
    """What the queue holds; where it cannot be looked at, only that."""

    def __init__(self, probe: Probe[Snapshot]) -> None:
        self._probe = probe

    def describe(self) -> Iterator[Metric]:
        """Names only: the registry must not look at the queue to learn them."""
        return iter(_families(None))

    def collect(self) -> Iterator[Metric]:
        """Look at the queue, and say what it holds."""
        snapshot = None
        try:
            snapshot = self._probe.get()
        except StockmetaError as error:
            logger.warning("the queue cannot be looked at: %s", error)
        except Exception:
            logger.exception("a bug, met at looking at the queue")
        families = _families(snapshot)
        return iter(families if snapshot else families[:1])


def _families(snapshot: Snapshot | None) -> list[Metric]:
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
