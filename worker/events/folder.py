"""Events out of a folder: files that come, change, go and move, each told of when it is whole."""

import logging
import os
import stat as st
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from watchfiles import Change, watch
from watchfiles._rust_notify import WatchfilesRustInternalError

from tasks.errors import ConfigurationError, Unavailable
from tasks.layout import Layout, is_image
from tasks.records import ImageRef
from worker.events.backoff import growing
from worker.events.intake import Intake, Scope
from worker.events.settling import Look, Settling, look

logger = logging.getLogger(__name__)

OWN = ".~stockmeta-"
"""Names of the folder store's unfinished files begin so."""
TICK_MS = 200
"""How often what has settled is looked for."""


class Below(Protocol):
    """Tells which images of a folder that is gone have records."""

    def __call__(self, prefix: str) -> Iterable[str]:
        """Their keys, which all begin with `prefix`. Raises `Unavailable`."""


class FolderSource:
    """Watches a folder and everything below it.

    The system tells of a new folder, but not of what was put into it before the watch began: that is looked for. Of a
    folder that goes away it tells no more than that: what was in it is known from the records.

    Args:
        root: the library's folder.
        scope: what belongs to the library.
        intake: takes what has settled.
        below: finds what had been in a folder that is gone.
        stop: ends `run` when set.
        settle: seconds without a change after which a file counts as whole.
        poll: look at every file again and again, for mounts that send no events.
    """

    def __init__(
        self,
        root: Path,
        scope: Scope,
        intake: Intake,
        below: Below,
        stop: threading.Event,
        *,
        settle: float = 2.0,
        poll: bool = False,
    ) -> None:
        self._root = root.resolve()
        self._scope = scope
        self._intake = intake
        self._below = below
        self._stop = stop
        self._poll = poll
        self._settling = Settling(settle)
        self._whole: dict[ImageRef, None] = {}
        self._gone: dict[str, None] = {}
        self._new: set[Path] = set()
        self._told: dict[Path, Look | None] = {}
        self._waits = growing()
        self._not_before = 0.0

    def run(self, watching: Callable[[], None] = lambda: None) -> None:
        """Watch until `stop` is set. `watching` is called once, when nothing that happens is missed any more.

        Raises:
            ConfigurationError: the folder cannot be watched.
        """
        changes = watch(
            self._root,
            watch_filter=None,
            debounce=TICK_MS,
            step=50,
            stop_event=self._stop,
            rust_timeout=TICK_MS,
            yield_on_timeout=True,
            raise_interrupt=False,
            force_polling=self._poll,
            poll_delay_ms=1_000,
        )
        first = True
        with _watch_errors(self._root):
            for batch in changes:
                if first:
                    first = False
                    watching()
                if not self._root.is_dir():
                    raise ConfigurationError(f"the folder {str(self._root)!r} is not there any more")
                for change, name in batch:
                    self._happened(change, Path(name))
                self._send()

    def _happened(self, change: Change, path: Path) -> None:
        key = self._key(path)
        if key is None:
            return
        seen = look(path)
        if seen is not None and seen.is_dir:
            # A folder that is only modified has nothing new that is not told of by itself.
            if change is Change.added and not path.is_symlink():
                self._settling.touch(path, seen)
                self._new.add(path)
                self._find(path)
        elif seen is None or is_image(key, self._scope.extensions):
            self._settling.touch(path, seen)

    def _find(self, folder: Path) -> None:
        """Touch all images in a new folder, but for those that have been told of as they are."""
        for path in _files(folder):
            key = self._key(path)
            if key is not None and is_image(key, self._scope.extensions):
                seen = look(path)
                if path not in self._settling and self._told.get(path) != seen:
                    self._settling.touch(path, seen)

    def _send(self) -> None:
        settled = self._settling.settled()
        # Folders last: what lies in them and has settled as well need not be found again.
        for path, seen in sorted(settled.items(), key=lambda item: item[1] is not None and item[1].is_dir):
            self._settled(path, seen)
        if not self._new:
            # Nobody will look for them again.
            self._told.clear()
        if not (self._whole or self._gone) or time.monotonic() < self._not_before:
            return
        try:
            for prefix in list(self._gone):
                self._whole.update(dict.fromkeys(ImageRef(self._scope.bucket, key) for key in self._below(prefix)))
                del self._gone[prefix]
            self._intake.take(self._whole)
        except Unavailable as error:
            seconds = next(self._waits)
            self._not_before = time.monotonic() + seconds
            logger.warning("%d events wait, trying again in %.0f s: %s", len(self._whole), seconds, error)
        else:
            self._whole.clear()
            self._waits = growing()

    def _settled(self, path: Path, seen: Look | None) -> None:
        key = self._key(path)
        if path in self._new:
            self._new.discard(path)
            self._find(path)
        if key is None or (seen is not None and seen.is_dir):
            return
        if is_image(key, self._scope.extensions):
            self._whole[ImageRef(self._scope.bucket, key)] = None
            self._told[path] = seen
        elif seen is None:
            # Perhaps a folder.
            self._gone[f"{key}/"] = None

    def _key(self, path: Path) -> str | None:
        """A path's key; `None` for the root, the outputs and the store's unfinished files."""
        try:
            key = path.relative_to(self._root).as_posix()
        except ValueError:
            return None
        if key == "." or path.name.startswith(OWN):
            return None
        outputs = self._scope.outputs
        return None if outputs is not None and _is_output(outputs, key) else key


def _is_output(outputs: Layout, key: str) -> bool:
    return outputs.is_output(key) or outputs.is_output(f"{key}/")


def _files(folder: Path) -> Iterator[Path]:
    """Regular files below a folder, linked folders left out, as the store's listing does; errors are skipped."""
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            try:
                if st.S_ISREG(path.stat().st_mode):
                    yield path
            except OSError:
                continue


@contextmanager
def _watch_errors(root: Path) -> Iterator[None]:
    """The watcher's errors as ours: all of them are for the operator."""
    try:
        yield
    except (OSError, WatchfilesRustInternalError) as error:
        said = str(error)
        if "watch limit" in said or "os error 28" in said:
            said = (
                "the system allows no more watches, one for each folder; raise fs.inotify.max_user_watches with sysctl"
            )
        elif "os error 24" in said:
            said = "the system allows no more watchers; raise fs.inotify.max_user_instances with sysctl"
        raise ConfigurationError(f"cannot watch {str(root)!r}: {said}, or use --poll") from error
