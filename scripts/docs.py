"""Write what the docs take from the code: each command's help on its page, and the table of settings.

`--check` writes nothing and fails where a page is missing or not true any more.
"""

import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import typer.main
from pydantic_core import PydanticUndefined
from typer.testing import CliRunner

from tasks.bulk.cost import MEANINGS, PER_IMAGE, Estimate, Prices, estimate, requests_text
from tasks.bulk.results import Counts
from worker.bulk.report import size
from worker.cli import app
from worker.metrics import reference
from worker.settings import Settings

DOCS = Path(__file__).resolve().parent.parent / "docs"
HELP = re.compile(r"(<!-- help(?: (?P<name>[a-z-]+))? -->\n```text\n).*?(```\n)", re.DOTALL)
TABLE = re.compile(r"(<!-- (?:settings|metrics|costs) -->\n).*?(<!-- end -->\n)", re.DOTALL)


def main() -> int:
    """Returns the exit status."""
    check = "--check" in sys.argv[1:]
    wrong = missing = 0
    for path, make in pages():
        try:
            text = make()
        except LookupError as error:
            missing += 1
            print(f"{path.name}: {error}")
            continue
        if path.read_text(encoding="utf-8") != text:
            wrong += 1
            print(f"{path.name}: {'does not say what the code says; run make docs' if check else 'written again'}")
            if not check:
                path.write_text(text, encoding="utf-8")
    return 1 if missing or (check and wrong) else 0


def pages() -> Iterator[tuple[Path, Callable[[], str]]]:
    """Every page with a part from the code, and what makes its text as it should be; that raises `LookupError`."""
    for name, command in sorted(typer.main.get_command(app).commands.items()):
        path = DOCS / "commands" / f"{name}.md"
        yield path, partial(command_page, path, name, set(getattr(command, "commands", ())))
    for name, make in (("settings.md", settings), ("operations.md", metrics), ("backfill.md", costs)):
        yield DOCS / name, partial(table_page, DOCS / name, make)


def table_page(path: Path, make: Callable[[], str]) -> str:
    """A page with the table that `make` gives."""
    text, places = TABLE.subn(lambda match: match[1] + make() + match[2], path.read_text(encoding="utf-8"))
    if places != 1:
        raise LookupError("there has to be one place for the table")
    return text


def command_page(path: Path, name: str, below: set[str]) -> str:
    """A command's page with its help, and a group's with that of each of its commands too."""
    if not path.exists():
        raise LookupError("the command has no page in docs/commands")
    text = path.read_text(encoding="utf-8")
    wanted = {"", *below}
    if wanted != {match["name"] or "" for match in HELP.finditer(text)}:
        places = ", ".join(f"<!-- help{name and ' '}{name} -->" for name in sorted(wanted))
        raise LookupError(f"the places for the help have to be {places}, each before a text block")
    return HELP.sub(lambda match: match[1] + usage(name, match["name"]) + match[3], text)


def usage(*names: str | None) -> str:
    """What `stockmeta NAMES --help` prints, 110 columns wide."""
    arguments = [*filter(None, names), "--help"]
    result = CliRunner().invoke(app, arguments, prog_name="stockmeta", env={"COLUMNS": "110", "TERM": "dumb"})
    return "\n".join(line.rstrip() for line in result.output.strip("\n").splitlines()) + "\n"


def settings() -> str:
    """A table of all settings: variable, default, meaning."""
    source = Path(sys.modules[Settings.__module__].__file__ or "").read_text(encoding="utf-8")
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        said = re.search(rf'^    {name}: .*\n    """(.*)"""$', source, re.MULTILINE)
        if said is None:
            raise SystemExit(f"settings.py: {name} has no line that says what it means")
        default = field.default
        if default is None or default is PydanticUndefined:
            shown = ""
        elif isinstance(default, (tuple, frozenset)):
            shown = f"`{','.join(sorted(default))}`"
        else:
            shown = f"`{default}`"
        rows.append(f"| `STOCKMETA_{name.upper()}` | {shown} | {said[1]} |")
    return "\n".join(rows) + "\n"


def metrics() -> str:
    """A table of all metrics: name as scraped, type, labels, meaning."""
    rows = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    for said in reference():
        labels = ", ".join(f"`{label}`" for label in said.labels)
        rows.append(f"| `{said.name}` | {said.type} | {labels} | {said.meaning} |")
    return "\n".join(rows) + "\n"


LIBRARY, ORIGINAL = 100_000_000, 10_000_000
"""Images of the example of costs, and bytes of each."""


def costs() -> str:
    """A table of what a large library costs, by what is done: computed, from requests that a test counts."""
    todo = Counts(images=LIBRARY, missing=LIBRARY, sent=LIBRARY, bytes=LIBRARY * ORIGINAL)
    rows = ["| what is done | an image | read of it | requests in all | USD |", "|---|---|---|---|---|"]
    for way, meaning in MEANINGS.items():
        found = estimate(todo, way, prices=Prices())
        read = size(found.work.read / LIBRARY) + (" and the rendition" if way == "rendition" else "")
        rows.append(_cost_row(meaning, requests_text(PER_IMAGE[way]), read, found))
    done = Counts(images=LIBRARY, current=LIBRARY, records=LIBRARY)
    rows.append(_cost_row("nothing: all is current", "none", "nothing", estimate(done, "tag", prices=Prices())))
    return "\n".join(rows) + "\n"


def _cost_row(meaning: str, each: str, read: str, found: Estimate) -> str:
    return f"| {meaning} | {each} | {read} | {requests_text(found.listing + found.work)} | {found.dollars:,.2f} |"


if __name__ == "__main__":
    sys.exit(main())
