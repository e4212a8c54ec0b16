"""`stockmeta evaluate`: how good the keywords are, on images of which people say what is true."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from tasks.errors import ConfigurationError, Unavailable
from taxonomy.evaluation import BY_FACET, Evaluation, Often, Results
from taxonomy.measure import LEVEL, RESAMPLES, Figure, names_of
from worker import console, evaluation_report
from worker.label_files import Labels
from worker.labelled import (
    Source,
    Tagged,
    Terms,
    count_terms,
    meanings_of,
    say_troubles,
    scores,
    tag_labelled,
    true_terms,
)
from worker.runtime import Model, load_model
from worker.settings import Settings

OK, SOME_FAILED = 0, 1
SHOWN_WORDS = 10


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for beside settings and images."""

    ks: tuple[int, ...] = (1, 5, 10)
    seed: int = 0
    strict: bool = False
    as_json: bool = False
    html: Path | None = None
    worst: int = 24


def run(settings: Settings, source: Source, asked: Asked) -> int:
    """Tag, compare, print figures and write the page if asked; returns the exit status."""
    labels = source.read()
    if asked.html is not None and not asked.html.parent.is_dir():
        raise ConfigurationError(f"--html {asked.html}: there is no folder {str(asked.html.parent)!r}")
    with console.bars() as bars:
        # Captions are not measured, and a model that writes them costs more than all else.
        model = load_model(settings.model_copy(update={"captioner": "composed"}), bars.update)
        tagged = tag_labelled(settings, model, labels, bars.update)
        done = evaluated(model, tagged, asked)
        report = Report(model, labels, tagged, done, asked)
        if asked.html is not None:
            paths = {labelled.key: labelled.path for labelled, _ in tagged.pairs}
            page = evaluation_report.render(report.page(), done.evaluation.worst(asked.worst), paths, settings, model)
            _write(asked.html, page)
    say_troubles(tagged.troubles)
    if asked.as_json:
        console.emit(json.dumps(report.to_dict(), ensure_ascii=False, allow_nan=False))
    else:
        for line in report.lines():
            console.emit(line)
    if asked.html is not None:
        console.say(f"report: {asked.html}")
    return SOME_FAILED if tagged.troubles else OK


@dataclass(frozen=True, slots=True)
class Done:
    """An evaluation with its results; `without` counts images none of whose terms the vocabulary has."""

    evaluation: Evaluation
    results: Results
    terms: Terms
    without: int


def evaluated(model: Model, tagged: Tagged, asked: Asked) -> Done:
    """Put keywords beside true terms. Raises `ConfigurationError` where the vocabulary has none of the terms."""
    meanings = meanings_of(model)
    chooser = model.describer.chooser
    evaluation = Evaluation(model.vocabulary, chooser.showable, asked.ks)
    without = 0
    for (labelled, record), score in zip(tagged.pairs, scores(model, [r for _, r in tagged.pairs]), strict=True):
        if true := true_terms(labelled, meanings, strict=asked.strict):
            shown = [(model.vocabulary.index[word.id], word.score) for word in record.keywords]
            evaluation.add(labelled.key, true, shown, score.astype(np.float64))
        else:
            without += 1
    terms = count_terms(tagged.pairs, meanings)
    if not evaluation.judged:
        some = ", ".join(islice(terms.unknown, 5))
        raise ConfigurationError(f"the vocabulary has none of the terms: {some}")
    return Done(evaluation, evaluation.results(asked.seed), terms, without)


