"""Feeds in processes of their own, the index that they feed, and the moments at which they are killed."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tests.conftest import REPOSITORY
from tests.faults import indexed, proxy
from tests.faults.cluster import Cluster, cluster
from tests.faults.indexed import Held
from tests.faults.processes import Program
from tests.faults.proxy import Passing, Proxy
from tests.faults.stage import Stage

IDLE = 60
"""Seconds after which what a dead feed had in hand goes to another."""

BULK = r"POST /[^ ]*/_bulk"
FOLLOWS = "following generation"


class Run(NamedTuple):
    """A feed that ended.

    Attributes:
        differences: the lines of `--verify`.
        report: its last line.
    """

    status: int
    differences: list[dict[str, Any]]
    report: dict[str, Any]


@dataclass(eq=False)
class Index:
    """What is fed.

    Attributes:
        sink: as the command names it.
        cluster: where it is in one; `proxy` is what feeds reach it through.
    """

    stage: Stage
    sink: str
    cluster: Cluster | None = None
    proxy: Proxy | None = None
    feeds: list[Program] = field(default_factory=list)
    port: int = 0

    @property
    def folder(self) -> Path:
        """Of an embedded index, or of files."""
        return self.stage.folder / "index"

    @property
    def alias(self) -> str:
        """Of an index in a cluster."""
        return f"stockmeta-{self.stage.bucket}"

    def follow(self, *options: str, wait: bool = True, **settings: object) -> Program:
        """Start a feed that follows; by default wait until it has found its index."""
        program = self.stage.feed(self.sink, "--follow", *self._options, *options, **self._settings, **settings)
        self.feeds.append(program)
        if wait:
            self.until_follows(program)
        return program

    def until_follows(self, program: Program, seconds: float = 90) -> None:
        """Wait until a feed says that it follows. Raises `AssertionError` with its log if it ended."""

        def follows() -> object:
            assert program.alive, f"{program.name} ended:\n{program.tail()}"
            return FOLLOWS in program.text()

        self.stage.wait(follows, seconds, f"{program.name} follows")

    def run(self, *options: str, seconds: float = 240) -> Run:
        """A feed that ends."""
        command = ["feed", self.sink, f"s3://{self.stage.bucket}", *self._options, *options]
        done = subprocess.run(
            [sys.executable, "-m", "worker.cli", *command],
            env=self.stage.environment(**self._settings),
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert lines, f"it ended with {done.returncode}:\n{done.stderr[-4000:]}"
        return Run(done.returncode, lines[:-1], lines[-1])

    def tags(self) -> dict[str, str]:
        """Tags by key, as they are now."""
        if self.sink == "ndjson":
            return {key: held.tag for key, held in self.held().items()}
        if self.cluster is None:
            return indexed.tags_of_folder(self.folder)
        with suppress(Exception):
            self.cluster.ask("POST", f"/{self.alias}/_refresh")
        return {key: source["tag"] for key, source in self.cluster.documents(self.alias, "tag").items()}

    def held(self) -> dict[str, Held]:
        """All that it says."""
        if self.sink == "ndjson":
            return indexed.of_files(self.folder, self.stage.bucket)
        return indexed.of_folder(self.folder) if self.cluster is None else indexed.of_cluster(self.cluster, self.alias)

    def equal(self) -> bool:
        """Whether every image has its sidecar, and tags and listing agree, by one look at each."""
        with suppress(Exception):
            stage = self.stage
            right = indexed.tags(stage.s3, stage.bucket, stage.oracle.generation)
            return len(right) == len(stage.uploaded) and right == self.tags()
        return False

    def settle(self, seconds: float) -> float:
        """Wait until the index has all images, then compare all that it says; returns how long it took."""
        began = time.monotonic()
        self.stage.wait(self.equal, seconds, "the index equals the sidecars")
        took = time.monotonic() - began
        self.examine()
        return took

    def examine(self) -> None:
        """Compare everything that index and sidecars say. Raises `AssertionError`."""
        stage = self.stage
        wrong = indexed.problems(indexed.of_sidecars(stage.s3, stage.bucket), self.held())
        assert not wrong, "\n".join([f"{len(wrong)} differences", *wrong[:20], *stage.last_words()])

    def letters(self) -> list[dict[str, Any]]:
        """Dead letters, where the index is in a cluster."""
        assert self.cluster is not None
        with suppress(Exception):
            self.cluster.ask("POST", f"/{self.alias}-dead-letters/_refresh")
        hits = self.cluster.ask("POST", f"/{self.alias}-dead-letters/_search", {"size": 1000})["hits"]["hits"]
        return [hit["_source"] for hit in hits]

    @property
    def _options(self) -> Sequence[str]:
        named = {"local": "--index", "ndjson": "--out"}
        return (named[self.sink], str(self.folder)) if self.sink in named else ()

    @property
    def _settings(self) -> dict[str, object]:
        if self.proxy is None:
            return {}
        return {"OPENSEARCH_URL": f"http://127.0.0.1:{self.port or self.proxy.port}"}


@contextmanager
def fed(stage: Stage, sink: str) -> Iterator[Index]:
    """An index of one's own, of a kind."""
    with ExitStack() as stack:
        if sink != "opensearch":
            yield Index(stage, sink)
            return
        server = stack.enter_context(cluster(stage.folder))
        between = stack.enter_context(Proxy(("127.0.0.1", server.port)))
        yield Index(stage, sink, server, between)


# Moments


def reads_changes(passing: Passing, generation: str) -> bool:
    """Whether changes are on their way from Redis to a feed."""
    return passing.toward == "client" and b"stockmeta:feed:" in passing.request and generation.encode() in passing.data


def acknowledges(passing: Passing) -> bool:
    """Whether a feed says that changes are delivered."""
    return passing.toward == "server" and re.search(rb"\$4\r\nXACK\r\n", passing.data) is not None


def delivers(passing: Passing) -> bool:
    """Whether a bulk request is on its way to the cluster."""
    return passing.asks(BULK)


def delivered(passing: Passing) -> bool:
    """Whether the answer to one is on its way back."""
    return passing.answers(BULK)


@contextmanager
def killing(index: Index, moment: str, act: Callable[[], None]) -> Iterator[None]:
    """Do something at the very moment when a feed reads, delivers, has delivered, or acknowledges, the next time."""
    stage = index.stage
    matches: dict[str, tuple[Proxy | None, proxy.Matches]] = {
        "reads": (stage.redis_proxy, partial(reads_changes, generation=stage.oracle.generation)),
        "acknowledges": (stage.redis_proxy, acknowledges),
        "delivers": (index.proxy, delivers),
        "delivered": (index.proxy, delivered),
    }
    between, matching = matches[moment]
    assert between is not None, "only a cluster is reached through a proxy"
    with between.rule(proxy.once(matching, act)):
        yield


def told(status: str, error: str = "", *headers: str) -> bytes:
    """An answer of a cluster, or of what stands before it, such as `429 Too Many Requests`."""
    code = int(status.split()[0])
    body = json.dumps({"error": {"type": error, "reason": "of this test"}, "status": code}) if error else ""
    head = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join([*head, "Connection: close"]) + f"\r\n\r\n{body}").encode()
