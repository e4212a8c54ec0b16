"""The embedded index under SIGKILL, full disks, and readers in other processes."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.errors import Unavailable
from tasks.feeding.ports import Put, Remove
from tasks.searching.ports import Filters, WordQuery
from tests.conftest import REPOSITORY
from tests.worker.feeds.local.made import GENERATION, contents, document, vector, word
from worker.feeds.local.index import LocalIndex
from worker.feeds.local.searcher import LocalSearcher
from worker.feeds.local.sink import LocalSink

KILLS = 25

WRITER = """
import random, sys, time
from pathlib import Path
from tasks.feeding.ports import Put, Remove
from tests.worker.feeds.local.made import GENERATION, document, word
from worker.feeds.local.sink import LocalSink

folder, seed = Path(sys.argv[1]), int(sys.argv[2])
rng = random.Random(seed)
sink = LocalSink(folder, "b", few=100)
index = sink.open(GENERATION)
sink.serve(index)
number = 0
print("open", flush=True)
while True:
    number += 1
    operations = []
    for key in rng.sample([f"k{i}" for i in range(2000)], 60):
        version = index.indexed([key])[key].version + 1 if index.indexed([key]) else 1
        made = document(key, version=version, tag=f"{seed}.{number}", seed=hash((seed, number, key)) % 2**31,
                        keywords=(word(1, f"word{seed}"),))
        operations.append(Remove(key, version) if rng.random() < 0.2 else Put(made, forced=True))
    index.deliver(operations)
    print(f"delivered {number}", flush=True)
    if number % 2 == 0:
        index.commit()
        print(f"committed {number}", flush=True)
"""


def writer(folder: Path, seed: int) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(seed)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONHASHSEED": "0"},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


def test_an_index_that_was_killed_at_any_moment_opens_and_catches_up(tmp_path: Path) -> None:
    folder, rng = tmp_path / "index", random.Random(5)  # noqa: S311 - of a test
    for seed in range(KILLS):
        process = writer(folder, seed)
        # Each round is killed a little later: in a delivery, in tantivy's commit, while vectors are written.
        time.sleep(rng.random() * 0.8)
        process.kill()
        told = process.communicate()[0].splitlines()
        assert process.returncode == -signal.SIGKILL
        index = LocalIndex(folder / GENERATION, GENERATION, "b", few=100)
        found = contents(index.folder)
        # All that was delivered is in the rows: the machine went on, and only a power cut takes what is not committed.
        delivered = sum(line.startswith("delivered") for line in told)
        tags = {tag for tag in found.documents.values() if tag.startswith(f"{seed}.")}
        assert tags >= ({f"{seed}.{delivered}"} if delivered else set())
        assert found.words == found.vectors == set(found.documents)
        assert [each.key for each in index.listed()] == sorted(found.documents)
        index.close()
        assert len(list((folder / GENERATION).glob("vectors*"))) <= 1
    assert list((folder / GENERATION).glob("vectors-*.usearch"))


def test_searches_in_other_processes_go_on_while_indexes_are_written_and_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    sink = LocalSink(folder, "b", few=50)
    index = sink.open(GENERATION)
    index.deliver([Put(document(f"k{i}", seed=i, keywords=(word(1, "dog"),))) for i in range(100)])
    index.commit()
    sink.serve(index)
    code = """
import json, sys, time
from pathlib import Path
from tasks.searching.ports import Filters, WordQuery
from tests.worker.feeds.local.made import vector
from worker.feeds.local.searcher import LocalSearcher
searcher = LocalSearcher(Path(sys.argv[1]))
print("open", flush=True)
least, count = 10**9, 0
while not Path(sys.argv[2]).exists():
    words = searcher.by_words(WordQuery("", "en", {"c:dog": 1.0}), Filters(), 1000)
    near = searcher.by_vector(vector(1), Filters(people=None, prefix="k"), 1000)
    assert len(searcher.documents([each.id for each in words])) <= len(words)
    least, count = min(least, len(words), len(near)), count + 1
print(json.dumps([least, count, len(words)]))
"""
    stop = tmp_path / "stop"
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(folder), str(stop)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )
        for _ in range(2)
    ]
    for process in readers:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
    for number in range(8):
        new = sink.open(GENERATION, anew=True)
        for start in range(0, 120, 40):
            new.deliver(
                [Put(document(f"k{i}", seed=number + i, keywords=(word(1, "dog"),))) for i in range(start, start + 40)]
            )
            new.commit()
        sink.serve(new)
        new.deliver([Put(document(f"k{i}", version=2, seed=i, keywords=(word(2, "dog"),))) for i in range(60)])
        new.commit()
    stop.touch()
    for process in readers:
        printed = process.communicate(timeout=60)[0]
        assert process.returncode == 0
        least, count, last = json.loads(printed)
        # Never half of an index: 100 documents first, 120 in each that replaced it.
        assert least >= 100
        assert count > 1
        assert last == 120
    sink.close()


def test_a_full_disk_is_said_so_and_survived(tmp_path: Path) -> None:
    index = LocalIndex(tmp_path, GENERATION, "b", few=50)
    index.deliver([Put(document(f"k{i}", seed=i)) for i in range(100)])
    index.commit()
    child = os.fork()
    if child == 0:
        # No file of this process may grow beyond what the rows have already.
        status = 1
        try:
            size = (tmp_path / "documents.sqlite-wal").stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100_000, size + 100_000))
            for number in range(100):
                index.deliver([Put(document(f"n{number}.{i}", seed=i, title="x" * 500)) for i in range(100)])
        except Unavailable as error:
            status = 0 if "documents.sqlite" in str(error) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    index.abandon()
    again = LocalIndex(tmp_path, GENERATION, "b", few=50)
    found = contents(tmp_path)
    assert found.words == found.vectors == set(found.documents) >= {f"k{i}" for i in range(100)}
    again.deliver([Put(document("after"))])
    again.commit()
    again.close()


@pytest.mark.parametrize("limit", [3_000, 12_000, 60_000])
def test_a_full_disk_in_an_engine_is_made_up_for(tmp_path: Path, limit: int) -> None:
    index = LocalIndex(tmp_path, GENERATION, "b", few=50)
    keys = {f"k{i}" for i in range(2000)}
    index.deliver([Put(document(key, seed=number, title=f"title {key}")) for number, key in enumerate(sorted(keys))])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(Unavailable):
            index.commit()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    index.commit()
    assert contents(tmp_path) == (dict.fromkeys(keys, "1:1"), keys, keys)
    index.close()


def test_what_was_changed_often_is_found_as_well_as_ever(tmp_path: Path) -> None:
    sink = LocalSink(tmp_path / "index", "b", few=200)
    index = sink.open(GENERATION)
    sink.serve(index)
    for round_ in range(1, 11):
        index.deliver([Put(document(f"k{i}", version=2 * round_, seed=1000 * round_ + i)) for i in range(1000)])
        index.deliver([Remove(f"k{i}", 2 * round_ + 1) for i in range(round_, 1000, 10)])
        index.commit()
    alive = [i for i in range(1000) if i % 10 != 0]
    searcher, found = LocalSearcher(tmp_path / "index"), 0
    for i in alive[:200]:
        [hit] = searcher.by_vector(vector(10_000 + i), Filters(), 1)
        found += next(iter(searcher.documents([hit.id]).values())).key == f"k{i}"
    assert found >= 196
    assert searcher.by_words(WordQuery("", "en", {}, ("title",)), Filters(), 1) == []
    searcher.close()
    sink.close()
