"""`stockmeta search` in this process, over an embedded index of records with hand-made embeddings."""

import io
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tasks.feeding.document import document_tag
from tasks.feeding.documents import Maker
from tasks.feeding.ports import Put
from tasks.generations.pointer import open_generation
from tasks.records import Category, Embedding, ImageRef, Keyword, Record, Source, Visual
from tests.conftest import jpeg
from tests.worker.libraries import GENERATION, record
from worker import cli
from worker.encoders.fake import FakeEncoder
from worker.feeding_places import index_folder
from worker.feeds.local.sink import LocalSink
from worker.library import open_library
from worker.settings import load_settings

Run = Callable[..., "tuple[int, str, str]"]
DOG, BEACH = "wn30:02084071-n", "wn30:09217230-n"
HASH = "0f0f0f0f0f0f0f0f"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    words = tmp_path / "words.tsv"
    words.write_text(f"id\tlabel\tfacet\n{DOG}\tdog\tanimal\n{BEACH}\tbeach\tplace\n", encoding="utf-8")
    # A small vocabulary: to read the shipped one takes a moment, each time.
    for name, value in {"CACHE_DIR": tmp_path / "cache", "DECODE_PROCESSES": 1, "VOCABULARY": words}.items():
        monkeypatch.setenv(f"STOCKMETA_{name}", str(value))

    def command(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["stockmeta", "search", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(""))
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        captured = capsys.readouterr()
        return int(stopped.value.code or 0), captured.out, captured.err

    return command


def tagged(key: str, *words: tuple[str, str], color: str = "red", phash: str = "", **changes: Any) -> Record:
    """A record with these concepts, id and English label, whose embedding is that of one colour."""
    pixels = np.asarray(Image.new("RGB", (32, 32), color))[None]
    keywords = [
        Keyword(rank, id_, {"en": label, "ko": {"dog": "개"}.get(label, label)}, 0.5, 0.5, Source.VOCABULARY)
        for rank, (id_, label) in enumerate(words, 1)
    ]
    visual = Visual(phash or "0" * 16, (), changes.pop("orientation", "landscape"))
    embedding = Embedding.pack(FakeEncoder().encode(pixels).embeddings[0])
    return record(key, keywords, visual=visual, embedding=embedding, title=f"Title of {key}", **changes)


@pytest.fixture
def library(run: Run, tmp_path: Path) -> Path:
    """A folder of images with an index in the cache; `run` has set where that is."""
    folder = tmp_path / "photos"
    folder.mkdir()
    records = [
        tagged("dog.jpg", (DOG, "dog"), phash=HASH, categories={"adobe": (Category("7", "Food", 0.5),)}),
        tagged("copy.jpg", (DOG, "dog"), phash=HASH),
        tagged("a <b>dog.jpg", (DOG, "dog"), (BEACH, "beach"), color="blue", orientation="portrait"),
        tagged("beach.jpg", (BEACH, "beach"), color="green"),
    ]
    for each, color in zip(records, ("red", "red", "blue", "green"), strict=True):
        (folder / each.image.key).write_bytes(jpeg(color))
    settings = load_settings(library=str(folder))
    opened = open_library(settings)
    open_generation(opened.sidecars, opened.layout, GENERATION)
    sink = LocalSink(index_folder(settings, opened), opened.source.bucket)
    index = sink.open(GENERATION)
    maker = Maker()
    records = [
        replace(each, image=replace(each.image, etag=opened.source.stat(each.image.key).etag)) for each in records
    ]
    for each in records:
        ref = ImageRef("photos", each.image.key)
        opened.sidecars.put(opened.layout.done(GENERATION, ref), each.to_json().encode(), if_match=None)
    index.deliver([Put(maker.document(each, None, document_tag("1", None))) for each in records])
    index.commit()
    index.completed()
    sink.serve(index)
    sink.close()
    return folder


def hits(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def keys(out: str) -> list[str]:
    return [hit["key"] for hit in hits(out)]


def test_one_hit_a_line_with_key_score_and_why(run: Run, library: Path) -> None:
    status, out, _ = run("dog", library, "--words-only")
    assert status == 0
    found = hits(out)
    assert [hit["rank"] for hit in found] == [1, 2]
    first = next(hit for hit in found if hit["key"] in ("dog.jpg", "copy.jpg"))
    assert first["duplicates"] == [({"dog.jpg", "copy.jpg"} - {first["key"]}).pop()]
    assert first["why"] == ["keyword: dog"]
    assert first["title"] == f"Title of {first['key']}"
    assert first["keywords"] == ["dog"]
    assert all(0 < hit["score"] <= 1 for hit in found)


def test_korean_finds_the_same_and_shows_korean_keywords(
    run: Run, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STOCKMETA_VOCABULARY")
    english, korean = run("dog", library), run("개를", library, "--language", "KO")
    assert keys(english[1]) == keys(korean[1])
    assert "개" in hits(korean[1])[0]["keywords"]


@pytest.mark.parametrize("swapped", [False, True])
def test_text_and_library_in_any_order(run: Run, library: Path, swapped: bool) -> None:
    arguments = [library, "beach"] if swapped else ["beach", library]
    assert keys(run(*arguments, "--words-only", "--limit", 1)[1]) == ["beach.jpg"]


def test_like_an_image_of_the_library_by_key_and_by_path(run: Run, library: Path) -> None:
    for image in ("dog.jpg", library / "dog.jpg"):
        status, out, _ = run(library, "--like", image, "--limit", 1)
        assert status == 0
        (hit,) = hits(out)
        assert hit["key"] == "copy.jpg"
        assert hit["why"] == ["alike: 1.00"]


def test_like_any_other_file(run: Run, library: Path, tmp_path: Path) -> None:
    (tmp_path / "other.jpg").write_bytes(jpeg("blue"))
    status, out, error = run("--like", tmp_path / "other.jpg", library, "--limit", 1)
    assert status == 0, error
    assert keys(out) == ["a <b>dog.jpg"]


def test_like_nothing_there_is(run: Run, library: Path) -> None:
    status, out, error = run("--like", "nowhere.jpg", library)
    assert (status, out) == (2, "")
    assert "no image in the index has that key, and there is no such file" in error


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--orientation", "portrait"], ["a <b>dog.jpg"]),
        (["--category", "adobe:7"], ["dog.jpg"]),
        (["--category", "adobe:food"], ["dog.jpg"]),
        (["--prefix", "be"], ["beach.jpg"]),
        (["--prefix", "dog", "--no-fold"], ["dog.jpg"]),
        (["--people"], []),
    ],
)
def test_filters(run: Run, library: Path, options: list[str], found: list[str]) -> None:
    status, out, error = run("dog", library, *options)
    assert status == 0
    assert keys(out) == found
    assert ("nothing was found; fewer filters may find more" in error) == (not found)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--color", "bleu"], "no colour is called so; there are black"),
        (["--category", "Foood"], "no category is called so"),
        (["--category", "adobe:99"], "adobe has no category with the id or label '99'; there are 1 Animals, 2 "),
        (["--category", "iptc:99"], "iptc has no category with the id or label '99'\n"),
        (["--language", "English"], "--language english: give its code of two letters"),
        (["--category", "nature"], "several have that name; give one of"),
    ],
)
def test_filters_that_cannot_be(run: Run, library: Path, arguments: list[str], said: str) -> None:
    status, out, error = run("dog", library, *arguments)
    assert (status, out) == (2, "")
    assert said in error


