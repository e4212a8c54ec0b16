"""Faults for real. `make faults` runs all of them and prints a table; `make test` runs those marked `quick`.

`FAULTS_SEED` changes the photographs, the order of things and the moments of the killings; the table says the seed.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.faults.stage import Oracle, Stage, stage
from tests.servers import Server

StageOn = Callable[[Server, Oracle], AbstractContextManager[Stage]]
SEED = int(os.environ.get("FAULTS_SEED", "1"))
HERE = Path(__file__).parent


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "quick: fast enough to be part of `make test`")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.faults)
            if item.get_closest_marker("quick"):
                item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="session")
def faults_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for this process's workers: converted models and embedded vocabularies."""
    return Path(os.environ.get("FAULTS_CACHE") or tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def oracle(faults_cache: Path) -> Iterator[Oracle]:
    """What every picture should get from the fake encoder."""
    with closing(Oracle("fake", faults_cache)) as made:
        yield made


@pytest.fixture
def stage_on(request: pytest.FixtureRequest, tmp_path: Path, faults_cache: Path) -> StageOn:
    """Makes a stage on any store; what it counted goes into the table."""

    @contextmanager
    def on(store: Server, oracle: Oracle) -> Iterator[Stage]:
        started = time.monotonic()
        with stage(tmp_path, store, oracle, SEED, CACHE_DIR=faults_cache) as made:
            try:
                yield made
            finally:
                row = request.node.get_closest_marker("row")
                number, fault = row.args if row else ("", "")
                if callspec := getattr(request.node, "callspec", None):
                    fault += f" ({callspec.id})"
                properties = request.node.user_properties
                properties += [("row", number), ("fault", fault), ("images", len(made.uploaded))]
                properties += [("seconds", time.monotonic() - started), ("notes", "; ".join(made.notes))]

    return on


@pytest.fixture(name="stage")
def _stage(stage_on: StageOn, seaweed: Server, oracle: Oracle) -> Iterator[Stage]:
    """Redis, a bucket, and proxies before both."""
    with stage_on(seaweed, oracle) as made:
        yield made


@pytest.fixture
def starter_stage(stage_on: StageOn, seaweed: Server, faults_cache: Path) -> Iterator[Stage]:
    """The same, for workers with the real model."""
    with closing(Oracle("starter", faults_cache)) as oracle, stage_on(seaweed, oracle) as made:
        yield made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table: a line for each fault."""
    told: dict[str, dict[str, Any]] = {}
    failed: set[str] = set()
    for outcome, reports in terminalreporter.stats.items():
        for report in reports:
            if properties := dict(getattr(report, "user_properties", ())):
                told[report.nodeid] = properties
            if outcome in ("failed", "error"):
                failed.add(report.nodeid)
    rows = [(row, node in failed) for node, row in told.items() if row.get("row")]
    lines = sorted(rows, key=lambda line: _order(line[0]["row"]))
    if not lines:
        return
    write = terminalreporter.line
    terminalreporter.section(f"faults, seed {SEED}")
    write(f"{'row':>3}  {'fault':<76} {'images':>6} {'seconds':>7}  result")
    for row, fails in lines:
        line = f"{row['row']:>3}  {row['fault']:<76} {row['images']:>6} {row['seconds']:>7.1f}  "
        write(line + ("FAILS" if fails else "holds"))
        if row["notes"]:
            write(f"     {row['notes']}")
    images, seconds = sum(row["images"] for row, _ in lines), sum(row["seconds"] for row, _ in lines)
    failures = sum(fails for _, fails in lines)
    write(f"{len(lines)} faults, {images} images, {seconds:.0f} seconds, {failures} failed")


def _order(row: str) -> int:
    return int(row) if row.isdigit() else 1000
