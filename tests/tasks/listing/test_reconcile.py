"""What is current and what is not, from the times of listings, and from records where those do not tell."""

import pytest

from tasks.layout import FOLDER_KEYS, Layout
from tasks.listing.merge import Found
from tasks.listing.reconcile import MARGIN_SECONDS, Reconciler, State, Verdict
from tasks.ports import Stat
from tasks.records import ImageRef, Record, Status
from tests.tasks.fleets import terminal
from tests.worker.libraries import GENERATION, record
from worker.storage.memory import MemoryStore

ETAG = '"1"'


class Reading(MemoryStore):
    """Counts how often an object is read."""

    def __init__(self, bucket: str) -> None:
        super().__init__(bucket)
        self.reads: list[str] = []

    def read(self, key: str) -> tuple[bytes, str] | None:
        self.reads.append(key)
        return super().read(key)


@pytest.fixture
def store() -> Reading:
    return Reading("photos")


@pytest.fixture
def reconciler(store: Reading) -> Reconciler:
    return Reconciler(store, store, Layout(), GENERATION)


def stat(modified: float | None = None, etag: str = ETAG) -> Stat:
    return Stat("a.jpg", etag, 1, modified)


def found(image: Stat | None, done: Stat | None = None, failed: Stat | None = None) -> Found:
    return Found("a.jpg", image, done, failed)


def write(store: MemoryStore, made: Record, kind: str = "done") -> None:
    ref = ImageRef("photos", made.image.key)
    path = Layout().done(GENERATION, ref) if kind == "done" else Layout().failed(GENERATION, ref)
    store.put(path, made.to_json().encode(), if_match=None)


def judged(reconciler: Reconciler, one: Found) -> Verdict:
    (verdict,) = reconciler.verdicts([one])
    return verdict


@pytest.mark.parametrize(
    ("one", "state"),
    [
        (found(stat(1.0)), State.MISSING),
        (found(stat(1.0), done=stat(2.0)), State.CURRENT),
        (found(stat(1.0), failed=stat(2.0)), State.TERMINAL),
        (found(None, done=stat(2.0)), State.ORPHAN),
        (found(None, failed=stat(2.0)), State.ORPHAN),
    ],
)
def test_times_tell_without_a_request(reconciler: Reconciler, store: Reading, one: Found, state: State) -> None:
    assert judged(reconciler, one) == Verdict(one, state)
    assert store.reads == []


@pytest.mark.parametrize("modified", [2.0, 3.0, None])
@pytest.mark.parametrize(("etag", "state"), [(ETAG, State.CURRENT), ('"2"', State.STALE)])
def test_an_image_that_is_not_older_is_compared_with_its_record(
    reconciler: Reconciler, store: Reading, modified: float | None, etag: str, state: State
) -> None:
    """Whole seconds: replaced within the second of its record, it would look current."""
    write(store, record("a.jpg", etag=ETAG))
    verdict = judged(reconciler, found(stat(modified, etag), done=stat(2.0)))
    assert (verdict.state, verdict.looked) == (state, True)
    assert len(store.reads) == 1


def test_clocks_of_two_stores_may_differ(store: Reading) -> None:
    write(store, record("a.jpg", etag=ETAG))
    apart = Reconciler(MemoryStore("photos"), store, Layout(), GENERATION, margin=MARGIN_SECONDS)
    assert judged(apart, found(stat(1.0, '"2"'), done=stat(1.0 + MARGIN_SECONDS))).state is State.STALE
    assert judged(apart, found(stat(1.0), done=stat(2.0 + MARGIN_SECONDS))).looked is False


def test_thorough_reads_every_record(store: Reading) -> None:
    write(store, record("a.jpg", etag=ETAG))
    thorough = Reconciler(store, store, Layout(), GENERATION, thorough=True)
    assert judged(thorough, found(stat(1.0, '"2"'), done=stat(9.0))).state is State.STALE


