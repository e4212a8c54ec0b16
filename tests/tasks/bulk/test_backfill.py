"""Runs over a library in memory, with workers that do as they are told."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tasks.bulk import feeder as feeding
from tasks.bulk.ahead import Ahead
from tasks.bulk.backfill import EVERY, UNDONE, Backfill, Plan
from tasks.bulk.feed import Control, Feed
from tasks.bulk.feeder import Feeder
from tasks.bulk.results import Progress, Result
from tasks.errors import Unavailable
from tasks.listing import orphans as removing
from tasks.listing.merge import Found
from tasks.listing.reconcile import Reconciler, State
from tasks.listing.shards import Sweep
from tasks.messages import BACKFILL, SUSPECTS
from tasks.ports import Stat
from tasks.publish import Publisher
from tasks.records import ImageRef, Status
from tasks.redo import Redo
from tests.tasks.fleets import Fleet, tagged, terminal
from tests.worker.libraries import GENERATION, library, record
from worker.library import Library
from worker.storage.memory import MemoryStore


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(feeding, "AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(feeding, "IMAGES", 16)


@pytest.fixture
def lib() -> Library:
    """60 images with their records in the same store."""
    made = library()
    for i in range(60):
        made.source.put(f"{i % 3}/{i:03}.jpg", b"x", if_match=None)
    return replace(made, sidecars=made.source)


@pytest.fixture
def fleet(lib: Library) -> Fleet:
    return Fleet(lambda ref, _: tagged(lib, ref))


class AtOnce(Ahead):
    """Counts while the caller waits, so that it is known when."""

    def begin(self) -> None:
        self._count()


class Run:
    """One run, and what it told."""

    def __init__(self, lib: Library, fleet: Fleet, **feed: object) -> None:
        self.lib, self.fleet, self.control = lib, fleet, Control()
        self.feed = Feed(uuid.uuid4().hex, GENERATION, **feed)  # type: ignore[arg-type]
        self.told: list[Progress] = []
        self.tell: Callable[[Progress], None] = self.told.append
        self.sweep: Callable[[], Sweep] = lambda: Sweep(lib, GENERATION, lanes=1)
        self.ahead = AtOnce(lib.images)

    def __call__(self, **plan: object) -> Result:
        lib = self.lib
        redo = self.feed.redo is not None
        reconciler = Reconciler(lib.source, lib.sidecars, lib.layout, GENERATION, read_terminal=redo)
        feeder = None
        if not plan.get("dry_run"):
            feeder = Feeder(self.feed, self.fleet, self.fleet, self.control, self.tell, ahead=self.ahead)
        publisher = Publisher(lib.sidecars, lib.layout, GENERATION)
        made = Plan("photos", **plan)  # type: ignore[arg-type]
        return Backfill(made, lib.source, publisher, reconciler, self.sweep, feeder, self.tell).run(self.feed.run)


def done(lib: Library) -> set[str]:
    prefix = lib.layout.prefix("done", GENERATION, "photos")
    return {stat.key[len(prefix) :].removesuffix(".json") for stat in lib.sidecars.list(prefix)}


def test_it_ends_when_a_listing_finds_nothing(lib: Library, fleet: Fleet) -> None:
    result = Run(lib, fleet, window=2)()
    assert result.converged
    assert [(c.images, c.missing, c.current, c.sent) for c in result.passes] == [(60, 60, 0, 60), (60, 0, 60, 0)]
    assert result.outcomes == {"tagged": 60}
    assert result.not_ended == 0
    assert [len(m.refs) for m, queue in fleet.messages if queue == BACKFILL] == [16, 16, 16, 12]
    assert {(m.run, m.generation) for m, _ in fleet.messages} == {(result.run, GENERATION)}
    assert fleet.most <= 2

    again = Run(lib, fleet)()
    assert [(c.images, c.current, c.looked, c.sent) for c in again.passes] == [(60, 60, 0, 0)]
    assert again.outcomes == {}


def test_images_are_counted_ahead_once_the_listing_waits_for_workers(lib: Library, fleet: Fleet) -> None:
    run = Run(lib, fleet, window=1)
    run()
    assert {told.expected for told in run.told if told.number == 1} == {None, 60}

    idle = Run(lib, Fleet(lambda ref, _: tagged(lib, ref)))
    idle()
    assert {told.expected for told in idle.told} == {None}


def test_what_never_settles_is_left_after_three_listings(lib: Library) -> None:
    result = Run(lib, Fleet(lambda *_: "tagged"))()
    assert (len(result.passes), result.converged) == (3, False)
    assert any("run it again" in note for note in result.notes)


def test_changes_between_listings_are_found(lib: Library) -> None:
    def work(ref: ImageRef, _: object) -> str:
        outcome = tagged(lib, ref)
        if ref.key == "0/003.jpg" and outcome == "tagged":
            lib.source.put("0/003.jpg", b"new", if_match=lib.source.stat("0/003.jpg").etag)
            lib.source.put("new.jpg", b"x", if_match=None)
            work_once.clear()
        return outcome

    work_once = [1]
    result = Run(lib, Fleet(lambda ref, m: work(ref, m) if work_once else tagged(lib, ref)))()
    assert result.passes[1].stale == 1
    assert result.passes[1].missing == 1
    assert result.converged


def test_a_queue_that_is_wiped_costs_another_listing(lib: Library, fleet: Fleet) -> None:
    fleet.wipe_at = 3
    result = Run(lib, fleet, window=1)()
    assert result.converged
    assert done(lib) == {stat.key for stat in lib.source.list() if stat.key.endswith(".jpg")}
    assert [c.missing for c in result.passes] == [60, 16, 0]


def test_a_queue_that_is_away_is_waited_for_and_told_of(lib: Library, fleet: Fleet) -> None:
    fleet.away = 3
    run = Run(lib, fleet)
    assert run().converged
    assert any(progress.note == "the queue is away" for progress in run.told)


def test_nobody_there_is_told_of(lib: Library, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "BEAT_SECONDS", 0.0)
    monkeypatch.setattr(feeding, "TELL_SECONDS", 0.0)
    fleet.gone = True
    run = Run(lib, fleet, window=1)

    def tell(progress: Progress) -> None:
        if progress.note and "no worker" in progress.note:
            run.control.stop.set()

    run.tell = tell
    result = run()
    assert (result.interrupted, result.converged, result.not_ended) == (True, False, 16)


def test_stopped_it_says_what_has_not_ended(lib: Library, fleet: Fleet) -> None:
    run = Run(lib, fleet, window=2)
    work = fleet.work

    def stop(ref: ImageRef, message: object) -> str:
        run.control.stop.set()
        return work(ref, message)  # type: ignore[arg-type]

    fleet.work = stop
    result = run()
    assert result.interrupted
    assert 0 < result.outcomes["tagged"] < 60
    assert Run(lib, Fleet(lambda ref, _: tagged(lib, ref)))().converged


def test_a_rate_is_kept(lib: Library, fleet: Fleet) -> None:
    result = Run(lib, fleet, rate=100.0)()
    assert result.converged
    # The first message goes at once; three more wait for 16 images each.
    assert result.seconds > 0.3


def test_limit_and_sample(lib: Library, fleet: Fleet) -> None:
    limited = Run(lib, fleet)(limit=10)
    assert [(c.sent, c.complete) for c in limited.passes] == [(10, False)]
    sampled = Run(lib, fleet)(sample=10)
    assert [(c.sent, c.complete, c.missing) for c in sampled.passes] == [(10, True, 50)]
    assert len(done(lib)) == 20
    assert len({ref.key.partition("/")[0] for ref in fleet.refs[10:]}) > 1


def test_a_dry_run_sends_and_removes_nothing(lib: Library, fleet: Fleet) -> None:
    Run(lib, fleet)(limit=50)
    lib.source.delete("0/000.jpg", if_match=lib.source.stat("0/000.jpg").etag)
    before = len(fleet.messages)
    result = Run(lib, fleet)(dry_run=True, max_orphans=100.0)
    (counts,) = result.passes
    assert (counts.missing, counts.orphans, counts.sent, counts.bytes) == (10, 1, 10, 10)
    assert (len(fleet.messages), result.removed) == (before, 0)


def test_what_failed_is_sent_when_asked_and_what_crashed_goes_alone(lib: Library, fleet: Fleet) -> None:
    lib.source.put("broken.jpg", b"x", if_match=None)
    lib.source.put("crashed.jpg", b"x", if_match=None)
    ref = ImageRef("photos", "crashed.jpg")
    made = terminal(ref.key, lib.source.stat(ref.key).etag, Status.FAILED, "worker_crashed")
    lib.sidecars.put(lib.layout.failed(GENERATION, ref), made.to_json().encode(), if_match=None)
    first = Run(lib, fleet)()
    assert first.outcomes == {"tagged": 60, "rejected/truncated": 1}
    assert first.rejected == 1
    assert first.passes[1].terminal == 2
    fleet.messages.clear()
    redo = Redo("failed", 1.0)
    again = Run(lib, fleet, redo=redo)(only=frozenset({State.TERMINAL}))
    assert [c.sent for c in again.passes] == [2, 0]
    assert {(m.refs[0].key, queue) for m, queue in fleet.messages} == {
        ("broken.jpg", BACKFILL),
        ("crashed.jpg", SUSPECTS),
    }
    assert {m.redo for m, _ in fleet.messages} == {redo}


def test_forced_everything_is_sent_once(lib: Library, fleet: Fleet) -> None:
    Run(lib, fleet)()
    result = Run(lib, fleet, redo=Redo("all", 1.0))(only=EVERY)
    assert [c.sent for c in result.passes] == [60, 0]


def test_only_what_is_asked_for(lib: Library, fleet: Fleet) -> None:
    Run(lib, fleet)(limit=30)
    key = fleet.refs[0].key
    lib.source.put(key, b"y", if_match=lib.source.stat(key).etag)
    result = Run(lib, fleet)(only=frozenset({State.STALE}))
    assert result.passes[0].sent == 1
    assert fleet.refs[-1].key == key
    assert {State.STALE, State.MISSING} == UNDONE


def remove(lib: Library, number: int) -> None:
    for stat in list(lib.source.list("1/"))[:number]:
        lib.source.delete(stat.key, if_match=stat.etag)


def test_few_records_without_an_image_are_removed(lib: Library, fleet: Fleet) -> None:
    Run(lib, fleet)()
    remove(lib, 2)
    result = Run(lib, fleet)(max_orphans=3.4)
    assert (result.removed, result.kept, len(done(lib))) == (2, (), 58)


def test_more_than_one_in_a_hundred_stay_unless_asked(lib: Library, fleet: Fleet) -> None:
    Run(lib, fleet)()
    remove(lib, 3)
    result = Run(lib, fleet)()
    assert [(kept.reason, kept.count) for kept in result.kept] == [("too_many", 3)]
    assert (result.removed, len(done(lib))) == (0, 60)
    assert any("--max-orphans 6" in note for note in result.notes)
    for kept in (Run(lib, fleet)(limit=5, max_orphans=100.0, remove=False), Run(lib, fleet)(remove=False)):
        assert [one.reason for one in kept.kept] == ["not_asked"]
    assert Run(lib, fleet)(max_orphans=6.0).removed == 3


def test_an_empty_listing_removes_nothing(lib: Library, fleet: Fleet) -> None:
    Run(lib, fleet)()
    for stat in list(lib.source.list()):
        if not stat.key.startswith(".stockmeta/") and stat.key.endswith(".jpg"):
            lib.source.delete(stat.key, if_match=stat.etag)
    result = Run(lib, fleet)(max_orphans=100.0)
    assert [(kept.reason, kept.count) for kept in result.kept] == [("empty_listing", 60)]
    assert len(done(lib)) == 60


class Broken(MemoryStore):
    """Its listing breaks off after some images, the first time."""

    whole = False

    def list(self, prefix: str = "", *, without: str = "") -> Iterator[Stat]:
        for number, stat in enumerate(super().list(prefix, without=without)):
            if number == 10 and not prefix and not self.whole:
                self.whole = True
                raise Unavailable("the listing broke off")
            yield stat


def test_a_listing_that_breaks_off_removes_nothing_and_is_repeated() -> None:
    made = library()
    broken = Broken("photos")
    lib = replace(made, source=broken)
    for i in range(20):
        broken.put(f"{i:03}.jpg", b"x", if_match=None)
    fleet = Fleet(lambda ref, _: tagged(lib, ref))
    broken.whole = True
    Run(lib, fleet)()
    broken.delete("015.jpg", if_match=broken.stat("015.jpg").etag)
    broken.whole = False
    run = Run(lib, fleet)
    result = run(max_orphans=100.0)
    assert [c.complete for c in result.passes] == [False, True]
    assert result.removed == 1
    assert any("broke off" in note for note in result.notes)


def test_what_is_stored_is_told_to_workers(lib: Library, fleet: Fleet) -> None:
    run = Run(lib, fleet, stored="ba9876543210")
    found = [
        Found(stat.key, stat, stored=stat if number % 2 else None) for number, stat in enumerate(lib.source.list("0/"))
    ]

    class Given(Sweep):
        def __iter__(self) -> Iterator[Found]:
            yield from found
            self.complete = True

    run.sweep = lambda: Given(lib, GENERATION, lanes=1)
    run(once=True)
    told = {ref.key: (message.stored, ref.etag) for message, _ in fleet.messages for ref in message.refs}
    for number, one in enumerate(found):
        assert one.image is not None
        assert told[one.key] == (("ba9876543210", one.image.etag) if number % 2 else (None, None))


def test_what_is_left_of_gone_images_in_the_generation_scored_again_is_no_orphan(lib: Library, fleet: Fleet) -> None:
    older = "0" * 12
    for key in ("0/000.jpg", "gone/1.jpg"):
        path = lib.layout.done(older, ImageRef("photos", key))
        lib.sidecars.put(path, record(key).to_json().encode(), if_match=None)
    run = Run(lib, fleet, stored=older)
    run.sweep = lambda: Sweep(lib, GENERATION, older, lanes=1)
    result = run()
    assert (result.passes[0].orphans, result.removed, result.kept, result.converged) == (0, 0, (), True)
    assert lib.sidecars.read(lib.layout.done(older, ImageRef("photos", "gone/1.jpg")))


def test_a_run_is_stopped_between_two_orphans(lib: Library, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removing, "BATCH", 4)
    Run(lib, fleet)()
    for i in range(20):
        key = f"{i % 3}/{i:03}.jpg"
        lib.source.delete(key, if_match=lib.source.stat(key).etag)
    run = Run(lib, fleet)
    forget = Publisher.forget

    def first(publisher: Publisher, ref: ImageRef, source: MemoryStore) -> bool:
        run.control.stop.set()
        return forget(publisher, ref, source)

    monkeypatch.setattr(Publisher, "forget", first)
    result = run(max_orphans=100.0)
    assert (result.interrupted, result.removed, result.kept) == (True, 4, ())


def test_what_is_gone_since_the_inventory_does_not_come_up_again_and_again(lib: Library, fleet: Fleet) -> None:
    images = list(lib.images())
    lib.source.delete("0/003.jpg", if_match=lib.source.stat("0/003.jpg").etag)
    run = Run(lib, fleet)
    run.sweep = lambda: Sweep(lib, GENERATION, sort=lambda stats, _: iter(sorted(stats)), images=iter(images))
    result = run(dated=True, remove=False)
    assert [(counts.missing, counts.sent) for counts in result.passes] == [(60, 60), (0, 0)]
    assert result.converged
    assert fleet.refs.count(ImageRef("photos", "0/003.jpg")) == 1
