"""usearch, loaded so that nothing else in the process suffers.

usearch 2.26.6 brings a C++ library of its own inside and exports it, some of its symbols as unique ones of the process.
What is loaded later takes those instead of the system's: OpenVINO could not read a model any more, took its converted
copy for damaged, and removed it. With the system's library loaded for all first, everybody uses that.
"""

import contextlib
import ctypes

with contextlib.suppress(OSError):  # Not the name of it everywhere; the trouble is Linux's.
    ctypes.CDLL("libstdc++.so.6", mode=ctypes.RTLD_GLOBAL)

from usearch.index import Index, search

__all__ = ["Index", "search"]
