"""Fewer and larger files with the same content: lines that a later one made void are left out.

- Many small files of changes become few: their last lines.
- Where more was changed than there is, everything becomes a snapshot.

A line counts if it has the version that is known of its key. Files are read one at a time, so memory does not grow.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

import msgspec

from tasks.records import decoded
from worker.feeds.ndjson.folder import Folder
from worker.feeds.ndjson.lines import MOST_LINES, Lines
from worker.feeds.ndjson.manifest import File, Kind
from worker.feeds.ndjson.replay import raw_lines
from worker.feeds.ndjson.state import State

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


def compact(folder: Folder, state: State) -> None:
    """Rewrite files where that is due. Raises `ConfigurationError`, `Unavailable`; then the old files count still."""
    files = folder.manifest.files
    if folder.manifest.changed > state.documents + SPARE:
        folder.supersede(_rewritten(folder, state, files, "snapshot"))
        return
    small = next((at for at in range(len(files), 0, -1) if not _is_small(files[at - 1])), 0)
    if len(files) - small > MOST_FILES:
        folder.supersede((*files[:small], *_rewritten(folder, state, files[small:], "changes")))


def _is_small(file: File) -> bool:
    return file.kind == "changes" and file.lines < _SMALL


def _rewritten(folder: Folder, state: State, files: Sequence[File], kind: Kind) -> tuple[File, ...]:
    """New files with the lines of these that count still; of a snapshot, without removals."""
    folder.take()
    made: list[File] = []
    lines = Lines()
    for line, raw in _counting(folder, state, files):
        if line.op == "put":
            lines.put(raw, line.version, fresh=False)
        elif kind == "changes":
            lines.remove(raw, line.version)
        if lines.full:
            made.append(folder.add(lines.sealed(), kind))
            lines = Lines()
    if len(lines):
        made.append(folder.add(lines.sealed(), kind))
    return tuple(made)


def _counting(folder: Folder, state: State, files: Sequence[File]) -> Iterator[tuple[_Line, bytes]]:
    for file in files:
        raw = raw_lines(folder.store, folder.path, file)
        while some := list(islice(raw, _BATCH)):
            read = [decoded(each, _Line) for each in some]
            known = state.find([line.key for line in read])
            for line, each in zip(read, some, strict=True):
                if known[line.key].version == line.version:
                    yield line, each + b"\n"
