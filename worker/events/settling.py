"""Files that are still being written: told of only when nothing has happened to them for a while."""

import stat as st
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class Look(NamedTuple):
    """What a path is, as far as it tells that something happened: size, mtime and whether it is a folder."""

    size: int
    mtime_ns: int
    is_dir: bool


def look(path: Path) -> Look | None:
    """What lies there, where links lead; `None` for nothing."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return Look(status.st_size, status.st_mtime_ns, st.S_ISDIR(status.st_mode))


class Settling:
    """Paths that something happened to, until for `seconds` nothing did and they look as they looked then.

    Looking matters where events are missing: a file whose folder was not watched yet, a mount without events.

    Args:
        seconds: how long.
        now: a clock that only goes forward.
    """

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._now = now
        # Ordered by time, because what is touched again goes to the end.
        self._paths: dict[Path, tuple[float, Look | None]] = {}

    def __len__(self) -> int:
        return len(self._paths)

    def __contains__(self, path: Path) -> bool:
        return path in self._paths

    def touch(self, path: Path, seen: Look | None) -> None:
        """Something happened to a path, which looks so now."""
        self._paths.pop(path, None)
        self._paths[path] = (self._now(), seen)

    def settled(self) -> dict[Path, Look | None]:
        """Paths that have come to rest, and what they look like; they are forgotten here."""
        found: dict[Path, Look | None] = {}
        due = []
        for path, (since, _) in self._paths.items():
            if self._now() - since < self._seconds:
                break
            due.append(path)
        for path in due:
            _, before = self._paths.pop(path)
            after = look(path)
            if after == before:
                found[path] = after
            else:
                self.touch(path, after)
        return found
