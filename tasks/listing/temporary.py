"""Temporary files that hold what does not fit into memory, and what is said where they fail."""

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from tasks.errors import ConfigurationError, Unavailable


@contextmanager
def temporary_disk(purpose: str) -> Iterator[None]:
    """Say what a temporary file is for, where it fails.

    Args:
        purpose: how the sentence begins, such as "sorting the listing needs about 200 bytes a key".

    Raises:
        ConfigurationError: the disk is full; says which.
        Unavailable: it fails otherwise.
    """
    try:
        yield
    except OSError as error:
        folder = tempfile.gettempdir()
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ConfigurationError(
                f"{purpose}, and the disk of {folder!r} is full: make room, or set TMPDIR to a folder on another disk"
            ) from error
        raise Unavailable(f"{purpose}, and a temporary file in {folder!r} failed: {error.strerror}") from error
