"""`stockmeta feed … --follow` in a process of its own: a real folder, a real Redis, the embedded index and files."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tasks.feeding.changes import Change
from tasks.generations.pointer import open_generation, promote
from tasks.layout import FOLDER_KEYS, Layout
from tasks.records import Embedding, ImageRef
from tests.conftest import REPOSITORY
from tests.integration.conftest import Command
from tests.worker.libraries import BUCKET, GENERATION, record
from worker.broker import embedded_broker
from worker.queue.changes import RedisAnnouncer
from worker.queue.connection import connect
from worker.settings import Settings
from worker.storage.local import LocalStore

LAYOUT = Layout(".stockmeta/", FOLDER_KEYS)
OTHER = "ba9876543210"


class Feed:
    """A library in a folder, whose changes are announced, and the feeds of it."""

    def __init__(self, folder: Path, broker: str, stockmeta: Command) -> None:
        self.library, self.index, self.log = folder / BUCKET, folder / "index", folder / "feed.log"
        self.library.mkdir()
        (folder / "words.tsv").write_text("id\tlabel\nt:tree\ttree\n", "utf-8")
        self.settings = {"VOCABULARY": folder / "words.tsv", "BROKER_URL": broker}
        self.store = LocalStore(self.library)
        self.client = connect(Settings(broker_url=broker))
        self.announcer = RedisAnnouncer(self.client, 1000)
        self.stockmeta = stockmeta
        open_generation(self.store, LAYOUT, GENERATION)

    def commit(self, *keys: str, generation: str = GENERATION, revision: int = 1, announced: bool = True) -> None:
        for key in keys:
            made = record(key, revision=revision, generation=generation, embedding=Embedding(2, "ADwAAA=="))
            path = LAYOUT.done(generation, ImageRef(BUCKET, key))
            found = self.store.read(path)
            self.store.put(path, made.to_json().encode(), if_match=found and found[1])
        if announced:
            self.announcer.announce([Change(generation, BUCKET, key) for key in keys])

    def remove(self, key: str) -> None:
        path = LAYOUT.done(GENERATION, ImageRef(BUCKET, key))
        found = self.store.read(path)
        assert found is not None
        self.store.delete(path, if_match=found[1])
        self.announcer.announce([Change(GENERATION, BUCKET, key)])

    @contextmanager
    def following(self, sink: str = "local", *options: object, ends: bool = True) -> Iterator["Process"]:
        """A feed that follows; at the end it has to stop at SIGTERM, soon and with status 0."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("STOCKMETA_")}
        given = {f"STOCKMETA_{name}": str(value) for name, value in self.settings.items()}
        where = ("--index", self.index) if sink == "local" else ("--out", self.index)
        command = ["feed", sink, self.library, *where, "--follow", "--http-port", "0", *options]
        with self.log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "worker.cli", *map(str, command)],
                env=clean | given,
                cwd=REPOSITORY,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            feed = Process(process, self.log)
            feed.until(lambda: "was compared" in self.log.read_text())
            yield feed
            if ends:
                process.send_signal(signal.SIGTERM)
                assert process.wait(15) == 0, self.log.read_text()
                assert "stopped" in self.log.read_text()
                assert "Traceback" not in self.log.read_text()
        finally:
            process.kill()
            process.wait()

    def once(self, sink: str = "local", *options: object) -> dict[str, Any]:
        where = ("--index", self.index) if sink == "local" else ("--out", self.index)
        done = self.stockmeta("feed", sink, self.library, *where, *options, **self.settings)
        assert done.stdout, done.stderr
        report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return report | {"status": done.returncode}

    def require_equal(self, sink: str = "local") -> None:
        """What a comparison finds before it puts anything right is nothing."""
        report = self.once(sink, "--verify", "--dry-run")
        assert (report["missing"], report["stale"], report["extra"], report["status"]) == (0, 0, 0, 0)
        assert report["sidecars"] == report["documents"] > 0