def test_no_index_yet_says_what_to_run(run: Run, photos: Path) -> None:
    status, out, error = run("dog", photos)
    assert (status, out) == (2, "")
    assert f"run `stockmeta feed local {photos}` first" in error


def test_nothing_to_search_for(run: Run, library: Path) -> None:
    status, _, error = run(library)
    assert status == 2
    assert "there is nothing to search for: give a text, or --like IMAGE" in error


def test_another_model_is_refused(run: Run, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOCKMETA_MODEL", "starter")
    status, out, error = run("dog", library)
    assert (status, out) == (2, "")
    assert "the index was made with the model 'fake', and STOCKMETA_MODEL is 'starter'" in error
    assert run("dog", library, "--words-only")[0] == 0


def test_words_that_nobody_knows_are_told(run: Run, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STOCKMETA_VOCABULARY")
    status, out, error = run("쾅쾅쾅", library)
    assert (status, out) == (0, "")
    assert "searched by words alone" in error
    assert "nothing was found" in error
    assert "not in the vocabulary, so searched by words alone: 쾅쾅쾅" in run("쾅쾅쾅 개", library)[2]


def test_json_says_what_was_understood(run: Run, library: Path) -> None:
    status, out, _ = run("dogs without beach zorgblatt", library, "--json", "--limit", 1)
    assert status == 0
    (answer,) = hits(out)
    assert answer["schema"] == "stockmeta-search/1"
    assert answer["generation"] == GENERATION
    assert answer["understood"]["concepts"] == [{"text": "dogs", "id": DOG, "label": "dog", "weight": 1.0}]
    assert answer["understood"]["not_wanted"] == ["beach"]
    assert answer["understood"]["rest"] == ["zorgblatt"]
    assert answer["lists"] == ["words", "text"]
    assert len(answer["hits"]) == 1


def test_explained(run: Run, library: Path) -> None:
    _, out, error = run("dog zorgblatt", library, "--explain")
    assert "dog: dog" in error
    assert "zorgblatt: not in the vocabulary" in error
    assert "hits of words and text in" in error
    assert set(hits(out)[0]["ranks"]) == {"words", "text"}


def test_the_page_has_pictures_and_no_markup_of_anybodys(run: Run, library: Path, tmp_path: Path) -> None:
    page = tmp_path / "hits.html"
    (library / "dog.jpg").unlink()
    status, _, error = run("dog <script>", library, "--sheet", page, "--no-fold")
    assert status == 0, error
    text = page.read_text(encoding="utf-8")
    assert text.count('<img src="data:image/jpeg;base64,') == 3
    assert text.count("it is not there any more as it was") == 1
    assert "<script>" not in text
    assert "a &lt;b&gt;dog.jpg" in text
    assert run("dog", library, "--sheet", page)[0] == 0
    assert "the same picture: " in page.read_text(encoding="utf-8")


def test_the_library_may_be_set(run: Run, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOCKMETA_LIBRARY", str(library))
    assert keys(run("beach", "--words-only")[1]) == ["beach.jpg", "a <b>dog.jpg"]
    assert keys(run("--like", "dog.jpg", "--limit", 1)[1]) == ["copy.jpg"]


def test_the_index_of_another_library_is_refused(run: Run, library: Path, tmp_path: Path) -> None:
    (folder,) = (tmp_path / "cache" / "indexes").iterdir()
    other = tmp_path / "other"
    other.mkdir()
    status, out, error = run("dog", other, "--index-folder", folder)
    assert (status, out) == (2, "")
    assert "is the index of another library" in error


def test_another_vocabulary_is_told(run: Run, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "others.tsv").write_text("id\tlabel\tfacet\nacme:1\tdog\tanimal\n", encoding="utf-8")
    monkeypatch.setenv("STOCKMETA_VOCABULARY", str(tmp_path / "others.tsv"))
    _, out, error = run("dog", library)
    assert "the index was made with another vocabulary" in error
    assert keys(out), "the words stand in labels and titles all the same"
    assert "another vocabulary" not in run(library, "--like", "dog.jpg")[2]


def test_why_nothing_is_known_of_people(run: Run, library: Path) -> None:
    for option in ("--people", "--no-people"):
        assert "whether there are people is not known of any image found" in run("dog", library, option)[2]
    assert "not known" not in run("dog", library, "--prefix", "nowhere", "--people")[2]


def test_a_text_that_asks_for_nothing_is_told(run: Run, library: Path) -> None:
    assert "no word of 'the of' says what to search for: hits are a guess" in run("the of", library)[2]
    status, out, error = run("\N{DOG FACE}", library, "--words-only")
    assert (status, out) == (0, "")
    assert "says what to search for" in error
    assert "dog: not wanted, and nothing else is asked for" in run("no dog", library)[2]
    assert "says what to search for" not in run(library, "--like", "dog.jpg")[2]


def test_a_text_longer_than_a_path_may_be(run: Run, library: Path) -> None:
    assert len(keys(run("dog " * 3000, library, "--words-only")[1])) == 2
    status, _, error = run("--like", "x" * 5000, library)
    assert status == 2
    assert "no image in the index has that key, and there is no such file" in error


def test_a_text_of_another_encoding(run: Run, library: Path, tmp_path: Path) -> None:
    status, out, _ = run("caf\udce9 dog", library, "--json", "--sheet", tmp_path / "hits.html")
    assert status == 0
    assert hits(out)[0]["text"] == "caf\ufffd dog"


def test_like_a_file_that_is_no_image_names_it(run: Run, library: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("no picture", encoding="utf-8")
    status, out, error = run("--like", tmp_path / "notes.jpg", library)
    assert (status, out) == (2, "")
    assert f"--like {tmp_path / 'notes.jpg'}: unsupported_format" in error.replace("\n", "")
