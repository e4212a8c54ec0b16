import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.errors import ConfigurationError, Conflict, Unavailable
from tasks.generations.description import Description, Sight, describe
from tasks.generations.pointer import (
    REMEMBERED,
    Current,
    generation_id,
    join_generation,
    open_generation,
    promote,
    read_current,
    rollback,
    withdraw,
)
from tasks.layout import Layout
from tasks.ports import Stat, Store
from tasks.records import ImageRef
from worker.storage.local import LocalStore
from worker.storage.memory import MemoryStore

LAYOUT = Layout()
A, B, C = "a" * 12, "b" * 12, "c" * 12


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return LocalStore(tmp_path, "library") if request.param == "local" else MemoryStore("library")


def test_an_id_depends_on_names_and_values_and_not_on_their_order() -> None:
    assert generation_id({"a": "1", "b": "2"}) == generation_id({"b": "2", "a": "1"}) == "21f76dfbfe6d"
    others = [{"a": "2", "b": "1"}, {"a": "1"}, {"a": "1", "b": "2", "c": ""}, {"a": '1","b":"2'}]
    assert len({generation_id(parts) for parts in others} | {"21f76dfbfe6d"}) == 5


def test_nothing_serves_a_new_library(store: Store) -> None:
    assert read_current(store, LAYOUT) == Current(None, None)
    assert read_current(store, LAYOUT).written == ()


def test_the_first_serves_and_the_next_is_filled(store: Store) -> None:
    assert open_generation(store, LAYOUT, A) == Current(A, None)
    assert open_generation(store, LAYOUT, A) == Current(A, None)
    assert open_generation(store, LAYOUT, B) == Current(A, B)
    assert open_generation(store, LAYOUT, A) == Current(A, B)
    assert read_current(store, LAYOUT).written == (A, B)


def write(store: Store, *generations: str) -> None:
    """A record in each."""
    for generation in generations:
        store.put(LAYOUT.done(generation, ImageRef("library", "a.jpg")), b"{}", if_match=None)


def test_promotion(store: Store) -> None:
    open_generation(store, LAYOUT, A)
    open_generation(store, LAYOUT, B)
    assert promote(store, LAYOUT, B) == Current(B, None, (A,))
    with pytest.raises(ConfigurationError, match="nothing was ever written"):
        promote(store, LAYOUT, A)
    write(store, A)
    open_generation(store, LAYOUT, C)
    assert promote(store, LAYOUT, A) == Current(A, C, (B,))
    assert promote(store, LAYOUT, A) == read_current(store, LAYOUT) == Current(A, C, (B,))


def test_a_description_alone_is_no_generation_to_promote(store: Store) -> None:
    open_generation(store, LAYOUT, A)
    made = Description(
        generation=B,
        opened_at="2026-01-02T03:04:05.678+00:00",
        model="m",
        engine="e",
        taxonomy="t",
        captioner="composed",
        languages=("en",),
        sight=Sight("e", "1", "1"),
    )
    describe(store, LAYOUT, made)
    with pytest.raises(ConfigurationError, match="nothing was ever written"):
        promote(store, LAYOUT, B)


def test_rollback_goes_back_one_step_at_a_time(store: Store) -> None:
    write(store, A, B, C)
    open_generation(store, LAYOUT, A)
    with pytest.raises(ConfigurationError, match="no generation served before"):
        rollback(store, LAYOUT)
    for generation in (B, C):
        promote(store, LAYOUT, generation)
    assert read_current(store, LAYOUT) == Current(C, None, (B, A))
    assert rollback(store, LAYOUT) == Current(B, None, (A,))
    assert rollback(store, LAYOUT) == Current(A)
    assert promote(store, LAYOUT, C) == Current(C, None, (A,))


def test_a_generation_that_is_rolled_back_to_is_not_filled_any_more(store: Store) -> None:
    write(store, A, B)
    for change in (open_generation, promote):
        for generation in (A, B):
            change(store, LAYOUT, generation)
    assert open_generation(store, LAYOUT, A) == Current(B, A, (A,))
    assert rollback(store, LAYOUT) == Current(A)


def test_of_two_who_roll_back_at_once_one_does(store: Store) -> None:
    write(store, A, B, C)
    for generation in (A, B, C):
        open_generation(store, LAYOUT, generation)
        promote(store, LAYOUT, generation)

    class Slow(MemoryStore):
        """Somebody else rolls back between our look and our write."""

        def put(self, key: str, data: bytes, *, if_match: str | None) -> str:
            if not moved:
                moved.append(rollback(store, LAYOUT))
            return store.put(key, data, if_match=if_match)

        def read(self, key: str) -> tuple[bytes, str] | None:
            return store.read(key)

        def list(self, prefix: str = "") -> Iterator[Stat]:
            return store.list(prefix)

    moved: list[Current] = []
    with pytest.raises(ConfigurationError, match="somebody else"):
        rollback(Slow("library"), LAYOUT)
    assert read_current(store, LAYOUT) == moved[0] == Current(B, None, (A,))


