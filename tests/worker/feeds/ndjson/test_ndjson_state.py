"""What is known of the files, by key."""

import sqlite3

import pytest

from tasks.errors import ConfigurationError
from tasks.feeding.ports import Indexed
from worker.feeds.ndjson.state import Known, State


def test_many_keys_are_found_and_listed_by_their_bytes() -> None:
    state = State()
    rows = {f"{number % 7}/{number}.jpg": Known(f"tag {number}", number) for number in range(3_000)}
    state.set(rows.items(), {})
    assert state.documents == 3_000
    gone = {key: Known(None, known.version + 1) for key, known in list(rows.items())[:1_000]}
    state.set(gone.items(), state.find(list(gone)))
    assert state.documents == 2_000
    assert state.find([*rows, "other"]) == rows | gone
    wanted = [
        Indexed(key, known.tag, known.version) for key, known in sorted(rows.items()) if key not in gone and known.tag
    ]
    assert list(state.listed()) == wanted
    state.close()


def test_a_listing_goes_on_while_documents_are_written() -> None:
    state = State()
    state.set([(f"{number:05d}", Known("old", 1)) for number in range(2_500)], {})
    seen = []
    for number, found in enumerate(state.listed()):
        seen.append(found.key)
        key = f"{number:05d}+"
        state.set([(key, Known("new", 1))], {})
    assert [key for key in seen if not key.endswith("+")] == [f"{number:05d}" for number in range(2_500)]
    assert seen == sorted(set(seen))


def test_a_disk_that_is_full_or_fails_is_for_the_operator() -> None:
    state = State()
    state._database.execute("PRAGMA max_page_count = 20")
    with pytest.raises(ConfigurationError, match=r"the disk of '.*' is full: make room, or set TMPDIR"):
        state.set(((f"{number}.jpg", Known("t" * 100, 1)) for number in range(10_000)), {})
    state.close()
    state = State()
    state._database.execute("DROP TABLE known")
    with pytest.raises(ConfigurationError, match=r"failed \(no such table: known\): see to its disk"):
        state.find(["a.jpg"])
    state.close()
    with pytest.raises(sqlite3.ProgrammingError):
        state.find(["a.jpg"])