class Process:
    """A feed that runs."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process, self.log = process, log

    def until(self, true: Callable[[], object], seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.05)

    def page(self, name: str) -> tuple[int, str]:
        port = re.search(r"serving on http://127.0.0.1:(\d+)", self.log.read_text())
        assert port is not None
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/{name}", timeout=10) as answer:
                return int(answer.status), answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def metric(self, name: str) -> float:
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.page("metrics")[1], re.MULTILINE)
        return float(found[1]) if found else 0.0

    def delivered(self, outcome: str) -> float:
        return self.metric(f'stockmeta_feed_documents_total{{outcome="{outcome}",sink="local"}}')


@pytest.fixture
def feed(tmp_path: Path, stockmeta: Command) -> Iterator[Feed]:
    with embedded_broker() as url:
        made = Feed(tmp_path, url, stockmeta)
        made.commit("a.jpg", "b.jpg", "deep/c.jpg")
        yield made
        made.client.close()


def test_the_index_follows_what_is_committed_replaced_and_removed(feed: Feed) -> None:
    with feed.following() as process:
        assert process.delivered("put") == 3
        feed.commit("new.jpg")
        feed.commit("a.jpg", revision=2)
        feed.remove("b.jpg")
        process.until(lambda: process.metric('stockmeta_feed_lag_seconds_count{sink="local"}') >= 3)
        assert (process.delivered("put"), process.delivered("removed")) == (5, 1)
        assert process.metric('stockmeta_feed_lag_seconds_sum{sink="local"}') < 30
        assert process.metric('stockmeta_feed_backlog_changes{sink="local"}') == 0
        assert process.page("healthz")[0] == process.page("readyz")[0] == 200
        second = feed.stockmeta("feed", "local", feed.library, "--index", feed.index, **feed.settings)
        assert second.returncode == 2
        assert "is being written to by another feed" in second.stderr
    feed.require_equal()


def test_killed_while_changes_come_it_goes_on_where_it_was(feed: Feed) -> None:
    with feed.following(ends=False) as process:
        feed.commit(*(f"{number}.jpg" for number in range(300)))
        process.until(lambda: process.delivered("put") > 3)
        process.process.kill()
    for number in range(0, 300, 7):
        feed.remove(f"{number}.jpg")
    # What the dead one had in hand is given again after a minute; a comparison at the start does not wait for that.
    with feed.following():
        pass
    feed.require_equal()


def test_while_redis_is_away_the_listing_tells_and_the_feed_says_so(tmp_path: Path, stockmeta: Command) -> None:
    with embedded_broker() as url:
        feed = Feed(tmp_path, url, stockmeta)
        feed.commit("a.jpg")
    feed.client.close()
    with feed.following("local", "--reconcile-minutes", 0.01) as process:
        feed.commit("b.jpg", announced=False)
        process.until(lambda: process.delivered("put") >= 2)
        status, body = process.page("readyz")
        checks = json.loads(body)["checks"]
        assert status == 503
        assert not checks["redis"]["ok"]
        assert checks["index"]["ok"] and checks["store"]["ok"]
        assert process.page("healthz")[0] == 200
        assert feed.log.read_text().count("waiting for what does not answer") == 1


def test_searches_change_over_to_a_generation_that_was_promoted(feed: Feed) -> None:
    with feed.following() as process:
        open_generation(feed.store, LAYOUT, OTHER)
        feed.commit("a.jpg", "b.jpg", generation=OTHER)
        process.until(lambda: f"following generation {OTHER}" in feed.log.read_text())
        assert json.loads((feed.index / "serving.json").read_text())["generation"] == GENERATION
        promote(feed.store, LAYOUT, OTHER)
        process.until(lambda: f"searches use generation {OTHER}" in feed.log.read_text())
        assert json.loads((feed.index / "serving.json").read_text())["generation"] == OTHER
    feed.require_equal()


def test_files_follow_too(feed: Feed) -> None:
    with feed.following("ndjson", "--commit-seconds", 0.1) as process:
        feed.commit("new.jpg")
        process.until(lambda: process.metric('stockmeta_feed_lag_seconds_count{sink="ndjson"}') >= 1)
    feed.require_equal("ndjson")
