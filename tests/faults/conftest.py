"""Faults for real. `make faults` runs all of them and prints a table; `make test` runs those marked `quick`.

`FAULTS_SEED` changes the photographs, the order of things and the moments of the killings; the table says the seed.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.stage import Oracle, Stage, stage
from tests.servers import Server

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
    made = Oracle("fake", faults_cache)
    yield made
    made.close()


@pytest.fixture(name="stage")
def _stage(
    request: pytest.FixtureRequest, tmp_path: Path, seaweed: Server, oracle: Oracle, faults_cache: Path
) -> Iterator[Stage]:
    """Redis, a bucket, and proxies before both; what it counted goes into the table."""
    yield from _staged(request, tmp_path, seaweed, oracle, faults_cache)


@pytest.fixture
def starter_stage(
    request: pytest.FixtureRequest, tmp_path: Path, seaweed: Server, faults_cache: Path
) -> Iterator[Stage]:
    """The same, for workers with the real model."""
    oracle = Oracle("starter", faults_cache)
    try:
        yield from _staged(request, tmp_path, seaweed, oracle, faults_cache)
    finally:
        oracle.close()


def _staged(
    request: pytest.FixtureRequest, folder: Path, store: Server, oracle: Oracle, cache: Path
) -> Iterator[Stage]:
    started = time.monotonic()
    with stage(folder, store, oracle, SEED, CACHE_DIR=cache) as made:
        try:
            yield made
        finally:
            row = request.node.get_closest_marker("row")
            number, fault = row.args if row else ("", request.node.name)
            properties = request.node.user_properties
            properties += [("row", number), ("fault", fault), ("images", len(made.uploaded))]
            properties += [("seconds", time.monotonic() - started), ("notes", "; ".join(made.notes))]


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
    write(f"{'row':>3}  {'fault':<62} {'images':>6} {'seconds':>7}  result")
    for row, fails in lines:
        line = f"{row['row']:>3}  {row['fault']:<62} {row['images']:>6} {row['seconds']:>7.1f}  "
        write(line + ("FAILS" if fails else "holds") + (f"  {row['notes']}" if row["notes"] else ""))
    images, seconds = sum(row["images"] for row, _ in lines), sum(row["seconds"] for row, _ in lines)
    failures = sum(fails for _, fails in lines)
    write(f"{len(lines)} faults, {images} images, {seconds:.0f} seconds, {failures} failed")


def _order(row: str) -> int:
    return int(row) if row.isdigit() else 1000
