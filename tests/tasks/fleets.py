"""A queue with workers behind it, in memory: every message is worked on when it may, and counted."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from tasks.errors import Unavailable, Vanished
from tasks.feeding.changes import Change
from tasks.messages import Send, TagMessage
from tasks.records import Image, ImageRef, Record, Status, outcome_name
from tests.worker.libraries import BUCKET, GENERATION, record
from worker.library import Library


class Fleet:
    """`tasks.messages.Queue` and `tasks.bulk.feed.Crew` in one.

    Attributes:
        away: calls that fail first.
        wipe_at: the message at which everything is forgotten, from 1.
        most: messages that were open at a time.
        gone: whether nobody works.
    """

    def __init__(self, work: Callable[[ImageRef, TagMessage], str]) -> None:
        self.work = work
        self.away = 0
        self.wipe_at: int | None = None
        self.messages: list[tuple[TagMessage, str]] = []
        self.most = 0
        self.others = 0
        self.gone = False
        self._open: list[TagMessage] = []
        self._counts: dict[str, Counter[str]] = {}

    @property
    def refs(self) -> list[ImageRef]:
        return [ref for message, _ in self.messages for ref in message.refs]

    def send(self, message: TagMessage, queue: str) -> None:
        self._answer()
        self.messages.append((message, queue))
        if len(self.messages) == self.wipe_at:
            self._open.clear()
            self._counts.clear()
            return
        self._open.append(message)
        self.most = max(self.most, len(self._open))

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

    def begin(self, run: str) -> None:
        self._counts.setdefault(run, Counter())

    def outcomes(self, run: str) -> Mapping[str, int] | None:
        return self._counts.get(run)

    def open(self) -> int:
        self._answer()
        before = len(self._open)
        if before and not self.gone:
            message = self._open.pop(0)
            counts = self._counts.setdefault(message.run or "", Counter())
            counts.update(self.work(ref, message) for ref in message.refs)
        return before

    def workers(self, generation: str) -> int:
        return 0 if self.gone else 1

    def beat(self, run: str) -> int:
        return self.others

    def _answer(self) -> None:
        if self.away:
            self.away -= 1
            raise Unavailable("the queue is away")


def tagged(library: Library, ref: ImageRef) -> str:
    """Commit a record for an image as it is now, as a worker would; one whose key says `broken` is rejected."""
    try:
        stat = library.source.stat(ref.key)
    except Vanished:
        return "failed/vanished"
    made, path = record(ref.key, etag=stat.etag), library.layout.done(GENERATION, ref)
    if "broken" in ref.key:
        made, path = terminal(ref.key, stat.etag), library.layout.failed(GENERATION, ref)
    before = library.sidecars.read(path)
    library.sidecars.put(path, made.to_json().encode(), if_match=before and before[1])
    return outcome_name(made.status.value, made.reason)


def terminal(key: str, etag: str | None, status: Status = Status.REJECTED, reason: str = "truncated") -> Record:
    """A terminal record of an image of `tests.worker.libraries`."""
    now = "2026-11-22T00:00:00+00:00"
    return Record(
        status=status,
        image=Image(BUCKET, key, etag),
        generation=GENERATION,
        revision=1,
        created_at=now,
        updated_at=now,
        reason=reason,
        detail="as told",
    )
