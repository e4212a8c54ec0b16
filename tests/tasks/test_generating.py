"""What the judge does with a generator that fails: keywords are never lost to a caption."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pytest

from tasks.inference import Judge
from tasks.ports import Encoded, Encoder, Pixels
from tasks.records import Candidate
from taxonomy.concepts import literal
from taxonomy.review import Reviewer
from taxonomy.score import Scorer
from worker.encoders import FakeEncoder

BAD = 255


class Writer:
    """Says the first byte of each picture; fails on batches with a picture of 255, or on all, or forgets one."""

    fingerprint = "writer"

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.broken = self.forgetful = False

    def generate(self, pixels: Pixels, encoded: Encoded) -> Sequence[Sequence[Candidate]]:
        assert len(encoded.embeddings) == len(pixels)
        assert encoded.tokens is not None
        assert encoded.tokens[:, 0].tolist() == pixels[:, 0, 0, 0].tolist()
        self.batches.append(len(pixels))
        if self.broken or (pixels[:, 0, 0, 0] == BAD).any():
            raise RuntimeError("cannot")
        found = [(Candidate(str(image[0, 0, 0]), 0.5),) for image in pixels]
        return found[1:] if self.forgetful and len(found) > 1 else found


class Tokens(FakeEncoder):
    """The fake encoder, with tokens that tell pictures apart."""

    def encode(self, pixels: Pixels) -> Encoded:
        return super().encode(pixels)._replace(tokens=pixels[:, 0, 0, :1].astype(np.float32))


@pytest.fixture
def writer() -> Writer:
    return Writer()


@pytest.fixture
def judge(writer: Writer) -> Judge:
    encoder = Tokens()
    vocabulary = literal(["red", "blue"])
    embeddings = encoder.encode_texts(["red", "blue"])
    reviewer = Reviewer((), np.zeros((0, embeddings.shape[1]), np.float32), 1.0, frozenset(), {})
    return Judge(cast("Encoder", encoder), Scorer(vocabulary, embeddings, None, 1.0), (), reviewer, writer)


def pictures(*values: int) -> Pixels:
    return np.stack([np.full((32, 32, 3), value, np.uint8) for value in values])


def said(scored: Sequence[Any]) -> list[list[str]]:
    return [[one.text for one in each.candidates] for each in scored]


def test_captions_come_with_their_pictures(judge: Judge, writer: Writer) -> None:
    assert said(judge.judge(pictures(1, 2, 3))) == [["1"], ["2"], ["3"]]
    assert writer.batches == [3]


def test_a_picture_that_no_caption_can_be_written_for_loses_nothing_else(judge: Judge) -> None:
    scored = judge.judge(pictures(1, BAD, 3, 4, 5))
    assert said(scored) == [["1"], [], ["3"], ["4"], ["5"]]
    assert [one.stored for one in scored] == [one.stored for one in judge.judge(pictures(1, 7, 3, 4, 5))][:1] + [
        one.stored for one in scored[1:]
    ]


def test_a_generator_that_fails_on_everything_is_the_devices_fault(judge: Judge, writer: Writer) -> None:
    writer.broken = True
    with pytest.raises(RuntimeError, match="cannot"):
        judge.judge(pictures(1, 2))
    with pytest.raises(RuntimeError, match="cannot"):
        judge.probe()


def test_a_generator_that_gives_another_number_is_not_believed(judge: Judge, writer: Writer) -> None:
    writer.forgetful = True
    assert said(judge.judge(pictures(1, 2, 3))) == [["1"], ["2"], ["3"]]
