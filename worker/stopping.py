"""Signals to a command that runs for long: an end in good order, and a pause."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tasks.bulk.feed import Control


@contextmanager
def signals(control: Control) -> Iterator[list[int]]:
    """SIGINT and SIGTERM end the run, SIGUSR1 pauses it, SIGUSR2 has it go on; gives those that ended it."""
    received: list[int] = []

    def end(number: int, _: object) -> None:
        received.append(number)
        control.paused.clear()
        control.stop.set()

    actions = {
        signal.SIGINT: end,
        signal.SIGTERM: end,
        signal.SIGUSR1: lambda *_: control.paused.set(),
        signal.SIGUSR2: lambda *_: control.paused.clear(),
    }
    before = {number: signal.signal(number, action) for number, action in actions.items()}
    try:
        yield received
    finally:
        for number, action in before.items():
            signal.signal(number, action)


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set. A second one of the same kind ends the process at once."""
    stop = threading.Event()

    def handle(number: int, _: FrameType | None) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
