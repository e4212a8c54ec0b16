"""The end of a bulk run: its report on standard output and in a folder, what to do next, and the exit status."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from itertools import islice
from pathlib import Path

from tasks.bulk.cost import Estimate
from tasks.bulk.results import Result, Unfinished
from tasks.errors import StockmetaError
from tasks.listing.reconcile import MARGIN_SECONDS
from tasks.records import Record
from worker import console
from worker.bulk.progress import duration
from worker.bulk.report import Report, prices, usd, write
from worker.library import Library
from worker.settings import Settings

OK, NOT_ALL = 0, 1
MOST = 1000
"""Images without metadata that a report names."""

CLOCKS_SECONDS = 60.0
"""How far clocks may be apart; records name times of workers' clocks."""


def told(
    result: Result, library: Library, settings: Settings, folder: Path | None = None, estimate: Estimate | None = None
) -> int:
    """Give the report; returns the exit status of a run that was not interrupted.

    Args:
        result: of the run.
        library: whose.
        settings: for the prices.
        folder: where the report goes too.
        estimate: of a dry run.

    Raises:
        ConfigurationError: the folder cannot be written; the report was given by then.
    """
    if result.rejected:
        named = (*_unfinished(library, result), *result.unfinished)
        result = replace(result, unfinished=named[:MOST])
    report = Report(result, library.meter.total, prices(settings), estimate)
    console.emit(report.to_json())
    for line in (summary(report), *result.notes, *report.steps):
        console.say(line)
    if folder is not None:
        _, page = write(report, folder)
        console.say(f"the report is in {page}")
    return status(result)


def summary(report: Report) -> str:
    """The run in one line."""
    if (due := report.estimate) is not None:
        time = "nobody knows how long" if due.seconds is None else f"about {duration(due.seconds)}"
        cost = f", {usd(due.dollars)} for requests" if due.listing.requests else ""
        return f"{due.images:,} of {report.found.images:,} images are to be worked on: {time}{cost}"
    cost = f", {usd(report.dollars)} for requests" if report.dollars else ""
    return f"{report.ended:,} images worked on, {report.result.rejected:,} without metadata{cost}"


def status(result: Result) -> int:
    """The exit status of a run that was not interrupted."""
    back = sum(kept.count for kept in result.kept if kept.reason in ("too_many", "empty_listing", "unknown"))
    last = result.passes[-1] if result.passes else None
    broken = last is None or (not last.complete and not last.sent)
    unstored = last is not None and last.unstored
    return NOT_ALL if result.rejected or result.not_ended or back or broken or unstored else OK


def _unfinished(library: Library, result: Result) -> tuple[Unfinished, ...]:
    """The images that ended without metadata since the run began, as their records say."""
    try:
        return tuple(islice(_recorded(library, result), MOST))
    except StockmetaError as error:
        console.say(f"images without metadata could not be read for the report: {error}")
        return ()


def _recorded(library: Library, result: Result) -> Iterator[Unfinished]:
    assert result.generation is not None
    since = result.started - CLOCKS_SECONDS
    prefix = library.layout.prefix("failed", result.generation, library.source.bucket, library.prefix)
    for stat in library.sidecars.list(prefix):
        if stat.modified is not None and stat.modified < since - MARGIN_SECONDS:
            continue
        found = library.sidecars.read(stat.key)
        try:
            record = Record.from_json(found[0]) if found else None
        except ValueError:
            continue
        if record and datetime.fromisoformat(record.updated_at).timestamp() >= since:
            yield Unfinished(record.image.key, record.status.value, record.reason or "", record.detail)
