"""Signals to a command that runs for long: an end in good order, and a pause."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

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
