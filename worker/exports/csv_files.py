"""The files that are handed in: CSV, split where an agency takes only so much in one, each whole or not there."""

import csv
import io
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from tasks.errors import ConfigurationError
from taxonomy.agencies import FileForm
from worker.exports.texts import CONTROLS
from worker.exports.unfinished import Unfinished

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Written(NamedTuple):
    """A file that was written; `rows` are without the header."""

    path: Path
    rows: int
    bytes: int


class Sink(Protocol):
    """Takes rows."""

    def write(self, row: Sequence[str]) -> None:
        """Add a row."""

    def close(self) -> list[Written]:
        """Make the files appear; there may be none to speak of."""

    def discard(self) -> None:
        """Leave nothing behind."""


class Encoder:
    """Rows to bytes, as an agency wants them."""

    def __init__(self, form: FileForm) -> None:
        self._buffer = io.StringIO(newline="")
        end = "\r\n" if form.line_end == "crlf" else "\n"

        def writer(quoting: int) -> Callable[[Sequence[str]], object]:
            return csv.writer(self._buffer, delimiter=form.delimiter, quoting=quoting, lineterminator=end).writerow  # type: ignore[arg-type]  # typeshed wants a literal

        self._always = writer(csv.QUOTE_ALL)
        self._usual = self._always if form.quote == "always" else writer(csv.QUOTE_MINIMAL)
        self._mark = BYTE_ORDER_MARK if form.byte_order_mark else b""

    def row(self, cells: Sequence[str]) -> bytes:
        """One row with its line end. What has control characters is quoted as a whole."""
        (self._always if any(map(CONTROLS.search, cells)) else self._usual)(cells)
        text = self._buffer.getvalue()
        self._buffer.seek(0)
        self._buffer.truncate()
        return text.encode("utf-8", "replace")

    def head(self, header: Sequence[str]) -> bytes:
        """What a file begins with."""
        return self._mark + self.row(header)


class Stream:
    """Rows to one stream, such as standard output; `over` tells that an agency would want several files.

    Args:
        form: how to write.
        header: the first row.
        pour: takes bytes.
    """

    def __init__(self, form: FileForm, header: Sequence[str], pour: Callable[[bytes], None]) -> None:
        self._form = form
        self._encoder = Encoder(form)
        self._pour = pour
        self._rows = self._bytes = 0
        self._send(self._encoder.head(header))

    @property
    def over(self) -> bool:
        """Whether it is more than the agency takes in one file."""
        return not _fits(self._form, self._rows, self._bytes)

    def write(self, row: Sequence[str]) -> None:
        """Send a row at once."""
        self._rows += 1
        self._send(self._encoder.row(row))

    def close(self) -> list[Written]:
        """There are no files."""
        return []

    def discard(self) -> None:
        """What was sent is sent."""

    def _send(self, data: bytes) -> None:
        self._bytes += len(data)
        self._pour(data)


class Files:
    """Rows to `name.csv`, or, where an agency's file takes no more, to `name-001.csv`, `name-002.csv` and so on.

    Until `close` they lie beside the target under other names; what was there before is replaced whole.

    Args:
        form: how to write, and how much goes into one file.
        header: the first row of each.
        out: the target.

    Raises:
        ConfigurationError: the target's folder cannot be written to.
    """

    def __init__(self, form: FileForm, header: Sequence[str], out: Path) -> None:
        self._form = form
        self._encoder = Encoder(form)
        self._head = self._encoder.head(header)
        self._out = out
        self._parts: list[Written] = []
        self._file: BinaryIO | None = None
        if out.is_dir():
            raise ConfigurationError(f"{out} is a folder: name a file in it, such as {out / 'upload.csv'}")
        if out.exists() and not out.is_file():
            raise ConfigurationError(f"--out {out}: that is no file; leave --out away for standard output")
        self._unfinished = Unfinished(out)
        self._next()

    def write(self, row: Sequence[str]) -> None:
        """Add a row, to another file if this one is full."""
        data = self._encoder.row(row)
        part = self._parts[-1]
        if part.rows and not _fits(self._form, part.rows + 1, part.bytes + len(data)):
            self._next()
            part = self._parts[-1]
        self._put(data, part._replace(rows=part.rows + 1))

    def close(self) -> list[Written]:
        """Give the files their names. Raises `ConfigurationError` where the disk does not take them."""
        try:
            self._finish()
            written = []
            # The first one last: it is the one that says that all of them are in use.
            for number, part in reversed(list(enumerate(self._parts, 1))):
                path = self._named(number) if len(self._parts) > 1 else self._out
                part.path.replace(path)
                written.append(part._replace(path=path))
        except OSError as error:
            raise _unwritable(self._out, error) from error
        self._unfinished.release()
        return written[::-1]

    def discard(self) -> None:
        """Remove what was written so far."""
        if self._file is not None:
            self._file.close()
        for part in reversed(self._parts):
            part.path.unlink(missing_ok=True)
        self._unfinished.release()

    def leftovers(self, written: Sequence[Written]) -> list[Path]:
        """Files of an earlier export under the same name, which do not belong to this one."""
        mine = {part.path for part in written}
        named = re.compile(rf"{re.escape(self._out.stem)}(-\d{{3,}})?{re.escape(self._out.suffix)}")
        found = (path for path in self._out.parent.iterdir() if named.fullmatch(path.name))
        return sorted(path for path in found if path not in mine)

    def _named(self, number: int) -> Path:
        return self._out.with_name(f"{self._out.stem}-{number:03}{self._out.suffix}")

    def _next(self) -> None:
        try:
            self._finish()
            path, self._file = self._unfinished.create()
        except OSError as error:
            raise _unwritable(self._out, error) from error
        self._parts.append(Written(path, 0, 0))
        self._put(self._head, self._parts[-1])

    def _put(self, data: bytes, part: Written) -> None:
        assert self._file is not None
        try:
            self._file.write(data)
        except OSError as error:
            raise _unwritable(self._out, error) from error
        self._parts[-1] = part._replace(bytes=part.bytes + len(data))

    def _finish(self) -> None:
        """Onto the disk before the name, or a crash would leave an empty file under it."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()


def _fits(form: FileForm, rows: int, size: int) -> bool:
    return (form.rows is None or rows <= form.rows) and (form.bytes is None or size <= form.bytes)


def _unwritable(out: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"--out {out}: it cannot be written: {error.strerror}")
