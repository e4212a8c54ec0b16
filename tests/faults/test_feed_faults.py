"""Feeds that are killed, changes that are lost, images that are deleted. Rows 3, 13 and 21, for a search index."""

import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.faults import proxy
from tests.faults.feeds import IDLE, Index, fed, killing
from tests.faults.proxy import Passing
from tests.faults.stage import VISIBILITY, Stage

COMMIT = r"PUT /[^ ]*/done/"
SIDECAR = r"GET /[^ ]*/done/"
BOTH = pytest.mark.parametrize("sink", ["local", "opensearch"])
IN_CLUSTER = pytest.mark.parametrize("sink", ["opensearch"])


@pytest.fixture(name="index")
def _index(stage: Stage, sink: str) -> Iterator[Index]:
    with fed(stage, sink) as made:
        yield made


@BOTH
@pytest.mark.row("3", "SIGKILL of a worker between sidecar and announcement")
def test_what_a_dead_worker_committed_is_announced_by_another(stage: Stage, index: Index) -> None:
    """Row 3: the sidecars are there, and nobody was told."""
    worker = stage.worker()
    index.follow()
    keys = stage.upload(6)

    def strikes(passing: Passing) -> bool:
        is_it = passing.toward == "server" and all(word in passing.data for word in (b"EVALSHA", b"stockmeta:changes"))
        return is_it and stage.committed() == len(keys)

    with stage.redis_proxy.rule(proxy.once(strikes, worker.kill)):
        stage.publish(keys)
        worker.wait(30)
    assert stage.committed() == len(keys)
    assert not index.tags()
    # This one cannot encode: it finds what is committed, and says so.
    stage.worker(FAULT_ENCODER="broken")
    took = index.settle(VISIBILITY + 30)
    stage.notes.append(f"equal {took:.1f} s after the next worker was ready")


@pytest.mark.parametrize(
    ("sink", "moment"),
    [
        ("local", "reads"),
        ("local", "acknowledges"),
        ("opensearch", "reads"),
        ("opensearch", "delivers"),
        pytest.param("opensearch", "delivered", marks=pytest.mark.quick),
        ("opensearch", "acknowledges"),
    ],
)
@pytest.mark.row("3", "SIGKILL of a feed with changes in hand")
def test_what_a_dead_feed_had_in_hand_is_delivered_by_the_next(stage: Stage, index: Index, moment: str) -> None:
    """Row 3: between what it read and what it acknowledged, it is not known what was delivered."""
    stage.worker()
    feed = index.follow()
    stage.publish(stage.upload(3))
    index.settle(30)
    with killing(index, moment, feed.kill):
        stage.publish(stage.upload(6))
        feed.wait(30)
    stage.wait(lambda: stage.committed() == 9, 30, "workers go on")
    # As a supervisor would.
    index.follow()
    took = index.settle(IDLE + 30)
    stage.notes.append(f"equal {took:.1f} s after the next feed followed")


@BOTH
@pytest.mark.parametrize("loss", ["trimmed", "wiped", "removed"])
@pytest.mark.row("13", "the change stream trimmed or lost while the feed is away")
def test_a_feed_finds_what_it_missed(stage: Stage, index: Index, loss: str) -> None:
    stage.worker()
    feed = index.follow()
    stage.publish(stage.upload(12))
    index.settle(30)
    feed.kill()
    change(stage)
    losses[loss](stage)
    index.follow(wait=False)
    took = index.settle(90)
    stage.notes.append(f"equal after {took:.1f} s")
    # It reads changes again, too.
    stage.publish(stage.upload(3, "later"))
    index.settle(30)


@BOTH
@pytest.mark.parametrize("loss", ["trimmed", pytest.param("wiped", marks=[])])
@pytest.mark.row("13", "the change stream trimmed or lost under a feed")
def test_a_feed_notices_what_it_is_missing(stage: Stage, index: Index, loss: str) -> None:
    stage.worker()
    feed = index.follow()
    stage.publish(stage.upload(12))
    index.settle(30)
    feed.signal(signal.SIGSTOP)
    change(stage)
    losses[loss](stage)
    feed.signal(signal.SIGCONT)
    took = index.settle(90)
    stage.notes.append(f"equal after {took:.1f} s")
    stage.publish(stage.upload(3, "later"))
    index.settle(30)
    assert feed.alive


def change(stage: Stage) -> None:
    """Upload, overwrite and delete some, and wait until workers are done with it."""
    keys = sorted(stage.uploaded)
    for key in keys[:3]:
        stage.put(key)
    for key in keys[3:6]:
        stage.remove(key)
    stage.publish([*keys[:6], *stage.upload(6, "new")])
    stage.settle(40)