@dataclass(frozen=True, slots=True)
class Report:
    """What is said of an evaluation, in each form."""

    model: Model
    labels: Labels
    tagged: Tagged
    done: Done
    asked: Asked

    def to_dict(self) -> dict[str, Any]:
        """One JSON object; a figure that no image has is null."""
        results, terms, provenance = self.done.results, self.done.terms, self.model.provenance
        return {
            "model": provenance.model,
            "engine": provenance.engine,
            "generation": provenance.generation,
            "taxonomy": provenance.taxonomy,
            "images": len(self.done.evaluation.judged),
            "not_read": [{"key": t.key, "reason": t.reason, "detail": t.detail} for t in self.tagged.troubles],
            "without_known_terms": self.done.without,
            "rows_without_terms": self.labels.unlabelled,
            "rows_left_out": self.labels.skipped,
            "strict": self.asked.strict,
            "bootstrap": {"resamples": RESAMPLES, "level": LEVEL, "seed": self.asked.seed},
            "figures": {name: _json_figures(figures) for name, figures in results.readings.items()},
            "facets": {f.facet: {"terms": f.terms} | _json_figures(f.figures) for f in results.facets},
            "terms": {"unknown": terms.unknown, "not_told_by_model": terms.untellable},
            "missed": [word._asdict() for word in results.missed],
            "wrong": [word._asdict() for word in results.wrong],
        }

    def summary(self) -> list[str]:
        """What was evaluated, and what was not."""
        judged, terms = self.done.evaluation.judged, self.done.terms
        count = sum(len(picture.terms) for picture in judged)
        words = sum(len(picture.keywords) for picture in judged)
        provenance = self.model.provenance
        lines = [
            f"{len(judged)} images with {count} true terms and {words} keywords, {provenance.model} on "
            f"{provenance.engine}, {len(self.model.vocabulary.concepts)} concepts"
        ]
        if terms.unknown:
            what = "count as missed" if self.asked.strict else "are left out"
            lines.append(f"terms that the vocabulary does not have {what}: {_listed(terms.unknown)}")
        if terms.untellable:
            lines.append(f"terms that the model cannot tell count as missed: {_listed(terms.untellable)}")
        for number, said in (
            (self.done.without, "images without a term that the vocabulary has are left out"),
            (len(self.tagged.troubles), "images could not be read"),
            (self.labels.unlabelled, "rows have no terms"),
            (self.labels.skipped, "rows are left out by --where"),
        ):
            if number:
                lines.append(f"{number} {said}")
        return lines

    def lines(self) -> list[str]:
        """For people: figures, facets, what goes wrong most often."""
        results = self.done.results
        names = list(results.readings)
        figures = [[name, *(ranged(f[name]) for f in results.readings.values())] for name in names_of(self.asked.ks)]
        facets = [[f.facet, str(f.terms), *map(ranged, f.figures.values())] for f in results.facets]
        return [
            *self.summary(),
            "",
            *_columns([["", *names], *figures]),
            "",
            *_columns([["facet", "terms", *BY_FACET], *facets]),
            "",
            f"missed most often: {_often(results.missed)}",
            f"wrong most often: {_often(results.wrong)}",
        ]

    def page(self) -> evaluation_report.Page:
        """For the HTML report."""
        return evaluation_report.Page(
            title=f"stockmeta evaluate: {self.model.provenance.model}",
            summary=tuple(self.summary()),
            results=self.done.results,
            most=SHOWN_WORDS * 2,
        )


def ranged(figure: Figure) -> str:
    """`0.66 (0.60 to 0.72)`; a dash where there is none."""
    return f"{figure.value:.2f} ({figure.low:.2f} to {figure.high:.2f})" if figure.images else "-"


def _json_figures(figures: Mapping[str, Figure]) -> dict[str, Any]:
    return {
        name: {
            field: None if isinstance(value, float) and math.isnan(value) else round(value, 6)
            for field, value in figure._asdict().items()
        }
        for name, figure in figures.items()
    }


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _often(words: Sequence[Often]) -> str:
    return ", ".join(f"{word.word} ({word.times} of {word.of})" for word in words[:SHOWN_WORDS]) or "none"


def _listed(counts: Mapping[str, int]) -> str:
    shown: Iterable[str] = (f"{term} ({count})" for term, count in islice(counts.items(), SHOWN_WORDS))
    more = len(counts) - SHOWN_WORDS
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _write(path: Path, page: str) -> None:
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror}") from error
