import os
from pathlib import Path

from worker.events.settling import Look, Settling, look


def test_a_path_settles_when_nothing_happened_to_it_for_a_while(tmp_path: Path) -> None:
    now = [0.0]
    settling = Settling(2.0, lambda: now[0])
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(b"1")
    settling.touch(first, look(first))
    now[0] = 1.0
    settling.touch(second, look(second))
    now[0] = 1.9
    assert settling.settled() == {}
    now[0] = 2.0
    assert settling.settled() == {first: look(first)}
    # It never existed, or is gone: that settles too.
    now[0] = 3.0
    assert settling.settled() == {second: None}
    assert len(settling) == 0


def test_touched_again_it_waits_again(tmp_path: Path) -> None:
    now = [0.0]
    settling = Settling(2.0, lambda: now[0])
    for now[0] in (0.0, 1.5, 3.0):
        assert settling.settled() == {}
        settling.touch(tmp_path / "a", None)
    now[0] = 4.9
    assert settling.settled() == {}
    now[0] = 5.0
    assert list(settling.settled()) == [tmp_path / "a"]


def test_a_file_that_grows_without_an_event_waits_too(tmp_path: Path) -> None:
    now = [0.0]
    settling = Settling(2.0, lambda: now[0])
    path = tmp_path / "a"
    path.write_bytes(b"1")
    settling.touch(path, look(path))
    path.write_bytes(b"12")
    now[0] = 2.0
    assert settling.settled() == {}
    os.utime(path, ns=(5, 5))
    now[0] = 4.0
    assert settling.settled() == {}
    now[0] = 6.0
    assert settling.settled() == {path: Look(2, 5, False)}


def test_odd_paths_look_like_nothing(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert look(tmp_path / "loop") is None
    assert look(tmp_path / "a\0b") is None
    assert look(tmp_path / ("x" * 300)) is None
    assert look(tmp_path) is not None
