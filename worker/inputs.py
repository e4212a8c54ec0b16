"""What `stockmeta tag` is given: folders, files and lists of files, as references into stores."""

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tasks.errors import ConfigurationError
from tasks.layout import OUTPUT_ROOT, is_image
from tasks.ports import Store
from tasks.records import ImageRef
from tasks.renditions import Renditions
from worker.storage.local import LocalStore


@dataclass
class Inputs:
    """Expands what was given, in order.

    A folder is a bucket of its name, and keys are paths relative to it; a file is in the bucket of the folder that it
    lies in. A file named outright is always taken; of a folder, what has an image's extension.

    Attributes:
        given: folders and files.
        extensions: of images, lower case, without the dot.
        output: never taken for input, nor is any `.stockmeta` folder.
        unique: whether two folders given under one name are an error, as they are where sidecars are written;
            otherwise, and for files given by themselves, the second one's bucket gets a suffix.
        renditions: what is named like one is not taken out of a folder.
        stores: by bucket, as they come up.
        left: files of the folders that were not taken, so far.
    """

    given: Iterable[Path]
    extensions: frozenset[str]
    output: Path | None = None
    unique: bool = False
    renditions: Renditions | None = None
    stores: dict[str, Store] = field(default_factory=dict)
    left: int = 0
    _buckets: dict[Path, str] = field(default_factory=dict)

    def __iter__(self) -> Iterator[ImageRef]:
        """References, in the order given. Raises `ConfigurationError` for two folders of one name, if `unique`."""
        for path in self.given:
            if _is_dir(path):
                yield from self._folder(path)
            else:
                yield self._file(path)

    def _folder(self, folder: Path) -> Iterator[ImageRef]:
        bucket = self._bucket(folder)
        skip = self._skip(folder.resolve())
        for stat in self.stores[bucket].list():
            if any(stat.key.startswith(prefix) for prefix in skip):
                continue
            if is_image(stat.key, self.extensions) and not self._is_rendition(stat.key):
                yield ImageRef(bucket, stat.key)
            else:
                self.left += 1

    def _is_rendition(self, key: str) -> bool:
        return self.renditions is not None and self.renditions.is_rendition(key)

    def _file(self, path: Path) -> ImageRef:
        """A file by itself, where links lead. One that is not to be found is that image's trouble, and said of it."""
        try:
            real = path.resolve()
            return ImageRef(self._bucket(real.parent, unique=False), _text(real.name))
        except (OSError, RuntimeError, ConfigurationError):
            # No store has such a name, so the reference ends as one that is not there.
            return ImageRef(f"{_text(str(path.parent))}/", _text(path.name))

    def _skip(self, root: Path) -> tuple[str, ...]:
        """Prefixes of keys that are output."""
        if self.output is None or not self.output.resolve().is_relative_to(root) or self.output.resolve() == root:
            return (OUTPUT_ROOT,)
        return OUTPUT_ROOT, f"{self.output.resolve().relative_to(root).as_posix()}/"

    def _bucket(self, folder: Path, *, unique: bool | None = None) -> str:
        root = folder.resolve()
        if root not in self._buckets:
            name = root.name or "root"
            if name in self.stores:
                if self.unique if unique is None else unique:
                    raise ConfigurationError(
                        f"{folder}: another folder given is called {name!r} too, and their sidecars would mix; "
                        "give the folder above both, or use two --out folders"
                    )
                name = f"{name}-{hashlib.sha256(str(root).encode(errors='surrogateescape')).hexdigest()[:8]}"
            self.stores[name] = LocalStore(root, name)
            self._buckets[root] = name
        return self._buckets[root]


def _is_dir(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name too long for the system, or a folder that may not be looked into
        return False


def _text(name: str) -> str:
    """A name as text: bytes that are not UTF-8, which no record can hold, are spelt out."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def expand(arguments: Iterable[str], lines: Iterable[str]) -> Iterator[Path]:
    """Paths of the command line, with the lines of standard input where `-` stands.

    Raises:
        ConfigurationError: for an argument that names nothing. A listed file that is gone is that image's trouble.
    """
    checked = []
    for argument in arguments:
        if argument != "-" and not Path(argument).exists():
            raise ConfigurationError(f"{argument}: no such file or folder")
        checked.append(argument)
    listed = (Path(line) for text in lines if (line := text.rstrip("\r\n")))
    return itertools.chain.from_iterable(listed if argument == "-" else [Path(argument)] for argument in checked)
