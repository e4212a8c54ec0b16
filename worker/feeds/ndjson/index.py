"""The documents of one generation as files."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

import msgspec

from tasks.feeding.ports import Delivered, Indexed, Operation, Put, Remove
from tasks.records import decoded
from worker.feeds.ndjson.compaction import Compactor
from worker.feeds.ndjson.folder import Folder
from worker.feeds.ndjson.lines import Lines, Sealed, put_line, remove_line
from worker.feeds.ndjson.replay import odd_line, raw_lines
from worker.feeds.ndjson.state import Known, State

BATCH = 500

COMMIT_SECONDS = 30.0
"""Of rewriting files within one commit, and one file more; what is left goes on with the next."""
COMPLETED_SECONDS = 300.0
"""The same after all of the library was compared, which is what a feed does that then ends."""


class _Document(msgspec.Struct):
    tag: str


class _Line(msgspec.Struct):
    """As much of a line as has to be known of it."""

    op: str
    key: str
    version: int
    document: _Document | None = None


class NdjsonIndex:
    """Keeps the contract of `tasks.feeding.ports.Index`.

    What the files say is read once, into a temporary file, and kept up to date from then on. What is delivered becomes
    a file with `commit`, or sooner where it is much.

    Args:
        folder: where the files lie.
        name: of the index.
    """

    def __init__(self, folder: Folder, name: str) -> None:
        self.generation = folder.manifest.generation
        self.name = name
        self._folder = folder
        self._lines = Lines()
        self._sealed: tuple[Sealed, int] | None = None
        self._state = State()
        self._replay()
        self._compactor = Compactor(folder, self._state)

    @property
    def path(self) -> str:
        """What the keys of its files begin with."""
        return self._folder.path

    def still_is(self, now: Folder) -> bool:
        """Whether it can go on: nobody else has written to the folder since, and it knows what it wrote."""
        return not self._state.broken and self._folder.still_is(now)

    @property
    def complete(self) -> bool:
        """Whether it has held all documents at some time."""
        return self._folder.manifest.complete

    def completed(self) -> None:
        """Say that it holds all documents. Raises `ConfigurationError`, `Unavailable`."""
        self._flush()
        if not self.complete:
            self._folder.change(lambda manifest: replace(manifest, complete=True))
        self._compactor.work(COMPLETED_SECONDS)

    def indexed(self, keys: Sequence[str]) -> Mapping[str, Indexed]:
        """What the files, and what is on its way there, say of these images."""
        return {
            key: Indexed(key, known.tag, known.version)
            for key, known in self._state.find(keys).items()
            if known.tag is not None
        }

    def deliver(self, operations: Sequence[Operation]) -> Delivered:
        """Take documents and removals. Raises `ConfigurationError` where another feed writes, and `Unavailable`."""
        if self._lines.full:
            self._flush()
        before = self._state.find([_key(operation) for operation in operations])
        now: dict[str, Known] = {}
        outrun: list[str] = []
        put = removed = 0
        for operation in operations:
            key = _key(operation)
            was = before.get(key)
            if isinstance(operation, Put):
                known = self._put(operation, was)
                put += known is not None
            else:
                known = self._remove(operation, was)
                removed += known is not None and was is not None and was.tag is not None
            if known is None:
                outrun.append(key)
            else:
                now[key] = known
        self._state.set(now.items(), before)
        return Delivered(put, removed, tuple(outrun))

    def listed(self) -> Iterator[Indexed]:
        """Every document by key."""
        return self._state.listed()

    def commit(self) -> None:
        """Make a file of what was delivered, and of many files fewer and larger ones. Raises as `deliver` does."""
        self._flush()
        self._compactor.work(COMMIT_SECONDS)

    def ready(self) -> None:
        """Commit, and see that there is a manifest. Raises as `deliver` does."""
        self.commit()
        if not self._folder.written:
            self._folder.take()

    def close(self) -> None:
        """Let go of the temporary file."""
        self._state.close()

    def _put(self, operation: Put, was: Known | None) -> Known | None:
        """What is known afterwards; `None` if the document was outrun."""
        document, version = operation.document, operation.document.version
        if was is not None and was.version >= version:
            if not operation.forced:
                return None
            version = was.version + 1
        self._lines.put(put_line(document, version), version, fresh=was is None)
        return Known(document.tag, version)

    def _remove(self, operation: Remove, was: Known | None) -> Known | None:
        if was is not None and was.version >= operation.version:
            return None
        # What is not in the files need not be removed from them; that it was removed is remembered all the same.
        if was is not None and was.tag is not None:
            self._lines.remove(remove_line(self._folder.manifest.library.bucket, operation), operation.version)
        return Known(None, operation.version)

    def _flush(self) -> None:
        """Make a file of what was delivered. After an error, what was to be written is tried again by the next."""
        while self._sealed is not None or len(self._lines):
            if self._sealed is None:
                self._sealed, self._lines = (self._lines.sealed(), self._state.documents), Lines()
            sealed, documents = self._sealed
            self._folder.take()
            manifest = self._folder.manifest
            # A first fill, of which nothing was put twice or removed, is a snapshot as it is.
            first = not manifest.complete and all(file.kind == "snapshot" for file in manifest.files)
            self._folder.append(
                self._folder.add(sealed, "snapshot" if first and sealed.fresh else "changes"), documents
            )
            self._sealed = None

    def _replay(self) -> None:
        """Learn what the files say. Raises `ConfigurationError` for a broken one, and `Unavailable`."""
        for file in self._folder.manifest.files:
            raw = raw_lines(self._folder.store, self._folder.path, file)
            while some := list(islice(raw, BATCH)):
                try:
                    read = [decoded(line, _Line) for line in some]
                except ValueError as error:
                    raise odd_line(self._folder.path, file, error) from error
                now = {line.key: Known(line.document.tag if line.document else None, line.version) for line in read}
                self._state.set(now.items(), self._state.find(list(now)))


def _key(operation: Operation) -> str:
    return operation.document.key if isinstance(operation, Put) else operation.key
