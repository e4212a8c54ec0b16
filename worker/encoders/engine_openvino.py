"""OpenVINO as an engine, for processors. Converted once, kept on disk; a warm start does not import torch.

Source of the properties: OpenVINO's own documentation of the CPU device.
"""

import json
import shutil
import sys
import time
import uuid
import warnings
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from tasks.ports import Pixels
from worker.encoders import engine_torch
from worker.encoders.contract import digest
from worker.encoders.tower import Loaded, Outputs, Precision, Tower, UnfitError

FORMAT = 1
BLOCK = 8
FILES = ("model.xml", "model.bin", "reference.npz")
MANIFEST = "manifest.json"
STALE_SECONDS = 24 * 3600

PRECISION_HINTS = {"fp32": "f32", "bf16": "bf16"}


def best_precision(tower: Tower) -> Precision:
    """The fastest precision that this processor has and the tower bears."""
    return "bf16" if tower.reducible and _has_bf16() else "fp32"


def load(tower: Tower, precision: Precision, cache_dir: Path, threads: int | None) -> Loaded:
    """A tower in OpenVINO, converted if it is not in the cache.

    Raises `UnfitError` where OpenVINO is missing, the processor lacks the precision or the conversion fails.
    """
    if precision == "bf16" and not tower.reducible:
        raise UnfitError("this model runs in fp32 only: less costs it accuracy")
    if precision == "bf16" and not _has_bf16():
        raise UnfitError("openvino bf16: this processor has no bf16")
    core = _core()
    folder = cache_dir / "towers" / digest(FORMAT, tower.identity, _openvino().__version__)
    # f32 must be said: OpenVINO's own default is bf16 where there is any. Not pinned to cores, which are shared with
    # the decoding processes. One stream, because one thread asks.
    properties = {
        "INFERENCE_PRECISION_HINT": PRECISION_HINTS[precision],
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
        **({"INFERENCE_NUM_THREADS": threads} if threads else {}),
    }
    try:
        if not _is_whole(folder):
            _convert(tower, folder)
        request = core.compile_model(core.read_model(folder / "model.xml"), "CPU", properties).create_infer_request()
    except RuntimeError as error:
        shutil.rmtree(folder, ignore_errors=True)
        # Its messages have many lines.
        raise UnfitError(f"openvino {precision}: {' '.join(str(error).split())}") from error

    def run(pixels: Pixels) -> Outputs:
        # Copied out: the request's own buffers are written again by the next call.
        return [np.array(rows, dtype=np.float32) for rows in request.infer([pixels]).values()]

    with np.load(folder / "reference.npz", allow_pickle=False) as stored:
        reference = [stored[f"arr_{at}"] for at in range(len(stored.files))]
    forget = partial(shutil.rmtree, folder, ignore_errors=True)
    return Loaded(f"openvino {precision}", precision, run, reference, BLOCK, forget)


@cache
def _openvino() -> Any:
    """The module, or `UnfitError`. Not imported at the top: it may be missing."""
    # Its converter reports usage to its maker unless a file in the user's home forbids it; without this package it
    # cannot, and has a stub for that case.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None is how an import is forbidden
    try:
        import openvino
    except ImportError as error:
        raise UnfitError(f"openvino is not installed: {error}") from error
    return openvino


def _has_bf16() -> bool:
    """Whether this processor computes in bf16; false where OpenVINO is missing."""
    try:
        return "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    except UnfitError:
        return False


@cache
def _core() -> Any:
    """The runtime, one for the process."""
    return _openvino().Core()


def _is_whole(folder: Path) -> bool:
    """Whether `folder` holds a conversion as it was written; sizes only, the check of the engine does the rest."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        return all((folder / name).stat().st_size == manifest["bytes"][name] for name in FILES)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _convert(tower: Tower, folder: Path) -> None:
    """Convert a tower with its scaling into `folder`, whole or not at all. Imports torch."""
    module = engine_torch.load_module(tower)
    reference = engine_torch.run(module, tower, tower.example())
    draft = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}.tmp")
    draft.mkdir(parents=True)
    try:
        # Weights stay fp32 on disk: one conversion serves every precision.
        _openvino().save_model(_traced(module, tower), draft / "model.xml", compress_to_fp16=False)
        np.savez(draft / "reference.npz", *reference)
        manifest = {
            "format": FORMAT,
            "identity": tower.identity,
            "openvino": _openvino().__version__,
            "outputs": [list(rows.shape[1:]) for rows in reference],
            "bytes": {name: (draft / name).stat().st_size for name in FILES},
        }
        (draft / MANIFEST).write_text(json.dumps(manifest, indent=2))
        _move(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    _sweep(folder.parent)


def _traced(module: Any, tower: Tower) -> Any:
    """The module as an OpenVINO model that takes uint8 (n, size, size, 3), n free."""
    import torch
    from openvino import Layout, Type
    from openvino.preprocess import PrePostProcessor
    from torch.jit._trace import TracerWarning

    with torch.no_grad(), warnings.catch_warnings():
        # About Python branches in the models, which do not depend on pixels, and about the age of `torch.jit`.
        warnings.simplefilter("ignore", TracerWarning)
        warnings.filterwarnings("ignore", "`torch.jit", FutureWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        example = torch.zeros(2, 3, tower.size, tower.size)
        model = _openvino().convert_model(module, example_input=example, input=[-1, 3, tower.size, tower.size])
    steps = PrePostProcessor(model)
    steps.input().tensor().set_element_type(Type.u8).set_layout(Layout("NHWC"))
    steps.input().model().set_layout(Layout("NCHW"))
    scaling = steps.input().preprocess().convert_element_type(Type.f32)
    scaling.mean([255 * value for value in tower.mean]).scale([255 * value for value in tower.std])
    return steps.build()


def _move(draft: Path, folder: Path) -> None:
    """Put a whole draft where it belongs, unless another process was first."""
    try:
        draft.rename(folder)
    except OSError:
        if _is_whole(folder):
            return
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)


def _sweep(folder: Path) -> None:
    """Remove what a killed conversion left behind."""
    for draft in folder.glob("*.tmp"):
        if time.time() - draft.stat().st_mtime > STALE_SECONDS:
            shutil.rmtree(draft, ignore_errors=True)
