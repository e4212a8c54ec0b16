"""The report of a bulk run: one JSON object, and a page that can be read without a network."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment

from tasks.bulk.cost import Estimate, Prices
from tasks.bulk.results import Counts, Result
from tasks.errors import ConfigurationError
from tasks.traffic import Traffic
from worker.bulk.advice import advice, next_steps
from worker.bulk.progress import duration
from worker.settings import Settings

SCHEMA = "stockmeta-backfill/1"
TEMPLATE = "backfill.html"


@dataclass(frozen=True, slots=True)
class Report:
    """A run that is over, and what it cost.

    Attributes:
        asked: what this process asked of S3 in the whole run.
        prices: of requests.
        estimate: what a run would cost, of a dry run.
        steps: what to do next, one sentence each.
    """

    result: Result
    asked: Traffic = field(default_factory=Traffic)
    prices: Prices = field(default_factory=Prices)
    estimate: Estimate | None = None

    @property
    def worked(self) -> Traffic:
        """What workers asked of S3."""
        return Traffic.from_counts(self.result.requests)

    @property
    def dollars(self) -> float:
        """For all requests, of this process and of workers."""
        return self.prices.of(self.asked + self.worked)

    @property
    def ended(self) -> int:
        """Images that ended."""
        return sum(self.result.outcomes.values())

    @property
    def per_second(self) -> float:
        """Images that ended, a second, from the beginning of the run to its end."""
        return self.ended / self.result.seconds if self.result.seconds > 0 else 0.0

    @property
    def found(self) -> Counts:
        """Of the first listing: how the library was."""
        return self.result.passes[0] if self.result.passes else Counts()

    @property
    def left(self) -> Counts:
        """Of the last listing: how the library is."""
        return self.result.passes[-1] if self.result.passes else Counts()

    @property
    def steps(self) -> tuple[str, ...]:
        """What to do next, one sentence each."""
        return next_steps(self.result)

    def per_image(self) -> dict[str, float]:
        """Requests of workers and bytes for each image that ended, by name."""
        ended = max(1, self.ended)
        return {name: round(count / ended, 3) for name, count in self.worked.to_counts().items()} if self.ended else {}

    def to_dict(self) -> dict[str, Any]:
        """The report as docs/backfill.md describes it, in JSON types."""
        result = self.result
        said = {"schema": SCHEMA} | asdict(result)
        said |= {
            "started": _moment(result.started),
            "ended": _moment(result.ended),
            "seconds": round(result.seconds, 1),
        }
        said |= {"requests": {"listing": self.asked.to_counts(), "work": self.worked.to_counts()}}
        said |= {"per_image": self.per_image(), "dollars": round(self.dollars, 6), "prices": asdict(self.prices)}
        said |= {"worked_on": self.ended, "without_metadata": result.rejected}
        said |= {"per_second": round(self.per_second, 3)}
        said |= {"estimate": self.estimate and self.estimate.to_dict(), "next": list(self.steps)}
        return said

    def to_json(self, indent: int | None = None) -> str:
        """One line, or indented for people."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=indent)


def render(report: Report) -> str:
    """The page, HTML. Keys and details come from outside, so every text in it is escaped."""
    template = (files("worker") / "templates" / TEMPLATE).read_text(encoding="utf-8")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"number": _number, "size": size, "duration": duration, "moment": _readable, "usd": usd}
    return environment.from_string(template).render(
        report=report,
        result=report.result,
        state=state(report.result),
        outcomes=[(name, count, share, advice(name)) for name, count, share in _shares(report.result.outcomes)],
        refused=[(reason, count, advice(f"rejected/{reason}")) for reason, count in report.left.refused.items()],
        requests=_requests(report),
    )


def write(report: Report, folder: Path) -> tuple[Path, Path]:
    """Write `report.json` and `report.html` into a folder, which is made; returns their paths.

    Raises:
        ConfigurationError: the folder cannot be written.
    """
    texts = {"report.json": report.to_json(indent=2) + "\n", "report.html": render(report)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"--report {folder}: it cannot be written: {error.strerror}") from error
    return folder / "report.json", folder / "report.html"


def prices(settings: Settings) -> Prices:
    """As the operator gave them."""
    return Prices(put=settings.price_put, get=settings.price_get)


def state(result: Result) -> tuple[str, str]:
    """How it ended: a class for the page, and a sentence."""
    if result.dry_run:
        return "plain", "Dry run: nothing was sent."
    if result.interrupted:
        return "unsure", "Interrupted before its end."
    if not result.converged:
        return "unsure", "Ended, and there may be more to do."
    if result.rejected:
        return "good", "Complete: the last listing found nothing to do. Some images have no metadata; see below."
    return "good", "Complete: the last listing found nothing to do."


def size(count: float) -> str:
    """`512 bytes`, `3.2 MB`, decimal as stores bill them."""
    units = ["bytes", "kB", "MB", "GB", "TB", "PB"]
    while count >= 999.5 and len(units) > 1:
        count /= 1000
        del units[0]
    return f"{count:,.0f} {units[0]}" if count >= 99.5 else f"{count:.3g} {units[0]}"


def usd(dollars: float) -> str:
    """Two decimals, or what is needed to see that it is not nothing."""
    return f"{dollars:,.2f} USD" if dollars >= 0.1 or not dollars else f"{dollars:.2g} USD"


def _number(count: float) -> str:
    return f"{count:,.0f}"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _readable(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _shares(outcomes: Mapping[str, int]) -> list[tuple[str, int, float]]:
    """Outcomes, the most frequent first, with their shares in percent."""
    total = sum(outcomes.values()) or 1
    ranked = sorted(outcomes.items(), key=lambda item: (-item[1], item[0]))
    return [(name, count, 100 * count / total) for name, count in ranked]


def _requests(report: Report) -> list[tuple[str, int, int, float | None, float]]:
    """Rows of the table: kind, of this process, of workers, of workers for an image, US dollars."""
    rows = []
    for operation in ("list", "get", "head", "put", "delete"):
        here, there = getattr(report.asked, operation), getattr(report.worked, operation)
        dollars = report.prices.of(Traffic(**{operation: here + there}))
        rows.append((operation.upper(), here, there, there / report.ended if report.ended else None, dollars))
    return rows
