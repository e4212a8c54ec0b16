"""The words of an index in tantivy, as its writer keeps them: made from the rows, at any time anew."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import tantivy

from tasks.errors import Unavailable
from worker.feeds.local import errors, terms
from worker.feeds.local.analysis import ANALYZER, analyzer
from worker.feeds.local.bodies import unpacked
from worker.feeds.local.rows import Changed

FORMAT = 1
"""Of what is in the fields; raised when the same document would give other terms."""

NAME = "text"

_HEAP = 64_000_000


def opened(folder: Path) -> tantivy.Index:
    """The index, made where the folder is empty. Raises `Unavailable`."""
    with errors.engine(folder):
        index = tantivy.Index(terms.schema(), path=str(folder))
        index.register_tokenizer(ANALYZER, analyzer())
        index.config_reader("manual")
        return index


def sequence_of(index: tantivy.Index, searcher: tantivy.Searcher) -> int:
    """Up to which change it has come; -1 where it was made by another version. Raises `Unavailable`."""
    if not searcher.num_docs:
        return 0
    query = tantivy.Query.term_query(index.schema, "row", terms.STATE, index_option="basic")
    found = [address for _, address in searcher.search(query, 1, count=False).hits]
    if searcher.fast_field_values("format", found) != [FORMAT]:
        return -1
    return int(searcher.fast_field_values("sequence", found)[0] or 0)


class Text:
    """The writer's side. One for a folder.

    Args:
        folder: of tantivy's files. What cannot be used of it is removed.
        sequence: of the rows; an index that is ahead of them is not of these rows.
        documents: how many there are.

    Raises:
        Unavailable: it cannot be made.
    """

    def __init__(self, folder: Path, sequence: int, documents: int) -> None:
        self.folder = folder
        self._writer: tantivy.IndexWriter | None = None
        try:
            self._open()
            sound = 0 <= self.sequence <= sequence and (self.sequence < sequence or self._count() == documents)
        except Unavailable:
            sound = False
        if not sound:
            self.rebuild()

    def rebuild(self) -> None:
        """Begin anew."""
        self._writer = None
        with errors.files(self.folder):
            if self.folder.exists():
                shutil.rmtree(self.folder)
        self._open()

    def write(self, rows: Sequence[Changed]) -> None:
        """Bring in what changed, in the order of the changes; durable and visible with `commit`."""
        with errors.engine(self.folder), self._one_that_works():
            for each in rows:
                self._writing().delete_documents_by_term("row", each.row)
                if each.body is not None:
                    with errors.contents(self.folder.parent):
                        source = unpacked(each.body, None)
                    self._writing().add_document(terms.document(each.row, source))

    def commit(self, sequence: int) -> None:
        """Make durable and visible what was written, which is all up to a change."""
        with errors.engine(self.folder), self._one_that_works():
            self._writing().delete_documents_by_term("row", terms.STATE)
            self._writing().add_document(terms.state(sequence, FORMAT))
            self._writing().commit()
        self.sequence = sequence

    def close(self) -> None:
        """Let go of the files, after what is being merged."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with errors.engine(self.folder):
                writer.wait_merging_threads()

    def _open(self) -> None:
        with errors.files(self.folder):
            self.folder.mkdir(exist_ok=True)
        self._index = opened(self.folder)
        with errors.engine(self.folder):
            self._index.reload()
            self.sequence = sequence_of(self._index, self._index.searcher())

    def _count(self) -> int:
        searcher = self._index.searcher()
        return searcher.num_docs - 1 if searcher.num_docs else 0

    @contextmanager
    def _one_that_works(self) -> Iterator[None]:
        # After an error a writer takes nothing more; the next one begins at what was committed. It can only begin once
        # this one is gone, so no variable has it: an error that somebody keeps would keep the variables, too.
        try:
            yield
        except BaseException:
            self._writer = None
            raise

    def _writing(self) -> tantivy.IndexWriter:
        if self._writer is None:
            self._writer = self._index.writer(_HEAP, 1)
            # A writer that was killed may have left files of the names that this one is going to use.
            self._writer.garbage_collect_files()
        return self._writer
