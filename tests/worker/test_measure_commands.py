"""`stockmeta evaluate` and `stockmeta calibrate` in this process, with the encoder that needs no model."""

import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from taxonomy import calibration, files
from taxonomy.calibration import Calibration, scored_fingerprint
from taxonomy.score import VERSION
from tests.conftest import jpeg
from worker import cli
from worker.encoders.contract import scoring_identity
from worker.encoders.fake import FakeEncoder
from worker.runtime import load_model
from worker.settings import load_settings

Run = Callable[..., "tuple[int, str, str]"]
COLORS = ("red", "blue", "green", "yellow")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    for name, value in {"MODEL": "fake", "CACHE_DIR": str(tmp_path / "cache"), "DECODE_PROCESSES": "1"}.items():
        monkeypatch.setenv(f"STOCKMETA_{name}", value)

    def command(*arguments: object, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["stockmeta", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        captured = capsys.readouterr()
        return int(stopped.value.code or 0), captured.out, captured.err

    return command


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """A taxonomy file: the encoder's opinions of these words are stable, and mean nothing."""
    lines = ["id\tlabel\thint\tparent\tfacet", "c\thue\t\t\tcolor"]
    lines += [f"{color}\t{color}\t\thue\tcolor" for color in (*COLORS, "pink", "brown")]
    path = tmp_path / "words.tsv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def labelled(photos: Path) -> Path:
    path = photos / "labels.csv"
    path.write_text(
        "image,terms,set\n"
        "a red.jpg,Red;unicorn,x\n"
        "blue.jpg,blues,x\n"
        "broken.jpg,red,x\n"
        "gone.jpg,red,x\n"
        "deep,red,x\n"
        "deep/녹색.jpg,unicorn,x\n"
        "notes.txt,,x\n"
        "other.jpg,red,y\n",
        encoding="utf-8",
    )
    return path


def test_what_people_wrote_into_the_files_does_not_count(run: Run, labelled: Path, words: Path) -> None:
    arguments = ("evaluate", labelled, "--vocabulary", words, "--where", "set=x", "--json")
    _, before, _ = run(*arguments)
    exif = Image.Exif()
    exif[ExifTags.Base.XPKeywords] = "Red;blue;green;yellow;pink;brown".encode("utf-16-le")
    for name, color in (("a red.jpg", "red"), ("blue.jpg", "blue")):
        path = labelled.parent / name
        path.write_bytes(jpeg(color, exif=exif))
        _, tagged, _ = run("tag", path, "--vocabulary", words)
        assert json.loads(tagged)["keywords"][0]["source"] == "embedded"
    _, after, _ = run(*arguments)
    assert json.loads(after)["figures"] == json.loads(before)["figures"]


def test_everything_is_counted_and_nothing_stops_the_rest(run: Run, labelled: Path, words: Path) -> None:
    status, out, err = run("evaluate", labelled, "--vocabulary", words, "--where", "set=x", "--json", "--k", "1,2")
    found = json.loads(out)

    assert status == 1
    assert found["images"] == 2
    assert {trouble["key"]: trouble["reason"] for trouble in found["not_read"]} == {
        "broken.jpg": "truncated",
        "gone.jpg": "missing",
        "deep": "missing",
    }
    assert "gone.jpg: missing: there is no file" in err
    assert (found["without_known_terms"], found["rows_without_terms"], found["rows_left_out"]) == (1, 1, 1)
    assert found["terms"]["unknown"] == {"unicorn": 2}
    assert found["figures"]["lenient"].keys() >= {"P@1", "P@2", "R@1", "R@2", "mAP", "nDCG@10", "F1"}
    # The fake encoder shows everything that there is.
    assert found["figures"]["exact"]["recall"] == {"value": 1, "low": 1, "high": 1, "images": 2}
    assert found["facets"]["color"]["terms"] == 2


def test_strict_counts_unknown_terms_as_missed(run: Run, labelled: Path, words: Path) -> None:
    status, out, _ = run("evaluate", labelled, "--vocabulary", words, "--where", "set=x", "--json", "--strict")
    found = json.loads(out)
    assert status == 1
    assert (found["images"], found["without_known_terms"]) == (3, 0)
    assert found["figures"]["exact"]["recall"]["value"] == pytest.approx((0.5 + 1 + 0) / 3, abs=1e-6)
    assert {"word": "unicorn", "times": 2, "of": 2} in found["missed"]


def test_the_tables_for_people(run: Run, photos: Path, words: Path) -> None:
    labels = '{"file": "blue.jpg", "labels": ["blue"]}\n{"file": "a red.jpg", "labels": ["red"]}\n'
    status, out, _ = run("evaluate", "-", "--images", photos, "--vocabulary", words, stdin=labels)
    assert status == 0
    assert out.startswith("2 images with 2 true terms and 14 keywords, fake on numpy fp32, 7 concepts\n")
    assert re.search(r"^recall +1\.00 \(1\.00 to 1\.00\) +1\.00 \(1\.00 to 1\.00\)$", out, re.MULTILINE)
    assert re.search(r"^color +2 +0\.29", out, re.MULTILINE)
    assert "\nmissed most often: none\n" in out
    assert run("evaluate", "-", "--images", photos, "--vocabulary", words, stdin=labels)[1] == out


def test_the_report_is_self_contained_and_escapes_what_files_say(run: Run, photos: Path, words: Path) -> None:
    (photos / "<b>.jpg").write_bytes(jpeg("blue"))
    labels = '{"file": "<b>.jpg", "labels": ["blue", "<script>alert(1)</script>"]}'
    report = photos.parent / "report.html"
    arguments = ("--images", photos, "--vocabulary", words, "--strict", "--html", report)
    assert run("evaluate", "-", *arguments, stdin=labels)[0] == 0
    page = report.read_text(encoding="utf-8")
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "&lt;b&gt;.jpg" in page
    assert len(re.findall(r'<img src="data:image/jpeg;base64,', page)) == 1
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "prefers-color-scheme: dark" in page


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("labels.csv", "--k", "0,1"), "--k 0,1: give whole numbers"),
        (("labels.csv", "--k", "five"), "--k five: give whole numbers"),
        (("gone.csv",), "gone.csv: No such file or directory"),
        (("labels.csv", "--html", "gone/report.html"), "there is no folder 'gone'"),
    ],
)
def test_wrong_usage(
    run: Run, labelled: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(labelled.parent)
    status, out, err = run("evaluate", *arguments)
    assert (status, out) == (2, "")
    assert said in err


def test_nothing_to_measure(run: Run, photos: Path, words: Path) -> None:
    rows = "image,term\ngone.jpg,red\n"
    status, _, err = run("evaluate", "-", "--images", photos, "--vocabulary", words, stdin=rows)
    assert status == 2
    assert "none of 1 images could be read; gone.jpg: there is no file" in err
    rows = "image,term\nblue.jpg,unicorn\n"
    status, _, err = run("evaluate", "-", "--images", photos, "--vocabulary", words, stdin=rows)
    assert status == 2
    assert "the vocabulary has none of the terms: unicorn" in err


@pytest.fixture
def colors(tmp_path: Path) -> Path:
    """120 images of four colours, labelled."""
    folder = tmp_path / "colors"
    folder.mkdir()
    rows = ["image,term"]
    for i in range(120):
        color = COLORS[i % 4]
        (folder / f"{i}.jpg").write_bytes(jpeg(color))
        rows.append(f"{i}.jpg,{color}")
    labels = folder / "labels.csv"
    labels.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return labels


@pytest.fixture
def doubtful(tmp_path: Path) -> Path:
    """A policy with one warning."""
    path = tmp_path / "policy.toml"
    path.write_text('[prefer]\nred = "blue"\n', encoding="utf-8")
    return path


def test_a_policys_warnings_come_once(run: Run, labelled: Path, words: Path, doubtful: Path) -> None:
    _, _, err = run("evaluate", labelled, "--vocabulary", words, "--policy", doubtful, "--where", "set=x")
    assert err.count("policy.toml:") == 1, err


def test_a_least_score_goes_with_a_calibration(words: Path, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    settings = load_settings(
        model="fake", vocabulary=words, policy=policy, min_score=0.25, cache_dir=tmp_path / "cache"
    )
    policy.write_text('[calibration]\nfile = "made.json"\n', encoding="utf-8")
    vocabulary = files.load(words)
    made = Calibration(
        scoring_identity(FakeEncoder()),
        scored_fingerprint(vocabulary),
        thresholds={"red": 0.5, "blue": 0.125},
        fallback=0.0625,
        margin=0.375,
        scoring=VERSION,
    )
    calibration.save(tmp_path / "made.json", made, vocabulary, {})
    model = load_model(settings)
    chooser = model.describer.chooser
    floors = dict(zip((concept.id for concept in model.vocabulary.concepts), chooser.floors.tolist(), strict=True))
    assert (floors["red"], floors["blue"], floors["green"]) == (0.5, 0.25, 0.25)
    assert chooser.policy.thresholds.margin == 0.375


def test_a_word_list_cannot_be_calibrated(run: Run, labelled: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain.txt"
    plain.write_text("red\nblue\n", encoding="utf-8")
    status, out, err = run("calibrate", labelled, "--vocabulary", plain, "--out", tmp_path / "made.json")
    assert (status, out) == (2, "")
    assert "plain.txt is a word list, which is taken literally, and no policy can name a calibration for it" in err
    assert not (tmp_path / "made.json").exists()


@pytest.mark.parametrize("field", ["image", "terms"])
def test_half_a_character_is_refused_before_anything_is_written(
    run: Run, photos: Path, words: Path, tmp_path: Path, field: str
) -> None:
    row = {"image": "blue.jpg", "terms": "blue"} | {field: "\ud800"}
    labels, page = photos / "labels.ndjson", tmp_path / "page.html"
    labels.write_text(json.dumps(row), encoding="utf-8")
    status, out, err = run("evaluate", labels, "--vocabulary", words, "--strict", "--html", page)
    assert (status, out) == (2, "")
    assert "labels.ndjson:1: " in err
    assert "half a character" in err
    assert not page.exists()


@pytest.mark.integration
def test_a_calibration_is_written_and_better(run: Run, colors: Path, words: Path, tmp_path: Path) -> None:
    out = tmp_path / "calibration.json"
    status, said, err = run("calibrate", colors, "--vocabulary", words, "--out", out)
    assert status == 0, err
    assert f"written: {out}" in err
    made = calibration.load(out)
    content = json.loads(out.read_text(encoding="utf-8"))
    assert set(made.mean) == {"c", *COLORS, "pink", "brown"}
    assert made.fallback is not None
    assert (content["images"], content["fitted_on"] + content["held_out"]) == (120, 120)
    assert set(COLORS) <= set(made.thresholds)
    f1 = content["comparison"]["exact"]["F1"]
    assert f1["calibrated"][0] > f1["uncalibrated"][0]
    assert "held out, F1 goes from" in content["verdict"]
    assert re.search(r"^F1 .* \+0\.\d+ \(\+", said, re.MULTILINE)

    again = tmp_path / "again.json"
    assert run("calibrate", colors, "--vocabulary", words, "--out", again)[0] == 0
    assert again.read_bytes() == out.read_bytes()
    status, _, err = run("calibrate", colors, "--vocabulary", words, "--out", out)
    assert (status, "--force replaces it" in err) == (2, True)


@pytest.mark.integration
def test_the_comparison_knows_the_least_score(run: Run, colors: Path, words: Path, tmp_path: Path) -> None:
    policy, out = tmp_path / "policy.toml", tmp_path / "calibration.json"
    policy.write_text("[keywords]\nmin_score = 5\n", encoding="utf-8")
    assert run("calibrate", colors, "--vocabulary", words, "--policy", policy, "--out", out)[0] == 1
    recall = json.loads(out.read_text(encoding="utf-8"))["comparison"]["exact"]["recall"]
    # No score is as high as that, with a calibration or without.
    assert (recall["uncalibrated"][0], recall["calibrated"][0]) == (0, 0)


@pytest.mark.integration
def test_too_little_data_is_refused_and_nothing_is_written(run: Run, colors: Path, words: Path) -> None:
    out = colors.parent / "calibration.json"
    arguments = ("calibrate", colors, "--vocabulary", words, "--out", out)
    status, _, err = run(*arguments, "--limit", 97)
    assert status == 2
    assert "there are 97 labelled images, and 100 are needed: label 3 more" in err
    rare = (f"{i}.jpg,{'pink' if i < 6 else 'unicorn'}" for i in range(120))
    colors.write_text("\n".join(["image,term", *rare]), encoding="utf-8")
    status, _, err = run(*arguments)
    assert status == 2
    assert "there are 6 labelled images that could be read and have a term of the vocabulary" in err
    assert not out.exists()