def trimmed(stage: Stage) -> None:
    """Every change is dropped, as when more came than are kept."""
    assert stage.redis.client.xtrim("stockmeta:changes", maxlen=0, approximate=False)


def wiped(stage: Stage) -> None:
    """Everything that Redis holds is gone, and it goes on."""
    stage.redis.client.flushall()


def removed(stage: Stage) -> None:
    """Redis is killed, and starts without its file."""
    stage.redis.kill()
    for path in stage.redis.folder.rglob("*aof*"):
        if path.is_file():
            path.unlink()
    stage.redis.start()
    assert not stage.redis.client.dbsize()


losses: dict[str, Callable[[Stage], None]] = {"trimmed": trimmed, "wiped": wiped, "removed": removed}


@BOTH
@pytest.mark.row("21", "deleted while it is processed, and while it is indexed")
def test_nothing_is_left_in_the_index_of_what_is_deleted(stage: Stage, index: Index) -> None:
    """Row 21: before its sidecar is written, and long after it was delivered."""
    stage.worker()
    index.follow()
    keys = stage.upload(6)
    reached, over = threading.Event(), threading.Event()

    def hold(passing: Passing) -> None:
        if passing.asks(COMMIT):
            reached.set()
            over.wait()

    with stage.store_proxy.rule(hold):
        stage.publish(keys)
        assert reached.wait(20)
        for key in keys[:3]:
            stage.remove(key)
        over.set()
        assert stage.settle(30).done == 3
    index.settle(30)
    stage.remove(keys[3])
    stage.publish([keys[3]])
    assert stage.settle(30).done == 2
    index.settle(30)
    assert sorted(index.tags()) == keys[4:]


@BOTH
@pytest.mark.row("21", "deleted while the feed holds its sidecar")
def test_a_sidecar_that_goes_while_it_is_read_leaves_no_document(stage: Stage, index: Index) -> None:
    """Row 21: the feed has read it, and delivers it after it is gone; the change that says so comes next."""
    stage.worker()
    feed = index.follow()
    key = stage.upload(1)[0]
    reached, over = threading.Event(), threading.Event()

    def hold(passing: Passing) -> None:
        # Of the feed alone: workers look whether there is a sidecar, too, and find none before the first commit.
        if passing.answers(SIDECAR) and b" 200 " in passing.data[:20] and not over.is_set():
            reached.set()
            over.wait()

    with stage.store_proxy.rule(hold):
        stage.publish([key])
        assert reached.wait(30), feed.tail()
        stage.s3.delete_object(Bucket=stage.bucket, Key=next(iter(stage.paths())))
        stage.s3.delete_object(Bucket=stage.bucket, Key=key)
        del stage.uploaded[key]
        over.set()
    stage.publish([key])
    stage.settle(30)
    stage.wait(lambda: not stage.redis.client.xpending("stockmeta:changes", group(stage))["pending"], 30, "delivered")
    assert index.settle(30) < 30
    assert not index.tags()


@IN_CLUSTER
@pytest.mark.parametrize("change", ["deleted", "overwritten"])
@pytest.mark.row("21", "deleted or overwritten, and told by another feed, while a slow one delivers")
def test_a_slow_feed_undoes_nothing(stage: Stage, index: Index, change: str) -> None:
    """Row 21 with two feeds of one index: the older document arrives after what replaced or removed it."""
    stage.worker()
    index.follow()
    key = stage.upload(1)[0]
    reached, over = threading.Event(), threading.Event()
    assert index.proxy is not None

    def hold() -> None:
        reached.set()
        over.wait()

    with index.proxy.rule(proxy.once(lambda passing: passing.asks(r"POST /[^ ]*-writes/_bulk"), hold)):
        stage.publish([key])
        assert reached.wait(30)
        # The other one takes what comes from now on.
        index.follow(wait=False)
        if change == "deleted":
            stage.remove(key)
        else:
            stage.put(key)
        stage.publish([key])
        stage.settle(30)
        stage.wait(lambda: index.equal() and (change == "deleted" or index.tags()), IDLE + 30, "the other has told")
        time.sleep(2)
        over.set()
    stage.wait(lambda: not stage.redis.client.xpending("stockmeta:changes", group(stage))["pending"], 30, "delivered")
    index.settle(20)
    time.sleep(2)
    index.examine()
    assert len(index.tags()) == (change == "overwritten")


def group(stage: Stage) -> str:
    """Of the only feed."""
    (found,) = stage.redis.client.xinfo_groups("stockmeta:changes")
    return str(found["name"])
