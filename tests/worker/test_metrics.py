"""Every metric counts what its name says, and no label comes from outside."""

import ast
import logging
import threading

import pytest
from prometheus_client.exposition import generate_latest

from tasks.errors import Unavailable
from tasks.observe import Observer, Silent
from tasks.records import Image, ImageRef, Outcome, Record, Status
from tests.conftest import REPOSITORY
from worker.events.intake import Drop, Tally
from worker.labels import REASONS
from worker.metrics import Metrics
from worker.queue.heartbeat import WorkerState
from worker.queue.snapshot import QueueState, Snapshot
from worker.storage.counted import Meter

WORKER = WorkerState("id", "host", 1, "g", "fake", ("uploads",), 0.0, per_second=2.5)
SNAPSHOT = Snapshot(
    (
        QueueState("uploads", 3, 4.5, 4, 6.5),
        QueueState("backfill", 0, None, 0, None),
        QueueState("suspects", 2, None, 2, 1.0),
        QueueState("made up", 1, 1.0, 1, 1.0),
    ),
    in_hand=1,
    deferred=7,
    failing=8,
    workers=(WORKER, WORKER),
)


def outcome(
    status: Status = Status.TAGGED, reason: str | None = None, *, cached: bool = False, committed: bool = True
) -> Outcome:
    record = Record(
        status=status,
        image=Image("b", "k", "e"),
        generation="g",
        revision=1,
        created_at="2026-01-01T00:00:00+00:00",
        updated_at="2026-01-01T00:00:00+00:00",
        reason=reason,
        timings_ms={"fetch": 250.0, "made up": 1.0},
    )
    return Outcome(ImageRef("b", "k"), record, cached, committed)


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"stockmeta_{name}", labels)


def test_both_observers_keep_the_protocol() -> None:
    observers: list[Observer] = [Metrics(), Silent()]
    for observer in observers:
        observer.taken("uploads", 3, 1.0, again=True)
        observer.began()
        observer.outcome(outcome(), "uploads", 0.5)
        observer.stage("commit", 0.1)
        observer.put_off("uploads", 2)
        observer.batch(3, 0.1)
        observer.batch_failed(3)
        observer.suspect_failed("decoder_crashed")


def test_outcomes_are_counted_by_queue_result_status_and_reason() -> None:
    metrics = Metrics()
    for _ in range(2):
        metrics.began()
        metrics.outcome(outcome(), "uploads", 0.5)
    metrics.outcome(outcome(cached=True), "uploads", 0.5)
    metrics.outcome(outcome(Status.REJECTED, "unreadable"), "backfill", 0.5)
    metrics.outcome(outcome(Status.FAILED, "unavailable", committed=False), "suspects", 0.5)
    found = {
        tuple(sample.labels.values()): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "stockmeta_outcomes_total"
    }
    assert found == {
        ("uploads", "new", "tagged", ""): 2,
        ("uploads", "known", "tagged", ""): 1,
        ("backfill", "new", "rejected", "unreadable"): 1,
        ("suspects", "open", "failed", "unavailable"): 1,
    }


def test_times_are_those_of_new_images() -> None:
    metrics = Metrics()
    metrics.outcome(outcome(), "uploads", 0.5)
    metrics.outcome(outcome(cached=True), "uploads", 0.5)
    metrics.stage("commit", 0.125)
    assert value(metrics, "image_seconds_sum", queue="uploads") == 0.5
    assert value(metrics, "stage_seconds_sum", stage="fetch") == 0.25
    assert value(metrics, "stage_seconds_sum", stage="commit") == 0.125


def test_images_under_way_go_up_and_down() -> None:
    metrics = Metrics()
    for _ in range(3):
        metrics.began()
    metrics.outcome(outcome(), "uploads", 0.5)
    assert value(metrics, "images_under_way") == 2


def test_messages_and_batches_are_counted() -> None:
    metrics = Metrics()
    metrics.taken("uploads", 64, 3.0)
    metrics.taken("uploads", 64, -0.5, again=True)
    metrics.batch(16, 0.25)
    metrics.batch_failed(16)
    metrics.put_off("backfill", 5)
    assert value(metrics, "messages_total", queue="uploads") == 2
    assert value(metrics, "redelivered_messages_total", queue="uploads") == 1
    assert value(metrics, "wait_seconds_sum", queue="uploads") == 3.0, "clocks differ; nothing waits a negative time"
    assert value(metrics, "batch_images_sum") == 16
    assert value(metrics, "batch_failures_total") == 1
    assert value(metrics, "put_off_images_total", queue="backfill") == 5


