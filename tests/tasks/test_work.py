"""What becomes of the images of one message, with a tagger that does as it is told."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import cast

import pytest

from tasks.describe import Provenance, blank, unfinished
from tasks.errors import Unavailable
from tasks.feeding.changes import Change
from tasks.generations.pointer import Current
from tasks.jobs import Delivery
from tasks.messages import BACKFILL, SUSPECTS, UPLOADS, TagMessage
from tasks.observe import Silent
from tasks.records import Image, ImageRef, Outcome, Status
from tasks.redo import Redo
from tasks.tag import Tagger
from tasks.work import MOST_SECONDS, Outage, Work, backoff, insist
from tests.tasks.queues import KeptQueue
from worker.storage.counted import Meter

MADE = Provenance("0123456789ab", "fake", "numpy", "t")
FRESH = Delivery(UPLOADS, redelivered=False)


class Told:
    """A tagger whose outcomes are in the keys: `unavailable 1` ends so; anything else is committed."""

    def __init__(self) -> None:
        self.attempted: list[ImageRef] = []
        self.new: list[bool] = []
        self.before: Callable[[ImageRef], None] = lambda ref: None

    def attempt(
        self, ref: ImageRef, *, redo: Redo | None = None, stored: str | None = None, new: bool = False
    ) -> Outcome:
        self.attempted.append(ref)
        self.new.append(new)
        self.before(ref)
        reason = ref.key.split()[0]
        if reason in ("unavailable", "conflict", "replaced", "vanished", "internal_error", "key_too_long"):
            return unfinished(MADE, ref, Status.FAILED, reason, "as told")
        return self.empty(ref)

    def committed(self, ref: ImageRef, *, redo: Redo | None = None) -> Outcome | None:
        if ref.key.startswith("unavailable"):
            raise Unavailable("as told")
        return self.empty(ref) if ref.key.startswith("committed") else None

    @staticmethod
    def empty(ref: ImageRef) -> Outcome:
        return Outcome(ref, blank(MADE, Image(ref.bucket, ref.key, "e"), Status.EMPTY))


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def queue() -> KeptQueue:
    return KeptQueue()


@pytest.fixture
def work(told: Told, queue: KeptQueue) -> Iterator[Work]:
    with ThreadPoolExecutor(4) as pool:
        closing = threading.Event()
        closing.set()  # pauses end at once
        yield Work(cast("Tagger", told), queue, pool, Silent(), MADE.generation, 30.0, closing, threading.Event())


def message(*keys: str, **fields: object) -> TagMessage:
    return replace(TagMessage(tuple(ImageRef("b", key, "e") for key in keys)), **fields)  # type: ignore[arg-type]


def test_a_message_whose_images_all_ended_is_struck(work: Work, queue: KeptQueue, told: Told) -> None:
    given = message("a", "b", "vanished", "key_too_long 1")
    work.run(given, FRESH)
    assert {ref.key for ref in told.attempted} == {"a", "b", "vanished", "key_too_long 1"}
    assert (queue.sent, queue.deferred, queue.struck) == ([], [], [given.id])


def test_what_ended_and_what_it_cost_is_added_to_the_run(work: Work, queue: KeptQueue, told: Told) -> None:
    meter = Meter()
    meter.request("list")
    told.before = lambda ref: meter.request("get", read=100)
    given = message("a", "b", "vanished", "unavailable", run="r")
    replace(work, meter=meter).run(given, FRESH)
    ended = {"empty": 2, "failed/vanished": 1}
    assert queue.counted == ended | {"requests:get": 4, "bytes:read": 400}, "what did not end cost something, too"


def test_what_ended_is_announced_and_nothing_else(work: Work, queue: KeptQueue) -> None:
    """A key that can have no record has none to speak of; all else comes again."""
    more = ("unavailable", "conflict", "replaced", "internal_error", "key_too_long")
    for run in (None, "r"):
        work.run(message("a", "b", "vanished", *more, run=run), FRESH)
        assert sorted(queue.announced) == [Change(MADE.generation, "b", key) for key in ("a", "b", "vanished")]
        queue.announced.clear()


def test_what_a_dead_worker_committed_is_announced_when_its_message_comes_again(work: Work, queue: KeptQueue) -> None:
    for run in (None, "r"):
        work.run(message("committed 1", "committed 2", "other", run=run), Delivery(UPLOADS, redelivered=True))
        assert sorted(queue.announced) == [Change(MADE.generation, "b", f"committed {number}") for number in (1, 2)]
        queue.announced.clear()


def test_what_goes_to_others_is_announced_by_them(work: Work, queue: KeptQueue) -> None:
    work.run(message("a", generation="b" * 12), FRESH)
    replace(work, current=lambda: Current("d" * 12)).run(message("a", generation="b" * 12, tries=9), FRESH)
    assert (len(queue.deferred), len(queue.sent), queue.announced) == (1, 1, [])


def test_what_is_unavailable_is_tried_later_and_later(work: Work, queue: KeptQueue) -> None:
    work.run(message("a", "unavailable 1", "conflict 1", tries=3), Delivery(BACKFILL, redelivered=False))
    [(later, target, seconds)] = queue.deferred
    assert {ref.key for ref in later.refs} == {"unavailable 1", "conflict 1"}
    assert (later.tries, target) == (4, BACKFILL)
    assert 12 < seconds < 20
    assert all(backoff(tries) <= MOST_SECONDS * 1.2 for tries in range(2000))


def test_what_a_listing_showed_is_believed_once(work: Work, queue: KeptQueue) -> None:
    """Later there may be a record: of whoever worked on the image in between, or of a worker that died of it."""
    first = replace(message("a", "unavailable 1", "replaced", "internal_error"), new=True)
    work.run(first, FRESH)
    assert isinstance(work.tagger, Told)
    assert work.tagger.new == [True] * 4
    left = [*queue.deferred, *queue.sent]
    assert len(left) == 3
    assert not any(one[0].new for one in left)


def test_a_replaced_image_is_looked_at_as_it_is_now(work: Work, queue: KeptQueue) -> None:
    work.run(message("replaced"), FRESH)
    [(again, _, _)] = queue.deferred
    assert again.refs == (ImageRef("b", "replaced", None),)


def test_a_bug_goes_where_it_harms_nobody(work: Work, queue: KeptQueue) -> None:
    work.run(message("internal_error 1", "a", "internal_error 2", generation=MADE.generation), FRESH)
    assert [(m.refs[0].key, target, m.generation) for m, target in queue.sent] == [
        ("internal_error 1", SUSPECTS, MADE.generation),
        ("internal_error 2", SUSPECTS, MADE.generation),
    ]


def test_a_message_for_what_nobody_writes_any_more_goes_to_what_serves(
    work: Work, queue: KeptQueue, told: Told
) -> None:
    old = message("a", generation="b" * 12, tries=9, stored="c" * 12)
    replace(work, current=lambda: Current("b" * 12)).run(old, FRESH)
    assert (len(queue.deferred), queue.sent, queue.struck) == (1, [], [])
    replace(work, current=lambda: Current("d" * 12)).run(old, Delivery(BACKFILL, redelivered=True))
    [(stray, target)] = queue.sent
    assert (stray.refs, stray.generation, stray.stored, stray.again, target) == (
        old.refs,
        "d" * 12,
        None,
        True,
        BACKFILL,
    )
    assert queue.struck == [old.id]
    assert told.attempted == []


@pytest.mark.parametrize(
    ("delivery", "again"), [(Delivery(UPLOADS, redelivered=True), False), (Delivery(UPLOADS, redelivered=False), True)]
)
def test_a_message_that_comes_again_is_taken_apart(
    work: Work, queue: KeptQueue, told: Told, delivery: Delivery, again: bool
) -> None:
    given = message("committed 1", "b", "unavailable 1", "committed 2", again=again)
    work.run(given, delivery)
    assert told.attempted == []
    assert [([ref.key for ref in m.refs], target) for m, target in queue.sent] == [
        (["b"], SUSPECTS),
        (["unavailable 1"], SUSPECTS),
    ]
    assert queue.struck == [given.id]
    assert len({m.id for m, _ in queue.sent} | {given.id}) == 3


def test_taking_apart_ends_with_the_process(work: Work, queue: KeptQueue, told: Told) -> None:
    held = threading.Event()

    def store_that_is_away(ref: ImageRef, *, redo: Redo | None = None) -> Outcome | None:
        if ref.key != "committed":
            work.stop.set()
            held.wait(20)
        return told.empty(ref)

    told.committed = store_that_is_away  # type: ignore[method-assign]
    given = message("slow 1", "slow 2", "slow 3", "slow 4", "slow 5", again=True)
    work.run(given, FRESH)
    held.set()
    assert {m.refs[0].key for m, _ in queue.sent} == {ref.key for ref in given.refs}
    assert queue.struck == [given.id]


def test_a_bug_at_taking_apart_loses_no_message(work: Work, queue: KeptQueue, told: Told) -> None:
    def bug(ref: ImageRef, *, redo: Redo | None = None) -> Outcome | None:
        raise ZeroDivisionError

    told.committed = bug  # type: ignore[method-assign]
    work.run(message("a", "a", "b", again=True), FRESH)
    assert [m.refs[0].key for m, _ in queue.sent] == ["a", "b"]


def test_another_generation_is_left_to_others(work: Work, queue: KeptQueue, told: Told) -> None:
    given = message("a", generation="ba9876543210")
    work.run(given, FRESH)
    assert told.attempted == []
    [(left, target, seconds)] = queue.deferred
    assert (left, target, seconds) == (replace(given, tries=1), UPLOADS, 5.0)
    assert queue.struck == []
    work.run(replace(given, tries=20), FRESH)
    assert queue.deferred[-1][2] > 40


def test_a_message_that_came_again_is_known_as_such_to_whoever_makes_its_generation(
    work: Work, queue: KeptQueue
) -> None:
    """Else one that kills its workers would, between workers of two generations, begin anew each time."""
    work.run(message("a", generation="ba9876543210"), Delivery(UPLOADS, redelivered=True))
    assert queue.deferred[0][0].again


def test_what_is_not_done_at_the_deadline_goes_back(work: Work, queue: KeptQueue, told: Told) -> None:
    held = threading.Event()
    told.before = lambda ref: None if ref.key == "fast" else (held.wait(20), None)[1]
    given = message("fast", "slow 1", "slow 2", *(f"never {i}" for i in range(5)))
    replace(work, deadline=0.2).run(given, Delivery(BACKFILL, redelivered=False))
    held.set()
    [(left, target)] = queue.sent
    assert (target, left.tries, left.again) == (BACKFILL, 0, False)
    assert [ref.key for ref in left.refs] == ["slow 1", "slow 2", *(f"never {i}" for i in range(5))]
    assert queue.struck == [given.id]


def test_when_the_process_is_to_end_the_rest_goes_back(work: Work, queue: KeptQueue, told: Told) -> None:
    told.before = lambda ref: work.stop.set() if ref.key == "a" else (work.stop.wait(20), None)[1]
    work.run(message("a", "b", "c", "d", "e", "f", "g", "h"), FRESH)
    assert sum(len(m.refs) for m, _ in queue.sent) >= 4
    assert queue.deferred == []


def test_a_queue_that_is_away_is_waited_for(work: Work, queue: KeptQueue) -> None:
    given = message("internal_error 1", "internal_error 2")
    send = queue.send

    def away_after_the_first(sent: TagMessage, target: str) -> None:
        send(sent, target)
        queue.away = 1 if len(queue.sent) == 1 else 0

    queue.send = away_after_the_first  # type: ignore[method-assign]
    work.run(given, FRESH)
    assert [m.refs[0].key for m, _ in queue.sent] == ["internal_error 1", "internal_error 2"]
    assert queue.struck == [given.id]


def test_a_message_goes_back_itself_when_the_queue_takes_nothing_until_the_end(work: Work, queue: KeptQueue) -> None:
    queue.away = 10**6
    work.stop.set()
    with pytest.raises(Unavailable):
        work.run(message("unavailable 1"), FRESH)


def test_insisting_repeats_the_same_messages(queue: KeptQueue) -> None:
    calls: list[int] = []

    def twice() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise Unavailable("away")

    insist(twice, threading.Event())
    assert len(calls) == 2


def test_pauses_grow_while_nothing_works_and_end_with_the_first_success() -> None:
    ref = ImageRef("b", "k")
    bad = unfinished(MADE, ref, Status.FAILED, "unavailable", "")
    good = Outcome(ref, blank(MADE, Image("b", "k", "e"), Status.EMPTY))
    outage = Outage()
    pauses = [outage.after([bad, bad]) for _ in range(12)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (1.0, 30.0)
    assert outage.after([bad, good]) == 0
    assert outage.after([bad]) == 1.0
    assert outage.after([]) == 0
