"""`stockmeta listen` in a process of its own: real stores that tell of events, a real Redis, real messages in it."""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis

from tasks.messages import TagMessage
from tests.conftest import REPOSITORY
from tests.integration.conftest import Command
from tests.servers import Server, free_ports, seaweed_server
from worker.broker import embedded_broker
from worker.queue.connection import connect
from worker.settings import Settings

SECRET = "of this test"  # noqa: S105 - it guards nothing


@pytest.fixture
def broker() -> Iterator[str]:
    with embedded_broker() as url:
        yield url


@pytest.fixture
def redis(broker: str) -> Iterator[Redis]:
    with connect(Settings(broker_url=broker)) as client:
        yield client


def messages(redis: Redis) -> list[TagMessage]:
    """What waits for workers, as they will read it."""
    found: list[Any] = redis.lrange("uploads", 0, -1)  # type: ignore[assignment]  # the stub covers the async client too
    bodies = (json.loads(base64.b64decode(json.loads(item)["body"])) for item in found)
    return [TagMessage.from_dict(args[0]) for args, _, _ in bodies]


def keys(redis: Redis) -> set[str]:
    return {ref.key for message in messages(redis) for ref in message.refs}


def until(true: Callable[[], bool], log: Path, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)


@contextmanager
def listening(log: Path, *arguments: str, **settings: object) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the command until it listens; at the end it has to stop at SIGTERM, soon and with status 0."""
    clean = {n: v for n, v in os.environ.items() if not n.startswith(("STOCKMETA_", "AWS_"))}
    given = {name if name.startswith("AWS_") else f"STOCKMETA_{name}": str(value) for name, value in settings.items()}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "worker.cli", "listen", *arguments],
            env=clean | given,
            cwd=REPOSITORY,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        until(lambda: "listening" in log.read_text() or process.poll() is not None, log)
        assert process.poll() is None, log.read_text()
        yield process
        start = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0, log.read_text()
        assert time.monotonic() - start < 5
        assert "stopped: " in log.read_text()
        assert "Traceback" not in log.read_text()
    finally:
        process.kill()
        process.wait()


def aws(server: Server) -> dict[str, object]:
    return {name.removeprefix("STOCKMETA_"): value for name, value in server.environment.items()}


@contextmanager
def seaweed_that_tells(tmp_path: Path, port: int) -> Iterator[Server]:
    folder = tmp_path / "weed"
    folder.mkdir()
    name = "WEED_NOTIFICATION_WEBHOOK"
    environment = {
        f"{name}_ENABLED": "true",
        f"{name}_ENDPOINT": f"http://127.0.0.1:{port}/",
        f"{name}_BEARER_TOKEN": SECRET,
        f"{name}_TIMEOUT_SECONDS": "60",
    }
    with seaweed_server(folder, environment=environment) as server:
        yield server


def test_seaweedfs_tells_of_uploads_renames_and_deletions_and_own_outputs_make_no_work(
    tmp_path: Path, broker: str, redis: Redis
) -> None:
    (port,) = free_ports(1)
    log = tmp_path / "log"
    odd = ["녹색 a+b%2F.jpg", "new\nline.jpg", "\x1b[31m.jpg"]
    with ExitStack() as stack:
        server = stack.enter_context(seaweed_that_tells(tmp_path, port))
        client, bucket = server.s3(), server.make_bucket("stock")
        arguments = ("webhook", "--port", str(port), "--hold", "30", "--library", "s3://stock/photos")
        stack.enter_context(listening(log, *arguments, BROKER_URL=broker, WEBHOOK_SECRET=SECRET, **aws(server)))
        for key in ("photos/a.jpg", "photos/b.jpg", *(f"photos/{name}" for name in odd)):
            client.put_object(Bucket=bucket, Key=key, Body=b"1")
        expected = {"photos/a.jpg", "photos/b.jpg", *(f"photos/{name}" for name in odd)}
        until(lambda: keys(redis) == expected, log)
        redis.delete("uploads")

        # Sidecars, and whatever else lies there; and what is none of the library's.
        record = ".stockmeta/0123456789ab/done/stock/photos/a.jpg.json"
        for key in (record, ".stockmeta/current.jpg", "elsewhere/a.jpg", "photos/notes.txt"):
            client.put_object(Bucket=bucket, Key=key, Body=b"1")
        client.delete_object(Bucket=bucket, Key="photos/a.jpg")
        until(lambda: keys(redis) == {"photos/a.jpg"}, log)
        filer = f"http://127.0.0.1:{server.ports[3]}/buckets/stock"
        move = urllib.request.Request(  # noqa: S310 - ours
            f"{filer}/photos/c.jpg?mv.from=/buckets/stock/photos/b.jpg", method="POST"
        )
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(move, timeout=10).close()
        until(lambda: keys(redis) == {"photos/a.jpg", "photos/b.jpg", "photos/c.jpg"}, log)

        # A moment without Redis: SeaweedFS would not come again, so the request waits.
        pid = int(redis.info("server")["process_id"])
        os.kill(pid, signal.SIGSTOP)
        client.put_object(Bucket=bucket, Key="photos/d.jpg", Body=b"1")
        time.sleep(1)
        os.kill(pid, signal.SIGCONT)
        until(lambda: "photos/d.jpg" in keys(redis), log)

        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            assert http.get("/readyz").status_code == 200
            assert http.post("/", json={}).status_code == 401
    said = re.search(r"(\d+) images sent to the queue, \d+ events dropped \((.*)\)", log.read_text())
    assert said is not None
    assert int(said[1]) == 9
    assert "2 own_output" in said[2]
    assert SECRET not in log.read_text()


def test_s3_tells_through_sqs(tmp_path: Path, broker: str, redis: Redis, moto_server: Server) -> None:
    log, bucket, s3, sqs = tmp_path / "log", moto_server.make_bucket(), moto_server.s3(), moto_server.sqs()
    url = sqs.create_queue(QueueName=bucket)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    s3.put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]},
    )
    current = {"schema": "stockmeta-current/1", "serving": "a" * 12, "filling": "b" * 12}
    s3.put_object(Bucket=bucket, Key=".stockmeta/current.json", Body=json.dumps(current))
    settings = aws(moto_server) | {"BROKER_URL": broker, "LIBRARY": f"s3://{bucket}", "LOG_FORMAT": "json"}
    (port,) = free_ports(1)
    with listening(log, "sqs", "--queue-url", url, **settings, HTTP_PORT=port):
        names = [f"{number} +.jpg" for number in range(30)]
        for name in names:
            s3.put_object(Bucket=bucket, Key=name, Body=b"1")
        # While one generation is being filled, uploads go to both.
        until(lambda: sum(len(message.refs) for message in messages(redis)) >= 60, log)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            assert http.get("/readyz").status_code == 200
            assert 'stockmeta_events_total{source="sqs",verdict="accepted"} 30.0' in http.get("/metrics").text
    assert keys(redis) == set(names)
    assert {message.generation for message in messages(redis)} == {"a" * 12, "b" * 12}
    for line in log.read_text().splitlines():
        assert {"time", "level", "event"} <= json.loads(line).keys()


def test_a_folder_of_many_files_makes_few_messages(tmp_path: Path, broker: str, redis: Redis) -> None:
    log, root = tmp_path / "log", tmp_path / "stock"
    root.mkdir()
    with listening(log, "folder", "--settle", "0.5", BROKER_URL=broker, LIBRARY=root):
        for number in range(10_000):
            path = root / f"{number % 10}" / f"{number}.jpg"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"1")
        until(lambda: sum(len(message.refs) for message in messages(redis)) >= 10_000, log, 60)
        found = messages(redis)
        assert {ref.key for message in found for ref in message.refs} == {f"{n % 10}/{n}.jpg" for n in range(10_000)}
        assert all(ref.bucket == "stock" for message in found for ref in message.refs)
        assert len(found) < 10_000 / 64 * 3


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        (["folder"], {"LIBRARY": REPOSITORY / "docs"}, "STOCKMETA_BROKER_URL"),
        (["folder"], {"BROKER_URL": "redis://127.0.0.1:1/0"}, "STOCKMETA_LIBRARY"),
        (
            ["webhook"],
            {"LIBRARY": REPOSITORY / "docs", "BROKER_URL": "redis://127.0.0.1:1/0"},
            "STOCKMETA_WEBHOOK_SECRET",
        ),
        (["webhook", "--insecure"], {"WEBHOOK_SECRET": SECRET}, "leave one of them out"),
        (
            ["sqs", "--queue-url", "http://127.0.0.1:1/1/q"],
            {"LIBRARY": REPOSITORY / "docs", "BROKER_URL": "redis://127.0.0.1:1/0"},
            "SQS tells of buckets",
        ),
        (["sqs"], {}, "--queue-url"),
    ],
)
def test_what_is_missing_is_said(
    stockmeta: Command, arguments: list[str], settings: dict[str, object], message: str
) -> None:
    result = stockmeta("listen", *arguments, **settings)
    assert result.returncode == 2, result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_a_wrong_queue_url_ends_it(
    stockmeta: Command, broker: str, moto_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, object] = {"BROKER_URL": broker, "LIBRARY": f"s3://{moto_server.make_bucket()}"}
    for name, value in moto_server.environment.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
        else:
            settings[name.removeprefix("STOCKMETA_")] = value
    result = stockmeta("listen", "sqs", "--queue-url", f"{moto_server.endpoint}/123456789012/none", **settings)
    assert result.returncode == 2
    assert "there is no SQS queue" in result.stderr


def test_too_few_watches_are_the_operators_to_raise(tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / "stock" / f"{number}").mkdir(parents=True)
    script = 'echo 3 > /proc/sys/user/max_inotify_watches && exec "$0" -m worker.cli listen folder'
    unshare = shutil.which("unshare")
    if not unshare or subprocess.run([unshare, "-Ur", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system gives no user namespaces")
    result = subprocess.run(
        [unshare, "-Ur", "sh", "-c", script, sys.executable],
        env=os.environ
        | {"STOCKMETA_LIBRARY": str(tmp_path / "stock"), "STOCKMETA_BROKER_URL": "redis://127.0.0.1:1/0"},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 2, result.stderr
    assert "fs.inotify.max_user_watches" in result.stderr
