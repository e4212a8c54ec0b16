"""What was learned on a customer's labelled images: reference statistics and thresholds, in a file a policy names.

The file is JSON, `stockmeta-calibration/1`, one concept a line so that it reads well in a diff. What `load` needs is
`encoder`, `vocabulary`, `scoring`, `fallback`, `margin` and `concepts`; the rest says how the file was made.
"""

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taxonomy.concepts import TaxonomyError, Vocabulary
from taxonomy.policy import Policy, Thresholds
from taxonomy.score import Statistics

SCHEMA = "stockmeta-calibration/1"
DIGITS = 6
"""Decimals of what is written; more would be noise."""


@dataclass(frozen=True)
class Calibration:
    """Reference statistics and thresholds, valid for one encoder and one vocabulary.

    Attributes:
        encoder: what made the embeddings of images and texts, hex.
        vocabulary: `scored_fingerprint` of the vocabulary.
        mean: by concept id, the cosine of concept and image, averaged over the customer's images.
        deviation: by concept id, its standard deviation.
        thresholds: by concept id, the least score at which the concept is shown.
        fallback: the least score of a concept without a threshold of its own; `None`: the policy's.
        margin: share of the best score that a keyword needs; `None`: the policy's.
        scoring: `score.VERSION`, of the arithmetic that made the scores.
    """

    encoder: str
    vocabulary: str
    mean: Mapping[str, float] = field(default_factory=dict)
    deviation: Mapping[str, float] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    fallback: float | None = None
    margin: float | None = None
    scoring: int = 0

    @property
    def fingerprint(self) -> str:
        """Changes when a score or a threshold would; 16 hex digits."""
        tables = [sorted(table.items()) for table in (self.mean, self.deviation, self.thresholds)]
        content = (self.encoder, self.vocabulary, tables, self.fallback, self.margin, self.scoring)
        return hashlib.sha256(repr(content).encode()).hexdigest()[:16]

    def usual(self, vocabulary: Vocabulary, otherwise: Statistics | None) -> Statistics | None:
        """Reference statistics (m,) of the concepts; those that it does not know are as `otherwise` has them."""
        known = [i for i, concept in enumerate(vocabulary.concepts) if concept.id in self.mean]
        if not known:
            return otherwise
        # Without any other: what is not known is as the average of what is.
        mean, deviation = (
            np.full(len(vocabulary.concepts), np.mean([*t.values()])) for t in (self.mean, self.deviation)
        )
        if otherwise is not None:
            mean, deviation = otherwise.mean.astype(np.float64), otherwise.deviation.astype(np.float64)
        for i in known:
            identifier = vocabulary.concepts[i].id
            mean[i], deviation[i] = self.mean[identifier], self.deviation.get(identifier, deviation[i])
        return Statistics(mean.astype(np.float32), deviation.astype(np.float32))

    def applied(self, policy: Policy) -> tuple[Policy, dict[str, float]]:
        """The policy with what counts as evidence here, and the least scores by concept id.

        A policy's `min_score` is a floor under both: what is calibrated above it stays.
        """
        least = -math.inf if policy.min_score is None else policy.min_score
        found = self.evidence(policy.thresholds)
        own = {identifier: max(value, least) for identifier, value in self.thresholds.items()}
        return replace(policy, thresholds=found._replace(score=max(found.score, least))), own

    def evidence(self, otherwise: Thresholds) -> Thresholds:
        """What counts as evidence for a concept without a threshold of its own."""
        score = otherwise.score if self.fallback is None else self.fallback
        margin = otherwise.margin if self.margin is None else self.margin
        return otherwise._replace(score=score, margin=margin)

    def check(self, encoder: str, vocabulary: Vocabulary, scoring: int) -> list[str]:
        """Make sure that it was made for this encoder, this vocabulary (what is scored of it) and this arithmetic.

        Returns:
            Ids that the vocabulary does not have, which somebody wrote into the file; they do no harm.

        Raises:
            TaxonomyError: it was made for something else; says what, and that it has to be made again.
        """
        ids = {*self.mean, *self.deviation, *self.thresholds}
        gone = sorted(ids - vocabulary.index.keys())
        again = "run stockmeta calibrate again"
        if self.encoder != encoder:
            raise TaxonomyError(f"the calibration is for another encoder ({self.encoder}, not {encoder}): {again}")
        if self.scoring != scoring:
            raise TaxonomyError(f"the calibration is for version {self.scoring} of scoring, not {scoring}: {again}")
        if self.vocabulary != (ours := scored_fingerprint(vocabulary)):
            raise TaxonomyError(
                f"the calibration is for another vocabulary ({self.vocabulary}, not {ours}), "
                f"of whose concepts {len(gone)} are not in this one: {again}"
            )
        return gone


