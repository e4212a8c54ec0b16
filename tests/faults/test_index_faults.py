"""A cluster that is away, overloaded, wiped or refuses. Rows 25 and 26."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.faults import proxy
from tests.faults.feeds import Index, fed, told
from tests.faults.overloaded import Overloaded
from tests.faults.photographs import photograph
from tests.faults.proxy import Passing, Rule
from tests.faults.stage import Stage
from worker.feeds.opensearch import mapping

OUTAGE = 8.0
"""Seconds: longer than some of the feed's own retries."""


@pytest.fixture(name="index")
def _index(stage: Stage) -> Iterator[Index]:
    with fed(stage, "opensearch") as made:
        yield made


def answering(answer: bytes, pattern: str = "") -> Rule:
    """Answer requests that match, in the cluster's place."""

    def rule(passing: Passing) -> None:
        if passing.asks(pattern):
            raise proxy.Answer(answer)

    return rule


@contextmanager
def trouble(index: Index, name: str) -> Iterator[None]:
    """What a cluster does to its clients."""
    assert index.proxy is not None and index.cluster is not None
    over = threading.Event()
    rules: dict[str, list[Rule]] = {
        "nothing at all": [proxy.black_hole(over)],
        "429": [answering(told("429 Too Many Requests", "circuit_breaking_exception"))],
        "429 with Retry-After": [answering(told("429 Too Many Requests", "", "Retry-After: 2"))],
        "503": [answering(told("503 Service Unavailable", "cluster_block_exception"))],
        "cut before an answer": [proxy.CutAfter(0)],
        "cut within an answer": [proxy.CutAfter(20)],
        "ends within an answer": [proxy.CutAfter(20, reset=False)],
    }
    with ExitStack() as stack:
        if name == "refused":
            stack.enter_context(index.proxy.refusing())
        elif name == "frozen":
            index.cluster.signal(signal.SIGSTOP)
            stack.callback(index.cluster.signal, signal.SIGCONT)
        else:
            stack.enter_context(index.proxy.rule(*rules[name]))
            stack.callback(over.set)
        yield


AWAY = ["refused", "frozen", "nothing at all", "429", "429 with Retry-After", "503"]
CUTS = ["cut before an answer", "cut within an answer", "ends within an answer"]


@pytest.mark.parametrize("name", AWAY + CUTS)
@pytest.mark.row("25", "the index is away")
def test_an_index_that_is_away_is_waited_for(stage: Stage, index: Index, name: str) -> None:
    """Row 25: sidecars go on at their pace, and the index has them in the end; nothing is a dead letter."""
    stage.worker()
    feed = index.follow()
    stage.publish(stage.upload(4))
    index.settle(30)
    with trouble(index, name):
        began = time.monotonic()
        keys = sorted(stage.uploaded)
        stage.put(keys[0])
        stage.remove(keys[1])
        stage.publish([*keys[:2], *stage.upload(20, "meanwhile")], size=5)
        assert stage.settle(30).done == 23
        sidecars = time.monotonic() - began
        time.sleep(max(0.0, OUTAGE - sidecars))
        # Asked past the proxy; where answers are lost, what was asked for may be done.
        if name in AWAY and name != "frozen":
            assert not index.equal()
    took = index.settle(90)
    stage.notes.append(f"sidecars after {sidecars:.1f} s, all the while; index equal {took:.1f} s after it was over")
    assert not index.letters()
    assert feed.alive


@pytest.mark.row("25", "a full queue: 429 of single operations, inside HTTP 200")
def test_operations_that_are_refused_for_now_come_again(stage: Stage, index: Index) -> None:
    """Row 25: half of each request is refused; what was taken is not sent again."""
    assert index.cluster is not None
    overloaded = Overloaded(index.cluster, lambda number: number % 2 == 0)
    with overloaded.served() as index.port:
        stage.worker()
        feed = index.follow()
        stage.publish(stage.upload(40), size=40)
        assert stage.settle(40).done == 40
        index.settle(90)
        assert overloaded.refused.total() >= 20
        assert not index.letters()
        assert feed.alive
        stage.notes.append(f"{overloaded.refused.total()} refusals, {overloaded.taken} operations taken")
        # All at once, then none: and it ends.
        overloaded.takes = lambda number: False
        stage.publish(stage.upload(20, "more"), size=20)
        stage.settle(40)
        time.sleep(2)
        overloaded.takes = lambda number: True
        index.settle(90)
    assert not index.letters()


