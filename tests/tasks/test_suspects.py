"""Attempts alone: what counts, what does not, and what the last one leaves."""

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from tasks.describe import Provenance, blank, unfinished
from tasks.errors import Crashed, Reason, Unavailable
from tasks.feeding.changes import Change
from tasks.generations.pointer import Current
from tasks.jobs import Delivery
from tasks.layout import Layout
from tasks.messages import SUSPECTS, TagMessage
from tasks.observe import Silent
from tasks.publish import Publisher
from tasks.records import Image, ImageRef, Outcome, Status
from tasks.redo import Redo
from tasks.suspects import Suspects
from tests.tasks.queues import KeptQueue
from worker.storage.memory import MemoryStore

MADE = Provenance("0123456789ab", "fake", "numpy", "t")
DELIVERY = Delivery(SUSPECTS, redelivered=False)
REF = ImageRef("photos", "a.jpg")


class Process:
    """`Isolated` that does what `act` does."""

    def __init__(self) -> None:
        self.asked: list[ImageRef] = []
        self.act: Callable[[ImageRef], Outcome] = good
        self.starts = True

    def provenance(self) -> Provenance:
        if not self.starts:
            raise Unavailable("does not start")
        return MADE

    def attempt(self, ref: ImageRef, *, redo: Redo | None = None) -> Outcome:
        self.asked.append(ref)
        return self.act(ref)


def good(ref: ImageRef) -> Outcome:
    return Outcome(ref, blank(MADE, Image(ref.bucket, ref.key, ref.etag), Status.EMPTY))


def crash(ref: ImageRef) -> Outcome:
    raise Crashed(Reason.WORKER_CRASHED, "SIGSEGV")


def ending(reason: str) -> Callable[[ImageRef], Outcome]:
    return lambda ref: unfinished(MADE, ref, Status.FAILED, reason, "as told")


@pytest.fixture
def source() -> MemoryStore:
    store = MemoryStore("photos")
    store.put("a.jpg", b"pixels", if_match=None)
    return store


@pytest.fixture
def process() -> Process:
    return Process()


@pytest.fixture
def queue() -> KeptQueue:
    return KeptQueue()


@pytest.fixture
def out() -> MemoryStore:
    return MemoryStore("out")


@pytest.fixture
def suspects(process: Process, source: MemoryStore, queue: KeptQueue, out: MemoryStore) -> Suspects:
    def publisher(generation: str) -> Publisher:
        return Publisher(out, Layout(""), generation)

    return Suspects(process, {"photos": source}, publisher, queue, Silent(), threading.Event())


def records(out: MemoryStore) -> list[str]:
    return [stat.key for stat in out.list()]


def test_a_good_image_ends_there(suspects: Suspects, process: Process, queue: KeptQueue, source: MemoryStore) -> None:
    given = TagMessage((REF,))
    suspects.run(given, DELIVERY)
    assert process.asked == [ImageRef("photos", "a.jpg", source.stat("a.jpg").etag)]
    assert (queue.sent, queue.deferred, queue.struck) == ([], [], [given.id])


def test_three_failures_of_one_content_end_as_a_record(
    suspects: Suspects, process: Process, queue: KeptQueue, out: MemoryStore, source: MemoryStore
) -> None:
    process.act = crash
    given = TagMessage((REF,))
    for _ in range(2):
        suspects.run(given, DELIVERY)
        assert records(out) == []
        given = queue.deferred.pop()[0]
    suspects.run(given, DELIVERY)
    assert queue.deferred == []
    assert records(out) == ["0123456789ab/failed/photos/a.jpg.json"]
    record = suspects.publisher(MADE.generation).current(REF)
    assert record is not None
    assert (record.status, record.reason, record.image.etag) == (
        Status.FAILED,
        "worker_crashed",
        source.stat("a.jpg").etag,
    )
    assert not queue.failures


@pytest.mark.parametrize("run", [None, "r"])
def test_what_ended_is_announced_and_nothing_else(
    suspects: Suspects, process: Process, queue: KeptQueue, run: str | None
) -> None:
    change = Change(MADE.generation, "photos", "a.jpg")
    process.act = crash
    given = TagMessage((REF,), run=run)
    for announced in ([], [], [change]):
        suspects.run(given, DELIVERY)
        assert queue.announced == announced
        given = queue.deferred.pop()[0] if queue.deferred else given
    for act, announced in ((good, [change]), (ending("vanished"), [change]), (ending("replaced"), [])):
        queue.announced.clear()
        process.act = act
        suspects.run(TagMessage((REF,), run=run), DELIVERY)
        assert queue.announced == announced


