"""Workers that are killed, frozen or stopped, and images that kill. Rows 1, 2, 4 to 9, 11 and 29."""

import signal
import threading
import time
from collections import Counter

import pytest

from tests.faults import proxy
from tests.faults.photographs import magenta, marked, photograph
from tests.faults.proxy import Passing
from tests.faults.stage import DEADLINE, VISIBILITY, Stage

COMMIT = r"PUT /[^ ]*/done/"
SWEEP = 10
"""Seconds between two looks for what was lost."""


@pytest.mark.quick
@pytest.mark.row("1", "SIGKILL of a worker in the middle of a batch")
def test_a_killed_workers_images_are_done_by_another(stage: Stage) -> None:
    # Four messages are in hand at a time: the rest cannot have been committed yet.
    keys = stage.upload(36)
    worker = stage.worker(FAULT_ENCODER="slow:0.02")
    third = Nth(3, lambda passing: passing.answers(COMMIT))
    with stage.store_proxy.rule(proxy.once(third, worker.kill)):
        stage.publish(keys, size=6)
        worker.wait(30)
    assert 0 < stage.committed() < len(keys)
    stage.worker()
    finding = stage.settle(VISIBILITY + 20)
    assert finding.done == len(keys)


@pytest.mark.row("1", "SIGKILL of a worker that looks for a dead one's messages")
def test_a_worker_killed_while_it_restores_messages_hinders_no_other(stage: Stage) -> None:
    keys = stage.upload(6)
    first = stage.worker(FAULT_ENCODER="slow:0.2")
    with stage.redis_proxy.rule(proxy.once(lambda passing: passing.answers(r".*HSET.*unacked"), first.kill)):
        stage.publish(keys)
        first.wait(30)
    second = stage.worker()
    # It has Celery's lock now, and will not give it back.
    with stage.redis_proxy.rule(proxy.once(lambda passing: passing.answers(r".*unacked_mutex"), second.kill)):
        second.wait(30)
    stage.worker()
    assert stage.settle(VISIBILITY + 20).done == len(keys)


@pytest.mark.parametrize("how", ["SIGKILL", "reset"])
@pytest.mark.row("2", "SIGKILL, or a reset, between BRPOP and the record of it")
def test_a_message_lost_on_its_way_is_republished(stage: Stage, how: str) -> None:
    keys = stage.upload(6)
    worker = stage.worker()
    ends = worker.kill if how == "SIGKILL" else proxy.reset
    with stage.redis_proxy.rule(proxy.once(proxy.popped, ends)):
        stage.publish(keys)
        # Redis gave it away, and nobody has it: only the ledger knows.
        stage.wait(lambda: stage.backlog() == {"ledger": 1, "messages": 1}, 20, "the message is lost")
        time.sleep(1)
        assert stage.backlog() == {"ledger": 1, "messages": 1}
    if how == "SIGKILL":
        stage.worker()
    assert stage.settle(VISIBILITY + DEADLINE + SWEEP + 20).done == len(keys)


@pytest.mark.parametrize("moment", ["ledger", "ack"])
@pytest.mark.row("4", "SIGKILL between commit and acknowledgement")
def test_what_is_committed_is_not_encoded_again(stage: Stage, moment: str) -> None:
    keys = stage.upload(6)
    worker = stage.worker()
    # The ledger strikes a message in a script, Celery with commands of Redis's.
    striking = {"ledger": (b"EVALSHA", b"stockmeta:ledger"), "ack": (b"REM", b"unacked")}[moment]

    def done_with(passing: Passing) -> bool:
        strikes = passing.toward == "server" and all(word in passing.data for word in striking)
        return strikes and stage.committed() == len(keys)

    with stage.redis_proxy.rule(proxy.once(done_with, worker.kill)):
        stage.publish(keys)
        worker.wait(30)
    before = stage.paths()
    # This one cannot encode: were it to try, nothing would ever end.
    stage.worker(FAULT_ENCODER="broken")
    assert stage.settle(VISIBILITY + 20).done == len(keys)
    assert stage.paths() == before


@pytest.mark.parametrize(
    ("mark", "reason"),
    [
        pytest.param(
            "SEGFAULT", "decoder_crashed", marks=[pytest.mark.row("5", "segfault of a decoder"), pytest.mark.quick]
        ),
        pytest.param("HANG", "decoder_timeout", marks=pytest.mark.row("6", "a decoder that hangs")),
        pytest.param("SPIN", "decoder_timeout", marks=pytest.mark.row("6", "a decoder that spins")),
        pytest.param("MEMORY", "decoder_out_of_memory", marks=pytest.mark.row("7", "a decoder out of memory")),
    ],
)
def test_an_image_that_harms_its_decoder_fails_alone(stage: Stage, mark: str, reason: str) -> None:
    keys = stage.upload(8)
    keys.insert(3, stage.put("harmful.jpg", marked(mark)))
    worker = stage.worker(FAULT_DECODER="1", DECODE_MEMORY_MIB=512)
    stage.publish(keys)
    finding = stage.settle(40, terminal={"harmful.jpg": reason})
    assert finding.done == 8
    assert worker.alive


