"""Documents as files of lines, for every engine that has no adapter of its own."""

from collections.abc import Sequence

from tasks.errors import ConfigurationError, Conflict, Unavailable, Vanished
from tasks.feeding.ports import Index
from tasks.ports import Store
from worker.feeds.ndjson.folder import Folder, remove_folder
from worker.feeds.ndjson.index import NdjsonIndex
from worker.feeds.ndjson.manifest import SERVING, Library, Manifest, Serving, check_root, folder_name, folder_number
from worker.feeds.ndjson.replay import read_manifest, read_serving


class NdjsonSink:
    """Keeps the contract of `tasks.feeding.ports.Sink`. `docs/documents.md` says what the files are.

    Args:
        store: where the files go: a folder or a bucket. Its `bucket` is part of the sink's name, so two folders of
            one name need other ones.
        root: what their keys begin with; empty, or ends with `/`.
        bucket: of the library's images.
        prefix: what the library's keys begin with.

    Raises:
        ConfigurationError: a root that is no prefix.
    """

    def __init__(self, store: Store, root: str, bucket: str, prefix: str = "") -> None:
        check_root(root)
        self._store = store
        self._library = Library(bucket, prefix)
        self._base = f"{root}{self._library.folder}/"
        self._indexes: dict[str, NdjsonIndex] = {}
        self._opened = 0
        self.name = f"ndjson:{store.bucket}/{self._base.removesuffix('/')}"

    def open(self, generation: str, *, anew: bool = False) -> Index:
        """The files of a generation: those that serve, else those that are complete, else the ones begun last.

        Nothing is written before something is delivered. An index that is open already is given again, as long as
        nobody else wrote; else it has another name than it had.

        Raises:
            ConfigurationError: a file is broken, or there is no such bucket.
            Unavailable: the store does not answer, or another feed writes while the files are read.
        """
        numbers = self._numbers(generation)
        if anew:
            return self._index(self._beside(generation, numbers))
        there = self._folders(generation, numbers)
        return self._index(self._chosen(there) if there else self._new(generation, max(numbers, default=1)))

    def _index(self, folder: Folder) -> NdjsonIndex:
        """What is open is not read again: that takes a while for a large library."""
        index = self._indexes.pop(folder.path, None)
        if index is not None and not index.still_is(folder):
            index.close()
            index = None
        if index is None:
            self._opened += 1
            index = self._read(folder, f"{self._folder_of(folder.path)}#{self._opened}")
        self._indexes[folder.path] = index
        return index

    def _read(self, folder: Folder, name: str) -> NdjsonIndex:
        try:
            return NdjsonIndex(folder, name)
        except ConfigurationError as error:
            now = read_manifest(self._store, folder.path)
            if folder.written and (now is None or not folder.still_is(Folder(self._store, folder.path, *now))):
                raise Unavailable(
                    f"another feed wrote to {folder.path!r} in {self._store.bucket!r} while it was read"
                ) from error
            raise

    def serving(self) -> str | None:
        """The generation that `serving.json` names. Raises `ConfigurationError`, `Unavailable`."""
        found = read_serving(self._store, self._base)
        return found.generation if found else None

    def serve(self, index: Index) -> None:
        """Name this index in `serving.json`, and remove others of its generation.

        Raises:
            ConfigurationError: somebody else serves another index at the same moment.
            Unavailable: the store does not answer.
        """
        assert isinstance(index, NdjsonIndex)
        index.ready()
        serving = Serving(library=self._library, generation=index.generation, folder=self._folder_of(index.path))
        key = f"{self._base}{SERVING}"
        found = self._store.read(key)
        if found is None or found[0] != serving.to_json():
            try:
                self._store.put(key, serving.to_json(), if_match=found and found[1])
            except Conflict:
                raise ConfigurationError(f"another feed changes {key!r} at the same time: let one run") from None
        for number in self._numbers(index.generation):
            if (path := self._path(index.generation, number)) != index.path:
                remove_folder(self._store, path)

    def close(self) -> None:
        """Let go of temporary files; what was not committed is lost."""
        for index in self._indexes.values():
            index.close()
        self._indexes.clear()

    def _numbers(self, generation: str) -> list[int]:
        """Numbers of a generation's folders, in whatever state."""
        try:
            entries = [entry for entry in self._store.walk(self._base) if isinstance(entry, str)]
        except Vanished:
            raise ConfigurationError(
                f"there is no bucket {self._store.bucket!r} for the files: make it, or give them another place"
            ) from None
        found = (folder_number(self._folder_of(entry), generation) for entry in entries)
        return sorted(number for number in found if number is not None)

    def _folders(self, generation: str, numbers: Sequence[int]) -> dict[int, Folder]:
        """Those that have a manifest."""
        paths = {number: self._path(generation, number) for number in numbers}
        read = ((number, path, read_manifest(self._store, path)) for number, path in paths.items())
        return {number: Folder(self._store, path, *found) for number, path, found in read if found}

    def _chosen(self, there: dict[int, Folder]) -> Folder:
        serving = read_serving(self._store, self._base)
        for number, folder in there.items():
            if serving and serving.folder == folder_name(folder.manifest.generation, number):
                return folder
        return there[max(there, key=lambda number: (there[number].manifest.complete, number))]

    def _beside(self, generation: str, numbers: Sequence[int]) -> Folder:
        """An empty folder beside those that are there; those that were begun and never served make room."""
        serving = read_serving(self._store, self._base)
        if serving and serving.generation == generation:
            for number in numbers:
                if folder_name(generation, number) != serving.folder:
                    remove_folder(self._store, self._path(generation, number))
        return self._new(generation, max(numbers, default=0) + 1)

    def _new(self, generation: str, number: int) -> Folder:
        manifest = Manifest(library=self._library, generation=generation)
        return Folder(self._store, self._path(generation, number), manifest, None)

    def _folder_of(self, path: str) -> str:
        return path[len(self._base) : -1]

    def _path(self, generation: str, number: int) -> str:
        return f"{self._base}{folder_name(generation, number)}/"
