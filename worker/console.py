"""What people see on a terminal: progress and messages on standard error, records on standard output."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

CLOSED_PIPE = 128 + 13
"""Exit status, as of a program that SIGPIPE ends."""


def stderr() -> Console:
    """A console on standard error, as it is now."""
    return Console(stderr=True, highlight=False)


def emit(line: str) -> None:
    """One line of results, flushed, so that a pipe's reader sees it at once. Ends the command if nobody reads."""
    # Bytes: a record is UTF-8 whatever the terminal's locale says.
    pour(line.encode() + b"\n")


def pour(data: bytes) -> None:
    """Results that are not lines of ours, such as a CSV file. Ends the command if nobody reads."""
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # The reader, `head` for one, has seen enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(CLOSED_PIPE) from None


def say(message: str) -> None:
    """One line for the person who runs the command."""
    sys.stderr.write(f"stockmeta: {message}\n")
    sys.stderr.flush()


class Bars:
    """Named progress bars; where standard error is no terminal, nothing is drawn."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bars: dict[str, object] = {}

    def update(self, what: str, done: int, total: int | None) -> None:
        """Show that `done` of `total` (`None`: unknown) is done of something."""
        if what not in self._bars:
            self._bars[what] = self._progress.add_task(what, total=total)
        self._progress.update(self._bars[what], completed=done, total=total)  # type: ignore[arg-type]


@contextmanager
def bars() -> Iterator[Bars]:
    """Progress bars while the block runs."""
    console = stderr()
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        yield Bars(progress)
