"""A feed that compares, puts right, and ends."""

import pytest

from tasks.errors import ConfigurationError, Unavailable
from tasks.feeding.once import Once, Plan, Report
from tasks.feeding.reconcile import Difference
from tasks.generations.pointer import open_generation
from tasks.records import ImageRef
from tests.tasks.feeding.memory_index import MemorySink
from tests.tasks.feeding.stand import Stand, tags
from tests.worker.libraries import BUCKET, GENERATION

OTHER = "ba9876543210"


class Command:
    """A library and a sink; each call is a run."""

    def __init__(self) -> None:
        self.stand, self.sink = Stand(), MemorySink()
        self.told: list[Difference] = []
        self.stops = False
        open_generation(self.stand.store, self.stand.layout, GENERATION)
        for key in ("a.jpg", "b.jpg", "c.jpg"):
            self.stand.commit(key)

    def __call__(self, **plan: object) -> Report:
        made = Plan(**plan)  # type: ignore[arg-type]
        stand = self.stand
        return Once(stand.sidecars, self.sink, stand.deliverer, made, lambda: self.stops, self.told.append).run()


@pytest.fixture
def feed() -> Command:
    return Command()


def test_a_first_run_delivers_all_and_searches_use_it(feed: Command) -> None:
    report = feed()
    assert (report.missing, report.put, report.differences, report.served) == (3, 3, 0, True)
    index = feed.sink.indexes[GENERATION]
    assert tags(index) == feed.stand.tags()
    assert index.complete
    assert index.committed.documents.keys() == index.documents.keys()


def test_a_second_run_finds_nothing_and_looks_at_no_image(feed: Command) -> None:
    feed()
    feed.sink.indexes[GENERATION].asked.clear()
    report = feed()
    assert (report.missing, report.stale, report.extra, report.put, report.removed) == (0, 0, 0, 0, 0)
    assert (report.sidecars, report.documents) == (3, 3)
    assert not feed.sink.indexes[GENERATION].asked


def test_verify_names_what_differed_and_compares_again(feed: Command) -> None:
    feed()
    feed.stand.commit("b.jpg")
    feed.stand.remove("c.jpg")
    report = feed(verify=True)
    assert {(each.key, each.difference, each.outcome) for each in feed.told[3:]} == {
        ("b.jpg", "stale", "put"),
        ("c.jpg", "extra", "removed"),
    }
    assert (report.verified, report.differences, report.sidecars, report.documents) == (True, 0, 2, 2)


def test_verify_finds_an_index_that_does_not_keep_what_it_is_given(feed: Command) -> None:
    index = feed.sink.open(GENERATION)

    def forgetful(what: str) -> None:
        if what == "delivered":
            index.documents.pop("b.jpg", None)

    index.hook = forgetful
    assert feed(verify=True).differences == 1


def test_what_is_refused_or_broken_remains_a_difference(feed: Command) -> None:
    index = feed.sink.open(GENERATION)
    index.refuse = lambda document: "no such field" if document.key == "a.jpg" else None
    feed.stand.write(feed.stand.layout.done(GENERATION, ImageRef(BUCKET, "b.jpg")), b"{")
    report = feed(verify=True)
    assert (report.refused, report.broken, report.differences) == (1, 1, 2)
    assert {each.key: each.outcome for each in feed.told} == {"a.jpg": "refused", "b.jpg": "broken", "c.jpg": "put"}


def test_a_dry_run_changes_nothing(feed: Command) -> None:
    report = feed(dry_run=True)
    assert (report.missing, report.put, report.differences, report.served) == (3, 0, 3, False)
    index = feed.sink.indexes[GENERATION]
    assert not index.documents
    assert not index.complete
    assert not index.commits


def test_full_fills_another_index_and_swaps_at_the_end(feed: Command) -> None:
    feed()
    before = feed.sink.indexes[GENERATION]
    seen: list[bool] = []

    def hook(what: str) -> None:
        if what == "serve":
            seen.append(len(feed.sink.beside[GENERATION].committed.documents) == 3)
        if what == "delivered" and not seen:
            # Somebody else still feeds the one in use.
            assert len(before.documents) == 3

    feed.sink.hook = hook
    report = feed(full=True)
    assert seen == [True]
    assert feed.sink.indexes[GENERATION] is not before
    assert (report.put, report.differences) == (3, 0)


def test_what_was_delivered_to_the_index_that_full_replaced_is_in_the_new_one(feed: Command) -> None:
    feed()

    def hook(what: str) -> None:
        if what == "serve":
            feed.stand.commit("d.jpg")
            feed.stand.deliverer.deliver(feed.sink.indexes[GENERATION], ["d.jpg"])

    feed.sink.hook = hook
    report = feed(full=True)
    assert tags(feed.sink.indexes[GENERATION]) == feed.stand.tags()
    assert report.differences == 0


def test_another_generation_is_fed_and_not_served(feed: Command) -> None:
    feed()
    feed.stand.commit("a.jpg", OTHER)
    report = feed(generation=OTHER)
    assert feed.sink.served == GENERATION
    assert tags(feed.sink.indexes[OTHER]) == feed.stand.tags(OTHER)
    assert report.notes == (f"generation {OTHER} does not serve, so searches do not use its index",)


def test_many_documents_without_a_sidecar_are_kept_and_said(feed: Command) -> None:
    for number in range(20):
        feed.stand.commit(f"{number}.jpg")
    feed()
    for number in range(20):
        feed.stand.remove(f"{number}.jpg")
    report = feed(verify=True)
    assert (report.extra, report.kept, report.removed, report.differences) == (20, 20, 0, 20)
    assert "20 documents have no sidecar" in report.notes[0]
    assert feed(most_removed=100.0).removed == 20


def test_stopped_it_commits_what_it_did_and_goes_on_the_next_time(
    feed: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.feeding.reconcile.BATCH", 1)
    feed.stops = True
    report = feed()
    assert report.interrupted
    assert not report.served
    assert len(feed.sink.indexes[GENERATION].committed.documents) == report.put < 3
    feed.stops = False
    assert feed().differences == 0


def test_a_library_without_sidecars_is_pointed_out(feed: Command) -> None:
    feed.stand = Stand()
    with pytest.raises(ConfigurationError, match="run `stockmeta backfill` first"):
        feed()


def test_an_index_that_does_not_answer_ends_the_run(feed: Command) -> None:
    index = feed.sink.open(GENERATION)

    def away(what: str) -> None:
        if what == "deliver":
            raise Unavailable("no answer")

    index.hook = away
    with pytest.raises(Unavailable, match="no answer"):
        feed()
    assert not index.complete


def test_full_does_not_replace_an_index_by_one_of_nothing_unasked(feed: Command) -> None:
    feed()
    before = feed.sink.indexes[GENERATION]
    for key in ("a.jpg", "b.jpg", "c.jpg"):
        feed.stand.remove(key)
    with pytest.raises(ConfigurationError, match="no sidecar at all, so searches keep the index"):
        feed(full=True)
    assert feed.sink.indexes[GENERATION] is before
    assert len(before.documents) == 3
    assert feed(full=True, most_removed=100.0).served
    assert not feed.sink.indexes[GENERATION].documents


def test_stopped_full_says_that_searches_do_not_use_what_it_made(
    feed: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed()
    monkeypatch.setattr("tasks.feeding.reconcile.BATCH", 1)
    feed.stops = True
    report = feed(full=True)
    assert (report.interrupted, report.served, feed.sink.served) == (True, False, GENERATION)
