"""`stockmeta generation compare`: how two generations differ, as figures and as a page to look at."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.errors import ConfigurationError, Unavailable
from tasks.generations.compare import Comparison, Often, Pair
from tasks.generations.pointer import read_current
from worker import console
from worker.generations import compare_page
from worker.generations.comparing import compare
from worker.generations.found import Generation, generation, require
from worker.library import Library, open_library
from worker.settings import Settings

OK = 0
SHOWN_WORDS, SHOWN_IMAGES = 50, 10
MEASURE = "1 - weighted Jaccard index of the keywords, weights 0.9 to the power of the rank"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for.

    Attributes:
        a: the one generation, `b` the other.
        out: folder for compare.json and compare.html.
        limit: of the images that differ most, so many.
        sample: read so many images' records at most.
    """

    a: str
    b: str
    out: Path | None = None
    limit: int = 24
    sample: int | None = None
    as_json: bool = False


def run(settings: Settings, asked: Asked) -> int:
    """Compare, print, write the page if asked; returns the exit status."""
    library = open_library(settings)
    a, b = (require(library, name) for name in (asked.a, asked.b))
    if a == b:
        raise ConfigurationError(f"both are {a}: give two generations")
    if asked.out is not None:
        _make(asked.out)
    current = read_current(library.sidecars, library.layout)
    made = tuple(generation(library, current, name) for name in (a, b))
    with console.bars() as bars:
        comparison = compare(library, a, b, limit=asked.limit, sample=asked.sample, progress=bars.update)
        report = Report(library, (made[0], made[1]), comparison, asked.sample)
        if asked.out is not None:
            content = json.dumps(report.to_dict(), ensure_ascii=False, indent=2)
            _write(asked.out / "compare.json", content + "\n")
            page = compare_page.render(report.page(), comparison.worst, library, settings, bars.update)
            _write(asked.out / "compare.html", page)
    if asked.as_json:
        console.emit(json.dumps(report.to_dict(), ensure_ascii=False))
    else:
        for line in report.lines():
            console.emit(line)
    if asked.out is not None:
        console.say(f"report: {asked.out / 'compare.html'}")
    return OK


@dataclass(frozen=True, slots=True)
class Report:
    """What is said of a comparison, in each form."""

    library: Library
    made: tuple[Generation, Generation]
    comparison: Comparison
    sample: int | None

    def to_dict(self) -> dict[str, Any]:
        """One JSON object."""
        found = self.comparison
        return {
            "schema": "stockmeta-compare/1",
            "bucket": self.library.source.bucket,
            "prefix": self.library.prefix,
            "a": self.made[0].to_dict(),
            "b": self.made[1].to_dict(),
            "sample": self.sample,
            "images": {
                "compared": found.compared,
                "same": found.same,
                **{where: apart.count for where, apart in sorted(found.apart.items())},
            },
            "examples": {where: apart.keys for where, apart in sorted(found.apart.items())},
            "failed_only_b_reasons": dict(found.reasons.most_common()),
            "changed": dict(found.changed.most_common()),
            "distance": {"measure": MEASURE, "mean": self.mean},
            "keywords": {
                "gained": found.total("gained"),
                "lost": found.total("lost"),
                "gained_most": [word._asdict() for word in found.often("gained", SHOWN_WORDS)],
                "lost_most": [word._asdict() for word in found.often("lost", SHOWN_WORDS)],
            },
            "worst": [_json_pair(pair) for pair in found.worst],
        }

    @property
    def mean(self) -> float | None:
        """Of the distances of all images that were compared."""
        return round(self.comparison.distance / self.comparison.compared, 4) if self.comparison.compared else None

    def summary(self) -> Iterator[str]:
        """What was compared, and how it ended."""
        found = self.comparison
        of = "" if self.sample is None else f", a sample of at most {self.sample}"
        yield f"{found.compared} images compared{of}; {found.same} are the same in both"
        if found.compared:
            yield f"mean distance of their keywords {self.mean:.4f} (0 the same, 1 nothing in common)"
            yield f"{found.total('gained')} keywords gained, {found.total('lost')} lost"
        if found.changed:
            yield "changed: " + ", ".join(f"{name} {count}" for name, count in found.changed.most_common())
        for where, words in WORDS.items():
            if where in found.apart:
                yield f"{found.apart[where].count} {words}"
        if found.reasons:
            yield "why they fail: " + ", ".join(f"{reason} {count}" for reason, count in found.reasons.most_common())

    def lines(self) -> Iterator[str]:
        """For people."""
        for letter, made in zip("AB", self.made, strict=True):
            yield f"{letter}  {compare_page.made_by(made)}"
        yield from self.summary()
        for which in ("gained", "lost"):
            often: list[Often] = self.comparison.often("gained" if which == "gained" else "lost", SHOWN_WORDS)
            if often:
                yield f"{which} most often: " + ", ".join(f"{word.label} ({word.images})" for word in often)
        worst = self.comparison.worst[:SHOWN_IMAGES]
        if worst:
            yield "most different:"
        for pair in worst:
            signs = [f"-{word.labels['en']}" for word in pair.lost] + [f"+{word.labels['en']}" for word in pair.gained]
            yield f"  {pair.distance:.2f}  {json.dumps(pair.a.image.key, ensure_ascii=False)}  {' '.join(signs[:12])}"

    def page(self) -> compare_page.Page:
        """For the HTML page."""
        found = self.comparison
        return compare_page.Page(
            made=self.made,
            summary=tuple(self.summary()),
            gained=tuple(found.often("gained", SHOWN_WORDS)),
            lost=tuple(found.often("lost", SHOWN_WORDS)),
        )


WORDS = {
    "only_a": "images have a record in A only",
    "only_b": "images have a record in B only",
    "failed_only_b": "images fail in B and do not in A",
    "failed_only_a": "images failed in A and do not in B",
    "failed_both": "images fail in both",
    "other_content": "images were replaced between the two, and not compared",
    "unreadable": "images have a record that could not be read",
}


def _json_pair(pair: Pair) -> dict[str, Any]:
    return {
        "bucket": pair.a.image.bucket,
        "key": pair.a.image.key,
        "distance": round(pair.distance, 4),
        "gained": [word.labels.get("en", word.id) for word in pair.gained],
        "lost": [word.labels.get("en", word.id) for word in pair.lost],
        "titles": [pair.a.title, pair.b.title],
        "captions": [pair.a.caption, pair.b.caption],
    }


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"--out {folder}: the folder cannot be made: {error.strerror}") from error


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror}") from error
