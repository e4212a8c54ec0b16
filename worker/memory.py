"""How a process that runs for weeks keeps its memory."""

import ctypes
from contextlib import suppress

_M_ARENA_MAX = -8
"""glibc's malloc.h; mallopt(3)."""


def one_heap() -> bool:
    """Have glibc's malloc serve all threads of this process from one heap; returns whether it does.

    It gives each thread a heap of its own, up to eight for each core, and what is freed in one is of no use to others.
    So a process whose threads come and go, or each hold a sidecar for a moment, grows for hours. `MALLOC_ARENA_MAX=1`
    does the same. Other libraries have no such trouble, and no such function.
    """
    with suppress(OSError, AttributeError):
        return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1))
    return False
