"""`stockmeta status`: queues, ledger, workers and their rates, as they are now."""

import json
import sys
import time

import msgspec
from rich.console import Console
from rich.table import Table

from worker import console
from worker.queue.connection import connect
from worker.queue.heartbeat import EXPIRES_SECONDS, WorkerState
from worker.queue.snapshot import Snapshot, take
from worker.settings import Settings

WIDTH = 120
"""Columns where standard output is no terminal."""


def run(settings: Settings, *, as_json: bool) -> int:
    """Look once and print. Raises `ConfigurationError` without a broker, `Unavailable` if it does not answer."""
    with connect(settings) as client:
        snapshot = take(client)
    if as_json:
        console.emit(json.dumps(msgspec.to_builtins(snapshot) | {"per_second": snapshot.per_second}))
        return 0
    for line in render(snapshot, time.time()).splitlines():
        console.emit(line)
    if not snapshot.workers:
        console.say(f"no worker was heard of in the last {EXPIRES_SECONDS} seconds")
    return 0


def render(snapshot: Snapshot, now: float) -> str:
    """Tables for a person; `now` in seconds since 1970."""
    screen = Console(file=sys.stdout, width=None if sys.stdout.isatty() else WIDTH, highlight=False, markup=False)
    with screen.capture() as captured:
        screen.print(_queues(snapshot))
        screen.print(
            f"in hand {snapshot.in_hand}, put off {snapshot.deferred}, failing images {snapshot.failing}, "
            f"images a second {snapshot.per_second:g}",
            soft_wrap=True,
        )
        if snapshot.workers:
            screen.print()
            screen.print(_workers(snapshot.workers, now))
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def _queues(snapshot: Snapshot) -> Table:
    table = _table("queue", ">waiting", ">oldest", ">in ledger", ">oldest there")
    for queue in snapshot.queues:
        table.add_row(
            queue.name, str(queue.waiting), _age(queue.oldest_seconds), str(queue.open), _age(queue.open_seconds)
        )
    return table


def _workers(workers: tuple[WorkerState, ...], now: float) -> Table:
    table = _table("worker", "model", "generation", "queues", ">up", ">images/s", ">under way", "outcomes")
    for worker in workers:
        outcomes = sorted(worker.outcomes.items(), key=lambda item: -item[1])
        table.add_row(
            f"{worker.host}:{worker.pid}",
            worker.model,
            worker.generation,
            ", ".join(worker.queues),
            _age(max(0.0, now - worker.started)),
            f"{worker.per_second:g}",
            str(worker.under_way),
            ", ".join(f"{name} {count}" for name, count in outcomes),
        )
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left")
    return table


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
