"""What runs an image tower, which one is chosen, and the proof that it computes what PyTorch computes.

An engine takes uint8 pixels; scaling, mean and deviation are part of what it runs. Each start runs a seeded example
through the engine and compares it with what PyTorch gave in fp32 when the tower was converted: that catches a wrong
conversion, a damaged cache and a processor that computes badly, and warms the engine up.
"""

import ctypes
import logging
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.errors import ConfigurationError
from tasks.ports import Pixels
from worker.encoders import engine_openvino, engine_torch
from worker.encoders.contract import check_pixels
from worker.encoders.tower import EXAMPLE_IMAGES, Loaded, Outputs, Precision, Tower, UnfitError

ENGINES = ("auto", "openvino", "openvino-fp32", "openvino-bf16", "torch")

LEAST_COSINE: dict[Precision, float] = {"fp32": 0.999, "bf16": 0.998, "fp16": 0.998}

logger = logging.getLogger(__name__)


class Engine:
    """A tower that runs. n images in, n rows out of each output, in order; safe to call from several threads.

    Kernels are chosen by the size of the batch, and their last bits differ: so images go through in blocks of fixed
    size, the last ones shorter and filled up, and a result never depends on the company that an image came in.

    Attributes:
        name: such as `openvino bf16`; `precision` likewise alone.
        block: images at a time at which it is fastest.

    Args:
        loaded: a backend with the tower in it.
        tower: for the example.
        block: images at a time.

    Raises:
        UnfitError: the example does not come out as it did from PyTorch.
    """

    def __init__(self, loaded: Loaded, tower: Tower, block: int) -> None:
        self.name, self.precision = loaded.name, loaded.precision
        self._run, self._size = loaded.run, tower.size
        self._lock = threading.Lock()
        self.block = self._short = block
        found = self.run(tower.example(max(block, EXAMPLE_IMAGES)))
        self._check(found, loaded.reference)
        # A few images need not pay for a block, if a short one gives the same bits: which kernel runs depends on
        # shapes alone, so one example answers for all images.
        short = loaded.run(tower.example(EXAMPLE_IMAGES))
        if block > EXAMPLE_IMAGES and all(map(np.array_equal, short, (rows[:EXAMPLE_IMAGES] for rows in found))):
            self._short = EXAMPLE_IMAGES
        self._nothing = [rows[:0] for rows in found]

    def run(self, pixels: Pixels) -> Outputs:
        """uint8 (n, size, size, 3) to one or more float32 arrays with first axis n.

        Raises `ValueError` for another shape.
        """
        check_pixels(pixels, self._size)
        if not len(pixels):
            return self._nothing
        parts: list[Outputs] = []
        at = 0
        with self._lock:
            while at < len(pixels):
                size = self.block if len(pixels) - at > self.block // 2 else self._short
                parts.append(self._run_block(pixels[at : at + size], size))
                at += size
        return [np.concatenate(rows) for rows in zip(*parts, strict=True)]

    def _run_block(self, pixels: Pixels, size: int) -> Outputs:
        """Up to `size` images, filled up to `size`."""
        count = len(pixels)
        filled = np.concatenate([pixels, np.zeros((size - count, *pixels.shape[1:]), np.uint8)])
        return [rows[:count] for rows in self._run(filled)]

    def _check(self, found: Outputs, expected: Outputs) -> None:
        """Raises `UnfitError` unless every output of every example image points where PyTorch's does."""
        least = LEAST_COSINE[self.precision]
        for ours, theirs in zip(found, expected, strict=True):
            cosine = _least_cosine(ours[: len(theirs)], theirs)
            # Written so that a NaN fails.
            if not cosine > least:
                raise UnfitError(f"{self.name}: cosine {cosine:.5f} to PyTorch fp32, at least {least} is asked for")


def open_engine(tower: Tower, name: str, *, cache_dir: Path, threads: int | None, block: int | None) -> Engine:
    """Open the named engine with a tower in it.

    Args:
        tower: what to run.
        name: one of `ENGINES`; `auto` takes the fastest that passes its check.
        cache_dir: where converted towers are kept.
        threads: processor cores to use; all of them by default.
        block: images at a time; the backend's own choice by default.

    Raises:
        ConfigurationError: the name is unknown, or what was named does not work here.
    """
    if name not in ENGINES:
        raise ConfigurationError(f"unknown engine {name!r}; there are {', '.join(ENGINES)}")
    failures: list[str] = []
    for load in _candidates(name, tower, cache_dir, threads):
        try:
            return _open(load, tower, block)
        except UnfitError as error:
            failures.append(str(error))
            if name == "auto":
                logger.warning("engine not used: %s", error)
        except OSError as error:
            raise ConfigurationError(f"converted models cannot be kept in {cache_dir}: {error}") from error
    raise ConfigurationError(f"engine {name!r} does not work here: {'; '.join(failures)}")


def _open(load: Callable[[], Loaded], tower: Tower, block: int | None) -> Engine:
    """Load and check; a conversion that fails its check is forgotten, so that the next start makes a new one."""
    loaded = load()
    try:
        return Engine(loaded, tower, block or loaded.block)
    except UnfitError:
        loaded.forget()
        raise


def _candidates(name: str, tower: Tower, cache_dir: Path, threads: int | None) -> Iterator[Callable[[], Loaded]]:
    """Ways to fulfil `name`, the best first; lazily, because asking for the later ones imports torch."""
    on_openvino = partial(engine_openvino.load, tower, cache_dir=cache_dir, threads=threads)
    on_torch = partial(engine_torch.load, tower, threads=threads)
    match name:
        case "torch":
            yield partial(on_torch, device="cuda" if engine_torch.has_cuda() else "cpu")
        case "openvino-fp32":
            yield partial(on_openvino, precision="fp32")
        case "openvino-bf16":
            yield partial(on_openvino, precision="bf16")
        case "openvino":
            yield partial(on_openvino, precision=engine_openvino.best_precision(tower))
        case _:
            if _has_cuda_driver() and engine_torch.has_cuda():
                yield partial(on_torch, device="cuda")
            for precision in dict.fromkeys((engine_openvino.best_precision(tower), "fp32")):
                yield partial(on_openvino, precision=precision)
            yield partial(on_torch, device="cpu")


def _has_cuda_driver() -> bool:
    """Whether asking torch for CUDA is worth the seconds that importing it takes."""
    for library in ("libcuda.so.1", "nvcuda.dll"):
        try:
            ctypes.CDLL(library)
        except OSError:
            continue
        return True
    return False


def _least_cosine(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    """The worst agreement over images: both (n, ...), flattened per image."""
    if ours.shape != theirs.shape:
        return float("nan")
    a, b = (rows.reshape(len(rows), -1).astype(np.float64) for rows in (ours, theirs))
    return float(((a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))).min())
