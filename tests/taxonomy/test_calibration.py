"""The calibration's file: what is written is read again, and what is wrong is said."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taxonomy.calibration import SCHEMA, Calibration, load, save, scored_fingerprint
from taxonomy.concepts import Concept, TaxonomyError, build
from taxonomy.policy import Policy, Thresholds
from taxonomy.score import Statistics

ZOO = build(
    [
        Concept("animal", "animal", facet="animal"),
        Concept("crane", "crane", hint="bird", parent="animal", facet="animal"),
    ]
)
MADE = Calibration(
    encoder="e1",
    vocabulary=scored_fingerprint(ZOO),
    mean={"animal": 0.125, "crane": -0.25},
    deviation={"animal": 0.5},
    thresholds={"crane": 0.03125},
    fallback=0.0625,
    margin=0.25,
    scoring=3,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "calibration.json"


def write(path: Path, **changed: Any) -> Path:
    content = {"schema": SCHEMA, "encoder": "e", "vocabulary": "v", "scoring": 0, "concepts": {}} | changed
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_what_is_written_is_read(path: Path) -> None:
    save(path, MADE, ZOO, {"images": 120, "held_out": {"f1": [0.5, 0.25]}})
    assert load(path) == MADE
    assert load(path).fingerprint == MADE.fingerprint
    text = path.read_text(encoding="utf-8")
    assert '\n  "crane": {"name": "crane (bird)", "mean": -0.25, "threshold": 0.03125}\n' in text
    assert json.loads(text)["images"] == 120
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_calibration_without_concepts_is_one(path: Path) -> None:
    save(path, Calibration("e", "v"), ZOO, {})
    assert load(path) == Calibration("e", "v")


def test_a_file_that_cannot_be_written_leaves_what_was_there(path: Path) -> None:
    path.mkdir()
    with pytest.raises(TaxonomyError, match=r"calibration\.json: "):
        save(path, MADE, ZOO, {})
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"schema": "other/1"}, "not a calibration"),
        ({"encoder": None}, "encoder is missing"),
        ({"vocabulary": 3}, "vocabulary is missing"),
        ({"concepts": [1]}, "concepts has to be an object"),
        ({"concepts": {"a": 1}}, "concepts has to be an object"),
        ({"concepts": {"a": {"mean": "high"}}}, "a: mean has to be a number from -1 to 1, not 'high'"),
        ({"concepts": {"a": {"mean": 1.5}}}, "a: mean has to be a number from -1 to 1"),
        ({"concepts": {"a": {"deviation": -0.1}}}, "a: deviation"),
        ({"concepts": {"a": {"threshold": float("nan")}}}, "a: threshold has to be a number, not nan"),
        ({"concepts": {"a": {"threshold": True}}}, "a: threshold"),
        ({"margin": 2}, "margin"),
        ({"fallback": "x"}, "fallback"),
    ],
)
def test_what_is_wrong_is_said_with_the_file(path: Path, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(TaxonomyError) as error:
        load(write(path, **changed))
    assert str(error.value).startswith(f"{path}: ")
    assert said in str(error.value)


def test_files_that_are_none(path: Path, tmp_path: Path) -> None:
    with pytest.raises(TaxonomyError, match="No such file"):
        load(tmp_path / "gone.json")
    path.write_bytes(b'{"schema": "\xff"}')
    with pytest.raises(TaxonomyError, match="not UTF-8 at byte 12"):
        load(path)
    path.write_text('{\n"schema"', encoding="utf-8")
    with pytest.raises(TaxonomyError, match=r"json:2: not JSON"):
        load(path)


def test_it_is_for_one_encoder_and_one_vocabulary() -> None:
    assert MADE.check("e1", ZOO, 3) == []
    with pytest.raises(TaxonomyError, match=r"another encoder \(e1, not e2\)"):
        MADE.check("e2", ZOO, 3)
    other = build([Concept("animal", "animal")])
    with pytest.raises(TaxonomyError, match=r"another vocabulary .* 1 are not in this one"):
        MADE.check("e1", other, 3)
    with pytest.raises(TaxonomyError, match="version 3 of scoring, not 4"):
        MADE.check("e1", ZOO, 4)


def test_ids_that_somebody_wrote_into_it_are_told() -> None:
    edited = Calibration("e1", MADE.vocabulary, thresholds={"dodo": 0.5, "crane": 0.1})
    assert edited.check("e1", ZOO, 0) == ["dodo"]


def test_labels_in_other_languages_change_no_score() -> None:
    translated = build(ZOO.concepts, translations={"ko": {"animal": ("동물",)}})
    assert translated.fingerprint != ZOO.fingerprint
    assert scored_fingerprint(translated) == scored_fingerprint(ZOO)


def test_statistics_that_it_does_not_know_stay_as_they_are() -> None:
    usual = Statistics(np.array([0.5, 0.5], np.float32), np.array([0.25, 0.75], np.float32))
    mixed = MADE.usual(ZOO, usual)
    assert mixed is not None
    assert mixed.mean.tolist() == [0.125, -0.25]
    assert mixed.deviation.tolist() == [0.5, 0.75]
    alone = Calibration("e", "v", mean={"crane": 0.5}, deviation={"crane": 0.25}).usual(ZOO, None)
    assert alone is not None
    assert (alone.mean.tolist(), alone.deviation.tolist()) == ([0.5, 0.5], [0.25, 0.25])
    assert Calibration("e", "v").usual(ZOO, usual) is usual
    assert usual.mean.tolist() == [0.5, 0.5]


def test_what_it_says_of_evidence_comes_before_the_policy() -> None:
    policys = Thresholds(score=0.5, margin=0.5, raw=0.5)
    assert MADE.evidence(policys) == Thresholds(score=0.0625, margin=0.25, raw=0.5)
    assert Calibration("e", "v").evidence(policys) == policys


def test_what_a_concept_implies_changes_scores() -> None:
    implying = build(ZOO.concepts, implied={"animal": ("crane",)})
    assert scored_fingerprint(implying) != scored_fingerprint(ZOO)


@pytest.mark.parametrize("changed", [{"synonyms": ("heron",)}, {"tier": "A"}, {"hint": "machine"}, {"parent": None}])
def test_what_else_changes_scores(changed: dict[str, Any]) -> None:
    animal, crane = ZOO.concepts
    assert scored_fingerprint(build([animal, replace(crane, **changed)])) != scored_fingerprint(ZOO)


def test_a_least_score_is_a_floor_under_what_was_fitted() -> None:
    fitted = Calibration("e", "v", thresholds={"animal": 0.5, "crane": 0.125}, fallback=0.0625, margin=0.25)
    policy = Policy(thresholds=Thresholds(score=0.2, margin=0.5, raw=0.5))
    applied, own = fitted.applied(policy)
    assert (applied.thresholds, own) == (Thresholds(score=0.0625, margin=0.25, raw=0.5), fitted.thresholds)
    applied, own = fitted.applied(replace(policy, min_score=0.25))
    assert applied.thresholds == Thresholds(score=0.25, margin=0.25, raw=0.5)
    assert own == {"animal": 0.5, "crane": 0.25}
    applied, own = fitted.applied(replace(policy, min_score=0.0))
    assert (applied.thresholds.score, own) == (0.0625, fitted.thresholds)


def test_its_fingerprint_is_of_what_it_does() -> None:
    assert Calibration("e", "v", thresholds={"a": 1}).fingerprint != Calibration("e", "v", mean={"a": 1}).fingerprint