def scored_fingerprint(vocabulary: Vocabulary) -> str:
    """Of all that scores depend on: ids, names, synonyms, tiers and the tree, but no other labels; 16 hex digits."""
    content = [(c.id, c.name, c.synonyms, c.tier, c.parent) for c in vocabulary.concepts]
    tree = (vocabulary.flat, content, sorted(vocabulary.implied.items()))
    return hashlib.sha256(repr(tree).encode()).hexdigest()[:16]


def table(ids: Sequence[str], values: NDArray[np.float32]) -> dict[str, float]:
    """Values (m,) by concept id, rounded as they are written, so that what is measured is what will be read."""
    return {identifier: round(float(value), DIGITS) for identifier, value in zip(ids, values, strict=True)}


def load(path: Path) -> Calibration:
    """Read a calibration. Raises `TaxonomyError` with file and cause."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise TaxonomyError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TaxonomyError(f"{path}: not UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise TaxonomyError(f"{path}:{error.lineno}: not JSON: {error.msg}") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise TaxonomyError(f"{path}: not a calibration: its schema is not {SCHEMA!r}")
    try:
        return _read(content)
    except _Wrong as error:
        raise TaxonomyError(f"{path}: {error}") from error


def save(path: Path, calibration: Calibration, vocabulary: Vocabulary, about: Mapping[str, object]) -> None:
    """Write a calibration, whole or not at all, in place of a file of that name.

    Args:
        path: where to.
        calibration: what to write.
        vocabulary: for the concepts' names, which are there for people.
        about: how it was made, likewise; anything that JSON can say.

    Raises:
        TaxonomyError: it cannot be written there; says why.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(dumps(calibration, vocabulary, about))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise TaxonomyError(f"{path}: {error.strerror}") from error


def dumps(calibration: Calibration, vocabulary: Vocabulary, about: Mapping[str, object]) -> str:
    """The file's text; the same calibration gives the same."""
    head: dict[str, object] = {
        "schema": SCHEMA,
        "encoder": calibration.encoder,
        "vocabulary": calibration.vocabulary,
        "scoring": calibration.scoring,
        **about,
        "fallback": _rounded(calibration.fallback),
        "margin": _rounded(calibration.margin),
    }
    tables = {"mean": calibration.mean, "deviation": calibration.deviation, "threshold": calibration.thresholds}
    lines = []
    for concept in vocabulary.concepts:
        values = {name: _rounded(table[concept.id]) for name, table in tables.items() if concept.id in table}
        if values:
            lines.append(f"{_json(concept.id)}: {_json({'name': concept.name} | values)}")
    text = _pretty(head, 0).removesuffix("\n}")
    return text + ',\n "concepts": {\n  ' + ",\n  ".join(lines) + "\n }\n}\n"


class _Wrong(ValueError):
    """A value that cannot be."""


def _read(content: Mapping[str, Any]) -> Calibration:
    concepts = content.get("concepts")
    if not isinstance(concepts, dict) or not all(isinstance(values, dict) for values in concepts.values()):
        raise _Wrong("concepts has to be an object of objects, by concept id")
    return Calibration(
        encoder=_text(content, "encoder"),
        vocabulary=_text(content, "vocabulary"),
        mean=_table(concepts, "mean", -1, 1),
        deviation=_table(concepts, "deviation", 0, 1),
        thresholds=_table(concepts, "threshold", -math.inf, math.inf),
        fallback=_number(content, "fallback", -math.inf, math.inf),
        margin=_number(content, "margin", 0, 1),
        scoring=int(_number(content, "scoring", 0, math.inf) or 0),
    )


def _table(concepts: Mapping[str, Mapping[str, Any]], name: str, least: float, most: float) -> dict[str, float]:
    found = {}
    for identifier, values in concepts.items():
        value = _number(values, name, least, most, f"{identifier}: ")
        if value is not None:
            found[identifier] = value
    return found


def _number(values: Mapping[str, Any], name: str, least: float, most: float, where: str = "") -> float | None:
    value = values.get(name)
    if value is None:
        return None
    # JSON as Python reads it knows NaN and Infinity, and true is a number.
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number or not least <= value <= most:
        bounds = "" if math.isinf(least) else f" from {least} to {most}"
        raise _Wrong(f"{where}{name} has to be a number{bounds}, not {value!r}")
    return float(value)


def _text(content: Mapping[str, Any], name: str) -> str:
    value = content.get(name)
    if not isinstance(value, str) or not value:
        raise _Wrong(f"{name} is missing")
    return value


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), DIGITS)


def _pretty(value: object, depth: int) -> str:
    """Objects of objects with a line for each entry, everything else on one line."""
    if not isinstance(value, Mapping) or not (depth == 0 or any(isinstance(v, Mapping) for v in value.values())):
        return _json(value)
    lines = (f"{' ' * (depth + 1)}{_json(key)}: {_pretty(entry, depth + 1)}" for key, entry in value.items())
    return "{\n" + ",\n".join(lines) + f"\n{' ' * depth}}}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