@pytest.mark.row("8", "an image that kills the whole worker")
def test_an_image_that_kills_workers_ends_after_three_attempts_alone(stage: Stage) -> None:
    keys = stage.upload(7)
    keys.insert(3, stage.put("killer.jpg", magenta()))
    worker = stage.worker(FAULT_ENCODER="segfault")
    stage.publish(keys)
    assert worker.wait(30) == -signal.SIGSEGV
    worker.kill()
    # As a supervisor would; and it must stay up now, with the killer in a process of its own.
    second = stage.worker(FAULT_ENCODER="segfault")
    finding = stage.settle(VISIBILITY + 60, terminal={"killer.jpg": "worker_crashed"})
    assert finding.done == 7
    assert second.alive
    assert second.text().count("failed by itself") == 3


@pytest.mark.row("9", "one bad image among 64")
def test_one_bad_image_among_64(stage: Stage) -> None:
    keys = stage.upload(63)
    keys.insert(20, stage.put("cut.jpg", photograph(5)[:1500]))
    stage.worker()
    stage.publish(keys)
    assert stage.settle(30, terminal={"cut.jpg": "truncated"}).done == 63


@pytest.mark.parametrize("grace", [pytest.param(20, id="drains"), pytest.param(1, id="puts back")])
@pytest.mark.row("11", "SIGTERM under load")
def test_a_worker_that_is_told_to_stop_loses_nothing(stage: Stage, grace: int) -> None:
    keys = stage.upload(160)
    worker = stage.worker(FAULT_ENCODER="slow:0.05", GRACE_SECONDS=grace)
    # Four messages in hand are four seconds of work.
    stage.publish(keys, size=20)
    stage.wait(lambda: stage.committed() > 5, 30, "the worker is under load")
    started = time.monotonic()
    worker.signal(signal.SIGTERM, alone=True)
    assert worker.wait(grace + 8) == 0
    stage.notes.append(f"ended in {time.monotonic() - started:.1f} s")
    left = Counter(stage.backlog())
    assert stage.committed() < len(keys)
    assert left["unacked"] == 0
    assert left["ledger"] == left["uploads"]
    stage.wait(lambda: not worker.session(), 10, "all that it started has ended")
    stage.worker()
    # Nothing waits for the visibility timeout: it was put back.
    assert stage.settle(VISIBILITY).done == len(keys)


@pytest.mark.parametrize("away", ["Redis", "the store"])
@pytest.mark.row("11", "SIGTERM while Redis or the store is away")
def test_a_worker_stops_in_time_when_nothing_answers(stage: Stage, away: str) -> None:
    keys = stage.upload(60)
    worker = stage.worker(FAULT_ENCODER="slow:0.05", GRACE_SECONDS=2)
    stage.publish(keys, size=10)
    stage.wait(lambda: stage.committed() > 5, 30, "the worker is under load")
    over = threading.Event()
    silent = stage.redis_proxy if away == "Redis" else stage.store_proxy
    with silent.rule(proxy.black_hole(over)):
        time.sleep(1)
        started = time.monotonic()
        worker.signal(signal.SIGTERM, alone=True)
        # The grace period, and ten seconds for those who do not answer.
        worker.wait(2 + 10)
        stage.notes.append(f"ended in {time.monotonic() - started:.1f} s")
        over.set()
    stage.wait(lambda: not worker.session(), 10, "all that it started has ended")
    stage.worker()
    assert stage.settle(VISIBILITY + 30).done == len(keys)


@pytest.mark.row("29", "the device's memory does not suffice for a batch")
def test_smaller_batches_where_memory_fails(stage: Stage) -> None:
    keys = stage.upload(40)
    worker = stage.worker(FAULT_ENCODER="memory:4")
    stage.publish(keys, size=20)
    assert stage.settle(30).done == len(keys)
    assert worker.alive


@pytest.mark.row("29", "a device that is broken")
def test_a_broken_device_ends_the_worker_and_no_image(stage: Stage) -> None:
    keys = stage.upload(12)
    worker = stage.worker(FAULT_ENCODER="broken")
    stage.publish(keys, size=4)
    assert worker.wait(60) not in (0, -signal.SIGKILL)
    worker.kill()
    assert stage.committed() == 0
    stage.worker()
    assert stage.settle(90).done == len(keys)


class Nth:
    """True at the nth piece that matches."""

    def __init__(self, number: int, matches: proxy.Matches) -> None:
        self.left, self.matches = number, matches

    def __call__(self, passing: Passing) -> bool:
        if self.matches(passing):
            self.left -= 1
            return self.left == 0
        return False
