"""`stockmeta generation pack`: a copy of what a re-score needs of a generation, in few large files."""

import json
from dataclasses import asdict

from worker import console
from worker.generations.found import require
from worker.library import open_library
from worker.packing import Packer
from worker.settings import Settings

OK, SOME_UNUSABLE = 0, 1
NAMED = 20
"""Sidecars that are named one by one."""


def run(settings: Settings, name: str | None, *, dry_run: bool) -> int:
    """Pack a generation, the serving one by default; returns the exit status.

    Raises:
        ConfigurationError: there is no such generation, or a listing is in another order than its store names.
        Unavailable: the store does not answer, or somebody else packs at the same time.
    """
    library = open_library(settings)
    generation = require(library, name or "serving")
    with console.bars() as bars:

        def progress(images: int, _: int) -> None:
            bars.update(f"packing {generation}", images, None)

        packer = Packer(library.sidecars, library.layout, generation, library.source.bucket, dry_run, progress)
        packed = packer.run()
    line = {"generation": generation, "dry_run": dry_run} | asdict(packed) | {"unusable": len(packed.unusable)}
    console.emit(json.dumps(line))
    for path in packed.unusable[:NAMED]:
        console.say(f"{path}: it cannot be packed: a re-score will read it, and then the image itself")
    if len(packed.unusable) > NAMED:
        console.say(f"and {len(packed.unusable) - NAMED} more")
    return SOME_UNUSABLE if packed.unusable else OK
