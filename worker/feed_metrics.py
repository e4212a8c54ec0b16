"""Prometheus metrics of one feed; an embedded index, files and a cluster are told apart by `sink`."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tasks.errors import StockmetaError
from tasks.feeding.changes import Backlog
from tasks.feeding.deliver import WHATS, What
from tasks.feeding.reconcile import Compared
from tasks.feeding.watch import Away
from worker.collectors import SCRAPE_SECONDS
from worker.probes import Probe

logger = logging.getLogger(__name__)

LAGS = (0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 300, 900, 3600)


class FeedMetrics:
    """A `Watcher` that counts.

    Args:
        registry: where to.
        sink: `local`, `ndjson` or `opensearch`.
    """

    def __init__(self, registry: CollectorRegistry, sink: str) -> None:
        self._sink = sink
        counter = partial(Counter, namespace="stockmeta", registry=registry)
        gauge = partial(Gauge, namespace="stockmeta", registry=registry)
        self._documents = counter(
            "feed_documents",
            "Images looked at: put, removed, same (nothing to do), refused by the index, broken (its sidecar makes no "
            "document), unsettled (left to the next comparison).",
            ("sink", "outcome"),
        )
        self._lag = Histogram(
            "feed_lag_seconds",
            "From announcing a change to its being visible to searches.",
            ("sink",),
            namespace="stockmeta",
            registry=registry,
            buckets=LAGS,
        )
        self._away = counter(
            "feed_unavailable_seconds",
            "Waited for what did not answer: stream, or index and sidecars.",
            ("sink", "what"),
        )
        self._comparisons = counter("feed_comparisons", "Comparisons with the listing that ended.", ("sink",))
        self._compared_at = gauge("feed_compared_timestamp_seconds", "When the last one ended.", ("sink",))
        self._took = gauge("feed_comparison_seconds", "How long it took.", ("sink",))
        self._differed = gauge("feed_differences", "Images that it found to differ.", ("sink",))
        self._remaining = gauge("feed_remaining_differences", "Of those, images that still did at its end.", ("sink",))
        for what in WHATS:
            self._documents.labels(sink, what)
        for away in ("stream", "index"):
            self._away.labels(sink, away)

    def delivered(self, outcomes: Mapping[What, int]) -> None:
        """Count images."""
        for what, count in outcomes.items():
            self._documents.labels(self._sink, what).inc(count)

    def committed(self, lags: Sequence[float]) -> None:
        """Measure changes."""
        for lag in lags:
            self._lag.labels(self._sink).observe(lag)

    def compared(self, compared: Compared, seconds: float) -> None:
        """Count a comparison, and show what it found."""
        self._comparisons.labels(self._sink).inc()
        self._compared_at.labels(self._sink).set(time.time())
        self._took.labels(self._sink).set(seconds)
        self._differed.labels(self._sink).set(compared.differences)
        self._remaining.labels(self._sink).set(compared.remaining)

    def away(self, what: Away, seconds: float) -> None:
        """Count a pause."""
        self._away.labels(self._sink, what).inc(seconds)


class FeedBacklog(Collector):
    """What a feed has not delivered yet, looked up when somebody scrapes; nothing while it cannot be."""

    def __init__(self, sink: str, look: Callable[[], Backlog], fresh: float = 5.0) -> None:
        self._sink = sink
        self._probe = Probe(look, fresh, SCRAPE_SECONDS)

    def describe(self) -> Iterator[Metric]:
        """Names only: the registry must not look at the stream to learn them."""
        return iter(backlog_families())

    def collect(self) -> Iterator[Metric]:
        """Look at the stream."""
        changes, seconds = backlog_families()
        try:
            found = self._probe.get()
        except StockmetaError as error:
            logger.debug("the backlog cannot be looked at: %s", error)
        except Exception:
            logger.exception("a bug, met at looking at the backlog")
        else:
            if found.changes is not None:
                changes.add_metric((self._sink,), found.changes)
            seconds.add_metric((self._sink,), found.oldest)
        return iter((changes, seconds))


def backlog_families() -> tuple[GaugeMetricFamily, GaugeMetricFamily]:
    """What is shown of the backlog, empty."""
    return (
        GaugeMetricFamily("stockmeta_feed_backlog_changes", "Changes announced and not delivered.", labels=("sink",)),
        GaugeMetricFamily(
            "stockmeta_feed_backlog_seconds", "Since the oldest of them was announced.", labels=("sink",)
        ),
    )
