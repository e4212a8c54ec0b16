"""Following: whatever happens on the way, the index ends as the sidecars are."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import ConfigurationError, StockmetaError, Unavailable
from tasks.feeding.changes import Change
from tasks.feeding.deliver import What
from tasks.feeding.follow import Follower, Pace
from tasks.feeding.reconcile import Compared
from tasks.feeding.watch import Away
from tasks.generations.pointer import open_generation, promote
from tests.tasks.feeding.memory_index import MemoryIndex, MemorySink
from tests.tasks.feeding.memory_stream import MemoryStream
from tests.tasks.feeding.stand import Stand, tags
from tests.worker.libraries import BUCKET, GENERATION

OTHER = "ba9876543210"
KEYS = ("a.jpg", "b.jpg", "b-1.jpg", "deep/c.jpg")


class Killed(BaseException):
    """The process ended here."""


class Counting:
    """A `Watcher` that remembers."""

    def __init__(self) -> None:
        self.outcomes: Counter[What] = Counter()
        self.lags: list[float] = []
        self.comparisons: list[Compared] = []
        self.pauses: list[tuple[Away, float]] = []

    def delivered(self, outcomes: Mapping[What, int]) -> None:
        self.outcomes += Counter(outcomes)

    def committed(self, lags: Sequence[float]) -> None:
        self.lags += lags

    def compared(self, compared: Compared, seconds: float) -> None:
        self.comparisons.append(compared)

    def away(self, what: Away, seconds: float) -> None:
        self.pauses.append((what, seconds))


class Service:
    """A library, a stream, a sink, and a feed that may be killed and started again; time goes by hand."""

    def __init__(self, *, broker: bool = True) -> None:
        self.stand = Stand()
        self.hook: Callable[[str], None] = lambda _: None
        self.sink = MemorySink(lambda what: self.hook(what))
        self.stream = MemoryStream(lambda what: self.hook(what))
        self.broker = broker
        self.clock = 100.0
        self.counting = Counting()
        open_generation(self.stand.store, self.stand.layout, GENERATION)
        self.begin()

    def begin(self) -> None:
        self.stop = threading.Event()
        # Quietly: a pause is over as soon as it began.
        self.stop.wait = self.pause  # type: ignore[method-assign]
        self.follower = Follower(
            self.stand.sidecars,
            self.sink,
            self.stand.deliverer,
            self.stream if self.broker else None,
            self.stop,
            Pace(batch=3),
            watcher=self.counting,
            clock=lambda: self.clock,
            wall=lambda: self.clock,
        )

    def pause(self, timeout: float | None = None) -> bool:
        self.clock += timeout or 0.0
        self.stream.now = self.clock
        return self.stop.is_set()

    def turn(self, seconds: float = 2.0) -> None:
        self.clock += seconds
        self.stream.now = self.clock
        self.follower.turn()

    def settle(self) -> None:
        """Go on until everything that was announced is delivered, waiting for what does not answer."""
        for _ in range(200):
            try:
                self.turn()
            except StockmetaError as error:
                self.follower._wait(error)  # type: ignore[arg-type]
            if not self.stream.waiting and not self.stream.taken and not self.stream.reason:
                break
        self.turn(6.0)
        self.turn()

    def close(self) -> None:
        """As the end of the process would."""
        for followed in self.follower._followed.values():
            followed.close()

    def kill(self) -> None:
        self.close()
        for index in (*self.sink.indexes.values(), *self.sink.beside.values()):
            index.crash()
        self.stream.restart()
        self.begin()

    def commit(self, key: str, generation: str = GENERATION, **changes: int) -> None:
        self.stand.commit(key, generation, **changes)
        self.stream.announce(Change(generation, BUCKET, key))

    def remove(self, key: str, generation: str = GENERATION) -> None:
        self.stand.remove(key, generation)
        self.stream.announce(Change(generation, BUCKET, key))

    def index(self, generation: str = GENERATION) -> MemoryIndex:
        return self.sink.indexes[generation]

    def equal(self, generation: str = GENERATION) -> bool:
        return tags(self.index(generation)) == self.stand.tags(generation)

    @contextmanager
    def failing(self, *names: str, error: Exception | None = None) -> Iterator[None]:
        def hook(what: str) -> None:
            if what in names:
                raise error or Unavailable(f"{what}: no answer")

        self.hook = hook
        try:
            yield
        finally:
            self.hook = lambda _: None


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    yield service
    service.close()


def test_what_was_there_before_is_compared_and_what_comes_is_delivered(service: Service) -> None:
    service.stand.commit("a.jpg")
    service.settle()
    assert service.sink.served == GENERATION
    assert service.index().complete
    assert service.equal()
    service.commit("b.jpg")
    service.remove("a.jpg")
    service.turn()
    service.turn()
    assert set(service.index().committed.documents) == {"b.jpg"}
    assert len(service.counting.comparisons) == 1


def test_changes_are_done_with_only_after_the_commit(service: Service) -> None:
    service.settle()
    service.commit("a.jpg")
    with service.failing("commit"), pytest.raises(Unavailable):
        service.turn()
    assert service.stream.taken
    service.settle()
    assert not service.stream.taken
    assert service.equal()


def test_a_kill_between_sidecar_and_index_is_made_up_for(service: Service) -> None:
    """Row 3, on the feed's side: whatever it was doing, the change comes again."""
    for step in ("read", "indexed", "deliver", "delivered", "commit", "committed", "done"):
        service.settle()
        service.commit("a.jpg")

        def hook(what: str, step: str = step) -> None:
            if what == step:
                raise Killed

        service.hook = hook
        with pytest.raises(Killed):
            service.turn()
            service.turn()
        service.hook = lambda _: None
        service.kill()
        service.settle()
        assert service.equal(), step


