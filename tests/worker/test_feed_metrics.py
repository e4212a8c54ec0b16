"""What a feed shows of itself."""

from collections import Counter

from prometheus_client.exposition import generate_latest

from tasks.errors import Unavailable
from tasks.feeding.changes import Backlog
from tasks.feeding.reconcile import Compared
from tasks.feeding.watch import Silent, Watcher
from worker.metrics import Metrics


def shown(metrics: Metrics) -> dict[str, float]:
    lines = generate_latest(metrics.registry).decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line.startswith("stockmeta_feed"))
    return {name: float(value) for name, value in pairs}


def test_all_that_it_is_told_is_shown() -> None:
    metrics = Metrics()
    watcher: Watcher = metrics.feed("opensearch", lambda: Backlog(12, 3.5))
    watcher.delivered({"put": 5, "removed": 2, "refused": 1})
    watcher.committed([0.2, 4.0])
    watcher.away("index", 1.5)
    watcher.compared(Compared(9, 10, Counter({"missing": 3}), Counter({"put": 2, "broken": 1}), kept=4), 12.5)
    found = shown(metrics)
    sink = 'sink="opensearch"'
    assert found[f'stockmeta_feed_documents_total{{outcome="put",{sink}}}'] == 5
    assert found[f'stockmeta_feed_documents_total{{outcome="refused",{sink}}}'] == 1
    assert found[f'stockmeta_feed_documents_total{{outcome="unsettled",{sink}}}'] == 0
    assert found[f"stockmeta_feed_lag_seconds_count{{{sink}}}"] == 2
    assert found[f"stockmeta_feed_lag_seconds_sum{{{sink}}}"] == 4.2
    assert found[f'stockmeta_feed_unavailable_seconds_total{{{sink},what="index"}}'] == 1.5
    assert found[f'stockmeta_feed_unavailable_seconds_total{{{sink},what="stream"}}'] == 0
    assert found[f"stockmeta_feed_comparison_seconds{{{sink}}}"] == 12.5
    assert found[f"stockmeta_feed_differences{{{sink}}}"] == 3
    assert found[f"stockmeta_feed_remaining_differences{{{sink}}}"] == 5
    assert found[f"stockmeta_feed_compared_timestamp_seconds{{{sink}}}"] > 1e9
    assert found[f"stockmeta_feed_backlog_changes{{{sink}}}"] == 12
    assert found[f"stockmeta_feed_backlog_seconds{{{sink}}}"] == 3.5


def test_a_stream_that_does_not_answer_leaves_the_rest() -> None:
    def away() -> Backlog:
        raise Unavailable("no answer")

    metrics = Metrics()
    metrics.feed("local", away)
    found = shown(metrics)
    assert not any("backlog" in name for name in found)
    assert 'stockmeta_feed_documents_total{outcome="put",sink="local"}' in found


def test_a_watcher_may_be_silent() -> None:
    silent: Watcher = Silent()
    silent.delivered({"put": 1})
    silent.committed([1.0])
    silent.away("stream", 1.0)
    silent.compared(Compared(0, 0, Counter(), Counter()), 1.0)
