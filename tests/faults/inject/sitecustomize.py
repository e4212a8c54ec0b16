"""Faults for a worker to have, put into its process from outside: Python imports this module by itself at start.

Only on request (`FAULT_ENCODER`, `FAULT_DECODER`), and only where it is on the path: the product knows nothing of it.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from types import ModuleType

import injected

CHANGES = {"worker.encoders.fake": injected.change_encoder, "worker.images.pool": injected.change_decoder}


class Finder(importlib.abc.MetaPathFinder):
    """Changes a module right after it is executed."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        change = CHANGES.get(name)
        spec = importlib.machinery.PathFinder.find_spec(name, path) if change else None
        if change is None or spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def changed(module: ModuleType) -> None:
            execute(module)
            change(module)

        spec.loader.exec_module = changed  # type: ignore[method-assign]  # that is the point
        return spec


if any(name.startswith("FAULT_") for name in os.environ):
    sys.meta_path.insert(0, Finder())