def test_an_image_removed_while_its_change_is_on_the_way_has_no_document(service: Service) -> None:
    """Row 21."""
    service.settle()
    service.commit("a.jpg")
    removed: list[bool] = []

    def hook(what: str) -> None:
        if what == "deliver" and not removed:
            removed.append(True)
            service.remove("a.jpg")

    service.hook = hook
    service.settle()
    assert removed
    assert not service.index().documents


def test_other_libraries_and_generations_are_left_alone(service: Service) -> None:
    service.stand.sidecars = Stand(prefix="deep/").sidecars
    service.settle()
    asked = len(service.index().asked)
    service.stream.announce(
        Change(GENERATION, "elsewhere", "a.jpg"), Change(OTHER, BUCKET, "a.jpg"), Change(GENERATION, BUCKET, "a.jpg")
    )
    service.settle()
    assert bool(service.index().asked[asked:]) is True or not service.stream.taken
    assert not service.index().documents


def test_a_generation_that_is_filled_is_followed_and_searches_use_it_when_it_serves(service: Service) -> None:
    service.commit("a.jpg")
    service.settle()
    open_generation(service.stand.store, service.stand.layout, OTHER)
    service.commit("a.jpg", OTHER)
    service.settle()
    service.commit("b.jpg", OTHER)
    service.settle()
    assert service.equal(OTHER)
    assert service.sink.served == GENERATION
    compared = len(service.counting.comparisons)
    # Nobody announced this one.
    service.stand.commit("c.jpg", OTHER)
    promote(service.stand.store, service.stand.layout, OTHER)
    service.settle()
    assert service.sink.served == OTHER
    assert len(service.counting.comparisons) == compared + 1
    assert service.equal(OTHER)


