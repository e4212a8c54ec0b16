"""`stockmeta calibrate`: thresholds and reference statistics from a customer's labelled images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tasks.errors import ConfigurationError
from taxonomy import calibration as files
from taxonomy.calibration import Calibration, scored_fingerprint
from taxonomy.choose import Chooser
from taxonomy.concepts import TaxonomyError
from taxonomy.evaluation import READINGS, Evaluation
from taxonomy.exact import Floats
from taxonomy.fitting import IMAGES, StatisticsFit, Thresholds, fit_thresholds, held_out
from taxonomy.measure import LENIENT, Figure, means, names_of
from taxonomy.score import VERSION, Scorer, Statistics, statistics
from taxonomy.truth import Meaning, Relations, relations
from worker import console
from worker.commands.evaluate import ranged
from worker.encoders.contract import scoring_identity
from worker.label_files import Labels
from worker.labelled import Source, Tagged, meanings_of, say_troubles, tag_labelled, true_terms
from worker.runtime import Model, load_model
from worker.settings import Settings

OK, NOT_BETTER = 0, 1
COMPARED = ("precision", "recall", "F1", "P@5", "R@5", "mAP", "nDCG@10")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for beside settings and images."""

    out: Path
    target_precision: float | None = None
    holdout: float = 0.5
    seed: int = 0
    force: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """A labelled image: its embedding as stored, (d,), and its true terms."""

    key: str
    vector: Floats
    meanings: tuple[Meaning, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of the images kept from the fit, without the calibration and with it, and what it gains."""

    before: Figure
    after: Figure
    gain: Figure


Comparison = Mapping[str, Mapping[str, Difference]]
"""By reading and figure."""


def run(settings: Settings, source: Source, asked: Asked) -> int:
    """Fit, compare on what was kept from the fit, write the file; returns the exit status."""
    if asked.out.exists() and not asked.force:
        raise ConfigurationError(f"{asked.out} is there already; --force replaces it")
    if not asked.out.parent.is_dir():
        raise ConfigurationError(f"--out {asked.out}: there is no folder {str(asked.out.parent)!r}")
    labels = source.read()
    with console.bars() as bars:
        # Without the calibration that a policy may name already, perhaps for another vocabulary: this makes a new one.
        # Captions are not measured, and a model that writes them costs more than all else.
        model = load_model(settings.model_copy(update={"captioner": "composed"}), bars.update, calibrated=False)
        if model.vocabulary.flat:
            raise ConfigurationError(
                f"{settings.vocabulary} is a word list, which is taken literally, and no policy can name a calibration "
                "for it: give a taxonomy file, or leave --vocabulary away"
            )
        _enough(len(labels.images), "labelled images")
        tagged = tag_labelled(settings, model, labels, bars.update)
        say_troubles(tagged.troubles)
        bench = Bench(model, np.asarray(model.embeddings), _samples(model, tagged))
    fit, rest = bench.split(asked.holdout, asked.seed)
    try:
        calibration, thresholds = bench.fit(fit, asked.target_precision)
        comparison = bench.compare(calibration, rest, asked.seed)
        verdict = judge(comparison, asked.target_precision)
        about = _about(bench, labels, asked, thresholds, comparison, verdict, (len(fit), len(rest)))
        files.save(asked.out, calibration, model.vocabulary, about)
    except TaxonomyError as error:
        raise ConfigurationError(str(error)) from error
    for line in lines(comparison, thresholds, (len(fit), len(rest))):
        console.emit(line)
    console.say(f"written: {asked.out}; a policy names it under [calibration] as file")
    console.say(verdict.text)
    return OK if verdict.better else NOT_BETTER


@dataclass(frozen=True)
class Bench:
    """A model and labelled images, to score them as one likes.

    Attributes:
        model: with the customer's policy, and no calibration.
        concepts: embeddings (m, d) of the concepts that are scored.
        samples: the images.
    """

    model: Model
    concepts: Floats
    samples: Sequence[Sample]

    def split(self, share: float, seed: int) -> tuple[list[Sample], list[Sample]]:
        """Images to fit on and images to compare on."""
        kept = held_out([sample.key for sample in self.samples], share, seed)
        return (
            [sample for sample, out in zip(self.samples, kept, strict=True) if not out],
            [sample for sample, out in zip(self.samples, kept, strict=True) if out],
        )

    def fit(self, samples: Sequence[Sample], target: float | None) -> tuple[Calibration, Thresholds]:
        """A calibration from some images. Raises `TaxonomyError` where they are too few."""
        vocabulary, policy = self.model.vocabulary, self.model.describer.chooser.policy
        fitting = StatisticsFit(self.concepts, self._usual())
        beside = [self._beside(sample) for sample in samples]
        for sample, relation in zip(samples, beside, strict=True):
            fitting.add(sample.vector, relation)
        usual = fitting.result()
        ids = [concept.id for concept in vocabulary.concepts]
        calibration = Calibration(
            encoder=scoring_identity(self.model.encoder),
            vocabulary=scored_fingerprint(vocabulary),
            mean=files.table(ids, usual.mean),
            deviation=files.table(ids, usual.deviation),
            scoring=VERSION,
        )
        scores = self._scorer(calibration).score(np.stack([sample.vector for sample in samples])).score
        margin = policy.thresholds.margin
        showable = self.model.describer.chooser.showable
        found = fit_thresholds(scores, beside, vocabulary, showable, margin, target)
        rounded = {identifier: round(value, files.DIGITS) for identifier, value in found.concepts.items()}
        return replace(calibration, thresholds=rounded, fallback=round(found.fallback, files.DIGITS)), found

    def compare(self, calibration: Calibration, samples: Sequence[Sample], seed: int) -> Comparison:
        """Figures with and without a calibration, and the paired differences, on some images."""
        before, after = self._evaluated(None, samples), self._evaluated(calibration, samples)
        compared: dict[str, dict[str, Difference]] = {}
        names = names_of(before.ks)
        for reading in READINGS:
            old, new = before.values(reading), after.values(reading)
            # The seed draws the same images for all three.
            figures = zip(means(old, seed), means(new, seed), means(new - old, seed), strict=True)
            differences = dict(zip(names, (Difference(*three) for three in figures), strict=True))
            compared[reading.name] = {name: differences[name] for name in COMPARED}
        return compared

    def _evaluated(self, calibration: Calibration | None, samples: Sequence[Sample]) -> Evaluation:
        vocabulary, chooser = self.model.vocabulary, self.model.describer.chooser
        if calibration is not None:
            chooser = Chooser(vocabulary, *calibration.applied(chooser.policy))
        evaluation = Evaluation(vocabulary, chooser.showable, (5,))
        scores = self._scorer(calibration).score(np.stack([sample.vector for sample in samples]))
        for i, sample in enumerate(samples):
            chosen = chooser.choose(scores.raw[i], scores.chance[i], scores.score[i])
            shown = [(word.position, word.score) for word in chosen]
            evaluation.add(sample.key, sample.meanings, shown, scores.score[i].astype(np.float64))
        return evaluation

    def _scorer(self, calibration: Calibration | None) -> Scorer:
        usual = self._usual()
        if calibration is not None:
            usual = calibration.usual(self.model.vocabulary, usual)
        return Scorer(self.model.vocabulary, self.concepts, usual, self.model.encoder.logit_scale)

    def _usual(self) -> Statistics | None:
        references = self.model.encoder.references()
        return None if references is None else statistics(self.concepts, references)

    def _beside(self, sample: Sample) -> Relations:
        return relations(sample.meanings, len(self.model.vocabulary.concepts))


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the calibration helped where it was not fitted, and a sentence for the file and the person."""

    better: bool
    text: str


def judge(comparison: Comparison, target: float | None) -> Verdict:
    """By F1, read leniently; where a precision was asked for, by whether it is reached."""
    what = comparison[LENIENT.name]["F1" if target is None else "precision"]
    if target is not None:
        if what.after.value >= target:
            return Verdict(True, f"held out, precision is {ranged(what.after)}, and {target} was asked for")
        return Verdict(False, f"warning: held out, precision is {ranged(what.after)}, below the {target} asked for")
    said = f"held out, F1 goes from {what.before.value:.3f} to {what.after.value:.3f}"
    said += f", a difference of {what.gain.value:+.3f} ({what.gain.low:+.3f} to {what.gain.high:+.3f})"
    if what.gain.value <= 0:
        return Verdict(False, f"warning: it is not better: {said}; label more images, or go without it")
    if what.gain.low <= 0:
        return Verdict(True, f"{said}, which may be chance: label more images to be sure")
    return Verdict(True, said)


def lines(comparison: Comparison, thresholds: Thresholds, sizes: tuple[int, int]) -> list[str]:
    """For people: what was fitted on what, and the comparison."""
    said = [
        f"fitted on {sizes[0]} images, compared on {sizes[1]} others; thresholds of their own: "
        f"{len(thresholds.own)} concepts, {len(thresholds.facets)} facets; for the rest {thresholds.fallback:.4f}"
    ]
    for reading, differences in comparison.items():
        said += ["", f"{reading:<11}{'uncalibrated':<23}{'calibrated':<23}difference"]
        for name, found in differences.items():
            gain = f"{found.gain.value:+.3f} ({found.gain.low:+.3f} to {found.gain.high:+.3f})"
            said.append(f"{name:<11}{ranged(found.before):<23}{ranged(found.after):<23}{gain}")
    return said


def _about(
    bench: Bench,
    labels: Labels,
    asked: Asked,
    thresholds: Thresholds,
    comparison: Comparison,
    verdict: Verdict,
    sizes: tuple[int, int],
) -> dict[str, Any]:
    return {
        "model": bench.model.provenance.model,
        "images": len(bench.samples),
        "labelled": len(labels.images),
        "fitted_on": sizes[0],
        "held_out": sizes[1],
        "seed": asked.seed,
        "holdout": asked.holdout,
        "target_precision": asked.target_precision,
        "verdict": verdict.text,
        "comparison": {
            reading: {name: _json(difference) for name, difference in found.items()}
            for reading, found in comparison.items()
        },
        "facets": {facet: round(value, files.DIGITS) for facet, value in thresholds.facets.items()},
        "own_thresholds": len(thresholds.own),
    }


def _json(difference: Difference) -> dict[str, list[float] | None]:
    """Value and interval of each figure."""
    named = (("uncalibrated", difference.before), ("calibrated", difference.after), ("difference", difference.gain))
    return {
        name: [round(value, 4) for value in (figure.value, figure.low, figure.high)] if figure.images else None
        for name, figure in named
    }


def _samples(model: Model, tagged: Tagged) -> list[Sample]:
    """Images with a term that the vocabulary has. Raises `ConfigurationError` where they are too few."""
    meanings = meanings_of(model)
    samples = []
    for labelled, record in tagged.pairs:
        found = true_terms(labelled, meanings, strict=False)
        if found and record.embedding is not None:
            samples.append(Sample(labelled.key, record.embedding.unpack(), tuple(found)))
    _enough(len(samples), "labelled images that could be read and have a term of the vocabulary")
    return samples


def _enough(images: int, what: str) -> None:
    if images < IMAGES:
        raise ConfigurationError(f"there are {images} {what}, and {IMAGES} are needed: label {IMAGES - images} more")
