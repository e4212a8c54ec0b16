"""Sorting on disk: all of it, in order, in little memory, with nothing left behind."""

import errno
import os
import tempfile
import tracemalloc
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import ConfigurationError, Unavailable
from tasks.listing.order import Order, sortable
from tasks.ports import Stat
from worker.bulk import sorting
from worker.bulk.sorting import sort_on_disk

KEYS = st.text(st.sampled_from("a/ -.\n한\U0010ffff"), min_size=1, max_size=6)


def stat(key: str, modified: float | None = 1.5) -> Stat:
    return Stat(key, f'"{key}"', len(key), modified)


def files_open() -> int:
    """Of this process; where there is no such folder, always the same."""
    descriptors = Path("/proc/self/fd")
    return len(list(descriptors.iterdir())) if descriptors.is_dir() else 0


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    open_before = files_open()
    yield tmp_path
    assert list(tmp_path.iterdir()) == []
    assert files_open() == open_before


@pytest.mark.parametrize("order", ["bytes", "path"])
@settings(max_examples=30)
@given(keys=st.lists(KEYS, max_size=60), run=st.integers(1, 20), fan=st.integers(2, 5))
def test_everything_comes_out_in_order(order: Order, keys: list[str], run: int, fan: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorting, "FAN", fan)
        patch.setattr(sorting, "BLOCK", 3)
        found = list(sort_on_disk(map(stat, keys), order, run))
    assert found == [stat(key) for key in sorted(keys, key=lambda key: sortable(key, order))]


def test_times_may_be_unknown() -> None:
    stats = [stat("b", None), stat("a", None), stat("c", None)]
    assert [one.modified for one in sort_on_disk(stats, "bytes", 1)] == [None] * 3


def test_memory_does_not_grow_with_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorting, "BLOCK", 10)

    def peak(count: int) -> int:
        tracemalloc.start()
        keys = (f"{(n * 7919) % count:08}.jpg" for n in range(count))
        seen = sum(1 for _ in sort_on_disk(map(stat, keys), "path", 250))
        assert seen == count
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    assert peak(4_000) < 2 * peak(1_000)


def test_closed_early_nothing_is_left() -> None:
    found = sort_on_disk(map(stat, "fedcba"), "bytes", 2)
    assert [one.key for one in islice(found, 3)] == ["a", "b", "c"]
    found.close()  # type: ignore[attr-defined]


def test_what_the_listing_raises_is_raised_before_anything_is_given() -> None:
    def breaks() -> Iterator[Stat]:
        yield from map(stat, "fedcba")
        raise Unavailable("gone")

    with pytest.raises(Unavailable, match="gone"):
        next(sort_on_disk(breaks(), "bytes", 2))


@pytest.mark.parametrize(
    ("number", "error", "words"), [(errno.ENOSPC, ConfigurationError, "TMPDIR"), (errno.EIO, Unavailable, "failed")]
)
def test_a_disk_that_is_full_or_broken(
    number: int, error: type[Exception], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(error, match=words):
        list(sort_on_disk(map(stat, "fedcba"), "bytes", 2))
