"""Delivering: the index ends as the sidecars are, whoever else delivers and whatever the clocks say."""

from collections.abc import Callable
from itertools import count

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.errors import Unavailable
from tasks.feeding.document import Document
from tasks.feeding.ports import Remove
from tasks.records import ImageRef
from tests.tasks.feeding.memory_index import MemoryIndex
from tests.tasks.feeding.stand import Stand, tags
from tests.worker.libraries import BUCKET, GENERATION


@pytest.fixture
def stand() -> Stand:
    return Stand()


@pytest.fixture
def index() -> MemoryIndex:
    return MemoryIndex(GENERATION)


def once(action: Callable[[], None]) -> Callable[[str], None]:
    """A hook that acts when something is about to be delivered for the first time."""
    done: list[bool] = []

    def hook(what: str) -> None:
        if what == "deliver" and not done:
            done.append(True)
            action()

    return hook


def test_what_was_committed_is_put_and_what_is_gone_is_removed(stand: Stand, index: MemoryIndex) -> None:
    stand.commit("a.jpg")
    stand.commit("b.jpg")
    assert stand.deliverer.deliver(index, ["a.jpg", "b.jpg"]).outcomes == {"a.jpg": "put", "b.jpg": "put"}
    stand.remove("a.jpg")
    assert stand.deliverer.deliver(index, ["a.jpg", "b.jpg"]).outcomes == {"a.jpg": "removed", "b.jpg": "same"}
    assert tags(index) == stand.tags()


def test_what_is_there_already_is_read_and_not_written(stand: Stand, index: MemoryIndex) -> None:
    stand.commit("a.jpg")
    stand.deliverer.deliver(index, ["a.jpg"])
    did: list[str] = []
    index.hook = did.append
    stand.deliverer.deliver(index, ["a.jpg", "a.jpg"])
    assert did == ["indexed"]


def test_a_terminal_record_makes_no_document(stand: Stand, index: MemoryIndex) -> None:
    stand.commit("a.jpg")
    stand.deliverer.deliver(index, ["a.jpg"])
    path = stand.layout.done(GENERATION, ImageRef(BUCKET, "a.jpg"))
    data = stand.store.read(path)
    assert data is not None
    stand.write(stand.layout.failed(GENERATION, ImageRef(BUCKET, "a.jpg")), data[0])
    stand.remove("a.jpg")
    assert stand.deliverer.deliver(index, ["a.jpg"]).outcomes == {"a.jpg": "removed"}


def test_what_people_decided_is_in_the_document_though_the_sidecar_stays(stand: Stand, index: MemoryIndex) -> None:
    stand.commit("a.jpg")
    stand.deliverer.deliver(index, ["a.jpg"])
    stand.decide("a.jpg", "A heron")
    assert stand.deliverer.deliver(index, ["a.jpg"]).outcomes == {"a.jpg": "put"}
    assert index.documents["a.jpg"].title == "A heron"
    assert tags(index) == stand.tags()


def test_a_restored_sidecar_of_a_lower_revision_is_delivered(stand: Stand, index: MemoryIndex) -> None:
    stand.commit("a.jpg", revision=9)
    stand.deliverer.deliver(index, ["a.jpg"])
    stand.commit("a.jpg", revision=3)
    assert stand.deliverer.deliver(index, ["a.jpg"]).outcomes == {"a.jpg": "put"}
    assert tags(index) == stand.tags()


def test_a_sidecar_that_is_replaced_while_an_older_one_is_forced_wins(stand: Stand, index: MemoryIndex) -> None:
    stand.commit("a.jpg", revision=9)
    stand.deliverer.deliver(index, ["a.jpg"])
    stand.commit("a.jpg", revision=3)
    index.hook = once(lambda: stand.commit("a.jpg", revision=20))
    stand.deliverer.deliver(index, ["a.jpg"])
    assert tags(index) == stand.tags()


def test_a_sidecar_removed_after_it_was_read_by_a_slow_feed_leaves_no_document(
    stand: Stand, index: MemoryIndex
) -> None:
    """Row 21: one feed holds the old sidecar, another one sees that it is gone."""
    stand.commit("a.jpg")
    stand.deliverer.deliver(index, ["a.jpg"])
    stand.commit("a.jpg", revision=1_000)

    def meanwhile() -> None:
        stand.remove("a.jpg")
        assert stand.deliverer.deliver(index, ["a.jpg"]).outcomes == {"a.jpg": "removed"}

    index.hook = once(meanwhile)
    assert stand.deliverer.deliver(index, ["a.jpg"]).outcomes["a.jpg"] == "same"
    assert tags(index) == {}


def test_a_new_image_removed_after_it_was_read_by_a_slow_feed_leaves_no_document(
    stand: Stand, index: MemoryIndex
) -> None:
    stand.commit("a.jpg")

    def meanwhile() -> None:
        stand.remove("a.jpg")
        stand.deliverer.deliver(index, ["a.jpg"])

    index.hook = once(meanwhile)
    stand.deliverer.deliver(index, ["a.jpg"])
    assert tags(index) == {}


