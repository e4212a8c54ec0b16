"""How long scoring and choosing take, for vocabularies of any size. Prints figures; `docs/speed.md` quotes them.

Needs no model: embeddings are random unit vectors, and the tree is random too, twelve children a parent. One thread, as
in a worker. Beside it, the bound: the bare product of the same matrices, which any scoring has to compute.
"""

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits

from taxonomy.choose import Chooser
from taxonomy.concepts import Concept, Vocabulary, build
from taxonomy.exact import Floats
from taxonomy.policy import Policy, Thresholds
from taxonomy.score import BLOCK, Scorer, blocks, statistics

ROOTS, CHILDREN = 40, 12


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--concepts", type=int, nargs="+", default=[20_000, 100_000])
    parser.add_argument("--dimensions", type=int, default=512, help="512 is ViT-B-32's, 384 is starter's")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    threadpool_limits(1, user_api="blas")
    rng = np.random.default_rng(0)
    print(f"{given.images} images, {given.dimensions} dimensions; milliseconds an image, best of {given.rounds} rounds")
    print(f"{'concepts':>10} {'product alone':>14} {'scoring':>9} {'choosing':>9}")
    images = directions(rng, given.images, given.dimensions)
    for count in given.concepts:
        concepts = directions(rng, count, given.dimensions)
        vocabulary = tree(rng, count)
        usual = statistics(concepts, directions(rng, 500, given.dimensions))
        scorer = Scorer(vocabulary, concepts, usual, 20.0)
        chooser = Chooser(vocabulary, Policy(thresholds=Thresholds(0.026, 0.25)))
        columns = np.ascontiguousarray(concepts.T)
        times = [
            best(given.rounds, lambda columns=columns: [block @ columns for block in blocks(images)]),  # type: ignore[misc]
            best(given.rounds, lambda scorer=scorer: [scorer.block(block) for block in blocks(images)]),  # type: ignore[misc]
        ]
        few = scorer.score(images[: 4 * BLOCK])
        choosing = best(
            given.rounds,
            lambda chooser=chooser, few=few: [chooser.choose(*values) for values in zip(*few, strict=True)],  # type: ignore[misc]
        )
        row = [*(seconds / len(images) * 1e3 for seconds in times), choosing / len(few.raw) * 1e3]
        print(f"{count:>10} {row[0]:>14.2f} {row[1]:>9.2f} {row[2]:>9.2f}")
    return 0


def best(rounds: int, work: Callable[[], object]) -> float:
    """Seconds of the fastest of some rounds: what disturbs a round only makes it slower."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def directions(rng: np.random.Generator, n: int, d: int) -> Floats:
    """Random unit vectors (n, d)."""
    rows = rng.standard_normal((n, d)).astype(np.float32)
    unit: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def tree(rng: np.random.Generator, count: int) -> Vocabulary:
    """A random tree of so many concepts."""
    parents = [None if i < ROOTS else f"{rng.integers(max(1, i // CHILDREN))}" for i in range(count)]
    return build([Concept(f"{i}", f"word {i}", parent=parent) for i, parent in enumerate(parents)])


if __name__ == "__main__":
    sys.exit(main())