def test_the_way_back_is_bounded(store: Store) -> None:
    names = [f"{i:012x}" for i in range(REMEMBERED + 3)]
    write(store, *names)
    for name in names:
        promote(store, LAYOUT, name)
    assert read_current(store, LAYOUT).previous == tuple(reversed(names[2:-1]))


def test_what_is_withdrawn_is_named_nowhere(store: Store) -> None:
    write(store, A, B, C)
    for generation in (A, B):
        promote(store, LAYOUT, generation)
    open_generation(store, LAYOUT, C)
    with pytest.raises(ConfigurationError, match=f"{B} serves"):
        withdraw(store, LAYOUT, B)
    assert withdraw(store, LAYOUT, A) == Current(B, C)
    assert withdraw(store, LAYOUT, C) == Current(B)
    before = store.stat(LAYOUT.current)
    assert withdraw(store, LAYOUT, C) == Current(B)
    assert store.stat(LAYOUT.current) == before


def test_a_pointer_without_history_reads_as_it_always_did(store: Store) -> None:
    open_generation(store, LAYOUT, A)
    data, _ = store.read(LAYOUT.current) or (b"", "")
    assert json.loads(data) == {"schema": "stockmeta-current/1", "serving": A, "filling": None}
    write(store, B)
    promote(store, LAYOUT, B)
    data, _ = store.read(LAYOUT.current) or (b"", "")
    assert json.loads(data) == {"schema": "stockmeta-current/1", "serving": B, "filling": None, "previous": [A]}


def test_opening_what_is_open_writes_nothing(store: Store) -> None:
    open_generation(store, LAYOUT, A)
    before = store.stat(LAYOUT.current)
    open_generation(store, LAYOUT, A)
    assert store.stat(LAYOUT.current) == before


@pytest.mark.parametrize("names", [[A] * 12, [A, B, C] * 4])
def test_racing_openers_converge(store: Store, names: list[str]) -> None:
    with ThreadPoolExecutor(len(names)) as threads:
        opened = list(threads.map(lambda name: open_generation(store, LAYOUT, name), names))
    assert all(name in current.written for name, current in zip(names, opened, strict=True))
    assert len({current.serving for current in opened}) == 1
    assert read_current(store, LAYOUT) in opened


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b"\xff",
        b"null",
        b"[]",
        json.dumps({"schema": "stockmeta-current/2", "serving": A, "filling": None}).encode(),
        json.dumps({"schema": "stockmeta-current/1", "serving": A}).encode(),
        json.dumps({"schema": "stockmeta-current/1", "serving": A, "filling": None, "more": 1}).encode(),
        json.dumps({"schema": "stockmeta-current/1", "serving": "../x", "filling": None}).encode(),
        json.dumps({"schema": "stockmeta-current/1", "serving": 5, "filling": None}).encode(),
        json.dumps({"schema": "stockmeta-current/1", "serving": A, "filling": None, "previous": B}).encode(),
        json.dumps({"schema": "stockmeta-current/1", "serving": A, "filling": None, "previous": ["../x"]}).encode(),
    ],
)
def test_a_pointer_that_cannot_be_read_says_what_to_do(store: Store, content: bytes) -> None:
    store.put(LAYOUT.current, content, if_match=None)
    for use in (read_current, lambda s, where: open_generation(s, where, A), lambda s, where: promote(s, where, A)):
        with pytest.raises(ConfigurationError, match=r"current\.json.*delete it"):
            use(store, LAYOUT)
    assert store.read(LAYOUT.current) is not None
    assert store.read(LAYOUT.current)[0] == content  # type: ignore[index]


@pytest.mark.parametrize("name", ["", "x", "A" * 12, "a" * 13, "human"])
def test_what_is_no_generation(store: Store, name: str) -> None:
    for use in (open_generation, promote, withdraw):
        with pytest.raises(ConfigurationError, match="12 hex digits"):
            use(store, LAYOUT, name)


def test_a_store_that_always_refuses_ends_in_an_error() -> None:
    class Contested(MemoryStore):
        def put(self, key: str, data: bytes, *, if_match: str | None) -> str:
            raise Conflict(key)

    with pytest.raises(Unavailable):
        open_generation(Contested("library"), LAYOUT, A)


def test_a_worker_joins_what_a_library_is_kept_in(store: Store) -> None:
    assert join_generation(store, LAYOUT, A) == Current(A, None)
    assert join_generation(store, LAYOUT, A) == Current(A, None)
    with pytest.raises(ConfigurationError, match=f"{B}.*{A}.*--open-generation"):
        join_generation(store, LAYOUT, B)
    assert read_current(store, LAYOUT) == Current(A, None)
    assert join_generation(store, LAYOUT, B, open_new=True) == Current(A, B)
    assert join_generation(store, LAYOUT, B) == Current(A, B)
    with pytest.raises(ConfigurationError, match=f"{A} and {B}"):
        join_generation(store, LAYOUT, C, open_new=True)


def test_of_two_kinds_of_workers_that_join_a_new_library_one_may(store: Store) -> None:
    def join(generation: str) -> bool:
        try:
            join_generation(store, LAYOUT, generation)
        except ConfigurationError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        joined = list(pool.map(join, [A, B] * 8))
    assert joined in ([True, False] * 8, [False, True] * 8)
