"""What goes wrong: really wrong, with signals, endless loops and memory, in the process where it would."""

import os
import signal
import sys
import time
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

MAGENTA = (255, 0, 255)


def change_encoder(module: ModuleType) -> None:
    """Make the fake encoder fail as `FAULT_ENCODER` says.

    `segfault`: a picture all in magenta brings the process down. `memory:4`: batches of more than four fail as if a
    device had no memory. `broken`: every batch fails. `slow:0.2`: so many seconds an image. Failing ends when the file
    `FAULT_UNTIL` is there.
    """
    kind, _, argument = os.environ.get("FAULT_ENCODER", "").partition(":")
    until = os.environ.get("FAULT_UNTIL", "")
    encode = module.FakeEncoder.encode

    def changed(self: Any, pixels: Any) -> Any:
        if not (until and os.path.exists(until)):  # noqa: PTH110  imported into every process: the fewer modules
            _fail(kind, argument, pixels)
        return encode(self, pixels)

    module.FakeEncoder.encode = changed


def _fail(kind: str, argument: str, pixels: Any) -> None:
    if kind == "segfault" and (np.abs(pixels.astype(int) - MAGENTA).max(axis=(1, 2, 3)) < 8).any():
        os.kill(os.getpid(), signal.SIGSEGV)
        time.sleep(60)
    if kind == "memory" and len(pixels) > int(argument):
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
    if kind == "broken":
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
    if kind == "slow":
        time.sleep(float(argument) * len(pixels))


def change_decoder(module: ModuleType) -> None:
    """Make decoder processes do what a picture's comment says; they import this module by its name."""
    if os.environ.get("FAULT_DECODER"):
        module.decode = partial(decode)  # type: ignore[attr-defined]  # the name that the pool looks up


def decode(body: Any, **options: Any) -> Any:
    """`worker.images.decode.decode`, but for pictures that say otherwise."""
    from worker.images.decode import decode as real

    data = body if isinstance(body, bytes) else body.read_bytes()
    if b"fault:SEGFAULT" in data:
        os.kill(os.getpid(), signal.SIGSEGV)
    while b"fault:HANG" in data:
        time.sleep(60)
    if b"fault:SPIN" in data:
        while True:
            pass
    if b"fault:MEMORY" in data:
        grown = []
        while True:
            grown.append(bytearray(64 << 20))
            if len(grown) > 1 << 10:
                sys.exit("no limit on memory")
    return real(body, **options)
