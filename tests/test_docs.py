"""The prose agrees with the repository: links lead somewhere, and what is named exists."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
import yaml

from worker.cli import app
from worker.metrics import reference
from worker.settings import Settings

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = sorted(
    path
    for path in REPOSITORY.rglob("*.md")
    if not any(part.startswith(".") or part == "demo-output" for part in path.relative_to(REPOSITORY).parts)
)
IDS = [str(path.relative_to(REPOSITORY)) for path in PAGES]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
SHELL = ("sh", "console")

MAKE = re.compile(r"\bmake (?:[A-Z]+=\S+ )*([a-z][a-z-]*)")
COMMAND = re.compile(r"^(?:\$ )?(?:[\w./]*/)?stockmeta ([a-z]+)\b", re.MULTILINE)
SETTING = re.compile(r"\bSTOCKMETA_([A-Z0-9_]+)\b")
SOURCE = re.compile(r"(?:taxonomy|tasks|worker|tests|scripts|docs|examples|\.ci)/[\w./-]*")

# Not preceded by what would make it a part of a path.
METRIC = re.compile(r"(?<![\w/.-])stockmeta_([a-z_]+)\b(?!/)")
METRICS = {said.name.removeprefix("stockmeta_") for said in reference()}

each_page = pytest.mark.parametrize("page", PAGES, ids=IDS)


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return FENCE.sub("", read(page))


def spans(page: Path) -> list[str]:
    return SPAN.findall(prose(page))


def shell(page: Path) -> Iterator[str]:
    """What a reader may type: short pieces of code, and blocks that are marked as shell."""
    yield from spans(page)
    yield from (text for language, text in FENCE.findall(read(page)) if language in SHELL)


def anchors(page: Path) -> set[str]:
    """Of a page's headings, as GitHub makes them."""
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in HEADING.findall(prose(page))}


def absent() -> set[str]:
    """The commands that the README lists as missing."""
    section = prose(REPOSITORY / "README.md").partition("\n## Not there yet\n")[2].partition("\n## ")[0]
    return {name for span in SPAN.findall(section) for name in COMMAND.findall(span)}


def metrics_in(text: str) -> set[str]:
    """Names as they are registered, without what a histogram adds."""
    return {re.sub(r"_(?:bucket|sum|count)$", "", name) for name in METRIC.findall(text)}


def commands() -> set[str]:
    return set(typer.main.get_command(app).commands)


@each_page
def test_relative_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(prose(page)):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(REPOSITORY), link
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@each_page
def test_commands_that_are_named_exist_or_are_listed_as_missing(page: Path) -> None:
    named = {name for text in shell(page) for name in COMMAND.findall(text)}
    assert named <= commands() | absent()


def test_the_list_of_what_is_missing_is_true() -> None:
    assert "\n## Not there yet\n" in read(REPOSITORY / "README.md")
    assert not absent() & commands()


def test_every_command_is_in_the_readme_and_has_a_page() -> None:
    named = {name for span in spans(REPOSITORY / "README.md") for name in COMMAND.findall(span)}
    assert commands() <= named - absent()
    assert {path.stem for path in (REPOSITORY / "docs" / "commands").glob("*.md")} == commands()


@each_page
def test_make_targets_that_are_named_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", read(REPOSITORY / "Makefile"), re.MULTILINE))
    named = {name for text in shell(page) for name in MAKE.findall(text)}
    assert named <= targets


def test_the_readme_names_the_two_commands_to_begin_with() -> None:
    named = {name for text in shell(REPOSITORY / "README.md") for name in MAKE.findall(text)}
    assert {"demo", "test"} <= named


@each_page
def test_settings_that_are_named_exist(page: Path) -> None:
    known = {name.upper() for name in Settings.model_fields}
    assert set(SETTING.findall(read(page))) <= known


@each_page
def test_metrics_that_are_named_exist(page: Path) -> None:
    assert metrics_in(read(page)) <= METRICS


def test_alerts_are_about_metrics_that_exist() -> None:
    rules = yaml.safe_load(read(REPOSITORY / "examples" / "prometheus-alerts.yml"))["groups"][0]["rules"]
    named = [metrics_in(rule["expr"]) for rule in rules]
    assert all(named)
    assert set().union(*named) <= METRICS


@each_page
def test_files_that_are_named_exist(page: Path) -> None:
    for span in spans(page):
        if SOURCE.fullmatch(span):
            assert (REPOSITORY / span).exists(), span


def test_every_decision_is_listed() -> None:
    folder = REPOSITORY / "docs" / "adr"
    listed = set(LINK.findall(read(folder / "README.md")))
    assert {path.name for path in folder.glob("0*.md")} == listed
