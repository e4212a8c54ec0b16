"""The errors of SQLite, tantivy, usearch and the operating system, as ours."""

import errno
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.errors import ConfigurationError, StockmetaError, Unavailable

_DAMAGED = frozenset({"SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR", "SQLITE_FORMAT", "SQLITE_SCHEMA"})
_REFUSED = frozenset({"SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH"})


@contextmanager
def database(path: Path) -> Iterator[None]:
    """Errors of SQLite as ours: what passes (locked, a full disk) as `Unavailable`, the rest as `ConfigurationError`.

    Args:
        path: of the file, for the messages.
    """
    try:
        yield
    except sqlite3.Error as error:
        # An extended code begins with the primary one: SQLITE_IOERR_WRITE, SQLITE_CORRUPT_INDEX.
        name = "_".join(getattr(error, "sqlite_errorname", "SQLITE_UNKNOWN").split("_")[:2])
        if name in _DAMAGED:
            raise ConfigurationError(
                f"{path} is damaged ({error}): run `stockmeta feed local LIBRARY --full`, which makes it anew"
            ) from error
        if name in _REFUSED:
            raise _unwritable(path, error) from error
        raise Unavailable(f"{path}: {error}") from error


@contextmanager
def contents(path: Path) -> Iterator[None]:
    """Errors of reading a document that was stored, as `ConfigurationError`.

    Args:
        path: of the file, for the messages.
    """
    try:
        yield
    except (ValueError, zlib.error) as error:
        raise ConfigurationError(
            f"{path} has a document that cannot be read ({error}): "
            "run `stockmeta feed local LIBRARY --full`, which makes all of them anew"
        ) from error


@contextmanager
def files(path: Path) -> Iterator[None]:
    """Errors of the operating system as ours.

    Args:
        path: of the folder or file, for the messages.
    """
    try:
        yield
    except OSError as error:
        message = f"{error.filename or path}: {error.strerror}"
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENAMETOOLONG):
            raise ConfigurationError(message) from error
        raise Unavailable(message) from error


@contextmanager
def engine(path: Path) -> Iterator[None]:
    """Errors of tantivy and usearch as `Unavailable`; both raise plain `ValueError` and `RuntimeError`.

    Args:
        path: of the engine's files, for the messages.
    """
    try:
        yield
    except StockmetaError:
        raise
    except Exception as error:
        if any(kind in str(error) for kind in ("PermissionDenied", "ReadOnlyFilesystem")):
            raise _unwritable(path, error) from error
        raise Unavailable(f"{path}: {error}") from error
    except BaseException as error:
        # What pyo3 makes of a panic in Rust derives from BaseException, and has no name to import.
        if type(error).__name__ != "PanicException":
            raise
        raise Unavailable(f"{path}: {error}") from error


def _unwritable(path: Path, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"{path} cannot be opened ({error}): who searches needs to be allowed to write to the folder, too, "
        "since SQLite and tantivy lock files there; or copy the folder to where that is so"
    )
