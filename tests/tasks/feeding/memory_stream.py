"""A change stream in memory, as `tasks.feeding.changes.ChangeStream` wants it, for one reader after another."""

from collections.abc import Callable, Sequence

from tasks.feeding.changes import Announced, Backlog, Change


class MemoryStream:
    """What was read and not reported as done is given again after `restart`; `wipe` loses all."""

    def __init__(self, hook: Callable[[str], None] = lambda _: None) -> None:
        self.hook = hook
        self.now = 0.0
        self.reason: str | None = "nothing was read so far"
        self.epoch = 0
        self.seen: int | None = None
        self.waiting: list[Announced] = []
        self.taken: dict[str, Announced] = {}
        self.count = 0

    def announce(self, *changes: Change) -> None:
        for change in changes:
            self.count += 1
            self.waiting.append(Announced(f"{self.count}-0", self.now, change))

    def wipe(self) -> None:
        self.waiting.clear()
        self.taken.clear()
        self.reason = "it was wiped"
        self.epoch += 1

    def restart(self) -> None:
        """The reader died."""
        self.waiting = [*self.taken.values(), *self.waiting]
        self.taken.clear()
        self.seen = None

    def missed(self) -> str | None:
        self.hook("missed")
        if self.reason is None:
            self.seen = None
        elif self.seen is None:
            # The first answer counts: what was lost since may have been passed by the comparison under way.
            self.seen = self.epoch
        return self.reason

    def caught_up(self) -> None:
        self.hook("caught_up")
        if self.seen == self.epoch:
            self.reason = None
        self.seen = None

    def read(self, most: int, wait: float) -> Sequence[Announced]:
        self.hook("read")
        some, self.waiting = self.waiting[:most], self.waiting[most:]
        self.taken |= {announced.id: announced for announced in some}
        return some

    def done(self, announced: Sequence[Announced]) -> None:
        self.hook("done")
        for one in announced:
            self.taken.pop(one.id, None)

    def backlog(self) -> Backlog:
        left = [*self.taken.values(), *self.waiting]
        return Backlog(len(left), self.now - min((one.at for one in left), default=self.now))
