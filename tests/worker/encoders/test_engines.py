"""Blocks, the check against PyTorch, and what happens when it fails; with a tower of one matrix."""

from pathlib import Path

import numpy as np
import pytest
from random_models import random_pixels

from tasks.errors import ConfigurationError
from tasks.ports import Pixels
from worker.encoders.engines import Engine, open_engine
from worker.encoders.tower import Loaded, Outputs, Tower, UnfitError

SIZE = 16


def never() -> None:
    raise AssertionError("not asked for")


TOWER = Tower("0" * 64, SIZE, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), load=never)


class Matrix:
    """A backend that multiplies by a matrix and remembers the batches that it was given."""

    def __init__(self, *, depends_on_batch: bool = False, wrong: bool = False) -> None:
        self.batches: list[int] = []
        self._weights = np.random.default_rng(0).standard_normal((SIZE * SIZE * 3, 8)).astype(np.float32)
        self._depends_on_batch = depends_on_batch
        self._wrong = wrong

    def compute(self, pixels: Pixels) -> Outputs:
        rows = [image.reshape(-1).astype(np.float32) @ self._weights for image in pixels]
        return [np.stack(rows)]

    def run(self, pixels: Pixels) -> Outputs:
        self.batches.append(len(pixels))
        (rows,) = self.compute(pixels)
        if self._depends_on_batch:
            rows += np.float32(len(pixels))
        return [-rows if self._wrong else rows]

    def loaded(self) -> Loaded:
        return Loaded("matrix fp32", "fp32", self.run, self.compute(TOWER.example()), 8, forget=never)


def test_images_go_through_in_full_blocks_and_a_small_rest_in_short_ones() -> None:
    matrix = Matrix()
    engine = Engine(matrix.loaded(), TOWER, 8)
    matrix.batches.clear()
    for count, blocks in ((1, [2]), (2, [2]), (3, [2, 2]), (5, [8]), (8, [8]), (10, [8, 2]), (19, [8, 8, 2, 2])):
        pixels = random_pixels(count, SIZE)
        np.testing.assert_array_equal(engine.run(pixels)[0], matrix.compute(pixels)[0])
        assert matrix.batches == blocks
        matrix.batches.clear()


def test_a_backend_whose_bits_depend_on_the_batch_gets_one_size_only() -> None:
    matrix = Matrix(depends_on_batch=True)
    engine = Engine(matrix.loaded(), TOWER, 8)
    matrix.batches.clear()
    alone, together = engine.run(random_pixels(1, SIZE)), engine.run(random_pixels(9, SIZE))
    assert matrix.batches == [8, 8, 8]
    np.testing.assert_array_equal(alone[0], together[0][:1])


@pytest.mark.parametrize("block", [1, 2, 5])
def test_any_block_gives_the_same(block: int) -> None:
    matrix = Matrix()
    pixels = random_pixels(7, SIZE)
    np.testing.assert_array_equal(Engine(matrix.loaded(), TOWER, block).run(pixels)[0], matrix.compute(pixels)[0])


def test_an_engine_that_computes_something_else_is_not_used() -> None:
    with pytest.raises(UnfitError, match=r"cosine -1\.0"):
        Engine(Matrix(wrong=True).loaded(), TOWER, 8)


def test_an_example_is_the_same_whatever_its_length() -> None:
    np.testing.assert_array_equal(TOWER.example(9)[:2], TOWER.example())
    assert TOWER.example(3).shape == (3, SIZE, SIZE, 3)


def test_an_unknown_engine_is_named_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"unknown engine 'tensorrt'.*openvino-bf16"):
        open_engine(TOWER, "tensorrt", cache_dir=tmp_path, threads=None, block=None)
