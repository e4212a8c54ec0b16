"""`stockmeta export`: an agency's upload file from the sidecars, and what the agency would refuse."""

import collections
import json
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from tasks.errors import ConfigurationError
from taxonomy import agencies
from taxonomy.agencies import Agency
from taxonomy.concepts import TaxonomyError
from taxonomy.words import load_screen
from worker import console
from worker.exports.csv_files import Files, Sink, Stream
from worker.exports.refusal import RULES, Refusal, refusal
from worker.exports.sheet import Row, Sheet
from worker.library import open_library
from worker.settings import Settings
from worker.sidecars import Broken, Sidecar, records, serving
from worker.vocabulary import load_wording

OK, SOME_REFUSED = 0, 1

PROGRESS_ROWS = 100
"""So often a progress bar is brought up to date."""


@dataclass(frozen=True)
class Options:
    """What the command line says; see `worker.cli_outputs`."""

    agency: str
    out: Path | None = None
    report: Path | None = None
    editorial: bool = False
    allow: frozenset[str] = frozenset()
    include_refused: bool = False
    check_source: bool = False
    dry_run: bool = False


def run(settings: Settings, options: Options) -> int:
    """Write the file or files, list what would be refused; returns the exit status."""
    sheet = _sheet(settings, options)
    library = open_library(settings)
    tally = Tally()
    # Before anything is written: a library without sidecars leaves no empty file.
    found = records(library, generation=serving(library), check_source=options.check_source)
    with ExitStack() as stack:
        bars = stack.enter_context(console.bars())
        report = stack.enter_context(_report(options.report))
        sink = stack.enter_context(_sink(sheet, options))
        for row in _rows(sheet, found, library.source.bucket, report, tally):
            if row.written and sink is not None:
                sink.write(row.cells)
            if tally.images % PROGRESS_ROWS == 0:
                bars.update("exporting", tally.images, None)
        over = isinstance(sink, Stream) and sink.over
        _written(sink)
    console.say(tally.summary(dry_run=options.dry_run))
    if over:
        console.say(f"{sheet.agency.title} takes less than that in one file: give --out FILE, and it is split")
    return SOME_REFUSED if tally.refused or over else OK


def _sheet(settings: Settings, options: Options) -> Sheet:
    wording = load_wording(settings)
    try:
        agency = agencies.load(options.agency, wording.policy.agencies)
        screen = load_screen(wording.vocabulary)
    except TaxonomyError as error:
        raise ConfigurationError(str(error)) from error
    _check(agency, options)
    return Sheet(
        agency,
        screen.extended(wording.policy.blocked, wording.policy.unblocked),
        as_editorial=options.editorial,
        allowed=options.allow,
        include_refused=options.include_refused,
        today=datetime.now(UTC).date(),
    )


def _check(agency: Agency, options: Options) -> None:
    if options.out is not None and options.report is not None and options.out.resolve() == options.report.resolve():
        raise ConfigurationError(f"--report {options.report}: the rows go there; name another file for the refusals")
    if unknown := sorted(options.allow - RULES.keys()):
        raise ConfigurationError(f"--allow {unknown[0]}: there is no such rule; there are {', '.join(RULES)}")
    if options.editorial and agency.editorial == "none":
        raise ConfigurationError(
            f"--editorial: {agency.title}'s file cannot say that a picture is for editorial use; export those pictures "
            "for another agency, or leave the option out"
        )


def _rows(
    sheet: Sheet, found: Iterable[Sidecar | Broken], bucket: str, report: TextIO, tally: "Tally"
) -> Iterator[Row]:
    """Each image's row; what is against it goes to the report."""
    for each in found:
        if isinstance(each, Broken):
            refused = [refusal("record", "record", each.path, each.detail, "tag it again, or remove the file")]
            tally.add(refused, written=False)
            _tell(report, sheet.agency.name, bucket, each.key, refused)
            continue
        row = sheet.add(each.published, _outdated(each))
        tally.add(row.refusals, written=row.written)
        _tell(report, sheet.agency.name, bucket, each.record.image.key, row.refusals)
        yield row


def _outdated(sidecar: Sidecar) -> tuple[Refusal, ...]:
    if sidecar.source not in ("replaced", "vanished"):
        return ()
    reason = f"the image was {'removed' if sidecar.source == 'vanished' else 'replaced'} since it was tagged"
    return (refusal(f"source_{sidecar.source}", "image", sidecar.record.image.key, reason, "tag the library again"),)


def _tell(report: TextIO, agency: str, bucket: str, key: str, refusals: Iterable[Refusal]) -> None:
    for each in refusals:
        line = {"agency": agency, "bucket": bucket, "key": key, **asdict(each)}
        report.write(json.dumps(line, ensure_ascii=False) + "\n")


@contextmanager
def _report(path: Path | None) -> Iterator[TextIO]:
    """Where refusals are listed."""
    if path is None:
        yield sys.stderr
        return
    try:
        file = path.open("w", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise ConfigurationError(f"--report {path}: it cannot be written: {error.strerror}") from error
    with file:
        yield file


@contextmanager
def _sink(sheet: Sheet, options: Options) -> Iterator[Sink | None]:
    """Where rows go; what is not whole when the block ends in trouble is removed."""
    form = sheet.agency.file
    if options.dry_run:
        yield None
        return
    sink: Sink = (
        Stream(form, sheet.header, console.pour) if options.out is None else Files(form, sheet.header, options.out)
    )
    try:
        yield sink
    except BaseException:
        sink.discard()
        raise


def _written(sink: Sink | None) -> None:
    """Give the files their names and say which there are, one JSON object a line."""
    written = [] if sink is None else sink.close()
    for part in written:
        line = {"file": str(part.path), "rows": part.rows, "bytes": part.bytes}
        console.emit(json.dumps(line, ensure_ascii=False))
    for path in sink.leftovers(written) if isinstance(sink, Files) else ():
        console.say(f"{path} is of an earlier export and does not belong to this one: remove it")


class Tally:
    """Counts images and reasons."""

    def __init__(self) -> None:
        self.images = self.rows = self.refused = 0
        self._rules: collections.Counter[str] = collections.Counter()
        self._start = time.monotonic()

    def add(self, refusals: Iterable[Refusal], *, written: bool) -> None:
        """Count one image."""
        rules = {each.rule for each in refusals}
        self.images += 1
        self.rows += written
        self.refused += bool(rules)
        self._rules.update(sorted(rules))

    def summary(self, *, dry_run: bool) -> str:
        """One line: how many, how fast, and which rules they break how often."""
        seconds = time.monotonic() - self._start
        done = "would be written" if dry_run else "written"
        parts = [f"{self.images} images, {self.rows} rows {done}, {self.refused} would be refused, in {seconds:.1f} s"]
        parts += [f"{rule} {count}" for rule, count in self._rules.most_common()]
        return ", ".join(parts)
