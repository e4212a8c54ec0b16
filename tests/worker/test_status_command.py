"""`stockmeta status` on a real server."""

import json
from collections.abc import Iterator

import pytest
from redis import Redis
from typer.testing import CliRunner

from tasks.messages import TagMessage
from tasks.records import ImageRef
from worker import cli
from worker.broker import embedded_broker
from worker.celery_settings import make_sender
from worker.commands.status import render, run
from worker.queue.connection import connect
from worker.queue.heartbeat import Heartbeat, WorkerState
from worker.queue.redis_queue import RedisQueue
from worker.queue.snapshot import QueueState, Snapshot
from worker.settings import Settings

WORKER = WorkerState(
    "1",
    "host",
    7,
    "0123456789ab",
    "starter",
    ("uploads", "backfill"),
    1000.0,
    {"rejected/truncated": 2, "tagged": 30},
    1.5,
    3,
)


@pytest.fixture
def settings() -> Iterator[Settings]:
    with embedded_broker() as url:
        yield Settings(broker_url=url)


@pytest.fixture
def client(settings: Settings) -> Iterator[Redis]:
    with connect(settings) as client:
        yield client


def send(settings: Settings, client: Redis) -> None:
    with make_sender(settings) as sender:
        RedisQueue(sender, client).send(TagMessage((ImageRef("photos", "a.jpg"),)), "uploads")


def test_one_object(settings: Settings, client: Redis, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    send(settings, client)
    Heartbeat(client, lambda: WORKER).beat()
    assert run(settings, as_json=True) == 0
    printed = capfdbinary.readouterr()
    (line,) = printed.out.splitlines()
    data = json.loads(line)
    assert [queue["name"] for queue in data["queues"]] == ["uploads", "backfill", "suspects"]
    assert [queue["waiting"] for queue in data["queues"]] == [1, 0, 0]
    assert data["queues"][0]["oldest_seconds"] < 60
    assert data["queues"][1]["oldest_seconds"] is None
    assert data["workers"][0]["outcomes"] == {"rejected/truncated": 2, "tagged": 30}
    assert (data["in_hand"], data["deferred"], data["failing"], data["per_second"]) == (0, 0, 0, 1.5)
    assert printed.err == b""


def test_a_table_and_a_word_where_no_worker_is(
    settings: Settings, client: Redis, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    send(settings, client)
    assert run(settings, as_json=False) == 0
    printed = capfdbinary.readouterr()
    rows = [line.split() for line in printed.out.decode().splitlines()]
    assert rows[0][:2] == ["queue", "waiting"]
    assert [row[:2] for row in rows[1:4]] == [["uploads", "1"], ["backfill", "0"], ["suspects", "0"]]
    assert b"no worker was heard of" in printed.err


def test_the_table_in_full() -> None:
    queues = (
        QueueState("uploads", 3, 1.2, 5, 130.0),
        QueueState("backfill", 70_000, 7300.0, 70_001, 3 * 86400.0),
        QueueState("suspects", 0, None, 0, None),
    )
    text = render(Snapshot(queues, in_hand=2, deferred=1, failing=4, workers=(WORKER,)), now=1090.0)
    assert text.splitlines() == [
        "queue     waiting  oldest  in ledger  oldest there",
        "uploads         3     1 s          5         2 min",
        "backfill    70000     2 h      70001           3 d",
        "suspects        0       –          0             –",
        "in hand 2, put off 1, failing images 4, images a second 1.5",
        "",
        "worker  model    generation    queues               up  images/s  under way  outcomes",
        "host:7  starter  0123456789ab  uploads, backfill  90 s       1.5          3  tagged 30, rejected/truncated 2",
    ]


def test_without_a_broker_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("STOCKMETA_BROKER_URL", raising=False)
    monkeypatch.setattr("sys.argv", ["stockmeta", "status"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert "STOCKMETA_BROKER_URL" in capsys.readouterr().err


def test_a_redis_that_is_away_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("STOCKMETA_BROKER_URL", "redis://:hidden@127.0.0.1:1/0")
    monkeypatch.setattr("sys.argv", ["stockmeta", "status", "--json"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    printed = capsys.readouterr()
    assert ended.value.code == 1
    assert printed.out == ""
    assert printed.err == "stockmeta: the queue could not be looked at: Redis cannot be reached, or hung up\n"


def test_the_help_teaches() -> None:
    said = CliRunner().invoke(cli.app, ["status", "--help"]).output
    assert "stockmeta status --json" in said
