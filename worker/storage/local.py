"""A folder as a bucket: keys are paths relative to it, with `/` between the components."""

import fcntl
import logging
import os
import stat as st
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

from tasks.errors import ConfigurationError, Conflict, Reason, Rejected, Replaced, Unavailable, Vanished
from tasks.listing.order import Order
from tasks.ports import Fetched, Stat
from worker.storage.files import GONE, file_status, keep_attributes, opened, reporting, write

MAX_COMPONENT = 255
"""Bytes in one component of a path; the limit of ext4, XFS, Btrfs, APFS and NTFS alike."""

OWN = ".~stockmeta-"
"""Names that begin so are the store's own (locks, unfinished writes): never listed, never a key."""

logger = logging.getLogger(__name__)


class LocalStore:
    """A folder with S3's contract: ETags, conditional atomic writes, listings.

    An object is a regular file. Its ETag is made of mtime, ctime and size, so looking never reads content; ctime is in
    it because tools that restore mtimes (`cp -p`, `rsync -t`, editors) cannot restore that.

    Nothing outside of the folder is ever touched: a key is resolved, links and all, and has to end up inside.

    Args:
        root: the folder; it has to exist.
        bucket: what to call it; by default the folder's own name.

    Raises:
        ConfigurationError: where there is no such folder, or no usable name.
    """

    order: Order = "path"

    def __init__(self, root: Path, bucket: str | None = None) -> None:
        if not root.is_dir():
            raise ConfigurationError(f"there is no folder {str(root)!r}")
        self.root = root.resolve()
        self.bucket = self.root.name if bucket is None else bucket
        if not self.bucket or not _is_text(self.bucket):
            raise ConfigurationError(f"the folder {str(root)!r} has no name to go by; give its bucket a name")
        self._mounted = self._identity()

    def stat(self, key: str, etag: str | None = None) -> Stat:
        """Look at an object, the one with `etag` if given. Raises `Vanished`, `Replaced`, `Unavailable`."""
        try:
            return self._stat(key, self._path(key), etag)
        except Vanished:
            self._require_root()
            raise

    def fetch(self, key: str, etag: str | None = None, *, most: int | None = None) -> Fetched:
        """The path to read an object from, after a look at it. Raises as `Store` says."""
        found = self.stat(key, etag)
        if most is not None and found.size > most:
            raise Rejected(Reason.TOO_MANY_BYTES, f"it has {found.size} bytes, and {most} are allowed")
        return Fetched(found, self._path(key))

    def read(self, key: str) -> tuple[bytes, str] | None:
        """A small object's bytes and ETag, of the same moment; `None` where there is none. Raises `Unavailable`."""
        try:
            # Without NONBLOCK a pipe by this name would hold us until somebody writes to it.
            with reporting(self.bucket, key), opened(self._path(key), os.O_RDONLY | os.O_NONBLOCK) as file:
                status = os.fstat(file.fileno())
                return (file.read(), _etag(status)) if st.S_ISREG(status.st_mode) else None
        except Vanished:
            # What lies on a disk that is not there is not gone.
            self._require_root()
            return None

    def put(self, key: str, data: bytes, *, if_match: str | None) -> str:
        """Write all or nothing if the object's ETag is `if_match`; returns the new ETag.

        The content goes to a file beside the target and to the disk first; comparing and renaming are then done under
        an exclusive lock, so of any number of writers, threads or processes, one wins.

        Raises:
            Conflict: somebody else was first.
            Unavailable: disk full, no permission, broken disk.
            Rejected: a key that a folder cannot hold.
        """
        return self._write(key, data, if_match, keeping=False)

    def rewrite(self, key: str, data: bytes, *, if_match: str) -> str:
        """Write as `put` does, and keep mode, owner and extended attributes. Raises `Conflict`, `Unavailable`."""
        return self._write(key, data, if_match, keeping=True)

    def _write(self, key: str, data: bytes, if_match: str | None, *, keeping: bool) -> str:
        path = self._target(key)
        with reporting(self.bucket, key, writing=True):
            # Not mkdir(parents=True), which is recursive and fails on the deepest keys that a path may have.
            for folder in reversed(list(takewhile(lambda folder: not folder.is_dir(), path.parents))):
                folder.mkdir(exist_ok=True)
            unfinished = path.with_name(f"{OWN}{uuid.uuid4().hex}")
            try:
                write(unfinished, data)
                with self._locked(path):
                    before = file_status(path)
                    if (before and _etag(before)) != if_match:
                        raise Conflict(f"{self.bucket}: {key!r} was written by somebody else")
                    if keeping:
                        keep_attributes(path, unfinished)
                    # Kernels stamp files in steps of milliseconds: two writes of equal size in one step would share
                    # an ETag. So the time is set by hand, to the nanosecond and always later than before.
                    now = max(time.time_ns(), before.st_mtime_ns + 1 if before else 0)
                    os.utime(unfinished, ns=(now, now))
                    # The directory is not synced: a name lost with the power is found missing by the next listing.
                    unfinished.replace(path)
                    return _etag(path.stat())
            finally:
                unfinished.unlink(missing_ok=True)

    def delete(self, key: str, *, if_match: str) -> None:
        """Remove an object if its ETag is `if_match`. Raises `Conflict`, `Vanished`, `Unavailable`."""
        path = self._path(key)
        with reporting(self.bucket, key), self._locked(path):
            if self._stat(key, path).etag != if_match:
                raise Conflict(f"{self.bucket}: {key!r} was written by somebody else")
            path.unlink()

    def list(self, prefix: str = "", *, without: str = "") -> Iterator[Stat]:
        """Every object whose key begins with `prefix`, ordered by path component, less those in the folder `without`.

        Holds the names of the directories on the way down, nothing more. Left out, with a warning: names that are not
        UTF-8 (no record could name them), and links that lead outside. Linked directories are not followed: what they
        hold lies inside and is listed there, or is not ours. Files that go while the listing runs are skipped.

        Raises:
            Unavailable: a directory cannot be read; a listing with a hole would make its images look deleted.
        """
        folder, _, start = prefix.rpartition("/")
        if (folder and not _is_key(folder)) or (without and prefix.startswith(without)):
            return
        self._require_root()
        top = self._inside(folder)
        if top is None:
            return
        pending = [self._names(top, f"{folder}/" if folder else "", start)]
        while pending:
            key = next(pending[-1], None)
            if key is None:
                pending.pop()
            elif found := self._entry(key):
                if isinstance(found, Stat):
                    yield found
                elif f"{key}/" != without:
                    pending.append(self._names(found, f"{key}/"))
        self._require_root()

    def walk(self, prefix: str = "") -> Iterator[Stat | str]:
        """One level of `list`, with what lies deeper as prefixes that end with `/`. Raises `Unavailable`."""
        folder = prefix.removesuffix("/")
        if folder and not _is_key(folder):
            return
        self._require_root()
        if (top := self._inside(folder)) is not None:
            for key in self._names(top, prefix):
                found = self._entry(key)
                if isinstance(found, Stat):
                    yield found
                elif found is not None:
                    yield f"{key}/"
        self._require_root()

    def fetch_start(self, key: str, length: int, *, etag: str) -> bytes:
        """The first bytes of the object with this ETag. Raises `Vanished`, `Replaced`, `Unavailable`."""
        with reporting(self.bucket, key), opened(self._path(key), os.O_RDONLY | os.O_NONBLOCK) as file:
            if _etag(os.fstat(file.fileno())) != etag:
                raise Replaced(f"{self.bucket}: {key!r} was replaced")
            return file.read(length)

    def _require_root(self) -> None:
        """Raise `Unavailable` if the root is not the directory that it was: nothing can be said of its contents."""
        if self._identity() != self._mounted:
            raise Unavailable(f"the folder {str(self.root)!r} was replaced or unmounted")

    def _identity(self) -> tuple[int, int]:
        """Which directory the root is. An unmounted disk must not look like a library without images."""
        try:
            status = self.root.stat()
        except OSError as error:
            raise Unavailable(f"the folder {str(self.root)!r} is gone: {error.strerror}; is its disk there?") from error
        return status.st_dev, status.st_ino

    def _names(self, folder: Path, above: str, start: str = "") -> Iterator[str]:
        """Keys of a directory's entries that begin with `start`, in order."""
        try:
            with os.scandir(folder) as entries:
                names = [entry.name for entry in entries if entry.name.startswith(start)]
        except OSError as error:
            if error.errno in GONE:
                return iter(())
            raise Unavailable(f"cannot list the directory {str(folder)!r}: {error.strerror}") from error
        for name in names:
            if not _is_text(name):
                logger.warning("skipped %r in %r: the name is not UTF-8", os.fsencode(name), str(folder))
        # Code points and UTF-8 bytes sort alike.
        return iter(sorted(above + name for name in names if _is_text(name) and not name.startswith(OWN)))

    def _entry(self, key: str) -> Stat | Path | None:
        """What a listing makes of one entry: an object, a directory to go into, or nothing."""
        path = self.root / key
        with reporting(self.bucket, key):
            try:
                status = path.lstat()
                linked = st.S_ISLNK(status.st_mode)
                if linked:
                    if self._inside(key) is None:
                        logger.warning("%s: skipped %r, a link that leads outside", self.bucket, key)
                        return None
                    status = path.stat()
            except OSError as error:
                if error.errno in GONE:
                    return None
                raise
        if st.S_ISDIR(status.st_mode):
            return None if linked else path
        return _listed(key, status) if st.S_ISREG(status.st_mode) else None

    def _stat(self, key: str, path: Path, etag: str | None = None) -> Stat:
        with reporting(self.bucket, key):
            status = path.stat()
        if not st.S_ISREG(status.st_mode):
            raise Vanished(f"{self.bucket}: {key!r} is not a file")
        found = _listed(key, status)
        if etag not in (None, found.etag):
            raise Replaced(f"{self.bucket}: {key!r} was replaced")
        return found

    def _inside(self, key: str) -> Path | None:
        """Where a key leads once links are followed; `None` outside of the root."""
        # Not Path.resolve, which in 3.11 raises RuntimeError for links in a circle.
        path = Path(os.path.realpath(self.root / key))
        return path if path.is_relative_to(self.root) else None

    def _path(self, key: str) -> Path:
        """The file to look at. Raises `Vanished` for what no listing would name."""
        path = self._inside(key) if _is_key(key) else None
        if path is None:
            raise Vanished(f"{self.bucket}: {key!r} is not a path inside of the folder")
        return path

    def _target(self, key: str) -> Path:
        """The file to write. Raises `Rejected`."""
        path = self._inside(key) if _is_key(key) else None
        if path is None:
            raise Rejected(Reason.KEY_INVALID, "the key is not a path inside of the folder")
        if any(len(component.encode()) > MAX_COMPONENT for component in key.split("/")):
            raise Rejected(Reason.KEY_TOO_LONG, f"a component of the path has more than {MAX_COMPONENT} bytes")
        return path

    @contextmanager
    def _locked(self, path: Path) -> Iterator[None]:
        """Exclude every other writer, in this process or another, for the microseconds of a rename.

        The lock is a file of its own, since a lock on the target would go with the target when it is replaced, and one
        on the directory does not work on NFS. It lies in the path's first folder, so that for sidecars it is in the
        output root. The kernel lets go of it when its holder dies.
        """
        folder = path.relative_to(self.root).parts[:-1][:1]
        lock = self.root.joinpath(*folder, f"{OWN}lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _listed(key: str, status: os.stat_result) -> Stat:
    # Tools that restore mtimes cannot restore ctime; and a clock that was set back, or a `touch`, not hide a change.
    return Stat(key, _etag(status), status.st_size, max(status.st_mtime_ns, status.st_ctime_ns) / 1e9)


def _etag(status: os.stat_result) -> str:
    return f'"{status.st_mtime_ns:x}-{status.st_ctime_ns:x}-{status.st_size:x}"'


def _is_key(key: str) -> bool:
    """Whether a key is the one plain spelling of a path below the root, which is what a listing would give."""
    parts = key.split("/")
    return (
        "\0" not in key and _is_text(key) and not any(part in ("", ".", "..") or part.startswith(OWN) for part in parts)
    )


def _is_text(name: str) -> bool:
    """Whether a name is Unicode text; bytes that are not come out of the operating system as surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in name)
