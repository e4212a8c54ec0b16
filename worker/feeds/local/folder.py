"""The folder of an index: whose it is, who writes to it, and which of its parts searches use."""

import fcntl
import os
import re
import shutil
import socket
from pathlib import Path
from typing import NamedTuple

import msgspec

from tasks.errors import ConfigurationError
from worker.feeds.local import errors, graph, schema

_GENERATION = re.compile(r"[0-9A-Za-z_]+")
_REMOVED = ".removed-"


class Library(NamedTuple):
    """Whose images the index has; the content of `library.json`."""

    bucket: str
    prefix: str


class Serving(NamedTuple):
    """What searches use; the content of `serving.json`."""

    generation: str
    name: str


class Folder:
    """A folder with an index for each generation, and perhaps another that is being made to replace it.

    Args:
        path: it need not be there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    def claim(self, library: Library) -> None:
        """Make the folder one of a library's. Raises `ConfigurationError` if it is another's, or no index's."""
        with errors.files(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            name = self.path / "library.json"
            if not name.exists():
                if any(not each.name.startswith(".") for each in self.path.iterdir()):
                    raise ConfigurationError(f"{self.path} has files that are no index: take an empty folder")
                _replace(name, {"bucket": library.bucket, "prefix": library.prefix})
        self.check(library)

    def check(self, library: Library) -> None:
        """Raise `ConfigurationError` if the folder is another library's; one that is not there is nobody's."""
        with errors.files(self.path):
            found = _read(self.path / "library.json")
        if found is None:
            return
        there = Library(str(found.get("bucket")), str(found.get("prefix")))
        if there != library:
            raise ConfigurationError(
                f"{self.path} is the index of another library, bucket {there.bucket!r} and prefix {there.prefix!r}: "
                "take another folder with --index, or remove this one"
            )

    def lock(self) -> None:
        """Exclude other writers until `release`, or the end of the process. Raises `ConfigurationError`."""
        if self._lock is not None:
            return
        with errors.files(self.path):
            descriptor = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
                os.close(descriptor)
                raise ConfigurationError(
                    f"{self.path} is being written to by another feed ({holder or 'which did not say its name'}): "
                    "an index has one writer; stop that one first"
                ) from None
            except OSError:
                os.close(descriptor)
                raise
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        self._lock = descriptor

    def release(self) -> None:
        """Let others write."""
        if self._lock is not None:
            os.ftruncate(self._lock, 0)
            os.close(self._lock)
            self._lock = None

    def serving(self) -> Serving | None:
        """What searches use. Raises `ConfigurationError` if the file cannot be understood."""
        path = self.path / "serving.json"
        with errors.files(path):
            found = _read(path)
        if found is None:
            return None
        generation, index = found.get("generation"), found.get("index")
        if not isinstance(generation, str) or not isinstance(index, str) or "/" in index:
            raise ConfigurationError(f"{path} is damaged: run `stockmeta feed local LIBRARY --full`")
        return Serving(generation, index)

    def serve(self, serving: Serving) -> None:
        """Let searches use another index, in one step."""
        path = self.path / "serving.json"
        with errors.files(path):
            _replace(path, {"generation": serving.generation, "index": serving.name})

    def indexes(self, generation: str) -> list[str]:
        """Names of the indexes of a generation, the oldest first."""
        if not _GENERATION.fullmatch(generation):
            raise ConfigurationError(f"{generation!r} is no generation")
        own = re.compile(rf"{generation}(?:-(\d+))?")
        with errors.files(self.path):
            found = [
                (int(match[1] or 1), each.name) for each in self.path.iterdir() if (match := own.fullmatch(each.name))
            ]
        return [name for _, name in sorted(found)]

    def make(self, generation: str) -> str:
        """Make room for another index of a generation; returns its name."""
        there = self.indexes(generation)
        last = int([*there[-1].split("-"), "1"][1]) if there else 0
        name = f"{generation}-{last + 1}" if last else generation
        with errors.files(self.path):
            (self.path / name).mkdir()
        return name

    def remove(self, name: str) -> None:
        """Remove an index. Whoever reads it goes on until it asks which one serves."""
        # Renamed first, so that nobody opens half of it.
        with errors.files(self.path):
            hidden = self.path / f"{_REMOVED}{name}"
            shutil.rmtree(hidden, ignore_errors=True)
            (self.path / name).rename(hidden)
            shutil.rmtree(hidden, ignore_errors=True)

    def tidy(self) -> None:
        """Remove what a writer was removing when it was killed."""
        with errors.files(self.path):
            for each in self.path.iterdir():
                if each.name.startswith(_REMOVED):
                    shutil.rmtree(each, ignore_errors=True)


def database_of(folder: Path, name: str) -> Path:
    """The documents of an index."""
    return folder / name / schema.NAME


def _read(path: Path) -> dict[str, object] | None:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return msgspec.json.decode(data, type=dict[str, object])
    except msgspec.DecodeError as error:
        raise ConfigurationError(f"{path} is damaged: {error}") from error


def _replace(path: Path, content: dict[str, str]) -> None:
    unfinished = path.with_name(f".~{path.name}")
    with unfinished.open("wb") as file:
        file.write(msgspec.json.encode(content) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    graph.synced(path.parent)
