"""`stockmeta tag`: tags here and now."""

import collections
import json
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from tasks.errors import ConfigurationError
from tasks.feeding.announce import Aside, changes_of
from tasks.layout import FOLDER_KEYS, Layout
from tasks.records import Outcome, Status
from tasks.tag import tag_many
from worker import console
from worker.announcing import announcing
from worker.explainer import Explainer
from worker.inputs import Inputs, expand
from worker.runtime import Runtime, load_model
from worker.settings import Settings
from worker.storage.local import LocalStore

OK, SOME_FAILED = 0, 1


def run(
    settings: Settings,
    paths: list[str],
    out: Path | None,
    *,
    dry_run: bool,
    explain: bool = False,
    about: Sequence[str] = (),
) -> int:
    """Tag what was given, write records to standard output and, with `out`, sidecars; returns the exit status.

    `explain` adds to each record that is written out, not to sidecars, why its keywords are there; `about` names
    concepts that are spoken of in any case.
    """
    inputs = _inputs(settings, paths, out)
    if dry_run:
        return _list(inputs)
    sidecars = None
    if out is not None:
        if out.exists() and not out.is_dir():
            raise ConfigurationError(f"--out {out}: it is not a folder")
        out.mkdir(parents=True, exist_ok=True)
        sidecars = LocalStore(out), Layout("", FOLDER_KEYS)
    total = None if "-" in paths or not sys.stderr.isatty() else sum(1 for _ in _inputs(settings, paths, out))
    with console.bars() as bars, announcing(settings) if out is not None else nullcontext(Aside()) as announced:
        model = load_model(settings, bars.update)
        explainer = Explainer(model, about) if explain or about else None
        tally = Tally()
        with Runtime(settings, model, inputs.stores, sidecars, retry_terminal=True) as runtime:
            for outcome in tag_many(runtime.tagger, inputs, settings.threads):
                console.emit(explainer.explained(outcome.record) if explainer else outcome.record.to_json())
                tally.add(outcome)
                if not outcome.cached:
                    announced.add(changes_of([outcome]))
                bars.update("tagging", tally.total, total)
    console.say(tally.summary(inputs.left))
    return OK if tally.good == tally.total else SOME_FAILED


class Tally:
    """Counts outcomes."""

    def __init__(self) -> None:
        self.total = self.good = self.cached = 0
        self._reasons: collections.Counter[str] = collections.Counter()
        self._start = time.monotonic()

    def add(self, outcome: Outcome) -> None:
        """Count one."""
        self.total += 1
        self.good += outcome.record.status.done
        self.cached += outcome.cached
        if outcome.record.status is not Status.TAGGED:
            self._reasons[outcome.record.reason or outcome.record.status] += 1

    def summary(self, left: int) -> str:
        """One line: how many, how fast, and what went wrong how often."""
        seconds = time.monotonic() - self._start
        parts = [f"{self.total} images in {seconds:.1f} s ({self.total / max(seconds, 1e-9):.1f} a second)"]
        if self.cached:
            parts.append(f"{self.cached} were tagged already")
        parts += [f"{count} {reason.replace('_', ' ')}" for reason, count in self._reasons.most_common()]
        if left:
            parts.append(f"{left} other files left alone")
        return ", ".join(parts)


def _inputs(settings: Settings, paths: list[str], out: Path | None) -> Inputs:
    if paths.count("-") > 1:
        raise ConfigurationError("- can be given once: there is one standard input")
    given = expand(paths, sys.stdin)
    return Inputs(given, settings.image_extensions, output=out, unique=out is not None, renditions=settings.renditions)


def _list(inputs: Inputs) -> int:
    count = 0
    for ref in inputs:
        count += 1
        console.emit(json.dumps({"bucket": ref.bucket, "key": ref.key}, ensure_ascii=False))
    console.say(f"{count} images would be tagged, {inputs.left} other files left alone")
    return OK
