"""A folder of indexes as a sink of feeds."""

from pathlib import Path

from tasks.errors import ConfigurationError
from tasks.feeding.ports import Index
from worker.feeds.local.folder import Folder, Library, Serving
from worker.feeds.local.index import LocalIndex
from worker.feeds.local.vectors import FEW


class LocalSink:
    """The embedded index of one library.

    The folder is locked from the first `open` or `serve` on; others may read it at any time.

    Args:
        folder: it need not be there.
        bucket: of the library's images.
        prefix: what their keys begin with.
        few: vectors that need no file of their own.

    Raises:
        ConfigurationError: the folder is another library's.
    """

    def __init__(self, folder: Path, bucket: str, prefix: str = "", *, few: int = FEW) -> None:
        self.name = f"local:{folder.resolve()}"
        self._folder, self._library, self._few = Folder(folder), Library(bucket, prefix), few
        self._open: dict[str, LocalIndex] = {}
        self._folder.check(self._library)

    def open(self, generation: str, *, anew: bool = False) -> LocalIndex:
        """The index of a generation, made where it is missing.

        Args:
            generation: which.
            anew: begin with an empty one, beside the one that searches use until `serve`.

        Raises:
            ConfigurationError: somebody else writes to the folder, or what is there is damaged.
            Unavailable: the disk is full, or does not answer.
        """
        self._claim()
        name = None if anew else self._present(generation)
        serving = self._serving()
        if anew or (serving is not None and serving.name == name):
            self._remove_abandoned(generation)
        if name is None:
            name = self._folder.make(generation)
        if name not in self._open:
            self._open[name] = LocalIndex(self._folder.path / name, generation, self._library.bucket, self._few)
        return self._open[name]

    def serving(self) -> str | None:
        """The generation that searches use."""
        serving = self._folder.serving()
        return serving and serving.generation

    def serve(self, index: Index) -> None:
        """Let searches use this index from now on; others of its generation are removed."""
        if not isinstance(index, LocalIndex) or self._open.get(index.folder.name) is not index:
            raise ValueError("an index of this sink is needed, and an open one")
        self._claim()
        name = index.folder.name
        serving = Serving(index.generation, name)
        if self._serving() != serving:
            self._folder.serve(serving)
        for other in self._folder.indexes(index.generation):
            if other != name:
                self._remove(other)

    def close(self) -> None:
        """Let go of files; what was not committed may be lost."""
        try:
            for name in list(self._open):
                self._open.pop(name).close()
        finally:
            self._folder.release()

    def _claim(self) -> None:
        self._folder.claim(self._library)
        self._folder.lock()
        self._folder.tidy()

    def _present(self, generation: str) -> str | None:
        """The one that searches use; else the newest, which was made to replace the others."""
        there = self._folder.indexes(generation)
        serving = self._serving()
        if serving is not None and serving.generation == generation and serving.name in there:
            return serving.name
        return there[-1] if there else None

    def _remove_abandoned(self, generation: str) -> None:
        serving = self._serving()
        for name in self._folder.indexes(generation):
            if name not in self._open and (serving is None or name != serving.name):
                self._remove(name)

    def _serving(self) -> Serving | None:
        try:
            return self._folder.serving()
        except ConfigurationError:
            return None  # `serve` replaces what cannot be understood

    def _remove(self, name: str) -> None:
        index = self._open.pop(name, None)
        if index is not None:
            index.abandon()
        self._folder.remove(name)
