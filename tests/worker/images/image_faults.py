"""Decoders that do what a hostile file may make a decoder do; run inside the pool's processes."""

import ctypes
import os
import signal
import time
from functools import partial
from pathlib import Path

from tasks.ports import Decoded, Preprocess
from worker.images.decode import decode

PREPROCESS = Preprocess(64)


def _spin() -> None:
    while True:
        pass


def _devour(step: int = 64 << 20) -> None:
    taken = []
    while True:
        taken.append(bytearray(step))


class Unpicklable(Exception):
    def __init__(self, one: object, two: object) -> None:
        super().__init__("text")


def _raise_unpicklable() -> None:
    raise Unpicklable(1, lambda: None)


def _kill_once(marker: str) -> None:
    """Die as by the out-of-memory killer, but for the first time only."""
    if not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)


FAULTS = {
    b"segfault": partial(ctypes.string_at, 0),
    b"abort": os.abort,
    b"exit": partial(os._exit, 3),
    b"sleep": partial(time.sleep, 600),
    b"spin": _spin,
    b"devour": _devour,
    b"oom-killer": lambda: os.kill(os.getpid(), signal.SIGKILL),
    b"told to stop": lambda: os.kill(os.getpid(), signal.SIGTERM),
    b"unpicklable": _raise_unpicklable,
}


def misbehave(body: bytes | Path) -> Decoded:
    """Do as the body says; images are decoded."""
    assert isinstance(body, bytes)
    word, _, argument = body.partition(b":")
    if word == b"kill once":
        _kill_once(argument.decode())
        body = argument
        raise ValueError("survived")
    if body in FAULTS:
        FAULTS[body]()
    return decode(body, PREPROCESS)


class BrokenImport:
    """A function that a child process cannot even load."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return __import__, ("no_such_module_anywhere",)

    def __call__(self, body: bytes | Path) -> Decoded:
        raise NotImplementedError
