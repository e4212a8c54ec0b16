"""What a folder's store asks of the operating system: files opened as it needs them, and errors in our words."""

import errno
import os
import stat as st
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from tasks.errors import Reason, Rejected, Unavailable, Vanished

GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG})
"""Errors of looking that mean no more than that no object is there."""


@contextmanager
def reporting(bucket: str, key: str, *, writing: bool = False) -> Iterator[None]:
    """The operating system's errors as ours."""
    try:
        yield
    except OSError as error:
        message = f"{bucket}: {key!r}: {error.strerror}"
        if writing and error.errno == errno.ENAMETOOLONG:
            raise Rejected(Reason.KEY_TOO_LONG, "the path is longer than the file system allows") from error
        if writing and error.errno in (errno.EISDIR, errno.ENOTDIR, errno.EEXIST):
            raise Rejected(Reason.KEY_INVALID, "a file and a folder cannot have the same path") from error
        if not writing and error.errno in GONE:
            raise Vanished(message) from error
        raise Unavailable(message) from error


def write(path: Path, data: bytes) -> None:
    """Create a file and bring it to the disk."""
    with opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def keep_attributes(before: Path, after: Path) -> None:
    """Give a file the owner, mode and extended attributes of another. Raises `OSError` where it may not."""
    status = before.stat()
    if (status.st_uid, status.st_gid) != ((made := after.stat()).st_uid, made.st_gid):
        os.chown(after, status.st_uid, status.st_gid)
    after.chmod(st.S_IMODE(status.st_mode))
    # Access lists are attributes, too. Linux has them, and not on every file system.
    with suppress(OSError, AttributeError):
        for name in os.listxattr(before):
            os.setxattr(after, name, os.getxattr(before, name))


def opened(path: Path, flags: int) -> BinaryIO:
    """A file opened with flags that `open` does not offer."""
    mode = "wb" if flags & os.O_WRONLY else "rb"
    return cast("BinaryIO", open(path, mode, opener=lambda name, _: os.open(name, flags | os.O_CLOEXEC, 0o666)))


def file_status(path: Path) -> os.stat_result | None:
    """What is to be replaced, if anything. Raises `IsADirectoryError` for what is no file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    if not st.S_ISREG(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return status
