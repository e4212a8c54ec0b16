"""A queue that remembers, and a library's scope, for tests of what events become."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from tasks.errors import Unavailable
from tasks.feeding.changes import Change
from tasks.generations.pointer import Current
from tasks.layout import Layout
from tasks.messages import Send, TagMessage
from tasks.records import ImageRef
from worker.events.intake import Intake, Scope, Tally


@dataclass
class Remembered:
    """A `Queue`, as far as listeners use it. `fail` makes that many sends fail first."""

    sent: list[tuple[TagMessage, str]] = field(default_factory=list)
    fail: int = 0

    def send(self, message: TagMessage, queue: str) -> None:
        if self.fail:
            self.fail -= 1
            raise Unavailable("a message could not be published: Redis is full (maxmemory)")
        self.sent.append((message, queue))

    @property
    def keys(self) -> list[str]:
        return [ref.key for message, _ in self.sent for ref in message.refs]

    def put_off(self, message: TagMessage, queue: str, seconds: float) -> None:
        raise NotImplementedError

    def done(
        self, message: TagMessage, counts: Mapping[str, int] | None = None, changes: Sequence[Change] = ()
    ) -> None:
        raise NotImplementedError

    def succeed(
        self, message: TagMessage, sends: Sequence[Send], counts: Mapping[str, int], changes: Sequence[Change] = ()
    ) -> None:
        raise NotImplementedError

    def count_failure(self, ref: ImageRef, generation: str) -> int:
        raise NotImplementedError

    def forget_failures(self, ref: ImageRef, generation: str) -> None:
        raise NotImplementedError


@pytest.fixture
def queue() -> Remembered:
    return Remembered()


@pytest.fixture
def scope() -> Scope:
    return Scope("stock", "", Layout(".stockmeta/"), frozenset({"jpg", "png"}))


@pytest.fixture
def intake(scope: Scope, queue: Remembered) -> Intake:
    return Intake(scope, queue, Current, Tally())
