"""The batching thread, with a judge that can be held up."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import numpy as np
import pytest

from tasks.errors import Unavailable
from tasks.inference import Inference, Judge, Scored
from tasks.ports import Pixels
from tasks.records import Embedding


class Counting:
    """Gives every image its first byte; remembers the batches; refuses batches with 255, or larger than `most`."""

    def __init__(self, most: int = 99) -> None:
        self.batches: list[int] = []
        self.rescored: list[int] = []
        self.most = most
        self.broken = False

    def probe(self) -> None:
        if self.broken:
            raise RuntimeError("the device is gone")

    def judge(self, pixels: Pixels) -> list[Any]:
        self.batches.append(len(pixels))
        if len(pixels) > self.most:
            raise MemoryError("too large")
        if self.broken or (pixels == 255).any():
            raise RuntimeError("cannot")
        return [int(image[0, 0, 0]) for image in pixels]

    def rescore(self, stored: Sequence[Embedding]) -> list[Any]:
        self.rescored.append(len(stored))
        if any(embedding.dimensions == 255 for embedding in stored):
            raise RuntimeError("cannot")
        return [embedding.dimensions for embedding in stored]


def picture(value: int) -> Pixels:
    return np.full((2, 2, 3), value, np.uint8)


def through(inference: Inference, value: int, seconds: float = 0.0) -> int:
    with inference.slot() as slot:
        time.sleep(seconds)
        future = slot.submit(picture(value))
    return cast("int", future.result(timeout=10))


@pytest.fixture
def counting() -> Counting:
    return Counting()


def start(counting: Counting, batch: int = 8, patience: float = 5.0) -> Inference:
    return Inference(cast("Judge", counting), batch, patience)


def test_each_image_gets_its_own_result(counting: Counting) -> None:
    inference = start(counting)
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(lambda value: through(inference, value, 0.01), range(100))) == list(range(100))
    inference.close()
    assert max(counting.batches) <= 8
    assert sum(counting.batches) == 100


def test_pictures_and_stored_embeddings_share_a_batch_and_each_gets_its_own(counting: Counting) -> None:
    inference = start(counting, batch=8, patience=30)
    barrier = threading.Barrier(6)

    def work(value: int) -> int:
        with inference.slot() as slot:
            barrier.wait()
            future = slot.submit(picture(value) if value % 2 else Embedding(value, ""))
        return cast("int", future.result(timeout=10))

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(work, range(6))) == list(range(6))
    inference.close()
    assert (sum(counting.batches), sum(counting.rescored)) == (3, 3)


def test_stored_embeddings_that_fail_fail_alone(counting: Counting, caplog: pytest.LogCaptureFixture) -> None:
    inference = start(counting, batch=4)
    with inference.slot() as one, inference.slot() as other, inference.slot() as third:
        futures = [one.submit(Embedding(255, "")), other.submit(picture(1)), third.submit(Embedding(2, ""))]
    assert isinstance(futures[0].exception(timeout=10), ValueError)
    assert [cast("int", future.result(timeout=10)) for future in futures[1:]] == [1, 2]
    inference.close()


def test_a_lone_image_does_not_wait(counting: Counting) -> None:
    inference = start(counting, patience=60)
    started = time.monotonic()
    assert through(inference, 5) == 5
    assert time.monotonic() - started < 5
    inference.close()


def test_images_under_way_are_waited_for(counting: Counting) -> None:
    inference = start(counting, batch=4, patience=30)
    barrier = threading.Barrier(4)

    def work(value: int) -> int:
        with inference.slot() as slot:
            barrier.wait()
            time.sleep(value * 0.05)
            future = slot.submit(picture(value))
        return cast("int", future.result(timeout=10))

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [0, 1, 2, 3]
    inference.close()
    assert counting.batches == [4]


def test_an_image_that_does_not_come_is_not_waited_for(counting: Counting) -> None:
    inference = start(counting, patience=60)
    with inference.slot() as slot:
        slot.give_up()
    with pytest.raises(ZeroDivisionError), inference.slot():
        raise ZeroDivisionError
    assert through(inference, 1) == 1
    inference.close()


def test_patience_ends(counting: Counting) -> None:
    inference = start(counting, patience=0.05)
    with inference.slot():  # never submits
        assert through(inference, 3) == 3
    inference.close()


def test_one_image_that_fails_fails_alone(counting: Counting, caplog: pytest.LogCaptureFixture) -> None:
    inference = start(counting, batch=8)
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(through, inference, value, 0.1) for value in (1, 2, 255, 4, 5, 6, 7, 8)]
    good = [future.result() for future in futures if future.exception() is None]
    assert good == [1, 2, 4, 5, 6, 7, 8]
    assert isinstance(futures[2].exception(), ValueError)
    assert inference.broken is None
    inference.close()


def test_a_device_short_of_memory_gets_smaller_batches(caplog: pytest.LogCaptureFixture) -> None:
    counting = Counting(most=2)
    inference = start(counting, batch=8)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda value: through(inference, value, 0.1), range(8))) == list(range(8))
        failed = [size for size in counting.batches if size > 2]
        assert list(pool.map(lambda value: through(inference, value, 0.1), range(8))) == list(range(8))
    inference.close()
    assert [size for size in counting.batches if size > 2] == failed


def test_one_image_that_fails_makes_no_batch_smaller(counting: Counting, caplog: pytest.LogCaptureFixture) -> None:
    inference = start(counting, batch=8)
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(through, inference, value, 0.1) for value in range(248, 256)]
        assert [future.exception() is None for future in futures] == [True] * 7 + [False]
        assert max(counting.batches) > 4
        counting.batches.clear()
        list(pool.map(lambda value: through(inference, value, 0.2), range(8)))
    inference.close()
    assert max(counting.batches) > 4


def test_a_model_that_fails_on_everything_is_nobodys_fault(
    counting: Counting, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[bool] = []
    inference = Inference(cast("Judge", counting), 4, on_broken=lambda: told.append(True))
    assert through(inference, 1) == 1
    counting.broken = True
    for _ in range(3):
        with pytest.raises(Unavailable, match="the device is gone"):
            through(inference, 1)
    inference.close()
    assert told == [True]
    assert inference.broken


def test_a_device_that_hangs_can_be_seen(counting: Counting) -> None:
    held = threading.Event()
    judge = counting.judge
    counting.judge = lambda pixels: (held.wait(10), judge(pixels))[1]  # type: ignore[method-assign]
    inference = start(counting)
    assert inference.busy_seconds == 0
    with inference.slot() as slot:
        future = slot.submit(picture(1))
    while not inference.busy_seconds > 0.05:
        time.sleep(0.01)
    held.set()
    assert cast("int", future.result(timeout=10)) == 1
    inference.close()
    assert inference.busy_seconds == 0


def test_closing_finishes_what_arrived_and_takes_no_more(counting: Counting) -> None:
    inference = start(counting)
    inference.close()
    with pytest.raises(Unavailable), inference.slot() as slot:
        slot.submit(picture(1))


def test_scores_are_of_the_embedding_as_stored() -> None:
    from taxonomy.concepts import literal
    from taxonomy.review import FLAGS, Reviewer, load_flags
    from taxonomy.score import Scorer
    from worker.encoders.fake import FakeEncoder

    encoder = FakeEncoder()
    flags = load_flags()
    prompts = encoder.encode_texts([prompt for flag in flags for prompt in flag.prompts])
    scorer = Scorer(literal(["a", "b"]), encoder.encode_texts(["a", "b"]), None, 20.0)
    judge = Judge(encoder, scorer, (), Reviewer(flags, prompts, 20.0, FLAGS, {}))
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)

    fresh: list[Scored] = judge.judge(pixels)
    again = judge.rescore([scored.stored for scored in fresh])

    for one, other in zip(fresh, again, strict=True):
        np.testing.assert_array_equal(one.score, other.score)
        np.testing.assert_array_equal(one.flags, other.flags)
        assert len(one.flags) == len(prompts)
