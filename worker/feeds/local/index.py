"""The documents of one generation: rows are written, and the engines catch up with them at every commit."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tasks.errors import Unavailable
from tasks.feeding.ports import Delivered, Indexed, Operation
from worker.feeds.local import schema, text
from worker.feeds.local.rows import Rows
from worker.feeds.local.text import Text
from worker.feeds.local.vectors import FEW, Vectors

_PAGE = 1000

_UNCOMMITTED = 50_000
"""Documents after which a text that catches up is committed: a minute of work, if it is killed then."""


class LocalIndex:
    """An index in a folder, which no other process writes to.

    Opening it lets the engines catch up, or makes anew what of them is missing or broken.

    Args:
        folder: its own.
        generation: of its documents.
        bucket: of their images.
        few: vectors that need no file of their own.

    Raises:
        ConfigurationError: what is there is damaged, or cannot be written to.
        Unavailable: it is locked, or the disk is full.
    """

    def __init__(self, folder: Path, generation: str, bucket: str, few: int = FEW) -> None:
        self.generation, self.name, self.folder = generation, folder.name, folder
        self._closed = False
        self._rows = Rows(folder / schema.NAME, generation, bucket)
        try:
            self._text = Text(folder / text.NAME, self._rows.sequence, self._rows.count())
            self._vectors = Vectors(folder, self._rows, few)
            if self._text.sequence < self._rows.sequence:
                self._write_text()
        except BaseException:
            self._rows.close()
            raise

    @property
    def complete(self) -> bool:
        """Whether it has held all of the library's documents at some time."""
        return bool(self._rows.meta("complete"))

    def completed(self) -> None:
        """Say that it was compared with the listing of sidecars and put right."""
        self._rows.keep(complete=1)

    def indexed(self, keys: Sequence[str]) -> Mapping[str, Indexed]:
        """What there is of these images, as of now."""
        return self._rows.indexed(keys)

    def deliver(self, operations: Sequence[Operation]) -> Delivered:
        """Write and remove documents, each key at most once; all of them or, where this raises, none."""
        return self._rows.deliver(operations)

    def listed(self) -> Iterator[Indexed]:
        """Every document, by key in the order of its bytes, in constant memory."""
        return self._rows.listed()

    def commit(self) -> None:
        """Make all that was delivered durable and visible to searches."""
        if self._text.sequence != self._rows.sequence:
            self._write_text()
        self._vectors.catch_up()
        self._forget()

    def close(self) -> None:
        """Let go of files; what was not committed may be lost."""
        if self._closed:
            return
        try:
            self._vectors.close()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Let go of files that are to be removed."""
        self._closed = True
        try:
            self._vectors.abandon()
            self._text.close()
        finally:
            self._rows.close()

    def _write_text(self) -> None:
        # First, so that a power cut never leaves an engine ahead of the rows.
        self._rows.durable()
        try:
            self._bring_in()
        except Unavailable as error:
            if "FileAlreadyExists" not in str(error):
                raise
            # tantivy stumbles over what a killed writer left there, and would again.
            self._text.rebuild()
            self._bring_in()

    def _bring_in(self) -> None:
        last, written = self._text.sequence, 0
        while rows := self._rows.changed(last, _PAGE):
            self._text.write(rows)
            last, written = rows[-1].sequence, written + len(rows)
            if written >= _UNCOMMITTED:
                self._text.commit(last)
                written = 0
        self._text.commit(self._rows.sequence)

    def _forget(self) -> None:
        """Versions of what was removed long ago, once no engine can have the document any more."""
        has = (
            self._text.sequence if self._vectors.sequence is None else min(self._text.sequence, self._vectors.sequence)
        )
        self._rows.forget(time.time() - schema.REMEMBERED, has)
