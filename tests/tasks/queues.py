"""A queue and an announcer that keep what they are given, for tests of what becomes of messages and of changes."""

from collections import Counter
from collections.abc import Mapping, Sequence

from tasks.errors import Unavailable
from tasks.feeding.changes import Change
from tasks.messages import Send, TagMessage
from tasks.records import ImageRef


class KeptQueue:
    """`tasks.messages.Queue` in lists; `away` is how many calls fail first."""

    def __init__(self, away: int = 0) -> None:
        self.away = away
        self.sent: list[tuple[TagMessage, str]] = []
        self.deferred: list[tuple[TagMessage, str, float]] = []
        self.struck: list[str] = []
        self.counted: Counter[str] = Counter()
        self.announced: list[Change] = []
        self.failures: Counter[tuple[str, str | None, str]] = Counter()

    def send(self, message: TagMessage, queue: str) -> None:
        self._answer()
        self.sent.append((message, queue))

    def put_off(self, message: TagMessage, queue: str, seconds: float) -> None:
        self._answer()
        self.deferred.append((message, queue, seconds))

    def done(
        self, message: TagMessage, counts: Mapping[str, int] | None = None, changes: Sequence[Change] = ()
    ) -> None:
        self._answer()
        self.struck.append(message.id)
        self.counted.update(counts or {})
        self.announced += changes

    def succeed(
        self, message: TagMessage, sends: Sequence[Send], counts: Mapping[str, int], changes: Sequence[Change] = ()
    ) -> None:
        self._answer()
        for one, queue, delay in sends:
            if delay:
                self.deferred.append((one, queue, delay))
            else:
                self.sent.append((one, queue))
        self.struck.append(message.id)
        self.counted.update(counts)
        self.announced += changes

    def count_failure(self, ref: ImageRef, generation: str) -> int:
        self._answer()
        self.failures[ref.key, ref.etag, generation] += 1
        return self.failures[ref.key, ref.etag, generation]

    def forget_failures(self, ref: ImageRef, generation: str) -> None:
        self._answer()
        del self.failures[ref.key, ref.etag, generation]

    def _answer(self) -> None:
        if self.away:
            self.away -= 1
            raise Unavailable("the queue is away")


class KeptChanges:
    """`tasks.feeding.changes.Announcer` in a list; `away` is how many calls fail first."""

    def __init__(self, away: int = 0) -> None:
        self.away = away
        self.announced: list[Change] = []
        self.calls = 0

    def announce(self, changes: Sequence[Change]) -> None:
        self.calls += 1
        if self.away:
            self.away -= 1
            raise Unavailable("changes could not be announced: Redis is away")
        self.announced += changes
