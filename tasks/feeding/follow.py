"""The service: an index follows its library, change by change, and is compared with the listing now and then.

Changes are read, delivered, made durable and visible, and only then done with: a feed that is killed anywhere gets them
again. What does not answer is waited for, and what was read meanwhile is kept. Comparisons go on in turns between
deliveries, so that changes never wait for a long one.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tasks.errors import ConfigurationError, Unavailable
from tasks.feeding.changes import Announced, ChangeStream
from tasks.feeding.compare import Sidecars
from tasks.feeding.deliver import Deliverer
from tasks.feeding.followed import Followed
from tasks.feeding.patience import FIRST_SECONDS, Patience
from tasks.feeding.patient_stream import PatientStream
from tasks.feeding.ports import Sink
from tasks.feeding.reconcile import MOST_REMOVED, Compared, Reconciliation
from tasks.feeding.watch import Silent, Watcher
from tasks.generations.pointer import Current, read_current

logger = logging.getLogger(__name__)

LISTENING_SECONDS = 0.05
OFTEN_SECONDS = 600.0
"""Comparisons that come more often than that are worth a line only if something differed."""


@dataclass(frozen=True)
class Pace:
    """How often what is done.

    Attributes:
        batch: changes that are delivered at once, at most.
        wait: seconds to wait for the first of them.
        commit: seconds between two commits, at least; longer where they take long.
        share: a commit may take one part in so many of the time.
        uncommitted: changes after which a commit does not wait.
        poll: seconds between two looks at the pointer to the generations.
        compare: seconds between two comparisons with the listing.
        turn: seconds that a comparison takes before changes have their turn.
        pause: seconds of the first pause for what does not answer.
    """

    batch: int = 500
    wait: float = 1.0
    commit: float = 1.0
    share: float = 10.0
    uncommitted: int = 5000
    poll: float = 5.0
    compare: float = 3600.0
    turn: float = 0.5
    pause: float = FIRST_SECONDS


@dataclass
class _Changes:
    """Changes on their way: read, delivered, and committed but not reported as done."""

    read: list[Announced] = field(default_factory=list)
    delivered: list[Announced] = field(default_factory=list)
    committed: list[Announced] = field(default_factory=list)


class Follower:
    """Follows one library with one sink.

    Args:
        sidecars: of the library.
        sink: what is kept equal to them.
        deliverer: of the same library.
        stream: of changes; `None` where there is no broker, and the listing tells all.
        stop: set when it is time to end.
        pace: how often what is done.
        most_removed: percent of an index that a comparison may remove unasked.
        watcher: told of everything.
        beat: called with each turn.
        clock: seconds, from any beginning, that only go forward; `wall` is since 1970.
    """

    def __init__(
        self,
        sidecars: Sidecars,
        sink: Sink,
        deliverer: Deliverer,
        stream: ChangeStream | None,
        stop: threading.Event,
        pace: Pace = Pace(),
        *,
        most_removed: float = MOST_REMOVED,
        watcher: Watcher | None = None,
        beat: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._sidecars, self._sink, self._deliverer = sidecars, sink, deliverer
        self._stop, self._pace, self._most_removed, self._beat = stop, pace, most_removed, beat
        self._watcher: Watcher = watcher or Silent()
        self._clock, self._wall = clock, wall
        self.index_patience = Patience("index", self._watcher, clock, pace.pause)
        self.stream_patience = Patience("stream", self._watcher, clock, pace.pause)
        self._stream = PatientStream(stream, self.stream_patience, stop.wait)
        self._followed: dict[str, Followed] = {}
        self._changes = _Changes()
        self._looked = self._commit_at = float("-inf")
        self._reopen = self._missed = False

    def run(self) -> None:
        """Follow until it is time to end; then what was delivered is committed.

        Raises:
            ConfigurationError: it cannot begin. Later it waits for the operator, as for anything else.
        """
        began = False
        try:
            while not self._stop.is_set():
                self._beat()
                try:
                    self.turn()
                    began = True
                except Unavailable as error:
                    self._wait(error)
                except ConfigurationError as error:
                    if not began:
                        raise
                    self._wait(error)
                else:
                    self.index_patience.answered()
        finally:
            self._end()

    def turn(self) -> None:
        """Look, read, deliver, compare, commit, each if it is its time. Raises `Unavailable`, `ConfigurationError`."""
        if self._clock() - self._looked >= self._pace.poll:
            self._look()
            self._looked = self._clock()
        self._read()
        self._deliver()
        self._compare()
        self._commit()

    def _wait(self, error: Unavailable | ConfigurationError) -> None:
        # Looked at again from the beginning: an index may have been replaced by another.
        self._looked, self._reopen = float("-inf"), True
        self._stop.wait(self.index_patience.failed(error))

    def _look(self) -> None:
        """Which generations are written, whether changes were missed, and which index searches use."""
        current = read_current(self._sidecars.store, self._sidecars.layout)
        self._open(current)
        self._ask_missed()
        serving = current.serving
        changes = serving is not None and self._sink.serving() != serving
        for generation, followed in self._followed.items():
            followed.need_to_serve(needed=changes and generation == serving)

    def _open(self, current: Current) -> None:
        for generation in current.written:
            followed = self._followed.get(generation)
            if followed is None or self._reopen:
                index = self._sink.open(generation)
                if followed is None or followed.index.name != index.name:
                    # Nobody knows what it missed while nobody followed it.
                    logger.info("following generation %s in %s", generation, index.name)
                    self._close(followed)
                    self._followed[generation] = Followed(index, self._clock)
        self._reopen = False
        for generation in self._followed.keys() - set(current.written):
            logger.info("generation %s is not written any more, and not followed", generation)
            self._close(self._followed.pop(generation))

    def _close(self, followed: Followed | None) -> None:
        if followed is not None:
            followed.close()
            # Its changes are as good as done: what takes its place is compared.
            followed.dirty = False

    def _ask_missed(self) -> None:
        self._tell_caught_up()
        if self._missed and self._stream.asked:
            return
        reason = self._stream.missed()
        # What is missed while a comparison makes up for it already, the stream itself remembers.
        if reason is not None and not self._missed:
            logger.info("changes may have been missed, so listings are compared: %s", reason)
            self._missed = True
            for followed in self._followed.values():
                followed.need_to_catch_up()

    def _tell_caught_up(self) -> None:
        if self._missed and all(each.missed is None for each in self._followed.values()):
            self._missed = not self._stream.caught_up()

    def _read(self) -> None:
        if not self._changes.read:
            comparing = any(followed.is_due() for followed in self._followed.values())
            self._changes.read += self._stream.read(self._pace.batch, 0.0 if comparing else self._pace.wait)

    def _deliver(self) -> None:
        changes = self._changes
        keys: dict[str, list[str]] = {}
        for announced in changes.read:
            if self._sidecars.owns(announced.change):
                keys.setdefault(announced.change.generation, []).append(announced.change.key)
        for generation, some in keys.items():
            # Of another generation nobody asks; when it is written again, it is compared.
            if followed := self._followed.get(generation):
                followed.dirty = True
                result = self._deliverer.deliver(followed.index, some)
                self._watcher.delivered(Counter(result.outcomes.values()))
                for trouble in result.troubles:
                    logger.warning("%r has no document: %s: %s", trouble.key, trouble.kind, trouble.reason)
        changes.delivered += changes.read
        changes.read = []

    def _compare(self) -> None:
        """Give the comparison that is due its turn; one at a time, the generation that serves first."""
        followed = next((each for each in self._followed.values() if each.is_due()), None)
        if followed is None:
            return
        if followed.run is None:
            followed.begin(Reconciliation(self._sidecars, followed.index, self._deliverer, self._most_removed))
        run = followed.run
        assert run is not None
        until = self._clock() + self._pace.turn
        before = run.compared.outcomes
        try:
            while more := run.turn(LISTENING_SECONDS):
                if self._clock() >= until or self._stop.is_set():
                    break
        finally:
            followed.dirty = True
            self._watcher.delivered(run.compared.outcomes - before)
        if not more:
            self._compared(followed, run.compared)

    def _compared(self, followed: Followed, compared: Compared) -> None:
        followed.index.commit()
        followed.index.completed()
        if followed.may_serve():
            self._sink.serve(followed.index)
            logger.info("searches use generation %s", followed.index.generation)
        first = not followed.compared
        seconds = followed.end(self._pace.compare)
        self._watcher.compared(compared, seconds)
        self._tell_caught_up()
        # Without a broker there is one every minute.
        level = logging.INFO if first or compared.differences or self._pace.compare >= OFTEN_SECONDS else logging.DEBUG
        _report(followed.index.generation, compared, seconds, level)

    def _commit(self, *, now: bool = False) -> None:
        """Make what was delivered visible, and only then be done with its changes."""
        changes, began = self._changes, self._clock()
        if not (now or began >= self._commit_at or len(changes.delivered) >= self._pace.uncommitted):
            return
        dirty = [followed for followed in self._followed.values() if followed.dirty]
        for followed in dirty:
            followed.index.commit()
            followed.dirty = False
        if dirty:
            self._commit_at = began + max(self._pace.commit, self._pace.share * (self._clock() - began))
        if changes.delivered:
            wall = self._wall()
            self._watcher.committed([max(0.0, wall - announced.at) for announced in changes.delivered])
            changes.committed += changes.delivered
            changes.delivered = []
        if changes.committed and self._stream.done(changes.committed):
            changes.committed = []

    def _end(self) -> None:
        """Commit what was delivered; what cannot be is announced again."""
        try:
            self._commit(now=True)
        except (Unavailable, ConfigurationError) as error:
            logger.warning("the last changes were not committed, and come again: %s", error)
        for followed in self._followed.values():
            followed.close()


def _report(generation: str, compared: Compared, seconds: float, level: int) -> None:
    logger.log(
        level,
        "generation %s was compared in %.1f s: %d sidecars, %d documents, %d differed, %d still do",
        *(generation, seconds, compared.sidecars, compared.documents, compared.differences, compared.remaining),
    )
    if compared.kept:
        logger.warning(
            "%d documents have no sidecar any more, more than a comparison removes unasked: look at them with "
            "`stockmeta feed … --verify --dry-run`, then say --max-removed",
            compared.kept,
        )
