import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.errors import ConfigurationError, Conflict, Unavailable
from tasks.generation import Current, generation_id, join_generation, open_generation, promote, read_current
from tasks.layout import Layout
from tasks.ports import Store
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


def test_promotion_and_rollback(store: Store) -> None:
    open_generation(store, LAYOUT, A)
    open_generation(store, LAYOUT, B)
    assert promote(store, LAYOUT, B) == Current(B, None)
    with pytest.raises(ConfigurationError, match="nothing was ever written"):
        promote(store, LAYOUT, A)
    store.put(LAYOUT.done(A, ImageRef("library", "a.jpg")), b"{}", if_match=None)
    open_generation(store, LAYOUT, C)
    assert promote(store, LAYOUT, A) == Current(A, C)
    assert promote(store, LAYOUT, A) == read_current(store, LAYOUT) == Current(A, C)


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
        b"\xff",
        b"null",
        b"[]",
        json.dumps({"schema": "stockmeta-current/2", "serving": A, "filling": None}).encode(),
        json.dumps({"schema": "stockmeta-current/1", "serving": A}).encode(),
        json.dumps({"schema": "stockmeta-current/1", "serving": A, "filling": None, "more": 1}).encode(),
        json.dumps({"schema": "stockmeta-current/1", "serving": "../x", "filling": None}).encode(),
        json.dumps({"schema": "stockmeta-current/1", "serving": 5, "filling": None}).encode(),
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
    for use in (open_generation, promote):
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
