import numpy as np
import pytest

from taxonomy import exact
from tests.taxonomy.test_score import directions


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_cosines_are_those_of_whole_numbers_whatever_the_place(rng: np.random.Generator) -> None:
    rows = exact.directions(directions(rng, 37, 384))
    columns = exact.directions(directions(rng, 1001, 384)).T
    wanted = ((rows.astype(np.int64) @ columns.astype(np.int64)) * np.float64(1 / 16_000_000)).astype(np.float32)
    found = exact.cosines(rows, columns)
    np.testing.assert_allclose(found, wanted, rtol=3e-7)
    order, others = rng.permutation(37), rng.permutation(1001)
    shuffled = exact.cosines(rows[order], np.ascontiguousarray(columns[:, others]))
    np.testing.assert_array_equal(shuffled, found[order][:, others])
    np.testing.assert_array_equal(exact.cosines(rows[5:6], columns[:, :3]), found[5:6, :3])


@pytest.mark.parametrize("dimensions", [1, 2, 64, 512, 4096])
def test_a_direction_with_itself_stays_exact(rng: np.random.Generator, dimensions: int) -> None:
    vectors = exact.directions(directions(rng, 20, dimensions))
    assert np.einsum("ij,ij->i", vectors.astype(np.float64), vectors.astype(np.float64)).max() < 2**24


def test_the_grid_is_fine_enough(rng: np.random.Generator) -> None:
    rows, columns = directions(rng, 50, 512), directions(rng, 400, 512)
    error = exact.cosines(exact.directions(rows), exact.directions(columns).T) - rows @ columns.T
    assert error.std() < 1.5e-4


def test_sums_are_right_whatever_the_place(rng: np.random.Generator) -> None:
    chances = rng.dirichlet(np.full(900, 0.05), 21)
    parts = rng.integers(0, 2, (900, 7)) / rng.integers(1, 4, (900, 1))
    found = exact.sums(chances, exact.shares(parts))
    np.testing.assert_allclose(found, chances @ parts, atol=2e-6)
    order = rng.permutation(21)
    np.testing.assert_array_equal(exact.sums(chances[order], exact.shares(parts)), found[order])
    across = rng.permutation(900)
    np.testing.assert_array_equal(exact.sums(chances[:, across], exact.shares(parts[across])), found)
