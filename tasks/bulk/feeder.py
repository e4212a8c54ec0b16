"""Gives images to the queue, no more at a time than it should hold, and waits until they have ended.

The queue may be full, away for hours, or come back empty: the feeder waits, goes on, and says so.
"""

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import TypeVar

from tasks.bulk.ahead import Ahead
from tasks.bulk.feed import Control, Crew, Feed, Stopped
from tasks.bulk.results import Counts, Phase, Progress
from tasks.errors import Unavailable
from tasks.messages import BACKFILL, SUSPECTS, Queue, TagMessage
from tasks.records import ImageRef
from tasks.traffic import Traffic, divided

logger = logging.getLogger(__name__)

T = TypeVar("T")

IMAGES = 64
"""In a message: few enough that one that is lost is soon repeated, and many enough for a batch and for Redis."""
POLL_SECONDS = 0.2
AGAIN_SECONDS = 1.0
TELL_SECONDS = 0.5
BEAT_SECONDS = 5.0
MINUTE = 60.0


class Feeder:
    """Feeds one run. For one thread.

    Args:
        feed: how.
        queue: takes the messages.
        crew: tells what becomes of them.
        control: what the operator wants.
        tell: is told of progress, twice a second at most unless the phase changes.
        check: raises `Unavailable` if nobody will ever work on them.
        ahead: counts images as soon as the listing has to wait for workers.
    """

    def __init__(
        self,
        feed: Feed,
        queue: Queue,
        crew: Crew,
        control: Control,
        tell: Callable[[Progress], None],
        check: Callable[[], None] = lambda: None,
        ahead: Ahead | None = None,
    ) -> None:
        self.feed, self.control, self._ahead = feed, control, ahead
        self.queue, self.crew = queue, crew
        self.redo = feed.redo
        self.sent = 0
        self.wiped = False
        self._tell, self.check = tell, check
        self._waiting: dict[tuple[str, bool, bool], list[ImageRef]] = {}
        self._counts: Callable[[], Counts] = Counts
        self._phase: Phase = "listing"
        self._number = 1
        self._note: str | None = None
        self._expected: int | None = None
        self._since, self._counted = 0, Counter[str]()
        self._lost: Counter[str] = Counter()
        self._cost, self._lost_cost = Traffic(), Traffic()
        self._open = self._workers = self._others = 0
        self._begun = time.monotonic()
        self._told = self._beaten = -MINUTE
        self._next = self._begun
        self._recent: deque[tuple[float, int]] = deque()

    @property
    def outcomes(self) -> Mapping[str, int]:
        """Images that ended, by name of the outcome, as far as is known."""
        return self._lost + self._counted

    @property
    def traffic(self) -> Traffic:
        """What workers asked of S3 for them."""
        return self._lost_cost + self._cost

    @property
    def left(self) -> int:
        """Images that were sent, and of which it is not known that they ended; those that a wiped queue had aside."""
        return max(0, self._since - self._counted.total())

    def begin(self, number: int, counts: Callable[[], Counts], expected: int | None = None) -> None:
        """A pass begins; `counts` gives those of its listing so far. Raises `Stopped`."""
        self._number, self._counts, self._expected = number, counts, expected
        self.wiped = False
        self._insist(lambda: self.crew.begin(self.feed.run))
        self._enter("listing")

    def turn(self) -> None:
        """To be called now and then while nothing is sent: tells, and pauses. Raises `Stopped`."""
        self._pause()
        self._say()

    def add(self, ref: ImageRef, *, suspect: bool = False, stored: bool = False, new: bool = False) -> None:
        """Give an image to workers, with others of its kind as soon as there are enough.

        Args:
            ref: which.
            suspect: whether it brought workers down before.
            stored: whether something is stored of it that may be scored again.
            new: whether the listing showed no record of it.

        Raises:
            Stopped: the operator has ended the run.
            Unavailable: the queue stays away, or nobody will ever work on it.
        """
        kind = SUSPECTS if suspect else BACKFILL, stored, new
        waiting = self._waiting.setdefault(kind, [])
        waiting.append(ref)
        if len(waiting) >= (1 if suspect else IMAGES):
            self._send(*kind)

    def flush(self) -> None:
        """Give what has not been given. Raises `Stopped`, `Unavailable`."""
        for kind in list(self._waiting):
            self._send(*kind)

    def wait(self) -> None:
        """Until all that was sent has ended, or the queue was wiped. Raises `Stopped`, `Unavailable`."""
        self._enter("waiting")
        while self._since and not self.wiped:
            # In this order: what ended between the two looks was counted before it left.
            open_ = self._insist(self.crew.open)
            self._look()
            if not open_ or self._counted.total() >= self._since:
                break
            self._open = open_
            self._sleep(POLL_SECONDS)

    def end(self) -> None:
        """Say how it stands at the end; nothing is waited for any more."""
        try:
            self._open = self.crew.open()
            self._look_once()
        except Unavailable as error:
            logger.warning("%s", error)
        self._enter("ended")

    def _send(self, queue: str, stored: bool, new: bool) -> None:
        refs = tuple(self._waiting.pop((queue, stored, new), ()))
        if not refs:
            return
        feed = self.feed
        message = TagMessage(
            refs, feed.generation, run=feed.run, stored=feed.stored if stored else None, redo=self.redo, new=new
        )
        self._room()
        # The same message each time: one that was entered already is not entered twice.
        self._insist(lambda: self.queue.send(message, queue))
        self.sent += len(refs)
        self._since += len(refs)
        self._say()

    def _room(self) -> None:
        """Wait until the window has room and the rate allows it."""
        feed = self.feed
        while True:
            self._pause()
            self._open = self._insist(self.crew.open)
            if self._open < feed.window and time.monotonic() >= self._next:
                break
            if self._ahead is not None and self._expected is None:
                self._ahead.begin()
            self._look()
            self._sleep(POLL_SECONDS if self._open >= feed.window else min(POLL_SECONDS, self._until_next()))
        if feed.rate is not None:
            # Not from the last turn on: after a pause nothing is caught up.
            self._next = max(self._next, time.monotonic() - IMAGES / feed.rate) + IMAGES / feed.rate

    def _until_next(self) -> float:
        return max(0.01, self._next - time.monotonic())

    def _look(self) -> None:
        """What has ended by now."""
        self._insist(self._look_once)

    def _look_once(self) -> None:
        counted = self.crew.outcomes(self.feed.run)
        if counted is None:
            logger.warning("the queue was wiped; what is missing is found by the next listing")
            self.wiped = True
            self._lost += self._counted
            self._lost_cost += self._cost
            self._since, self._counted, self._cost = 0, Counter(), Traffic()
            self.crew.begin(self.feed.run)
        else:
            outcomes, self._cost = divided(counted)
            self._counted = Counter(outcomes)
        now = time.monotonic()
        self._recent.append((now, sum(self.outcomes.values())))
        while self._recent[0][0] < now - MINUTE:
            self._recent.popleft()

    def _pause(self) -> None:
        if self.control.paused.is_set():
            before = self._phase
            self._enter("paused")
            while self.control.paused.is_set():
                self._look()
                self._sleep(POLL_SECONDS)
            self._enter(before)

    def _insist(self, action: Callable[[], T]) -> T:
        """Do it until it works: the queue may be away or full. Raises `Stopped`, `Unavailable` from `check`."""
        while True:
            try:
                result = action()
            except Unavailable as error:
                self.check()
                if self._note != str(error):
                    logger.warning("%s; waiting for it", error)
                self._note = str(error)
                # Not `_sleep`, which asks the queue.
                self._tell_now()
                if self.control.stop.wait(AGAIN_SECONDS):
                    raise Stopped from None
            else:
                self._note = None
                return result

    def _sleep(self, seconds: float) -> None:
        self.check()
        if self.control.stop.wait(seconds):
            raise Stopped
        self._say()

    def _say(self) -> None:
        if self.control.stop.is_set():
            raise Stopped
        now = time.monotonic()
        if now - self._beaten >= BEAT_SECONDS:
            self._beaten = now
            self._others = self._insist(lambda: self.crew.beat(self.feed.run))
            self._workers = self._insist(lambda: self.crew.workers(self.feed.generation))
            self._look()
        if now - self._told >= TELL_SECONDS:
            self._tell_now()

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._tell_now()

    def _tell_now(self) -> None:
        self._told = time.monotonic()
        ended = sum(self.outcomes.values())
        since, before = self._recent[0] if self._recent else (self._told, ended)
        self._tell(
            Progress(
                phase=self._phase,
                number=self._number,
                counts=self._counts(),
                sent=self.sent,
                outcomes=dict(self.outcomes),
                open=self._open,
                seconds=self._told - self._begun,
                per_second=round((ended - before) / max(1.0, self._told - since), 2),
                workers=self._workers,
                note=self._note or self._noteworthy(),
                expected=self._expected if self._ahead is None else self._expected or self._ahead.images,
            )
        )

    def _noteworthy(self) -> str | None:
        if not self._workers and self._beaten > 0 and self.sent:
            return f"no worker is heard of that makes generation {self.feed.generation}; waiting for one"
        if self._others:
            return f"{self._others} other backfills of this library and generation go on at the same time"
        return None
