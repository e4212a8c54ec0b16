"""The vocabulary's embeddings: right, kept, and safe from damage and from each other."""

import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tasks.ports import Embeddings
from worker.encoders import FakeEncoder, embed_vocabulary


class CountingEncoder(FakeEncoder):
    """A fake that knows how often it was asked, with prompts."""

    prompts = ("a photo of {}", "{}.")

    def __init__(self) -> None:
        self.asked = 0

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        self.asked += len(texts)
        return super().encode_texts(texts)


def test_a_term_is_the_mean_over_its_words_and_the_prompts(tmp_path: Path) -> None:
    encoder = CountingEncoder()
    found = embed_vocabulary(encoder, [["dog", "hound"], ["cat"]], tmp_path)
    mean = encoder.encode_texts(["a photo of dog", "dog.", "a photo of hound", "hound."]).mean(0)
    np.testing.assert_allclose(found[0], mean / np.linalg.norm(mean), atol=1e-6)
    np.testing.assert_allclose(embed_vocabulary(encoder, ["cat"], tmp_path)[0], found[1], atol=1e-7)
    assert found.dtype == np.float32


def test_the_second_time_nothing_is_computed(tmp_path: Path) -> None:
    encoder, reports = CountingEncoder(), []
    terms = [f"word {number}" for number in range(300)]
    first = embed_vocabulary(encoder, terms, tmp_path, lambda done, total: reports.append((done, total)))
    assert reports == [(256, 600), (512, 600), (600, 600)]
    second = embed_vocabulary(encoder, terms, tmp_path, lambda done, total: reports.append((done, total)))
    assert (encoder.asked, len(reports)) == (600, 3)
    np.testing.assert_array_equal(first, second)
    assert isinstance(second, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        second[0] = 0


def test_other_words_prompts_or_models_are_other_embeddings(tmp_path: Path) -> None:
    encoder, other = CountingEncoder(), CountingEncoder()
    other.text_fingerprint = "another"
    embed_vocabulary(encoder, ["dog", "cat"], tmp_path)
    embed_vocabulary(encoder, ["cat", "dog"], tmp_path)
    embed_vocabulary(encoder, [["dog", "cat"]], tmp_path)
    embed_vocabulary(other, ["dog", "cat"], tmp_path)
    embed_vocabulary(FakeEncoder(), ["dog", "cat"], tmp_path)
    assert len(list((tmp_path / "texts").iterdir())) == 5


@pytest.mark.parametrize("damage", ["empty", "cut", "zeros", "foreign", "wrong shape", "pickle"])
def test_a_damaged_file_is_computed_again(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    encoder = CountingEncoder()
    expected = np.array(embed_vocabulary(encoder, ["dog", "cat"], tmp_path))
    (path,) = (tmp_path / "texts").iterdir()
    whole = path.read_bytes()
    match damage:
        case "empty":
            path.write_bytes(b"")
        case "cut":
            path.write_bytes(whole[:-10])
        case "zeros":
            path.write_bytes(whole[:200] + bytes(len(whole) - 200))
        case "foreign":
            path.write_bytes(b"hello" * 100)
        case "wrong shape":
            np.save(path, expected[:1])
        case "pickle":
            np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(embed_vocabulary(encoder, ["dog", "cat"], tmp_path), expected)
    assert "recomputing" in caplog.text
    assert path.read_bytes() == whole


def test_an_empty_vocabulary_is_empty_and_a_term_without_a_word_is_refused(tmp_path: Path) -> None:
    assert embed_vocabulary(FakeEncoder(), [], tmp_path).shape == (0, 64)
    with pytest.raises(ValueError, match="without a word"):
        embed_vocabulary(FakeEncoder(), [["dog"], []], tmp_path)


def test_processes_at_once_do_not_break_each_other(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from worker.encoders import *;"
        "print(embed_vocabulary(FakeEncoder(), [f'w{i}' for i in range(3000)], Path(sys.argv[1])).sum())"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) for _ in range(3)
    ]
    answers = {process.communicate(timeout=60)[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(answers) == 1
    assert len(list((tmp_path / "texts").iterdir())) == 1
