"""`stockmeta generation`: which generations there are, what made them, which serves; and the end of one."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from tasks.errors import ConfigurationError
from tasks.generations.description import Description, reusable
from tasks.generations.pointer import promote, read_current, rollback, withdraw
from worker import console
from worker.generations.dropping import drop
from worker.generations.found import Counts, Generation, count, generation, generations, require, resolve
from worker.library import Library, open_library
from worker.queue.connection import connect, redis_errors
from worker.queue.heartbeat import workers
from worker.settings import Settings

OK, SOME_FAILED = 0, 1
LOOK_EVERY = 1000
"""Objects removed between two looks at the pointer."""
WIDTH = 120
"""Columns where standard output is no terminal."""


def run_list(settings: Settings, *, as_json: bool, counts: bool) -> int:
    """Print every generation; returns the exit status."""
    library = open_library(settings)
    rows: list[tuple[Generation, Counts | None]] = []
    with console.bars() as bars:
        for each in generations(library):
            counted = count(library, each.name, bars.update) if counts else None
            rows.append((each, counted))
            if as_json:
                more = {} if counted is None else counted._asdict()
                console.emit(json.dumps(each.to_dict() | more, ensure_ascii=False))
    if not rows:
        console.say(f"nothing was written yet in {library.sidecars.bucket!r} below {library.layout.root or '/'!r}")
    elif not as_json:
        _print(_overview(rows, counts=counts))
    return OK


def run_show(settings: Settings, name: str | None, *, as_json: bool) -> int:
    """Print one generation, the serving one by default, and how it differs from that; returns the exit status."""
    library = open_library(settings)
    name = require(library, name or "serving")
    current = read_current(library.sidecars, library.layout)
    shown = generation(library, current, name)
    content = shown.to_dict()
    if current.serving not in (None, name) and current.serving is not None:
        serving = generation(library, current, current.serving)
        content |= _beside(shown.description, serving.description)
    if as_json:
        console.emit(json.dumps(content, ensure_ascii=False))
    else:
        _print(_properties(content))
        if shown.description is None:
            console.say("it was opened by an earlier version, which left no description; a worker that makes it will")
    return OK


def run_promote(settings: Settings, name: str, *, force: bool) -> int:
    """Let a generation serve; returns the exit status. Raises `ConfigurationError` where it has fewer records."""
    library = open_library(settings)
    name = resolve(library, name)
    serving = read_current(library.sidecars, library.layout).serving
    if name == serving:
        console.say(f"{name} serves already")
        return OK
    if serving is not None and not force:
        require_as_many(library, name, serving)
    current = promote(library.sidecars, library.layout, name)
    console.emit(json.dumps({"serving": current.serving, "filling": current.filling, "previous": current.previous}))
    console.say(
        f"{name} serves" + (f" in place of {serving}; `stockmeta generation rollback` undoes it" if serving else "")
    )
    return OK


def require_as_many(library: Library, name: str, serving: str) -> None:
    """Raises `ConfigurationError`, with both numbers, if readers would lose images."""
    with console.bars() as bars:
        new, old = (count(library, each, bars.update) for each in (name, serving))
    console.say(f"{name} has {new.records} records ({new.failed} of images that failed)")
    console.say(f"{serving} has {old.records} records ({old.failed} of images that failed)")
    if new.records < old.records:
        raise ConfigurationError(
            f"{name} has {new.records} records, and {serving}, which serves, has {old.records}: fill it with "
            "`stockmeta backfill` first, or say `stockmeta generation promote --force`"
        )


def run_rollback(settings: Settings) -> int:
    """Let the generation serve again that served before; returns the exit status."""
    library = open_library(settings)
    before = read_current(library.sidecars, library.layout).serving
    current = rollback(library.sidecars, library.layout)
    console.emit(json.dumps({"serving": current.serving, "filling": current.filling, "previous": current.previous}))
    console.say(
        f"{current.serving} serves again in place of {before}. What was uploaded while {before} served alone is in it "
        "once workers that make it have ended a `stockmeta backfill`"
    )
    return OK


def run_drop(settings: Settings, name: str, *, yes: bool, dry_run: bool) -> int:
    """Remove a generation; returns the exit status."""
    library = open_library(settings)
    if name == "previous":
        # Withdrawn from the pointer at once: the same words would mean another one when the command is run again.
        raise ConfigurationError("say by its 12 hex digits which generation to drop")
    name = require(library, name)
    current = read_current(library.sidecars, library.layout)
    if name == current.serving:
        raise ConfigurationError(f"{name} serves: promote another generation, or roll back, before it can be dropped")
    _require_no_worker(settings, name)
    if not dry_run:
        if not yes:
            _ask(library, name, filling=name == current.filling)
        withdraw(library.sidecars, library.layout, name)
    with console.bars() as bars:

        def removed(number: int) -> None:
            bars.update(f"removing {name}", number, None)
            if not dry_run and number % LOOK_EVERY == 0:
                _require_withdrawn(library, name)

        done = drop(library.sidecars, library.layout, name, removed, dry_run=dry_run)
    if not dry_run:
        _require_withdrawn(library, name)
    console.emit(json.dumps({"generation": name, "removed": 0 if dry_run else done.removed, "found": done.removed}))
    for key in done.foreign:
        console.say(f"{key}: this is none of ours, and stays")
    if done.rewritten:
        console.say(f"{done.rewritten} objects were written meanwhile: stop who writes {name}, then run this again")
        return SOME_FAILED
    return OK


def _require_withdrawn(library: Library, name: str) -> None:
    """Raises `ConfigurationError` if somebody put the generation back into the pointer, to serve or to be filled."""
    current = read_current(library.sidecars, library.layout)
    if name in (*current.written, *current.previous):
        raise ConfigurationError(
            f"somebody let {name} serve or be filled again while it was being removed, so no more is; part of it is "
            "gone. Roll back if it serves, or let `stockmeta backfill` make what is missing; start its workers anew"
        )


def _require_no_worker(settings: Settings, name: str) -> None:
    """Raises `ConfigurationError` if a live worker makes the generation, and `Unavailable` if the broker is silent."""
    if settings.broker_url is None:
        return
    with connect(settings) as client, redis_errors("the workers could not be looked for"):
        making = [f"{state.host}:{state.pid}" for state in workers(client) if state.generation == name]
    if making:
        raise ConfigurationError(f"workers make {name}: {', '.join(making)}; stop them first")


def _ask(library: Library, name: str, *, filling: bool) -> None:
    """Ask a person. Raises `ConfigurationError` where there is none, or the answer is no."""
    what = "is being filled" if filling else "does not serve"
    where = f"{library.sidecars.bucket}/{library.layout.generation(name)}"
    if not sys.stdin.isatty():
        raise ConfigurationError(f"{name} {what}; to remove everything in {where}, say --yes")
    console.say(f"{name} {what}. Everything in {where} will be removed, and cannot be brought back. Remove it? [y/N]")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise ConfigurationError("nothing was removed")


def _beside(shown: Description | None, serving: Description | None) -> dict[str, Any]:
    """What is other than in the generation that serves, as far as both are described."""
    if shown is None or serving is None:
        return {"differs_in": None, "reuses_embeddings": None}
    names = sorted(shown.parts.keys() | serving.parts.keys())
    differs = [name for name in names if shown.parts.get(name) != serving.parts.get(name)]
    return {"differs_in": differs, "reuses_embeddings": reusable(shown.sight, serving.sight)}


def _overview(rows: Sequence[tuple[Generation, Counts | None]], *, counts: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("generation", "state", "opened", "model", "engine", "captioner", "languages"):
        table.add_column(name)
    for name in ("sidecars", "failed") if counts else ():
        table.add_column(name, justify="right")
    for each, counted in rows:
        known = each.to_dict()
        cells = [_cell(known[name]) for name in ("opened_at", "model", "engine", "captioner", "languages")]
        cells[0] = cells[0][:16].replace("T", " ")
        state = "" if each.state == "kept" else each.state
        table.add_row(each.name, state, *cells, *(map(str, counted) if counted is not None else ()))
    return table


def _properties(content: Mapping[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in _flat(content):
        table.add_row(name, _cell(value))
    return table


def _flat(content: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, list | tuple):
        return ", ".join(value) or "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _print(table: Table) -> None:
    screen = Console(file=sys.stdout, width=None if sys.stdout.isatty() else WIDTH, highlight=False, markup=False)
    with screen.capture() as captured:
        screen.print(table)
    for line in captured.get().splitlines():
        console.emit(line.rstrip())