def test_a_removal_does_not_take_what_another_feed_delivered_meanwhile(stand: Stand, index: MemoryIndex) -> None:
    stand.commit("a.jpg")
    stand.deliverer.deliver(index, ["a.jpg"])
    stand.remove("a.jpg")

    def meanwhile() -> None:
        # Its revision is far below our clock.
        stand.commit("a.jpg")
        assert stand.deliverer.deliver(index, ["a.jpg"]).outcomes == {"a.jpg": "put"}

    index.hook = once(meanwhile)
    stand.deliverer.deliver(index, ["a.jpg"])
    assert tags(index) == stand.tags() != {}


def test_an_image_that_comes_again_with_a_clock_behind_the_tombstone_is_delivered(
    stand: Stand, index: MemoryIndex
) -> None:
    stand.commit("a.jpg")
    stand.deliverer.deliver(index, ["a.jpg"])
    stand.remove("a.jpg")
    stand.deliverer.deliver(index, ["a.jpg"])
    stand.commit("a.jpg")
    assert stand.deliverer.deliver(index, ["a.jpg"]).outcomes == {"a.jpg": "put"}
    assert tags(index) == stand.tags()


def test_a_sidecar_from_a_clock_ahead_of_ours_is_looked_at_again(stand: Stand, index: MemoryIndex) -> None:
    stand.commit("a.jpg", revision=int(2 * stand.now * 1e6))

    def meanwhile() -> None:
        stand.remove("a.jpg")
        stand.deliverer.deliver(index, ["a.jpg"])

    index.hook = once(meanwhile)
    stand.deliverer.deliver(index, ["a.jpg"])
    assert tags(index) == {}


def test_an_image_whose_sidecar_never_rests_is_left_to_the_next_comparison(
    stand: Stand, index: MemoryIndex, caplog: pytest.LogCaptureFixture
) -> None:
    stand.commit("a.jpg", revision=900)
    stand.deliverer.deliver(index, ["a.jpg"])
    stand.commit("b.jpg")

    def restless(what: str) -> None:
        if what == "deliver":
            stand.commit("a.jpg", revision=1)

    index.hook = restless
    stand.commit("a.jpg", revision=1)
    outcomes = stand.deliverer.deliver(index, ["a.jpg", "b.jpg"]).outcomes
    assert outcomes == {"a.jpg": "unsettled", "b.jpg": "put"}
    assert "'a.jpg' changes again and again" in caplog.text
    index.hook = lambda _: None
    assert stand.deliverer.deliver(index, ["a.jpg"]).outcomes == {"a.jpg": "put"}


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"schema": "stockmeta/9"}'])
def test_a_broken_sidecar_is_named_and_its_document_stays(data: bytes, stand: Stand, index: MemoryIndex) -> None:
    stand.commit("a.jpg")
    stand.commit("b.jpg")
    stand.deliverer.deliver(index, ["a.jpg", "b.jpg"])
    stand.commit("b.jpg")
    path = stand.layout.done(GENERATION, ImageRef(BUCKET, "a.jpg"))
    stand.write(path, data)
    result = stand.deliverer.deliver(index, ["a.jpg", "b.jpg"])
    assert result.outcomes == {"a.jpg": "broken", "b.jpg": "put"}
    assert [(trouble.key, trouble.kind) for trouble in result.troubles] == [("a.jpg", "broken_sidecar")]
    assert path in result.troubles[0].reason
    assert "a.jpg" in index.documents