@pytest.mark.row("25", "a cluster that comes back empty")
def test_an_index_that_is_gone_is_made_again(stage: Stage, index: Index) -> None:
    """Row 25, and worse: nothing is left of it, neither index nor template nor alias."""
    assert index.cluster is not None and index.proxy is not None
    stage.worker()
    feed = index.follow()
    stage.publish(stage.upload(20))
    index.settle(30)
    index.cluster.kill()
    stage.publish(stage.upload(10, "meanwhile"))
    stage.settle(30)
    index.cluster.start()
    if not feed.alive:
        stage.notes.append("the feed ended, and was started again")
        index.follow(wait=False)
    took = index.settle(120)
    stage.notes.append(f"equal {took:.1f} s after it was there")


@pytest.mark.row("26", "bad mapping on one document")
def test_only_the_document_that_is_refused_is_a_dead_letter(stage: Stage, index: Index) -> None:
    """Row 26: an operator's template has sizes of files as `short`, and one photograph is larger."""
    assert index.cluster is not None
    bad_template(index, "short")
    stage.worker()
    feed = index.follow()
    keys = stage.upload(6)
    keys.insert(3, stage.put("large.jpg", photograph(7, (2000, 1500))))
    assert len(stage.uploaded["large.jpg"]) > 1 << 15
    stage.publish(keys)
    assert stage.settle(40).done == 7
    stage.wait(lambda: len(index.tags()) == 6 and index.letters(), 30, "neighbours and dead letter are there")
    assert "large.jpg" not in index.tags()
    (letter,) = index.letters()
    assert letter["key"] == "large.jpg"
    assert "short" in letter["reason"]
    assert feed.alive
    found = index.run("--verify")
    assert found.status == 1
    assert [line["key"] for line in found.differences if "refused" in line.values()] == ["large.jpg"]
    assert {line["key"] for line in found.differences} == {"large.jpg"}
    # The cause goes: the template is put right, and a new index is made.
    bad_template(index, "long")
    index.feeds[0].process.terminate()
    index.feeds[0].wait(30)
    assert index.run("--full").status == 0
    index.examine()
    assert not index.letters()
    again = index.run("--verify")
    assert (again.status, again.differences) == (0, [])


@pytest.mark.quick
@pytest.mark.row("26", "a document that was refused, and then changes")
def test_a_dead_letter_goes_with_its_cause(stage: Stage, index: Index) -> None:
    """Row 26: the image is replaced by one that the index takes, and another is deleted."""
    bad_template(index, "short")
    stage.worker()
    index.follow()
    keys = stage.upload(2)
    large = [stage.put(f"large-{number}.jpg", photograph(number, (2000, 1500))) for number in range(2)]
    stage.publish([*keys, *large])
    stage.wait(lambda: len(index.letters()) == 2 and len(index.tags()) == 2, 40, "two are refused")
    stage.put(large[0], photograph(1))
    stage.remove(large[1])
    stage.publish(large)
    index.settle(40)
    stage.wait(lambda: not index.letters(), 20, "no dead letter is left")
    assert sorted(index.tags()) == [*sorted([*keys, large[0]], key=lambda key: key)]


def bad_template(index: Index, kind: str) -> None:
    """An operator's own template, of a higher priority than ours: sizes of files have this type."""
    assert index.cluster is not None
    body = mapping.template(index.alias, mapping.Engine(elastic=False, knn=False, nori=False))
    body["priority"] = 1000
    body["index_patterns"] = [f"{index.alias}-{index.stage.oracle.generation}-*"]
    body["template"]["mappings"]["properties"]["file_size"] = {"type": kind}
    index.cluster.ask("PUT", "/_index_template/operators", body)
