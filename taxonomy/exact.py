"""Matrix products of which every element depends on nothing but the row and the column that meet in it.

The order in which a BLAS adds products up depends on the place in the matrix, on the processor and on the threads, and
with it the last bits (Demmel and Nguyen 2013, "Fast reproducible floating-point summation", ARITH 21). A record must
not depend on what else was in the batch. So everything is put on a grid first: sums of whole numbers that stay below
2**24 in float32, or 2**53 in float64, are exact in whatever order they are added.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

STEPS = 4000
"""To 1. Squared it is 5 % below 2**24, which leaves room for what rounding adds to the length of a unit vector; a
cosine is off by 1e-4 (one standard deviation), a hundredth of what tells two concepts apart."""

SCALE = 1 / STEPS**2
"""Of a product of two `directions` to their cosine."""

CHANCE_STEPS, SHARE_STEPS = 2.0**30, 2.0**20


def directions(vectors: Floats) -> Floats:
    """Unit vectors (n, d) as whole numbers, `STEPS` times as long."""
    whole: Floats = np.rint(np.asarray(vectors, np.float32) * np.float32(STEPS))
    return whole


def cosines(rows: Floats, columns: Floats) -> Floats:
    """Cosines (n, m) of `directions` (n, d) with the columns of (d, m), transposed `directions` too."""
    product: Floats = rows @ columns
    product *= np.float32(SCALE)
    return product


def shares(values: Floats | Doubles) -> Doubles:
    """The right side of `sums`, (m, k): numbers from 0 to 1 as whole ones."""
    whole: Doubles = np.rint(np.asarray(values, np.float64) * SHARE_STEPS)
    return whole


def sums(chances: Floats | Doubles, columns: Doubles) -> Doubles:
    """Weighted sums (n, k) of numbers (n, m) whose rows sum to at most 1, by `shares` (m, k)."""
    product: Doubles = np.rint(chances * CHANCE_STEPS) @ columns
    product *= 1 / (CHANCE_STEPS * SHARE_STEPS)
    return product