def test_a_bug_met_at_one_record_is_logged_and_the_others_are_delivered(
    stand: Stand, index: MemoryIndex, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    make = stand.deliverer._maker.document

    def odd(self: object, record: object, human: object, tag: str) -> Document:
        if "a.jpg" in str(record):
            raise KeyError("odd")
        return make(record, human, tag)  # type: ignore[arg-type]

    monkeypatch.setattr(type(stand.deliverer._maker), "document", odd)
    stand.commit("a.jpg")
    stand.commit("b.jpg")
    result = stand.deliverer.deliver(index, ["a.jpg", "b.jpg"])
    assert result.outcomes == {"a.jpg": "broken", "b.jpg": "put"}
    assert "KeyError" in result.troubles[0].reason
    assert "Traceback" in caplog.text


def test_only_the_refused_document_is_refused(stand: Stand, index: MemoryIndex) -> None:
    for key in ("a.jpg", "b.jpg", "c.jpg"):
        stand.commit(key)
    index.refuse = lambda document: "no number" if document.key == "b.jpg" else None
    result = stand.deliverer.deliver(index, ["a.jpg", "b.jpg", "c.jpg"])
    assert result.outcomes == {"a.jpg": "put", "b.jpg": "refused", "c.jpg": "put"}
    assert [(trouble.key, trouble.reason) for trouble in result.troubles] == [("b.jpg", "no number")]
    index.refuse = lambda _: None
    assert stand.deliverer.deliver(index, ["b.jpg"]).outcomes == {"b.jpg": "put"}
    assert not index.letters


@pytest.mark.parametrize("key", ["", "k" * 2000, "../a.jpg", "half \ud800.jpg"])
def test_a_key_that_no_sidecar_can_have_has_no_document(key: str, stand: Stand, index: MemoryIndex) -> None:
    assert stand.deliverer.deliver(index, [key]).outcomes == {key: "same"}


def test_a_store_that_does_not_answer_is_said_to_be_the_store(
    stand: Stand, index: MemoryIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(self: object, key: str) -> None:
        raise Unavailable("out: no answer")

    stand.commit("a.jpg")
    stand.deliverer.deliver(index, ["a.jpg"])
    monkeypatch.setattr(type(stand.store), "read", away)
    with pytest.raises(Unavailable, match="the sidecars cannot be read: out: no answer"):
        stand.deliverer.deliver(index, ["a.jpg"])
    assert "a.jpg" in index.documents


def test_sidecars_are_read_by_several_threads(index: MemoryIndex) -> None:
    stand = Stand(reads=4)
    keys = [f"{n}.jpg" for n in range(100)]
    for key in keys:
        stand.commit(key)
    try:
        assert set(stand.deliverer.deliver(index, keys).outcomes.values()) == {"put"}
    finally:
        stand.deliverer.close()
    assert tags(index) == stand.tags()


def test_nothing_is_asked_of_decisions_where_a_listing_showed_none(
    stand: Stand, index: MemoryIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand.commit("a.jpg")
    asked: list[str] = []
    read = type(stand.store).read
    monkeypatch.setattr(type(stand.store), "read", lambda self, key: asked.append(key) or read(self, key))
    stand.deliverer.deliver(index, ["a.jpg"], {"a.jpg"})
    assert asked == [stand.layout.done(GENERATION, ImageRef(BUCKET, "a.jpg"))]


def test_a_removal_outdoes_what_the_index_has_whatever_our_clock_says(stand: Stand, index: MemoryIndex) -> None:
    stand.commit("a.jpg", revision=int(5 * stand.now * 1e6))
    stand.deliverer.deliver(index, ["a.jpg"])
    assert index.deliver([Remove("a.jpg", 1)]).outrun == ("a.jpg",)
    stand.remove("a.jpg")
    assert stand.deliverer.deliver(index, ["a.jpg"]).outcomes == {"a.jpg": "removed"}


STEPS = st.sampled_from(("indexed", "deliver", "delivered"))
CHANGES = st.tuples(st.sampled_from(("commit", "remove", "decide", "restore")), st.sampled_from(("a.jpg", "b.jpg")))
# One put back from a copy, with its old revision, at the very moment of a delivery is left to the next comparison.
GROWING = CHANGES.filter(lambda change: change[0] != "restore")
MOMENTS = st.tuples(STEPS, st.lists(GROWING, max_size=3), st.booleans())


@settings(max_examples=60)
@given(
    before=st.lists(CHANGES, max_size=4),
    runs=st.lists(st.tuples(st.lists(CHANGES, max_size=3), st.lists(MOMENTS, max_size=3)), max_size=6),
    skew=st.sampled_from((0.0, -500.0, 500.0)),
    commits=st.sampled_from((0.0, -900.0, 900.0)),
)
@example(
    before=[("commit", "a.jpg")],
    runs=[([("commit", "a.jpg")], [("deliver", [("remove", "a.jpg")], False)])],
    skew=0.0,
    commits=-900.0,
)
def test_two_feeds_of_one_index_leave_it_as_the_sidecars_are(
    before: list[tuple[str, str]],
    runs: list[tuple[list[tuple[str, str]], list[tuple[str, list[tuple[str, str]], bool]]]],
    skew: float,
    commits: float,
) -> None:
    """Between any two steps of one, sidecars change, and the other delivers that; clocks differ as they may."""
    stand, index = Stand(), MemoryIndex(GENERATION)
    other = Stand(store=stand.store)
    other.now = stand.now + skew
    stand.revisions = count(int((stand.now + commits) * 1e6), 1_000)

    def change(changes: list[tuple[str, str]]) -> list[str]:
        for what, key in changes:
            match what:
                case "commit":
                    stand.commit(key)
                case "remove":
                    stand.remove(key)
                case "decide":
                    stand.decide(key, f"Title {next(stand.revisions)}")
                case _:
                    stand.commit(key, revision=1)
        return [key for _, key in changes]

    stand.deliverer.deliver(index, change(before))
    for changes, moments in runs:
        left, later = list(moments), list[str]()

        def hook(
            step: str, left: list[tuple[str, list[tuple[str, str]], bool]] = left, later: list[str] = later
        ) -> None:
            for moment in left:
                if moment[0] == step:
                    left.remove(moment)
                    keys = change(moment[1])
                    # Every change is delivered by one of the two; what is announced twice, by both.
                    if moment[2]:
                        later.extend(keys)
                    else:
                        other.deliverer.deliver(index, keys)
                    return

        keys = change(changes)
        index.hook = hook
        stand.deliverer.deliver(index, keys)
        index.hook = lambda _: None
        other.deliverer.deliver(index, later)
    assert tags(index) == stand.tags()
