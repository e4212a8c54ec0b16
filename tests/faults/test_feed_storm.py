"""A thousand commits, overwrites and deletes, with a feed and Redis that are killed all the while."""

import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest
import redis

from tasks.errors import Unavailable
from tasks.messages import UPLOADS, TagMessage
from tasks.records import ImageRef
from tests.faults.feeds import FOLLOWS, IDLE, Index, fed, killing
from tests.faults.processes import Program
from tests.faults.stage import Stage

ROUND = 20
"""Commits, overwrites and deletes of a round."""

MOMENTS = {
    "local": ("any", "reads", "acknowledges"),
    "ndjson": ("any", "reads", "acknowledges"),
    "opensearch": ("any", "reads", "delivers", "delivered", "acknowledges"),
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("sink", ["local", "opensearch", "ndjson"])
@pytest.mark.row("+", "1,000 commits, overwrites and deletes, the feed and Redis killed")
def test_the_index_equals_the_sidecars_after_a_thousand_changes(stage: Stage, sink: str) -> None:
    with fed(stage, sink) as index:
        lost = {12: "restart", 20: "flush", 28: "restart", 36: "trim", 44: "restart"}
        Storm(stage, index, lost).run(rounds=50, kills=24)


@pytest.mark.quick
@pytest.mark.row("+", "40 commits, overwrites and deletes, the feed killed, the stream trimmed")
def test_the_index_equals_the_sidecars_after_forty_changes(stage: Stage) -> None:
    with fed(stage, "local") as index:
        Storm(stage, index, {1: "trim"}).run(rounds=2, kills=1)


@dataclass
class Storm:
    """Uploads, replaces and deletes, has it all tagged by a worker and fed, and kills.

    Attributes:
        lost: what happens to Redis, by round.
    """

    stage: Stage
    index: Index
    lost: dict[int, str]
    did: Counter[str] = field(default_factory=Counter)
    killed: Counter[str] = field(default_factory=Counter)

    def run(self, rounds: int, kills: int) -> None:
        """All rounds, and then what became of it all."""
        stage, index = self.stage, self.index
        self.worker = stage.worker()
        self.feed = index.follow()
        self.changed = 0
        began = time.monotonic()
        for number in range(rounds):
            moments = MOMENTS[index.sink]
            last = (number + 1) * kills // rounds > number * kills // rounds
            self._round(moments[self.killed.total() % len(moments)] if last else None, self.lost.get(number))
        assert self.killed.total() == kills
        self._end(time.monotonic() - began)

    def _end(self, took: float) -> None:
        stage, index = self.stage, self.index
        if "flush" in self.lost.values():
            # Nobody knows any more what was told of and not yet worked on.
            run = stage.backfill("--max-orphans", "100")
            assert run.wait(120) == 0, run.tail()
        finding = stage.settle(90)
        settled = index.settle(IDLE + 60)
        # Before that it cannot be told to stop yet.
        index.until_follows(self.feed)
        self.feed.process.terminate()
        assert self.feed.wait(30) == 0, self.feed.tail()
        verified = index.run("--verify")
        assert (verified.status, verified.differences) == (0, []), verified
        index.examine()
        assert finding.done == len(index.held())
        stage.notes += [
            ", ".join(f"{count} {what}" for what, count in self.did.items()) + f" in {took:.0f} s",
            "feed killed: " + ", ".join(f"{moment} {count}" for moment, count in sorted(self.killed.items())),
            "Redis: " + ", ".join(f"{what} {count}" for what, count in Counter(self.lost.values()).items()),
            f"{finding.done} images in the end; equal {settled:.0f} s after the last was tagged; verify: 0 differences",
        ]

    def _round(self, moment: str | None, lost: str | None) -> None:
        stage, chance = self.stage, self.stage.chance
        self._supervise()
        with ExitStack() as stack:
            if moment not in (None, "any"):
                stage.wait(lambda: FOLLOWS in self.feed.text(), 90, "the feed follows")
                stack.enter_context(killing(self.index, moment, self.feed.kill))
            keys = [self._change() for _ in range(ROUND)]
            while keys:
                size = chance.randint(1, ROUND // 2)
                self._send(keys[:size])
                keys = keys[size:]
            if moment == "any":
                time.sleep(chance.uniform(0, 3))
            elif moment is not None:
                deadline = time.monotonic() + 30
                while self.feed.alive and time.monotonic() < deadline:
                    time.sleep(0.05)
                assert not self.feed.alive, f"a feed never came to the moment {moment!r}\n{self.feed.tail()}"
        if moment is not None:
            self.feed.kill()
            self.killed[moment] += 1
        if lost is not None:
            self._lose(lost)
        if moment is not None:
            self.feed = self.index.follow(wait=False)
        self._until_worked_on()

    def _change(self) -> str:
        """Upload, replace or delete one; returns its key."""
        chance, stage = self.stage.chance, self.stage
        self.changed += 1
        known = sorted(stage.uploaded)
        what = chance.choices(("commits", "overwrites", "deletes"), (5, 3, 2))[0] if len(known) > 10 else "commits"
        self.did[what] += 1
        if what == "commits":
            return stage.put(f"{chance.choice(('', 'a b/', 'a/', '하나/'))}{self.changed:04}.jpg")
        key = chance.choice(known)
        if what == "overwrites":
            return stage.put(key)
        stage.remove(key)
        return key

    def _send(self, keys: list[str]) -> None:
        message = TagMessage(tuple(ImageRef(self.stage.bucket, key) for key in keys))
        deadline = time.monotonic() + 30
        while True:
            try:
                return self.stage.queue.send(message, UPLOADS)
            except Unavailable:
                # As a listener does: until it is taken.
                assert time.monotonic() < deadline, "Redis does not come back"
                time.sleep(0.2)

    def _lose(self, what: str) -> None:
        stage = self.stage
        if what == "flush":
            stage.redis.client.flushall()
        elif what == "trim":
            stage.redis.client.xtrim("stockmeta:changes", maxlen=0, approximate=False)
        else:
            stage.redis.kill()
            time.sleep(1)
            stage.redis.start()

    def _until_worked_on(self) -> None:
        """Not so much that the end is one long wait."""

        def few() -> bool:
            self._supervise()
            try:
                return int(self.stage.redis.client.llen(UPLOADS)) < 4
            except redis.RedisError:
                return False

        self.stage.wait(few, 60, "workers go on")

    def _supervise(self) -> None:
        """Start again what ended, for Redis was away."""
        if not self.worker.alive:
            self.worker.kill()
            self.stage.notes.append("the worker ended by itself, and was started again")
            self.worker = self.stage.worker(wait=False)
        if not self.feed.alive:
            self.feed = self._restarted()

    def _restarted(self) -> Program:
        self.stage.notes.append("the feed ended by itself, and was started again")
        return self.index.follow(wait=False)
