"""A policy with the real model: own words, denied ones and preferred ones, on photographs."""

import json
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import skimage.data

from tests.integration.conftest import Command

POLICY = """
[keywords]
max = 12
languages = ["en", "ko", "fr"]
deny = ["animal", "under:coffee"]

[prefer]
cat = "kitty"
[prefer.ko]
cat = "냥이"

[languages]
fr = "fr.tsv"

[[concept]]
id = "acme:tabby-cat"
label = "tabby cat"
parent = "cat"
tier = "A"
synonyms = ["tiger cat", "domestic cat", "house cat"]
labels = { ko = "줄무늬 고양이" }
"""

TREE = {
    "animal": ("cat", "dog", "bird", "fish", "horse"),
    "drink": ("coffee", "tea", "juice"),
    "coffee": ("espresso",),
    "vehicle": ("car", "bus", "boat"),
    "building": ("house", "tower", "bridge"),
}
"""Few words, because embedding the shipped ones in a fresh cache takes minutes."""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "own.tsv"
    facets = {"animal": "animal", "drink": "drink", "coffee": "drink", "vehicle": "vehicle", "building": "building"}
    roots = [f"t:{root}\t{root}\t\t{facets[root]}" for root in TREE if root != "coffee"]
    below = [f"t:{name}\t{name}\t{root}\t{facets[root]}" for root, names in TREE.items() for name in names]
    path.write_text("\n".join(["id\tlabel\tparent\tfacet", *roots, *below]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    PIL.Image.fromarray(skimage.data.chelsea()).save(folder / "cat.jpg")
    PIL.Image.fromarray(skimage.data.coffee()).save(folder / "coffee.jpg")
    return folder


def test_a_policy_with_the_real_model(stockmeta: Command, pictures: Path, table: Path, tmp_path: Path) -> None:
    (tmp_path / "fr.tsv").write_text("id\tlabel\nacme:tabby-cat\tchat tigré\n", encoding="utf-8")
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY, encoding="utf-8")

    runs = [stockmeta("tag", pictures, "--policy", policy, MODEL="starter", VOCABULARY=table) for _ in range(2)]
    assert runs[0].returncode == 0, runs[0].stderr
    records = [[plain(json.loads(line)) for line in run.stdout.splitlines()] for run in runs]
    assert json.dumps(records[0]) == json.dumps(records[1])

    cat, coffee = records[0]
    labels = {word["id"]: word["labels"] for word in cat["keywords"]}
    shown = [entry["en"] for entry in labels.values()]
    assert "kitty" in shown
    assert not {"cat", "animal"} & set(shown)
    assert "냥이" in [entry.get("ko") for entry in labels.values()]
    assert labels["acme:tabby-cat"] == {"en": "tabby cat", "ko": "줄무늬 고양이", "fr": "chat tigré"}
    assert "kitty" in cat["title"].casefold() or "tabby cat" in cat["title"].casefold()
    assert "animal" not in cat["title"].split()
    assert "coffee" not in [word["labels"]["en"] for word in coffee["keywords"]]
    assert {flag["name"]: flag["verdict"] for flag in cat["flags"]} == dict.fromkeys(
        ("mature", "minor", "brand", "text"), "not assessed"
    )

    neutral = stockmeta("tag", pictures / "cat.jpg", MODEL="starter", VOCABULARY=table)
    without = json.loads(neutral.stdout)
    assert "cat" in [word["labels"]["en"] for word in without["keywords"]]
    assert without["generation"] != cat["generation"]

    checked = stockmeta("check", "--policy", policy, MODEL="starter", VOCABULARY=table, LIBRARY=pictures)
    (line,) = [line for line in checked.stdout.splitlines() if " policy " in line]
    assert "1 own concepts" in line


def plain(record: dict[str, Any]) -> dict[str, Any]:
    """Without what differs from run to run: times."""
    return {
        key: value for key, value in record.items() if key not in ("created_at", "updated_at", "revision", "timings_ms")
    }