def test_a_record_that_cannot_be_understood_is_stale(reconciler: Reconciler, store: Reading) -> None:
    store.put(Layout().done(GENERATION, ImageRef("photos", "a.jpg")), b"{}", if_match=None)
    assert judged(reconciler, found(stat(2.0), done=stat(2.0))).state is State.STALE


def test_both_records_are_put_right(reconciler: Reconciler, store: Reading) -> None:
    etag = store.put("a.jpg", b"x", if_match=None)
    write(store, record("a.jpg", etag=etag))
    write(store, terminal("a.jpg", etag), "failed")
    verdict = judged(reconciler, found(stat(1.0, etag), stat(2.0), stat(2.0)))
    assert (verdict.state, verdict.both) == (State.CURRENT, True)
    assert [one.key for one in store.list(".stockmeta/")] == [f".stockmeta/{GENERATION}/done/photos/a.jpg.json"]


def test_a_dry_run_puts_nothing_right(store: Reading) -> None:
    etag = store.put("a.jpg", b"x", if_match=None)
    write(store, record("a.jpg", etag=etag))
    write(store, terminal("a.jpg", "old"), "failed")
    looking = Reconciler(store, store, Layout(), GENERATION, settle=False)
    assert judged(looking, found(stat(1.0, etag), stat(2.0), stat(2.0))).both
    assert len(list(store.list(".stockmeta/"))) == 2


def test_of_what_is_tried_again_it_is_known_what_brought_workers_down(store: Reading) -> None:
    write(store, terminal("a.jpg", ETAG, Status.FAILED, "worker_crashed"), "failed")
    retrying = Reconciler(store, store, Layout(), GENERATION, read_terminal=True)
    verdict = judged(retrying, found(stat(1.0), failed=stat(9.0)))
    assert (verdict.state, verdict.crashed) == (State.TERMINAL, True)


@pytest.mark.parametrize("key", ["x" * 251 + ".jpg", "한" * 84 + ".jpg", "a/" + "x" * 252])
def test_a_key_too_long_for_a_record_is_refused(store: Reading, key: str) -> None:
    folder = Reconciler(store, store, Layout(limits=FOLDER_KEYS), GENERATION)
    verdict = judged(folder, Found(key, Stat(key, ETAG, 1, 1.0)))
    assert (verdict.state, verdict.reason) == (State.REFUSED, "key_too_long")
    fits = "한" * 80 + ".jpg"
    assert judged(folder, Found(fits, Stat(fits, ETAG, 1, 1.0))).state is State.MISSING


def test_of_named_keys_a_record_that_is_not_there_is_missing(store: Reading) -> None:
    named = Reconciler(store, store, Layout(), GENERATION, listed=False)
    perhaps = Stat("a.jpg", "", 0)
    assert judged(named, found(stat(None), perhaps, perhaps)).state is State.MISSING
    write(store, record("a.jpg", etag=ETAG))
    assert judged(named, found(stat(None), perhaps, perhaps)).state is State.CURRENT


def test_many_are_judged_once_each_with_few_ahead(reconciler: Reconciler, store: Reading) -> None:
    text = record(etag=ETAG).to_json().encode()
    for i in range(300):
        store.put(Layout().done(GENERATION, ImageRef("photos", f"{i}.jpg")), text, if_match=None)
    all_found = [
        Found(f"{i}.jpg", Stat(f"{i}.jpg", ETAG, 1, 2.0 if i % 3 else 1.0), Stat("r", "e", 1, 2.0)) for i in range(300)
    ]
    ahead = most = 0

    def listing():  # type: ignore[no-untyped-def]
        nonlocal ahead, most
        for one in all_found:
            ahead += 1
            most = max(most, ahead)
            yield one

    keys = []
    for verdict in reconciler.verdicts(listing()):
        ahead -= 1
        keys.append(verdict.found.key)
        assert verdict.state is State.CURRENT
    assert sorted(keys) == sorted(one.key for one in all_found)
    assert most <= 40