def test_another_content_begins_anew(
    suspects: Suspects, process: Process, queue: KeptQueue, out: MemoryStore, source: MemoryStore
) -> None:
    process.act = crash
    for _ in range(2):
        suspects.run(TagMessage((REF,)), DELIVERY)
    source.put("a.jpg", b"others", if_match=source.stat("a.jpg").etag)
    suspects.run(TagMessage((REF,)), DELIVERY)
    assert records(out) == []
    assert sorted(queue.failures.values()) == [1, 2]


@pytest.mark.parametrize("reason", ["unavailable", "conflict"])
def test_what_is_not_the_images_fault_is_not_counted(
    suspects: Suspects, process: Process, queue: KeptQueue, out: MemoryStore, reason: str
) -> None:
    process.act = ending(reason)
    for _ in range(5):
        suspects.run(TagMessage((REF,)), DELIVERY)
    process.act = lambda ref: (_ for _ in ()).throw(Unavailable("killed from outside"))
    suspects.run(TagMessage((REF,)), DELIVERY)
    process.starts = False
    suspects.run(TagMessage((REF,)), DELIVERY)
    assert len(queue.deferred) == 7
    assert not queue.failures
    assert records(out) == []


def test_every_image_that_began_ends(suspects: Suspects, process: Process, queue: KeptQueue) -> None:
    """As the metrics have it: else more and more would be under way."""

    class Balance(Silent):
        under_way = 0

        def began(self) -> None:
            self.under_way += 1

        def outcome(self, outcome: Outcome, queue: str, seconds: float) -> None:
            self.under_way -= 1

    def stopped(ref: ImageRef) -> Outcome:
        raise Unavailable("killed from outside")

    def refused(ref: ImageRef) -> Outcome:
        queue.away = 1
        return crash(ref)

    observer = Balance()
    for act in (good, stopped, refused, crash):
        process.act = act
        replace(suspects, observer=observer).run(TagMessage((REF,)), DELIVERY)
    assert observer.under_way == 0
    assert len(queue.deferred) == 3


def test_the_record_is_not_written_for_what_was_replaced_meanwhile(
    suspects: Suspects, process: Process, queue: KeptQueue, out: MemoryStore, source: MemoryStore
) -> None:
    def replace_and_crash(ref: ImageRef) -> Outcome:
        if queue.failures.total() == 2:
            source.put("a.jpg", b"others", if_match=source.stat("a.jpg").etag)
        return crash(ref)

    process.act = replace_and_crash
    for _ in range(3):
        suspects.run(TagMessage((REF,)), DELIVERY)
    assert records(out) == []
    assert queue.deferred[-1][0].refs == (REF,)


def test_gone_and_replaced(suspects: Suspects, process: Process, queue: KeptQueue) -> None:
    process.act = ending("vanished")
    suspects.run(TagMessage((ImageRef("photos", "gone.jpg"),)), DELIVERY)
    assert queue.deferred == []
    process.act = ending("replaced")
    suspects.run(TagMessage((REF,)), DELIVERY)
    assert queue.deferred[0][0].refs == (REF,)


def test_others_get_other_generations_and_libraries(suspects: Suspects, process: Process, queue: KeptQueue) -> None:
    suspects.run(TagMessage((REF,), "ba9876543210"), DELIVERY)
    suspects.run(TagMessage((ImageRef("elsewhere", "a.jpg"),)), DELIVERY)
    assert process.asked == []
    assert len(queue.deferred) == 2


def test_what_nobody_writes_any_more_goes_to_what_serves(
    suspects: Suspects, process: Process, queue: KeptQueue
) -> None:
    old = TagMessage((REF,), "ba9876543210", tries=9)
    replace(suspects, current=lambda: Current(MADE.generation)).run(old, DELIVERY)
    [(stray, target)] = queue.sent
    assert (stray.refs, stray.generation, target) == ((REF,), MADE.generation, SUSPECTS)
    assert (process.asked, queue.struck) == ([], [old.id])


def test_several_at_once_and_a_stop_between(suspects: Suspects, process: Process, queue: KeptQueue) -> None:
    def stop(ref: ImageRef) -> Outcome:
        suspects.stop.set()
        return good(ref)

    process.act = stop
    refs = tuple(ImageRef("photos", "a.jpg") for _ in range(3))
    suspects.run(TagMessage(refs), DELIVERY)
    assert len(process.asked) == 1
    assert [(len(m.refs), target) for m, target in queue.sent] == [(1, SUSPECTS), (1, SUSPECTS)]
