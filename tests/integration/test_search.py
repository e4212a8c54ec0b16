"""`stockmeta search` as users start it, with the real model, over what was tagged and fed."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import REPOSITORY
from tests.integration.conftest import Command
from worker.commands.demo import packaged_photographs
from worker.encoders.minilm import MiniLM
from worker.encoders.minilm_plain import PlainMiniLM

TEXTS = ("a photo of a dog", "dog", "", "two giraffes in a field, eating leaves " * 8, "강아지", "a " * 400)
VOCABULARY = (
    "id\tlabel\tparent\tfacet\n"
    "animal\tanimal\t\tanimal\ncat\tcat\tanimal\tanimal\ndog\tdog\tanimal\tanimal\n"
    "drink\tdrink\t\tdrink\ncoffee\tcoffee\tdrink\tdrink\nrocket\trocket\t\tvehicle\nflower\tflower\t\tplant\n"
)
"""The shipped vocabulary takes minutes to embed."""


def test_a_query_is_encoded_as_torch_would() -> None:
    plain, torch = PlainMiniLM().encode(TEXTS), MiniLM().encode(TEXTS)
    assert plain.dtype == torch.dtype == np.float32
    assert np.abs(plain - torch).max() < 2e-6
    assert PlainMiniLM().encode([]).shape == (0, 384)


def test_photographs_are_tagged_fed_and_found(stockmeta: Command, tmp_path: Path) -> None:
    photos = packaged_photographs(tmp_path / "photos")
    (tmp_path / "words.tsv").write_text(VOCABULARY, encoding="utf-8")
    given = {"MODEL": "starter", "VOCABULARY": tmp_path / "words.tsv", "CACHE_DIR": tmp_path / "cache"}
    tagged = stockmeta("tag", photos, "--out", photos / ".stockmeta", **given)
    assert tagged.returncode == 0, tagged.stderr
    early = stockmeta("search", "cat", photos, **given)
    assert early.returncode == 2
    assert f"stockmeta feed local {photos}" in early.stderr
    fed = stockmeta("feed", "local", photos, **given)
    assert fed.returncode == 0, fed.stderr

    for text, key in (("cats", "chelsea.png"), ("a cup of coffee on a table", "coffee.png"), ("rocket", "rocket.jpg")):
        found = stockmeta("search", text, photos, "--limit", 3, **given)
        assert found.returncode == 0, found.stderr
        lines = [json.loads(line) for line in found.stdout.splitlines()]
        assert [line["rank"] for line in lines] == [1, 2, 3]
        assert lines[0]["key"] == key
        assert any(why.startswith("picture: ") for why in lines[0]["why"])

    alike = stockmeta("search", photos, "--like", photos / "chelsea.png", "--json", "--limit", 2, **given)
    assert alike.returncode == 0, alike.stderr
    assert "chelsea.png" not in [hit["key"] for hit in json.loads(alike.stdout)["hits"]]


def test_no_torch_for_a_query() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from worker.encoders.queries import load_query_encoder\n"
        "print(load_query_encoder('starter', cache_dir=Path('unused')).encode_texts(['a dog']).shape)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert result.stdout == "(1, 384)\n"


def test_an_index_that_is_open_leaves_other_libraries_alone(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "import worker.feeds.local.searcher\n"
        "import numpy, openvino\n"
        "from openvino import opset13\n"
        "given = opset13.parameter([1, 3], numpy.float32)\n"
        "openvino.save_model(openvino.Model([opset13.relu(given)], [given], 'm'), sys.argv[1])\n"
        "openvino.Core().compile_model(openvino.Core().read_model(sys.argv[1]), 'CPU')\n"
    )
    path = str(tmp_path / "model.xml")
    result = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, cwd=REPOSITORY)
    assert result.returncode == 0, result.stderr


@pytest.mark.shared
def test_searches_are_as_good_as_they_were(shared_photos: Path, cache_dir: Path) -> None:
    """The figures of docs/quality.md, held with a little room."""
    result = subprocess.run(
        [sys.executable, "scripts/search_quality.py", "--photos", shared_photos],
        env={**os.environ, "STOCKMETA_CACHE_DIR": str(cache_dir), "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=800,
        check=True,
        cwd=REPOSITORY,
    )

    def figure(line: str) -> float:
        found = re.search(rf"^{re.escape(line)}: recall@10 ([\d.]+)", result.stdout, re.MULTILINE)
        assert found, result.stdout
        return float(found[1])

    for what, least in (("80 names", 0.53), ("100 captions", 0.88)):
        fused, plain = figure(f"{what}, fused"), figure(f"{what}, brute-force cosine")
        assert fused >= least
        assert fused >= plain - 0.011, "one caption is 0.01"
    assert "found by the index of the ten nearest by brute force: 1.0000" in result.stdout
    assert re.search(r"80 names in Korean: 80 understood, .* of those 1\.000", result.stdout)
