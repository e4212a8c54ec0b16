"""Prometheus metrics of one process, in a registry of their own. What may be a label is known beforehand."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.metrics import MetricWrapperBase

from tasks.feeding.changes import Backlog
from tasks.messages import QUEUES
from tasks.records import Outcome
from worker.collectors import ListenerEvents, StoreTraffic, WholeQueue, queue_families
from worker.events.intake import Tally
from worker.feed_metrics import FeedBacklog, FeedMetrics, backlog_families
from worker.labels import REASONS, STAGES, STATUSES, known
from worker.queue.snapshot import Snapshot
from worker.storage.counted import Meter

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
WAITED = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14400, 86400)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """An `Observer` that counts, and `registry`, what it counted."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter = partial(Counter, namespace="stockmeta", registry=self.registry)
        histogram = partial(Histogram, namespace="stockmeta", registry=self.registry)
        self._build = Info(
            "build", "Version, generation, model and engine.", namespace="stockmeta", registry=self.registry
        )
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
        self._renditions = counter(
            "renditions",
            "Renditions looked for: used; or missing, older, unfit, and then the original is read.",
            ("result",),
        )
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

    def stage(self, name: str, seconds: float) -> None:
        """Time a stage."""
        self._stage.labels(known(name, STAGES)).observe(seconds)

    def rendition(self, result: str) -> None:
        """Count one that was looked for."""
        self._renditions.labels(result).inc()

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
        self.registry.register(WholeQueue(look, fresh))

    def count(self, meter: Meter) -> None:
        """Show the requests to a library's stores."""
        self.registry.register(StoreTraffic(meter))

    def listen(self, source: str, tally: Tally) -> None:
        """Show what a listener (`sqs`, `webhook` or `folder`) took and dropped."""
        self.registry.register(ListenerEvents(source, tally))

    def feed(self, sink: str, look: Callable[[], Backlog] | None) -> FeedMetrics:
        """Show a feed (`local`, `ndjson` or `opensearch`), and what it has not delivered, as `look` finds it."""
        if look is not None:
            self.registry.register(FeedBacklog(sink, look))
        return FeedMetrics(self.registry, sink)


@dataclass(frozen=True, slots=True)
class Said:
    """One metric, as the reference tells of it."""

    name: str
    type: str
    labels: tuple[str, ...]
    meaning: str


def reference() -> list[Said]:
    """All metrics of workers, listeners and feeds, with the names under which they are scraped."""
    found = []
    for wrapper in (*vars(Metrics()).values(), *vars(FeedMetrics(CollectorRegistry(), "local")).values()):
        if isinstance(wrapper, MetricWrapperBase):
            (family,) = wrapper.describe()
            found.append((family, tuple(wrapper._labelnames)))
    scraped = (
        *StoreTraffic(Meter()).collect(),
        *ListenerEvents("sqs", Tally()).collect(),
        *queue_families(None),
        *backlog_families(),
    )
    # Those that are made at a scrape are of classes that keep the names, though `Metric` does not.
    found += [(family, tuple(getattr(family, "_labelnames", ()))) for family in scraped]
    suffix = {"counter": "_total", "info": "_info"}
    return [Said(f.name + suffix.get(f.type, ""), f.type, labels, f.documentation) for f, labels in found]
