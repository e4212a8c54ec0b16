"""What is particular to folders: links, permissions, hostile paths, processes, order, disks that are full."""

import errno
import logging
import multiprocessing
import os
from contextlib import suppress
from pathlib import Path

import pytest

from tasks.errors import ConfigurationError, Conflict, Reason, Rejected, Unavailable, Vanished
from worker.storage.local import OWN, LocalStore

WRITERS = 12
HOSTILE = [
    "../secret",
    "a/../../secret",
    "/etc/hostname",
    "a//b",
    "./a",
    "a/.",
    "a/",
    "..",
    ".",
    "nul\0",
    "\udcff",
    "\ud800",
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_bytes(b"secret")
    folder = tmp_path / "library"
    folder.mkdir()
    return folder


@pytest.fixture
def store(root: Path) -> LocalStore:
    return LocalStore(root)


def make(root: Path, *keys: str) -> None:
    for key in keys:
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(b"x")


def test_the_bucket_is_the_folder_s_name(root: Path) -> None:
    assert LocalStore(root).bucket == "library"
    assert LocalStore(root / "..").bucket == root.parent.name
    assert LocalStore(root, "photos").bucket == "photos"


def test_a_folder_has_to_exist_and_have_a_name(root: Path) -> None:
    with pytest.raises(ConfigurationError, match="no folder"):
        LocalStore(root / "nowhere")
    with pytest.raises(ConfigurationError, match="name"):
        LocalStore(Path("/"))
    unnamed = root / os.fsdecode(b"\xff")
    unnamed.mkdir()
    with pytest.raises(ConfigurationError, match="name"):
        LocalStore(unnamed)


@pytest.mark.parametrize("key", [*HOSTILE, f"{OWN}lock"])
def test_hostile_keys_are_nowhere(store: LocalStore, root: Path, key: str) -> None:
    (root / "a").mkdir()
    for look in (store.stat, store.fetch, lambda key: store.delete(key, if_match="x")):
        with pytest.raises(Vanished):
            look(key)
    assert store.read(key) is None
    with pytest.raises(Rejected) as caught:
        store.put(key, b"x", if_match=None)
    assert caught.value.reason is Reason.KEY_INVALID
    assert (root.parent / "secret").read_bytes() == b"secret"


def test_links_that_lead_outside_are_refused(store: LocalStore, root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / "link.jpg").symlink_to(root.parent / "secret")
    (root / "out").symlink_to(root.parent)
    (root / "circle").symlink_to(root / "circle")
    for key in ("link.jpg", "out/secret", "circle"):
        with pytest.raises(Vanished):
            store.fetch(key)
        assert store.read(key) is None
    for key in ("link.jpg", "out/new/file"):
        with pytest.raises(Rejected):
            store.put(key, b"x", if_match=None)
    with caplog.at_level(logging.WARNING):
        assert list(store.list()) == []
        assert list(store.list("out/")) == []
    assert "leads outside" in caplog.text
    assert not (root.parent / "new").exists()


def test_links_inside_are_other_names_of_files_and_not_of_folders(store: LocalStore, root: Path) -> None:
    make(root, "real/a.jpg")
    (root / "alias.jpg").symlink_to("real/a.jpg")
    (root / "again").symlink_to("real")
    (root / "real" / "up").symlink_to("..")
    assert [stat.key for stat in store.list()] == ["alias.jpg", "real/a.jpg"]
    assert store.stat("alias.jpg").etag == store.stat("real/a.jpg").etag == store.stat("again/a.jpg").etag


def test_order_is_by_path_component(store: LocalStore, root: Path) -> None:
    keys = ["a b.jpg", "a/b.jpg", "a-1/x", "a/B/c", "b", "Z", "é", "한", "\U0001f600", "a.jpg", "a/b/c", "a0"]
    make(root, *keys)
    assert [stat.key for stat in store.list()] == sorted(
        keys, key=lambda key: [part.encode() for part in key.split("/")]
    )


def test_the_etag_changes_with_content_and_with_time(store: LocalStore, root: Path) -> None:
    make(root, "a")
    before = store.stat("a").etag
    os.utime(root / "a", ns=(1, 1))
    backdated = store.stat("a").etag
    (root / "a").write_bytes(b"longer")
    os.utime(root / "a", ns=(1, 1))
    assert len({before, backdated, store.stat("a").etag}) == 3


def test_a_same_sized_replacement_with_its_mtime_restored_is_seen(store: LocalStore, root: Path) -> None:
    make(root, "a")
    os.utime(root / "a", ns=(1, 1))
    before = store.stat("a").etag
    make(root, "b")
    os.utime(root / "b", ns=(1, 1))
    (root / "b").replace(root / "a")
    assert store.stat("a").etag != before


def test_fetch_gives_a_path_and_reads_nothing(store: LocalStore, root: Path) -> None:
    make(root, "a/b.jpg")
    assert store.fetch("a/b.jpg").body == root / "a/b.jpg"


def test_what_is_no_file_is_no_object(store: LocalStore, root: Path) -> None:
    (root / "folder").mkdir()
    os.mkfifo(root / "pipe")
    for key in ("folder", "pipe"):
        with pytest.raises(Vanished):
            store.stat(key)
        assert store.read(key) is None
    assert list(store.list()) == []


def test_a_file_and_a_folder_of_one_name(store: LocalStore, root: Path) -> None:
    make(root, "a/b", "c")
    for key in ("a", "c/d"):
        with pytest.raises(Rejected) as caught:
            store.put(key, b"x", if_match=None)
        assert caught.value.reason is Reason.KEY_INVALID


def test_long_paths(store: LocalStore) -> None:
    store.put("k" * 255, b"x", if_match=None)
    for key in ("k" * 256, "/".join(["k" * 200] * 30)):
        with pytest.raises(Rejected) as caught:
            store.put(key, b"x", if_match=None)
        assert caught.value.reason is Reason.KEY_TOO_LONG
        with pytest.raises(Vanished):
            store.stat(key)


def test_deep_folders(store: LocalStore) -> None:
    # As deep as a key of 1,024 bytes can go.
    key = "/".join("d" * 511) + "/x"
    store.put(key, b"x", if_match=None)
    assert [stat.key for stat in store.list()] == [key]


def test_names_that_are_not_utf8_are_skipped_with_a_warning(
    store: LocalStore, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(root, "a.jpg", os.fsdecode(b"caf\xe9.jpg"), os.fsdecode(b"\xff/b.jpg"))
    with caplog.at_level(logging.WARNING):
        assert [stat.key for stat in store.list()] == ["a.jpg"]
    assert r"caf\xe9.jpg" in caplog.text


def test_files_that_go_while_they_are_listed_are_skipped(store: LocalStore, root: Path) -> None:
    make(root, "a", "b/c", "d", "e")
    listing = store.list()
    assert next(listing).key == "a"
    (root / "b/c").unlink()
    (root / "b").rmdir()
    (root / "d").unlink()
    assert [stat.key for stat in listing] == ["e"]


def test_a_folder_that_goes_is_not_an_empty_one(store: LocalStore, root: Path) -> None:
    make(root, "a", "b")
    listing = store.list()
    next(listing)
    root.rename(root.with_name("moved"))
    with pytest.raises(Unavailable):
        list(listing)
    with pytest.raises(Unavailable, match="gone"):
        list(store.list())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_folder_is_named(store: LocalStore, root: Path) -> None:
    make(root, "a", "closed/b")
    (root / "closed").chmod(0)
    try:
        with pytest.raises(Unavailable, match="closed"):
            list(store.list())
        with pytest.raises(Unavailable, match="closed"):
            store.stat("closed/b")
        with pytest.raises(Unavailable, match="closed"):
            store.put("closed/c", b"", if_match=None)
    finally:
        (root / "closed").chmod(0o700)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.ESTALE])
