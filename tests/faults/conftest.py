"""Faults for real. `make faults` runs all of them and prints a table; `make test` runs those marked `quick`.

`FAULTS_SEED` changes the photographs, the order of things and the moments of the killings; the table says the seed.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

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
    lines = []
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, ()):
            told = dict(getattr(report, "user_properties", ()))
            if report.when == "teardown" or "row" not in told:
                continue
            lines.append((_order(told["row"]), told, outcome))
    if not lines:
        return
    terminalreporter.section(f"faults, seed {SEED}")
    terminalreporter.line(f"{'row':>5}  {'fault':<62} {'images':>6} {'s':>6}  result")
    for _, told, outcome in sorted(lines, key=lambda line: line[0]):
        result = "holds" if outcome == "passed" else "FAILS"
        terminalreporter.line(
            f"{told['row']:>5}  {told['fault']:<62} {told['images']:>6} {told['seconds']:>6.1f}  {result}"
            + (f"  {told['notes']}" if told["notes"] else "")
        )


def _order(row: str) -> tuple[int, str]:
    digits = "".join(filter(str.isdigit, row.partition(",")[0]))
    return int(digits or 1000), row