def test_after_a_rollback_the_old_index_is_compared_before_searches_use_it(service: Service) -> None:
    service.commit("a.jpg")
    service.settle()
    open_generation(service.stand.store, service.stand.layout, OTHER)
    promote(service.stand.store, service.stand.layout, OTHER)
    service.settle()
    # Nobody follows the old one now.
    service.commit("b.jpg")
    service.settle()
    assert not service.equal()
    promote(service.stand.store, service.stand.layout, GENERATION)

    def hook(what: str) -> None:
        if what == "serve":
            assert service.equal()

    service.hook = hook
    service.settle()
    assert service.sink.served == GENERATION


def test_what_a_wiped_stream_lost_is_found_by_a_comparison(service: Service) -> None:
    service.settle()
    service.commit("a.jpg")
    service.stream.wipe()
    service.settle()
    assert service.equal()
    assert service.stream.reason is None


def test_what_nobody_announced_is_found_after_an_hour(service: Service) -> None:
    service.settle()
    service.stand.commit("a.jpg")
    service.turn(60)
    assert not service.equal()
    service.turn(3600)
    assert service.equal()
    assert service.counting.comparisons[-1].differences == 1


def test_without_a_broker_the_listing_tells_all() -> None:
    with closing(Service(broker=False)) as service:
        service.stand.commit("a.jpg")
        service.turn()
        assert service.equal()
        service.stand.remove("a.jpg")
        service.turn(3601)
        assert service.equal()


