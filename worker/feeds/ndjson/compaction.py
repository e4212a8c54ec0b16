"""Fewer and larger files with the same content: lines that a later one made void are left out.

- Many small files of changes become few: their last lines.
- Where more was changed than there is, everything becomes a snapshot.

A line that puts counts if it has the version that is known of its key; one that removes, if the key is gone. Files are
read one at a time, so memory does not grow.
"""

import time
from collections.abc import Iterator
from itertools import islice

import msgspec

from tasks.records import decoded
from worker.feeds.ndjson.folder import Folder
from worker.feeds.ndjson.lines import MOST_LINES, Lines
from worker.feeds.ndjson.manifest import File, Kind
from worker.feeds.ndjson.replay import raw_lines
from worker.feeds.ndjson.state import Known, State

MOST_FILES = 1_000
"""Small files of changes, before they become one."""

SPARE = 1_000
"""So many changed lines are always let be, so that a small library is not written anew all the time."""

_SMALL = MOST_LINES // 2
_BATCH = 500


class _Line(msgspec.Struct):
    op: str
    key: str
    version: int


class Compactor:
    """Rewrites files where that is due, some at a time, while others are added.

    What is rewritten are the files that there were when it began; those added since are applied after them, so what
    changes meanwhile is right too.

    Args:
        folder: whose files.
        state: what they say.
    """

    def __init__(self, folder: Folder, state: State) -> None:
        self._folder, self._state = folder, state
        self._under_way: Iterator[None] | None = None

    def work(self, seconds: float) -> None:
        """Begin where it is due, or go on, for so long at most and at least one file.

        Raises:
            ConfigurationError: a file is broken, or somebody else writes here.
            Unavailable: the store does not answer. The old files count still, and all of it begins anew.
        """
        end = time.monotonic() + seconds
        work = self._under_way or self._due()
        self._under_way = None
        if work is not None:
            for _ in work:
                if time.monotonic() >= end:
                    self._under_way = work
                    return

    def _due(self) -> Iterator[None] | None:
        files = self._folder.manifest.files
        if self._folder.manifest.changed > self._state.documents + SPARE:
            return self._rewrite(0, "snapshot")
        small = next((at for at in range(len(files), 0, -1) if not _is_small(files[at - 1])), 0)
        return self._rewrite(small, "changes") if len(files) - small > MOST_FILES else None

    def _rewrite(self, start: int, kind: Kind) -> Iterator[None]:
        """Replace all files from `start` by new ones with their lines that count; of a snapshot, without removals."""
        self._folder.take()
        files = self._folder.manifest.files
        made: list[File] = []
        lines = Lines()
        for file in files[start:]:
            for line, raw in _counting(self._folder, self._state, file):
                if line.op == "put":
                    lines.put(raw, line.version, fresh=False)
                elif kind == "changes":
                    lines.remove(raw, line.version)
                if lines.full:
                    made.append(self._folder.add(lines.sealed(), kind))
                    lines = Lines()
            yield
        if len(lines):
            made.append(self._folder.add(lines.sealed(), kind))
        since = self._folder.manifest.files[len(files) :]
        self._folder.supersede((*files[:start], *made, *since))


def _is_small(file: File) -> bool:
    return file.kind == "changes" and file.lines < _SMALL


def _counting(folder: Folder, state: State, file: File) -> Iterator[tuple[_Line, bytes]]:
    raw = raw_lines(folder.store, folder.path, file)
    while some := list(islice(raw, _BATCH)):
        read = [decoded(each, _Line) for each in some]
        known = state.find([line.key for line in read])
        for line, each in zip(read, some, strict=True):
            if _counts(line, known[line.key]):
                yield line, each + b"\n"


def _counts(line: _Line, known: Known) -> bool:
    """Of something that is gone every removal does: a later one, of which there is no line, has the version known."""
    return known.tag is None if line.op == "remove" else known.version == line.version
