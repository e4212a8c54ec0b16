"""Random SIGKILL of workers and Redis under load, for many rounds, never drained in between."""

import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field

import pytest
import redis

from tasks.errors import Unavailable
from tasks.messages import BACKFILL, UPLOADS, TagMessage
from tasks.records import ImageRef
from tests.faults.processes import Program
from tests.faults.stage import Stage

ROUNDS, STARTER_ROUNDS = 50, 5
IMAGES = 8
VICTIMS = ("first worker", "second worker", "both workers", "Redis", "Redis and a worker")
SETTLE = 240
"""Seconds for what is left at the end: it waits for visibility and ledger, and goes one by one."""


@pytest.mark.timeout(900)
@pytest.mark.row("+", f"{ROUNDS} rounds of SIGKILL of workers and Redis under load")
def test_nothing_is_lost_in_fifty_rounds(stage: Stage) -> None:
    Chaos(stage, {"FAULT_ENCODER": "slow:0.03"}).run(ROUNDS)


@pytest.mark.timeout(900)
@pytest.mark.row("+", f"{STARTER_ROUNDS} more rounds with the real model `starter`")
def test_nothing_is_lost_with_the_real_model(starter_stage: Stage) -> None:
    Chaos(starter_stage, {"MODEL": "starter", "INFERENCE_THREADS": 1}).run(STARTER_ROUNDS)


@dataclass
class Chaos:
    """Two workers, one Redis, and a seeded sequence of uploads, replacements, duplicates and killings."""

    stage: Stage
    settings: dict[str, object]
    workers: list[Program] = field(default_factory=list)
    killed: Counter[str] = field(default_factory=Counter)
    loaded: int = 0
    orphans: list[Program] = field(default_factory=list)

    def run(self, rounds: int) -> None:
        """All rounds, then what became of it all."""
        self.workers = [self._start(wait=True) for _ in range(2)]
        for _ in range(rounds):
            self._round()
        started = time.monotonic()
        finding = self.stage.settle(SETTLE)
        self.stage.wait(lambda: not any(program.session() for program in self.orphans), 30, "orphans have ended")
        counts = ", ".join(f"{victim} {number}" for victim, number in sorted(self.killed.items()))
        self.stage.notes += [
            f"{rounds} rounds, {self.loaded} of them with work in hand ({counts})",
            f"right {finding.done}, lost {len(finding.lost)}, wrong {len(finding.wrong)}",
            f"terminal {len(finding.terminal)}",
            f"settled in {time.monotonic() - started:.0f} s",
        ]
        assert finding.done == len(self.stage.uploaded)

    def _round(self) -> None:
        chance, before = self.stage.chance, self.stage.paths()
        keys = self.stage.upload(IMAGES)
        # An image that is replaced while its first version may be under way, and an event that comes twice.
        keys.append(self.stage.put(chance.choice(sorted(self.stage.uploaded))))
        keys.append(chance.choice(keys))
        self._publish(keys, chance)
        deadline = time.monotonic() + 8
        while self.stage.paths() == before and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 0.6))
        self.loaded += self._in_hand() > 0
        self._kill(chance.choice(VICTIMS), chance)

    def _publish(self, keys: list[str], chance: random.Random) -> None:
        while keys:
            size = chance.randint(1, IMAGES)
            refs, keys = keys[:size], keys[size:]
            message = TagMessage(tuple(ImageRef(self.stage.bucket, key) for key in refs))
            queue = chance.choice((UPLOADS, BACKFILL))
            for _ in range(20):
                try:
                    self.stage.queue.send(message, queue)
                    break
                except Unavailable:
                    # As a listener does: until it is taken.
                    time.sleep(0.2)
            else:
                raise AssertionError("Redis does not come back")

    def _kill(self, victim: str, chance: random.Random) -> None:
        self.killed[victim] += 1
        chosen = {"first worker": [0], "second worker": [1], "both workers": [0, 1], "Redis and a worker": [0]}
        if victim.startswith("Redis"):
            self.stage.redis.kill()
        for index in chosen.get(victim, []):
            program = self.workers[index]
            if chance.random() < 0.5:
                program.kill()
            else:
                # Only the process itself: what it started has to notice by itself.
                program.signal(signal.SIGKILL, alone=True)
                program.process.wait()
                self.orphans.append(program)
            self.workers[index] = self._start()
        if victim.startswith("Redis"):
            time.sleep(chance.uniform(0, 1))
            self.stage.redis.start()
        for index, program in enumerate(self.workers):
            if not program.alive:
                # A supervisor starts again what ended, here because Redis was away.
                self.killed["ended by itself"] += 1
                program.kill()
                self.workers[index] = self._start()

    def _start(self, *, wait: bool = False) -> Program:
        return self.stage.worker(wait=wait, settings=self.settings)

    def _in_hand(self) -> int:
        try:
            return int(self.stage.redis.client.hlen("unacked"))
        except redis.RedisError:
            return 0