def test_labels_from_outside_become_other() -> None:
    metrics = Metrics()
    for name in ("one", "two", "three"):
        metrics.outcome(outcome(Status.FAILED, name), name, 0.5)
        metrics.taken(name, 1, 1.0)
        metrics.stage(name, 1.0)
        metrics.suspect_failed(name)
    assert value(metrics, "outcomes_total", queue="other", result="new", status="failed", reason="other") == 3
    assert value(metrics, "suspect_failures_total", reason="other") == 3
    text = generate_latest(metrics.registry).decode()
    assert not any(name in text for name in ('"one"', '"two"', '"three"', "made up"))


def test_what_runs_here_is_said() -> None:
    metrics = Metrics()
    metrics.describe(generation="abc", model="starter", engine="openvino bf16")
    assert 'generation="abc"' in generate_latest(metrics.registry).decode()


def test_the_queue_is_looked_at_when_somebody_scrapes_and_not_again_at_once() -> None:
    looked = []
    metrics = Metrics()

    def look() -> Snapshot:
        looked.append(1)
        return SNAPSHOT

    metrics.watch(look)
    assert not looked, "not when it is registered"
    for _ in range(3):
        text = generate_latest(metrics.registry).decode()
    assert len(looked) == 1
    assert 'stockmeta_queue_messages{queue="other"} 1.0' in text
    for name, expected in (
        ("queue_up", 1),
        ("queue_in_hand", 1),
        ("deferred_messages", 7),
        ("failing_images", 8),
        ("workers", 2),
        ("images_per_second", 5.0),
    ):
        assert value(metrics, name) == expected
    for name, uploads, backfill, suspects in (
        ("queue_messages", 3, 0, 2),
        ("queue_oldest_seconds", 4.5, 0, None),
        ("ledger_messages", 4, 0, 2),
        ("ledger_oldest_seconds", 6.5, 0, 1.0),
    ):
        found = [value(metrics, name, queue=queue) for queue in ("uploads", "backfill", "suspects")]
        assert found == [uploads, backfill, suspects], name


def test_a_listeners_events_are_shown_with_all_verdicts() -> None:
    metrics, tally = Metrics(), Tally()
    metrics.listen("sqs", tally)
    assert value(metrics, "events_total", source="sqs", verdict="accepted") == 0
    tally.accept(3)
    tally.drop(Drop.OUTPUT, 2)
    assert value(metrics, "events_total", source="sqs", verdict="accepted") == 3
    assert value(metrics, "events_total", source="sqs", verdict="own_output") == 2
    assert value(metrics, "events_total", source="sqs", verdict="no_image") == 0


def test_requests_to_stores_are_shown_from_the_first_scrape_on() -> None:
    metrics, meter = Metrics(), Meter()
    metrics.count(meter)
    assert value(metrics, "store_requests_total", operation="get") == 0
    meter.sent("GET", "http://store/photos/a.jpg")
    meter.sent("GET", "http://store/photos?list-type=2&prefix=a")
    meter.request("put", written=3000)
    meter.received(500)
    for operation, expected in (("get", 1), ("list", 1), ("head", 0), ("put", 1), ("delete", 0)):
        assert value(metrics, "store_requests_total", operation=operation) == expected
    assert value(metrics, "store_bytes_total", direction="read") == 500
    assert value(metrics, "store_bytes_total", direction="written") == 3000


@pytest.mark.parametrize("trouble", [Unavailable("redis is away"), ZeroDivisionError("a bug")])
def test_a_queue_that_cannot_be_looked_at_is_absent_and_the_rest_is_there(
    trouble: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = Metrics()
    metrics.batch(3, 0.1)

    def look() -> Snapshot:
        raise trouble

    metrics.watch(look)
    with caplog.at_level(logging.WARNING):
        text = generate_latest(metrics.registry).decode()
    assert "stockmeta_queue_up 0.0" in text
    assert "stockmeta_batch_images_count 1.0" in text
    assert "stockmeta_queue_messages" not in text
    assert "looked at" in caplog.text or "looking at" in caplog.text


def test_a_frozen_queue_does_not_hold_up_a_scrape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.collectors.SCRAPE_SECONDS", 0.05)
    never = threading.Event()
    metrics = Metrics()

    def look() -> Snapshot:
        never.wait()
        return SNAPSHOT

    metrics.watch(look)
    try:
        assert "stockmeta_queue_up 0.0" in generate_latest(metrics.registry).decode()
    finally:
        never.set()


def test_every_reason_that_the_work_gives_is_known() -> None:
    given = set()
    for path in (REPOSITORY / "tasks").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "reason":
                given |= {c.value for c in ast.walk(node.value) if isinstance(c, ast.Constant) and c.value is not None}
    assert "no_evidence" in given
    assert given <= REASONS