def test_errors_of_listing_name_the_folder(
    store: LocalStore, root: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    make(root, "a", "broken/b")
    scandir = os.scandir

    def fail(path: Path) -> object:
        if Path(path).name == "broken":
            raise OSError(code, os.strerror(code))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", fail)
    with pytest.raises(Unavailable, match=f"broken.*{os.strerror(code)}"):
        list(store.list())


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_a_write_that_fails_leaves_everything_as_it_was(
    store: LocalStore, root: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    etag = store.put("a", b"old", if_match=None)

    def fail(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(Unavailable, match=os.strerror(code)):
        store.put("a", b"new", if_match=etag)
    assert store.read("a") == (b"old", etag)
    assert {path.name for path in root.iterdir()} == {"a", f"{OWN}lock"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_disk_that_is_really_full(store: LocalStore, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_file = os.open

    def full(path: Path, flags: int, mode: int = 0o777) -> int:
        return open_file("/dev/full" if flags & os.O_EXCL else path, flags & ~os.O_EXCL, mode)

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(Unavailable, match="No space left"):
        store.put("a", b"x", if_match=None)


def test_a_rewritten_file_keeps_mode_and_attributes(store: LocalStore, root: Path) -> None:
    make(root, "a.jpg")
    path = root / "a.jpg"
    path.chmod(0o640)
    with suppress(OSError):  # not every file system has them
        os.setxattr(path, "user.rating", b"5")
    attributes = os.listxattr(path)
    store.rewrite("a.jpg", b"new", if_match=store.stat("a.jpg").etag)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o7777 == 0o640
    assert os.listxattr(path) == attributes


def test_a_file_whose_owner_cannot_be_kept_stays_as_it_is(
    store: LocalStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(root, "a.jpg")
    path = root / "a.jpg"
    before = path.read_bytes()

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr("worker.storage.local.keep_attributes", refuse)
    with pytest.raises(Unavailable, match="not permitted"):
        store.rewrite("a.jpg", b"new", if_match=store.stat("a.jpg").etag)
    assert path.read_bytes() == before
    assert [stat.key for stat in store.list()] == ["a.jpg"]


def test_own_files_are_not_listed(store: LocalStore, root: Path) -> None:
    store.put("out/a", b"x", if_match=None)
    make(root, f"out/{OWN}0123")
    assert [stat.key for stat in store.list()] == ["out/a"]
    assert (root / "out" / f"{OWN}lock").exists()


def _race(
    root: str, barrier: "multiprocessing.synchronize.Barrier", wins: "multiprocessing.Queue[int]", n: int
) -> None:
    store = LocalStore(Path(root))
    for turn in range(5):
        barrier.wait()
        with suppress(Conflict):  # the losers'; the winners are counted
            store.put(f"out/{turn}/a", str(n).encode(), if_match=None)
            wins.put(turn)


def test_of_racing_processes_one_wins(root: Path) -> None:
    context = multiprocessing.get_context("fork")
    barrier, wins = context.Barrier(WRITERS), context.Queue()
    processes = [context.Process(target=_race, args=(str(root), barrier, wins, n)) for n in range(WRITERS)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * WRITERS
    assert sorted(wins.get() for _ in range(5)) == [0, 1, 2, 3, 4]
    assert wins.empty()
