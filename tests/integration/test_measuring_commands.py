"""`stockmeta evaluate` and `stockmeta calibrate` with the real model, as users start them."""

import json
import re
from pathlib import Path

import pytest

from taxonomy import calibration
from tests.integration.conftest import Command
from worker.commands.demo import packaged_photographs

TRUE = {
    "chelsea.png": "Cats",
    "coffee.png": "coffee;cup;spoon",
    "motorcycle_left.png": "motorbike",
    "rocket.jpg": "rocket",
    "flower.jpg": "flower",
    "camera.png": "tripod;zorgblatt",
}

WORDS = """\
id\tlabel\tparent\tfacet
animal\tanimal\t\tanimal
cat\tcat\tanimal\tanimal
dog\tdog\tanimal\tanimal
drink\tdrink\t\tdrink
coffee\tcoffee\tdrink\tdrink
cup\tcup\t\tobject
spoon\tspoon\t\tobject
tripod\ttripod\t\tobject
vehicle\tvehicle\t\tvehicle
motorbike\tmotorbike\tvehicle\tvehicle
rocket\trocket\tvehicle\tvehicle
plant\tplant\t\tplant
flower\tflower\tplant\tplant
"""
"""A small vocabulary: the shipped one takes minutes to embed, and changes."""


def test_the_demos_photographs_are_evaluated(stockmeta: Command, tmp_path: Path) -> None:
    photos = packaged_photographs(tmp_path / "photos")
    labels = tmp_path / "labels.csv"
    labels.write_text("image,terms\n" + "".join(f"{name},{terms}\n" for name, terms in TRUE.items()), encoding="utf-8")
    words, report = tmp_path / "words.tsv", tmp_path / "report.html"
    words.write_text(WORDS, encoding="utf-8")
    common = ("--images", photos, "--vocabulary", words)
    result = stockmeta("evaluate", labels, *common, "--html", report, "--json", MODEL="starter")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["images"] == 6
    assert found["terms"]["unknown"] == {"zorgblatt": 1}
    lenient = found["figures"]["lenient"]
    assert lenient["P@1"]["value"] >= 0.5
    assert lenient["right in 5"]["value"] >= 0.5
    assert all(figure["low"] <= figure["value"] <= figure["high"] for figure in lenient.values())
    page = report.read_text(encoding="utf-8")
    assert len(re.findall(r'<img src="data:image/jpeg;base64,', page)) == 6
    assert not re.search(r'(src|href)="(?!data:)', page), "the page is not self-contained"

    few = stockmeta("calibrate", labels, *common, "--out", tmp_path / "c.json", MODEL="starter")
    assert few.returncode == 2
    assert "there are 6 labelled images, and 100 are needed: label 94 more" in few.stderr
    assert not (tmp_path / "c.json").exists()


@pytest.mark.shared
def test_labelled_photographs_are_evaluated_as_they_are(stockmeta: Command, shared_photos: Path) -> None:
    manifest = shared_photos / "manifest.jsonl"
    result = stockmeta("evaluate", manifest, "--where", "set=coco_train2017", "--json", MODEL="starter")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert (found["images"], found["rows_without_terms"], found["terms"]["unknown"]) == (206, 2, {})
    lenient = found["figures"]["lenient"]
    assert lenient["right in 5"]["value"] >= 0.8
    assert lenient["mAP"]["value"] >= 0.38
    assert lenient["nothing shown"]["value"] <= 0.05
    assert found["facets"]["animal"]["mAP"]["value"] >= 0.75


@pytest.mark.shared
def test_a_calibration_of_labelled_photographs(stockmeta: Command, shared_photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "calibration.json"
    arguments = ("calibrate", shared_photos / "manifest.jsonl", "--where", "set=coco_train2017", "--out", out)
    result = stockmeta(*arguments, MODEL="starter")
    # Better or not: on a hundred images that is chance, and it says so.
    assert result.returncode in (0, 1), result.stderr
    made, content = calibration.load(out), json.loads(out.read_text(encoding="utf-8"))
    assert made.fallback is not None
    assert 0 < made.fallback < 0.1
    assert content["own_thresholds"] >= 10
    assert ("warning" in content["verdict"]) == (result.returncode == 1)
    difference = content["comparison"]["lenient"]["F1"]["difference"]
    assert difference[1] <= difference[0] <= difference[2]
    assert difference[0] > -0.03
