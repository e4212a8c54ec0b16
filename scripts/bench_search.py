"""How fast the embedded index is filled and searched, on synthetic documents: figures of `docs/embedded-index.md`.

Documents are random, and the same for the same seed: 20 keywords of 5,000, the common ones often (Zipf), a title and a
caption made of them, and a vector near one of 2,000 centres that lie in 48 dimensions, since real embeddings are not
spread evenly either. What is found by vector is compared with looking at all of them.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from tasks.feeding.document import Document, Term, document_id
from tasks.feeding.ports import Put
from tasks.records import Category, Embedding
from tasks.searching.ports import Filters, WordQuery
from worker.feeds.local.searcher import LocalSearcher
from worker.feeds.local.sink import LocalSink

GENERATION = "0123456789ab"
BATCH = 500
CONCEPTS, CENTRES, KEYWORDS = 5000, 2000, 20
INNER, NOISE = 48, 0.7
COLORS = ("black", "blue", "brown", "gray", "green", "orange", "pink", "purple", "red", "white", "yellow")


class Synthetic:
    """Documents of a seed.

    Args:
        seed: of all randomness.
        dimensions: of vectors.
    """

    def __init__(self, seed: int, dimensions: int) -> None:
        self.rng = np.random.default_rng(seed)
        self._centres = self.rng.standard_normal((CENTRES, INNER)).astype(np.float32)
        self._spread = self.rng.standard_normal((INNER, dimensions)).astype(np.float32)
        common = 1 / np.arange(10, CONCEPTS + 10)
        self._common = common / common.sum()

    def vectors(self, count: int) -> NDArray[np.float32]:
        """Unit vectors (n, d)."""
        centres = self._centres[self.rng.integers(CENTRES, size=count)]
        made = (centres + NOISE * self.rng.standard_normal(centres.shape).astype(np.float32)) @ self._spread
        unit: NDArray[np.float32] = made / np.linalg.norm(made, axis=1, keepdims=True)
        return unit

    def concepts(self, count: int) -> NDArray[np.int64]:
        """Numbers of concepts, the common ones often."""
        return self.rng.choice(CONCEPTS, count, p=self._common)

    def documents(self, start: int, count: int) -> Iterator[Document]:
        """Documents with the numbers from `start` on."""
        concepts = self.concepts(count * KEYWORDS).reshape(count, KEYWORDS)
        weights = np.sort(self.rng.random((count, KEYWORDS)))[:, ::-1]
        draws = self.rng.integers(1 << 30, size=(count, 4))
        for i, vector in enumerate(self.vectors(count)):
            yield _document(start + i, concepts[i].tolist(), weights[i].tolist(), draws[i].tolist(), vector)


def _document(
    number: int, concepts: Sequence[int], weights: Sequence[float], draws: Sequence[int], vector: NDArray[np.float32]
) -> Document:
    key = f"{draws[0] % 100:02}/photo-{number:08}.jpg"
    names = list(dict.fromkeys(concepts))
    keywords = tuple(
        Term(rank, f"c:{name}", {"en": f"word{name}", "ko": f"단어{name}"}, max(0.01, round(weight, 3)), "generated")
        for rank, (name, weight) in enumerate(zip(names, weights, strict=False), 1)
    )
    words = " ".join(f"word{name}" for name in names[:4])
    return Document(
        id=document_id("b", key),
        tag="1:t",
        version=1,
        bucket="b",
        key=key,
        etag="e",
        generation=GENERATION,
        status="tagged",
        title=f"A picture of {words}",
        caption=f"A picture of {words}, seen from the other side.",
        alt_text=f"A picture of {words}.",
        keywords=keywords,
        categories={"adobe": (Category(str(draws[1] % 21 + 1), "Name", 0.5),)},
        width=6000,
        height=4000,
        orientation=("landscape", "portrait", "square")[draws[2] % 3],
        color_names=(COLORS[draws[2] % 11], COLORS[draws[3] % 11]),
        people=(True, False, None)[draws[3] % 3],
        model="synthetic",
        created_at="2026-01-01T00:00:00.000+00:00",
        updated_at="2026-01-01T00:00:00.000+00:00",
        embedding=Embedding.pack(vector),
    )


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--dimensions", type=int, default=384, help="384 is starter's, 512 is ViT-B-32's")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--limit", type=int, default=100, help="hits of each query; the fused search asks for 100")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--index", type=Path, help="a folder to fill, or to search if there is one; else a temporary one"
    )
    given = parser.parse_args()
    folder = given.index or Path(tempfile.mkdtemp(prefix="stockmeta-bench-search-"))
    try:
        synthetic = Synthetic(given.seed, given.dimensions)
        if not (folder / "serving.json").exists():
            fill(folder, synthetic, given.documents)
        search(folder, synthetic, given)
    finally:
        if given.index is None:
            shutil.rmtree(folder)
    return 0


def fill(folder: Path, synthetic: Synthetic, documents: int) -> None:
    """Deliver and commit, and say how fast that was."""
    process = psutil.Process()
    print(f"{'documents':>10} {'a second':>9} {'RSS MB':>7} {'anonymous MB':>13} {'bytes each':>11}")
    sink = LocalSink(folder, "b")
    index = sink.open(GENERATION)
    spent, told, used = 0.0, 0.0, 0.0
    steps = max(1, documents // 10)
    for start in range(0, documents, BATCH):
        operations = [Put(each) for each in synthetic.documents(start, min(BATCH, documents - start))]
        begun, cpu = time.perf_counter(), time.process_time()
        index.deliver(operations)
        index.commit()
        spent, used = spent + time.perf_counter() - begun, used + time.process_time() - cpu
        done = start + len(operations)
        if done % steps < BATCH:
            memory = process.memory_info()
            print(
                f"{done:>10} {min(steps, done) / (spent - told):>9.0f} {memory.rss / 1e6:>7.0f} "
                f"{(memory.rss - memory.shared) / 1e6:>13.0f} "
                f"{size(folder) / done:>11.0f}",
                flush=True,
            )
            told = spent
    begun = time.perf_counter()
    index.completed()
    sink.serve(index)
    sink.close()
    closing = time.perf_counter() - begun
    print(
        f"{documents / (spent + closing):.0f} documents a second in all, {closing:.1f} s of it closing; "
        f"{used / documents * 1e3:.2f} ms of processor a document"
    )
    for name, found in parts(folder).items():
        print(f"{found / documents:>10.0f} bytes a document: {name}")


def search(folder: Path, synthetic: Synthetic, given: argparse.Namespace) -> None:
    """Ask, and say how long that took."""
    rng, limit = synthetic.rng, given.limit
    begun = time.perf_counter()
    searcher = LocalSearcher(folder)
    vectors = synthetic.vectors(given.queries)
    searcher.by_vector(vectors[0], Filters(), limit)
    first = time.perf_counter() - begun
    pairs = synthetic.concepts(2 * given.queries).reshape(-1, 2)
    concepts = [WordQuery("", "en", {f"c:{a}": 1.0, f"c:{b}": 0.5}) for a, b in pairs]
    rest = [WordQuery("", "en", {}, (f"word{a}", f"word{b}")) for a, b in pairs]
    wide, narrow = Filters(orientation="landscape"), Filters((("adobe", "7"),), "landscape", ("blue",), True)
    asked: dict[str, Callable[[int], object]] = {
        "concepts": lambda i: searcher.by_words(concepts[i], Filters(), limit),
        "concepts, 33 % pass": lambda i: searcher.by_words(concepts[i], wide, limit),
        "words": lambda i: searcher.by_words(rest[i], Filters(), limit),
        "words, prefix of 1 %": lambda i: searcher.by_words(rest[i], Filters(prefix="07/"), limit),
        "vector": lambda i: searcher.by_vector(vectors[i], Filters(), limit),
        "vector, 33 % pass": lambda i: searcher.by_vector(vectors[i], wide, limit),
        "vector, 5 % pass": lambda i: searcher.by_vector(vectors[i], Filters((("adobe", "7"),)), limit),
        "vector, 0.3 % pass": lambda i: searcher.by_vector(vectors[i], narrow, limit),
    }
    ids = [each.id for each in searcher.by_vector(vectors[0], Filters(), limit)]
    asked[f"{len(ids)} documents"] = lambda _: searcher.documents([ids[j] for j in rng.permutation(len(ids))])
    print(f"first answer {first * 1e3:.0f} ms after opening; {limit} hits a query, milliseconds:")
    print(f"{'':>24} {'p50':>7} {'p95':>7} {'p99':>7} {'CPU p50':>8} {'CPU p95':>8}")
    for name, ask in asked.items():
        times = np.array([timed(ask, i) for i in range(given.queries)]) * 1e3
        wall = " ".join(f"{np.percentile(times[:, 0], each):>7.2f}" for each in (50, 95, 99))
        print(f"{name:>24} {wall} " + " ".join(f"{np.percentile(times[:, 1], each):>8.2f}" for each in (50, 95)))
    print(f"recall@10 against looking at all: {recall(folder, searcher, vectors, Filters()):.4f}, ", end="")
    print(f"of those that pass: 33 %: {recall(folder, searcher, vectors, wide):.4f}")
    print(f"RSS of the searcher {psutil.Process().memory_info().rss / 1e6:.0f} MB")
    searcher.close()


def recall(folder: Path, searcher: LocalSearcher, vectors: NDArray[np.float32], filters: Filters) -> float:
    """How many of the true ten nearest are among the ten found."""
    index = LocalSink(folder, "b")
    try:
        keys = [each.key for each in index.open(GENERATION).listed()]
    finally:
        index.close()
    matrix, ids = [], []
    for start in range(0, len(keys), 1000):
        for number, each in searcher.documents([document_id("b", key) for key in keys[start : start + 1000]]).items():
            if each.embedding is not None and filters.orientation in (None, each.orientation):
                vector = each.embedding.unpack()
                matrix.append(vector / np.linalg.norm(vector))
                ids.append(number)
    exact, found = np.stack(matrix), 0
    for vector in vectors[:100]:
        best = {ids[j] for j in np.argpartition(-(exact @ vector), 10)[:10]}
        found += len(best & {each.id for each in searcher.by_vector(vector, filters, 10)})
    return found / (10 * len(vectors[:100]))


def timed(ask: Callable[[int], object], i: int) -> tuple[float, float]:
    """Seconds, and those of the processor: the same where nothing else runs."""
    begun, used = time.perf_counter(), time.process_time()
    ask(i)
    return time.perf_counter() - begun, time.process_time() - used


def parts(folder: Path) -> dict[str, int]:
    """Bytes by kind of file."""
    found: dict[str, int] = {}
    for root, _, names in os.walk(folder):
        for name in names:
            kind = "text" if root.endswith("text") else "vectors" if name.endswith("usearch") else "documents"
            found[kind] = found.get(kind, 0) + (Path(root) / name).stat().st_size
    return found


def size(folder: Path) -> int:
    """Bytes of all files."""
    return sum(parts(folder).values())


if __name__ == "__main__":
    sys.exit(main())
