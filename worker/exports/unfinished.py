"""Files that are being written, beside where they will be, and what exports left there that were killed."""

import fcntl
import os
import re
import uuid
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO


class Unfinished:
    """Makes files `.~NAME-<this export>-<number>` beside a target, and removes those that no export writes any more.

    The first one is locked until `release`: by that another export knows them to be in use, and the lock ends with the
    process, however it ends. On a file system without locks nothing is removed.

    Args:
        out: the target.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self._name = uuid.uuid4().hex
        self._count = 0
        self._lock: int | None = None
        with suppress(OSError):
            self._remove_abandoned()

    def create(self) -> tuple[Path, BinaryIO]:
        """The next file, empty. Raises `OSError`."""
        self._count += 1
        path = self._out.with_name(f".~{self._out.name}-{self._name}-{self._count}")
        file = path.open("xb")
        if self._lock is None:
            self._lock = os.dup(file.fileno())
            with suppress(OSError):
                fcntl.flock(self._lock, fcntl.LOCK_EX)
            if os.fstat(self._lock).st_nlink == 0:
                # Another export took it for abandoned before it was locked.
                file.close()
                self.release()
                self._name, self._count = uuid.uuid4().hex, 0
                return self.create()
        return path, file

    def release(self) -> None:
        """Say that no file is in use any more: each has its name, or is removed."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _remove_abandoned(self) -> None:
        own = re.compile(rf"(\.~{re.escape(self._out.name)}-[0-9a-f]{{32}})-\d+")
        found = [(match[1], path) for path in self._out.parent.iterdir() if (match := own.fullmatch(path.name))]
        # The first one of each export goes last, since it stands for all.
        for export, path in sorted(found, key=lambda each: each[1].name.endswith("-1")):
            with suppress(OSError):
                if _abandoned(path.with_name(f"{export}-1")):
                    path.unlink()


def _abandoned(first: Path) -> bool:
    try:
        descriptor = os.open(first, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return True  # it is the last one to get its name, or to be removed
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
