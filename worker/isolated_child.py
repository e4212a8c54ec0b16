"""What runs in the process for suspect images: a runtime of its own, one image at a time."""

import json
import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from queue import SimpleQueue
from typing import IO

from tasks.describe import unfinished
from tasks.errors import ConfigurationError, Reason, StockmetaError
from tasks.generations.pointer import join_generation
from tasks.records import ImageRef, Outcome, Status
from tasks.redo import Redo
from worker import logs
from worker.isolated_store import TellingStore
from worker.library import Library, open_library
from worker.runtime import Runtime, load_model
from worker.settings import load_settings


def serve() -> None:
    """Answer on standard output until standard input ends; then end at once, whatever is under way."""
    # What a library prints must not look like an answer.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    lines = _lines()
    settings = load_settings()
    logs.configure(settings.log_format, logging.INFO)
    try:
        library = open_library(settings)
        model = load_model(settings)
        model.judge.probe()
        # Joined and not opened: started again while the pointer moves, it would open once more what was given up.
        join_generation(library.sidecars, library.layout, model.provenance.generation)
        source, sidecars = _telling(library, answers)
        runtime = Runtime(settings, model, {source.bucket: source}, (sidecars, library.layout))
    except (StockmetaError, OSError) as error:
        _answer(answers, {"error": f"{type(error).__name__}: {error}"})
        sys.exit(2 if isinstance(error, ConfigurationError) else 1)
    _answer(answers, {"made": asdict(model.provenance)})
    for line in lines:
        asked = json.loads(line)
        ref = ImageRef(**asked["ref"])
        redo = Redo.from_dict(asked["redo"]) if asked["redo"] else None
        outcome = _blamed(ref, runtime.tagger.attempt(ref, redo=redo), runtime)
        if outcome.cached:
            # By a process that may have been killed in the middle of it.
            with suppress(StockmetaError):
                runtime.tagger.committed(ref)
        record = json.loads(outcome.record.to_json())
        _answer(answers, {"record": record, "cached": outcome.cached, "committed": outcome.committed})


def _blamed(ref: ImageRef, outcome: Outcome, runtime: Runtime) -> Outcome:
    """A bug is the image's own only if another picture passes; else everything is broken, and no image is to blame."""
    if outcome.record.reason != Reason.INTERNAL:
        return outcome
    try:
        runtime.probe()
    except Exception as error:  # noqa: BLE001 - it may be the same bug
        detail = f"no picture passes: {type(error).__name__}: {error}"
        return unfinished(runtime.tagger.describer.provenance, ref, Status.FAILED, "unavailable", detail)
    return outcome


def _telling(library: Library, answers: IO[str]) -> tuple[TellingStore, TellingStore]:
    """The library's stores, of source and sidecars; the same one if they are."""

    def tell(waiting: bool) -> None:
        _answer(answers, {"waiting": waiting})

    source = TellingStore(library.source, tell)
    return source, source if library.sidecars is library.source else TellingStore(library.sidecars, tell)


def _answer(stream: IO[str], answer: object) -> None:
    stream.write(json.dumps(answer) + "\n")
    stream.flush()


def _lines() -> Iterator[str]:
    """Lines of standard input. When it ends the parent is gone, and nobody waits for what is under way."""
    waiting: SimpleQueue[str] = SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            waiting.put(line)
        os._exit(0)

    threading.Thread(target=read, name="parent-watch", daemon=True).start()
    while True:
        yield waiting.get()