@pytest.mark.parametrize("step", ["indexed", "deliver", "commit", "listed", "serve", "open", "completed"])
def test_an_index_that_does_not_answer_is_waited_for_with_growing_pauses(
    step: str, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    if step in ("indexed", "deliver", "commit"):
        service.settle()
    service.commit("a.jpg")
    with service.failing(step):
        for _ in range(12):
            with pytest.raises(Unavailable) as raised:
                service.turn()
            service.follower._wait(raised.value)
    waiting = [record for record in caplog.records if "does not answer" in record.message]
    assert len(waiting) == 1
    pauses = [seconds for what, seconds in service.counting.pauses if what == "index"]
    assert pauses[:3] == [0.5, 1.0, 2.0]
    assert pauses[-1] == 30.0
    service.settle()
    assert service.equal()
    assert service.stand.tags()


@pytest.mark.parametrize("step", ["missed", "read", "done", "caught_up"])
def test_while_the_stream_is_away_listings_are_compared_and_then_it_is_asked_what_was_missed(
    step: str, service: Service
) -> None:
    if step == "done":
        service.settle()
    service.commit("a.jpg")
    with service.failing(step):
        for _ in range(20):
            service.turn()
    assert service.equal()
    assert {what for what, _ in service.counting.pauses} == {"stream"}
    service.stand.commit("b.jpg")
    service.stream.wipe()
    service.settle()
    assert service.equal()


def test_an_index_that_refuses_everything_ends_a_beginning_and_not_a_service(service: Service) -> None:
    refusing = ConfigurationError("the password is wrong")
    with service.failing("open", error=refusing), pytest.raises(ConfigurationError):
        service.follower.run()
    service.begin()
    service.commit("a.jpg")
    refusals: list[str] = []

    def hook(what: str) -> None:
        if what == "done" and not refusals:
            service.commit("b.jpg")
        elif what == "done":
            service.stop.set()
        elif what == "deliver" and "a.jpg" in service.index().committed.documents and len(refusals) < 3:
            refusals.append(what)
            raise refusing

    service.hook = hook
    service.follower.run()
    assert len(refusals) == 3
    assert set(service.index().committed.documents) == {"a.jpg", "b.jpg"}


def test_a_document_that_is_refused_holds_nothing_up(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    """Row 26."""
    service.settle()
    service.index().refuse = lambda document: "no such field" if document.key == "b.jpg" else None
    for key in KEYS:
        service.commit(key)
    service.settle()
    assert set(service.index().documents) == set(KEYS) - {"b.jpg"}
    assert "'b.jpg' has no document: mapping: no such field" in caplog.text
    assert service.counting.outcomes["refused"] == 1
    service.index().refuse = lambda _: None
    service.turn(3601)
    assert service.equal()
    assert not service.index().letters


def test_changes_are_delivered_while_a_long_comparison_goes_on(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.feeding.reconcile.BATCH", 1)
    for number in range(30):
        service.stand.commit(f"{number:02}.jpg")
    # Each look at the clock takes a second, so that a comparison's turn is over after one image.
    ticking = service.follower._clock = lambda: setattr(service, "clock", service.clock + 1) or service.clock  # type: ignore[func-returns-value]
    assert ticking
    service.turn()
    service.commit("new.jpg")
    service.turn()
    service.turn()
    assert "new.jpg" in service.index().documents
    assert len(service.index().documents) < 30
    assert not service.counting.comparisons


def test_changes_are_delivered_while_a_long_comparison_goes_on_also_after_the_stream_was_away(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.feeding.reconcile.BATCH", 1)
    for number in range(60):
        service.stand.commit(f"{number:02}.jpg")
    # Each look at the clock takes a second, so that a comparison's turn is over after one image.
    ticking = service.follower._clock = lambda: setattr(service, "clock", service.clock + 1) or service.clock  # type: ignore[func-returns-value]
    assert ticking
    service.turn()
    with service.failing("read"):
        service.turn()
    service.commit("new.jpg")
    for _ in range(5):
        service.turn()
    assert "new.jpg" in service.index().documents
    assert not service.counting.comparisons


def test_what_was_lost_while_a_comparison_made_up_for_a_loss_is_compared_for_again(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.feeding.reconcile.BATCH", 1)
    for number in range(20):
        service.stand.commit(f"{number:02}.jpg")
    ticking = service.follower._clock = lambda: setattr(service, "clock", service.clock + 1) or service.clock  # type: ignore[func-returns-value]
    assert ticking
    for _ in range(4):
        service.turn()
    assert "00.jpg" in service.index().documents
    assert not service.counting.comparisons
    service.commit("00.jpg")
    service.stream.wipe()
    with service.failing("read"):
        service.turn()
    service.settle()
    assert service.equal()


def test_an_index_that_was_to_serve_and_is_not_any_more_stays_away_from_searches(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.commit("a.jpg")
    service.settle()
    store, layout = service.stand.store, service.stand.layout
    open_generation(store, layout, OTHER)
    service.settle()
    monkeypatch.setattr("tasks.feeding.reconcile.BATCH", 1)
    for number in range(20):
        service.stand.commit(f"{number:02}.jpg", OTHER)
    promote(store, layout, OTHER)
    ticking = service.follower._clock = lambda: setattr(service, "clock", service.clock + 1) or service.clock  # type: ignore[func-returns-value]
    assert ticking
    service.turn()
    assert service.follower._followed[OTHER].run is not None
    # Rolled back, and filled again, between two looks.
    promote(store, layout, GENERATION)
    open_generation(store, layout, OTHER)
    served: list[str | None] = []
    service.hook = lambda what: served.append(service.sink.served) if what == "commit" else None
    for _ in range(60):
        service.turn()
    assert service.equal(OTHER)
    assert set(served) == {GENERATION}


def test_an_index_that_was_replaced_by_another_is_followed_and_compared(service: Service) -> None:
    service.commit("a.jpg")
    service.settle()
    gone = service.index()
    service.sink.serve(service.sink.open(GENERATION, anew=True))
    service.commit("b.jpg")

    def hook(what: str) -> None:
        if what == "indexed" and service.follower._followed[GENERATION].index is gone:
            raise Unavailable("the index is gone")

    service.hook = hook
    service.settle()
    assert service.index() is not gone
    assert service.equal()


def test_the_lag_is_from_announcing_to_being_visible(service: Service) -> None:
    service.settle()
    service.commit("a.jpg")
    announced = service.clock
    service.turn(7.0)
    assert service.counting.lags == [service.clock - announced]


def test_at_its_end_everything_that_was_delivered_is_committed(service: Service) -> None:
    service.settle()
    for number in range(9):
        service.commit(f"{number}.jpg")

    def hook(what: str) -> None:
        if what == "deliver":
            service.stop.set()

    service.hook = hook
    service.follower.run()
    assert len(service.index().committed.documents) == 3
    assert len(service.stream.waiting) == 6
    assert not service.stream.taken


STEPS = st.sampled_from(
    ("read", "indexed", "deliver", "delivered", "commit", "committed", "done", "listed", "missed", "caught_up", "open",
     "serving", "serve", "completed")
)  # fmt: skip
ACTIONS = st.one_of(
    st.tuples(st.sampled_from(("commit", "remove")), st.sampled_from(KEYS), st.sampled_from((GENERATION, OTHER))),
    st.tuples(st.just("lower"), st.sampled_from(KEYS), st.just(GENERATION)),
    st.tuples(st.sampled_from(("kill", "away", "meanwhile")), STEPS, st.sampled_from(KEYS)),
    st.tuples(st.sampled_from(("fill", "promote", "back", "wipe", "turn", "settle", "again", "shuffle", "refuse"))),
)


@settings(max_examples=80)
@given(actions=st.lists(ACTIONS, max_size=40))
def test_whatever_happens_the_index_ends_as_the_sidecars_are(actions: list[tuple[str, ...]]) -> None:
    with closing(Service()) as service:
        _whatever(service, actions)


def _whatever(service: Service, actions: list[tuple[str, ...]]) -> None:
    store, layout = service.stand.store, service.stand.layout
    refusing: list[str] = []
    for name, *rest in actions:
        match name, rest:
            case "commit", [key, generation]:
                service.commit(key, generation)
            case "remove", [key, generation]:
                service.remove(key, generation)
            case "lower", [key, generation]:
                service.commit(key, generation, revision=1)
            case (("kill" | "away" | "meanwhile"), [step, key]):
                _happen(service, name, step, key)
            case "fill", _:
                open_generation(store, layout, OTHER)
            case "promote" | "back", _:
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr("tasks.generations.pointer._require_records", lambda *_: None)
                    promote(store, layout, OTHER if name == "promote" else GENERATION)
            case "wipe", _:
                service.stream.wipe()
            case "turn", _:
                service.turn()
            case "settle", _:
                service.settle()
            case "again", _:
                service.stream.announce(*(Change(GENERATION, BUCKET, key) for key in KEYS))
            case "shuffle", _:
                service.stream.waiting.reverse()
            case "refuse", _:
                refusing[:] = [] if refusing else ["b.jpg"]
                for index in service.sink.indexes.values():
                    index.refuse = lambda document: "refused" if document.key in refusing else None
    service.settle()
    for generation, followed in service.follower._followed.items():
        has, wanted = tags(service.sink.indexes[generation]), service.stand.tags(generation)
        assert followed.index is service.sink.indexes[generation]
        assert {key: has.get(key) for key in KEYS if key != "b.jpg"} == {
            key: wanted.get(key) for key in KEYS if key != "b.jpg"
        }
    refusing.clear()
    service.turn(3601)
    service.settle()
    assert all(map(service.equal, service.follower._followed))
    assert service.sink.served in service.follower._followed


def _happen(service: Service, name: str, step: str, key: str) -> None:
    """Something happens when the feed comes to a step the next time, if it does within a few turns."""
    happened: list[bool] = []

    def hook(what: str) -> None:
        if what != step or happened:
            return
        happened.append(True)
        if name == "kill":
            raise Killed
        if name == "away":
            raise Unavailable(f"{what}: no answer")
        if key in KEYS[:2]:
            service.commit(key)
        else:
            service.remove(key)

    service.hook = hook
    try:
        for _ in range(4):
            try:
                service.turn()
            except Unavailable as error:
                service.follower._wait(error)
    except Killed:
        service.hook = lambda _: None
        service.kill()
    service.hook = lambda _: None
