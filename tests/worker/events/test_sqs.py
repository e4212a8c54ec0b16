"""A real SQS (moto's), which a real S3 notifies; only our own queue is one that remembers."""

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tasks.errors import ConfigurationError
from tasks.generations.pointer import Current
from tests.servers import Server, free_ports
from tests.servers import moto_server as started_moto
from tests.worker.events.conftest import Remembered
from tests.worker.events.test_event_records import eventbridge
from worker.events.intake import Drop, Intake, Scope, Tally
from worker.events.sqs import SqsSource, connect

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)


def make_queue(client: "SQSClient", **attributes: str) -> str:
    return client.create_queue(QueueName=f"q-{uuid.uuid4().hex}", Attributes=attributes)["QueueUrl"]  # type: ignore[arg-type]


def arn(client: "SQSClient", url: str) -> str:
    return client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def left(client: "SQSClient", url: str) -> tuple[int, int]:
    """Messages that wait, and that somebody has in hand."""
    names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    found = client.get_queue_attributes(QueueUrl=url, AttributeNames=list(names))["Attributes"]
    return int(found[names[0]]), int(found[names[1]])


def until(true: Callable[[], bool], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


@contextmanager
def listening(url: str, intake: Intake) -> Iterator[SqsSource]:
    stop = threading.Event()
    source = SqsSource(connect(url, "us-east-1"), url, intake, stop)
    thread = threading.Thread(target=source.run)
    thread.start()
    try:
        yield source
    finally:
        start = time.monotonic()
        stop.set()
        thread.join(30)
        # A poll lasts twenty seconds; stopping does not.
        assert time.monotonic() - start < 5
        assert not thread.is_alive()


@pytest.fixture
def sqs(moto_server: Server) -> "SQSClient":
    return moto_server.sqs()


def test_what_s3_tells_arrives_and_is_deleted_there(moto_server: Server, sqs: "SQSClient", queue: Remembered) -> None:
    bucket, url = moto_server.make_bucket(), make_queue(sqs)
    s3 = moto_server.s3()
    s3.put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={
            "QueueConfigurations": [{"QueueArn": arn(sqs, url), "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}]
        },
    )
    tally = Tally()
    intake = Intake(Scope(bucket, "", None, frozenset({"jpg"})), queue, Current, tally)
    keys = ["deep/a b+c.jpg", "녹색.jpg", "100%.jpg", "notes.txt"]
    with listening(url, intake):
        for key in keys:
            s3.put_object(Bucket=bucket, Key=key, Body=b"1")
        s3.delete_object(Bucket=bucket, Key="gone.jpg")
        until(lambda: set(queue.keys) >= set(keys[:3]))
        until(lambda: left(sqs, url) == (0, 0))
    # S3 sends a test first.
    assert tally.dropped[Drop.IGNORED] >= 1
    assert tally.dropped[Drop.NO_IMAGE] == 1


def test_while_our_queue_is_away_messages_stay_and_are_fetched_once(
    sqs: "SQSClient", queue: Remembered, intake: Intake
) -> None:
    url = make_queue(sqs)
    for number in range(12):
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(eventbridge(f"{number}.jpg")))
    queue.fail = 2
    with listening(url, intake):
        until(lambda: queue.fail < 2)
        # Ten in hand, and no more are fetched for it.
        assert left(sqs, url) == (2, 10)
        assert queue.keys == []
        until(lambda: left(sqs, url) == (0, 0))
    assert sorted(queue.keys) == sorted(f"{number}.jpg" for number in range(12))


def test_what_nobody_can_read_ends_in_the_dead_letter_queue(
    sqs: "SQSClient", queue: Remembered, intake: Intake, caplog: pytest.LogCaptureFixture
) -> None:
    dead = make_queue(sqs)
    policy = json.dumps({"deadLetterTargetArn": arn(sqs, dead), "maxReceiveCount": 2})
    url = make_queue(sqs, VisibilityTimeout="1", RedrivePolicy=policy)
    bodies = ["hello", json.dumps({"hello": 1}), json.dumps(eventbridge("a.jpg"))]
    for body in bodies:
        sqs.send_message(QueueUrl=url, MessageBody=body)
    with listening(url, intake) as source:
        source.check()
        until(lambda: left(sqs, dead) == (2, 0))
        until(lambda: left(sqs, url) == (0, 0))
    assert queue.keys == ["a.jpg"]
    assert len([record for record in caplog.records if "left in the queue" in record.message]) == 1
    assert not [record for record in caplog.records if "no dead-letter queue" in record.message]


def test_a_queue_without_a_dead_letter_queue_is_said(
    sqs: "SQSClient", intake: Intake, caplog: pytest.LogCaptureFixture
) -> None:
    url = make_queue(sqs)
    SqsSource(sqs, url, intake, threading.Event()).check()
    assert "no dead-letter queue" in caplog.text


def test_a_wrong_queue_is_an_error_at_the_start(moto_server: Server, sqs: "SQSClient", intake: Intake) -> None:
    url = f"{moto_server.endpoint}/123456789012/no-such-queue"
    with pytest.raises(ConfigurationError, match="there is no SQS queue"):
        SqsSource(sqs, url, intake, threading.Event()).check()


def test_no_credentials_are_said_and_do_not_end_it(
    moto_server: Server,
    intake: Intake,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with listening(f"{moto_server.endpoint}/123456789012/q", intake) as source:
        source.check()
        until(lambda: caplog.text.count("Unable to locate credentials") >= 2)


def test_what_is_not_allowed_is_tried_again_until_it_is(
    tmp_path: Path, queue: Remembered, intake: Intake, caplog: pytest.LogCaptureFixture
) -> None:
    with started_moto(tmp_path) as server:
        url = server.sqs().create_queue(QueueName="q")["QueueUrl"]
        server.sqs().send_message(QueueUrl=url, MessageBody=json.dumps(eventbridge("a.jpg")))

        def allow(requests: int) -> None:
            """Moto checks credentials after so many requests; ours are nobody's."""
            answer = httpx.post(f"{server.endpoint}/moto-api/reset-auth", content=str(requests), trust_env=False)
            assert answer.status_code == 200

        allow(0)
        with listening(url, intake) as source:
            source.check()
            until(lambda: caplog.text.count("SQS gives no messages") >= 2)
            assert "403 at ReceiveMessage (the listener needs sqs:ReceiveMessage" in caplog.text
            assert queue.keys == []
            allow(1000)
            until(lambda: queue.keys == ["a.jpg"])


def test_it_outlives_a_service_that_goes_and_comes_back(tmp_path: Path, queue: Remembered, intake: Intake) -> None:
    ports = free_ports(1)
    with started_moto(tmp_path, ports) as server:
        url = server.sqs().create_queue(QueueName="q")["QueueUrl"]
        with listening(url, intake):
            server.kill()
            with started_moto(tmp_path, ports) as again:
                # It has forgotten the queue, which is an error for as long as it is not made again.
                time.sleep(1.5)
                again.sqs().create_queue(QueueName="q")
                again.sqs().send_message(QueueUrl=url, MessageBody=json.dumps(eventbridge("a.jpg")))
                until(lambda: queue.keys == ["a.jpg"], 20)
