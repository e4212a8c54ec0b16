"""One heap for all threads, where the C library is glibc."""

import platform
import subprocess
import sys

import pytest

MANY_THREADS = """
import ctypes, re, threading
from worker.memory import one_heap
{call}
barrier = threading.Barrier(9)
def hold():
    kept = [bytearray(100_000) for _ in range(20)] + [ctypes.create_string_buffer(900) for _ in range(200)]
    barrier.wait(); barrier.wait()
threads = [threading.Thread(target=hold) for _ in range(8)]
for thread in threads: thread.start()
barrier.wait()
libc = ctypes.CDLL(None)
libc.malloc_stats()
barrier.wait()
for thread in threads: thread.join()
"""


def heaps(call: str) -> int:
    """How many heaps eight threads make glibc keep."""
    ran = subprocess.run([sys.executable, "-c", MANY_THREADS.format(call=call)], capture_output=True, check=True)
    return ran.stderr.count(b"Arena ")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has no such function")
def test_all_threads_share_one_heap() -> None:
    assert heaps("") > 1
    assert heaps("assert one_heap()") == 1
