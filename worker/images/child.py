"""What runs inside a decoder process: once at its start, then once an image. Values go back, nothing is raised.

An exception that the parent cannot rebuild would break the pool for good.
"""

import os
import resource
import signal
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from PIL import AvifImagePlugin, Image

from tasks.errors import Reason, Rejected, Unavailable
from tasks.ports import Decoded, Start
from worker.images.decode import OUT_OF_MEMORY, words

ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    # One picture, one core: the pool has as many processes as there are cores to use.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}

Function = Callable[..., Decoded]
"""Takes a file, or where it lies; with a rendition, also `original`, a `Start`."""


class Failure(NamedTuple):
    """Why there is no picture: the value of a `Reason`, or `None` where the image is not at fault; and a sentence."""

    reason: str | None
    detail: str


_function: Function
_seconds: float


def start(function: Function, memory: int, seconds: float) -> None:
    """Set this process up.

    Args:
        function: reads one image.
        memory: address space that this process may use, bytes.
        seconds: processor time that one image may use.
    """
    global _function, _seconds
    _function, _seconds = function, seconds
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    memory = memory if most == resource.RLIM_INFINITY else min(memory, most)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # A handler in Python would not run before the decoder returns, and the pool would wait for it.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    warnings.simplefilter("ignore")
    # `decode` checks the pixels itself, and says the number.
    Image.MAX_IMAGE_PIXELS = None
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    # libtiff tells the terminal whatever it thinks of a file.
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os.close(null)


def run(body: bytes | Path, original: Start | None = None) -> Decoded | Failure:
    """Read one image, within the processor time set: when it is used up, SIGPROF ends this process.

    Unlike a clock, processor time does not blame an image for a busy machine, or for one that was suspended.
    """
    signal.setitimer(signal.ITIMER_PROF, _seconds)
    try:
        return _function(body) if original is None else _function(body, original=original)
    except Rejected as error:
        return Failure(error.reason.value, error.detail)
    except Unavailable as error:
        return Failure(None, str(error))
    except MemoryError:
        return Failure(Reason.DECODER_MEMORY.value, OUT_OF_MEMORY)
    except Exception as error:  # noqa: BLE001  see above
        return Failure(Reason.DECODER_CRASHED.value, f"the decoder failed: {type(error).__name__}: {words(error)}")
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
