"""What a record says of a picture whose file has words of its own."""

from dataclasses import replace

import numpy as np
import pytest

from tasks.describe import Describer, Provenance
from tasks.inference import Scored
from tasks.ports import Picture, Words
from tasks.records import Embedded, Embedding, Image, Record, Source, Status, Visual
from taxonomy.choose import Chooser
from taxonomy.concepts import Concept, build
from taxonomy.policy import Policy, Thresholds
from taxonomy.review import Reviewer, load_flags

VOCABULARY = build([Concept("x:cup", "cup"), Concept("x:dog", "dog")])
IMAGE = Image("b", "k.jpg", "e")
VISUAL = Visual("0" * 16, (), "square")
SAID = Embedded(title="In the office", keywords=("mug", "Cups"))


class Captioner:
    """Says something where there are keywords; remembers what it was given."""

    fingerprint = "0"

    def __init__(self) -> None:
        self.pictures: list[Picture] = []

    def caption(self, picture: Picture, keywords: object) -> Words | None:
        self.pictures.append(picture)
        return Words("ours", "ours", "ours") if keywords else None


@pytest.fixture
def captioner() -> Captioner:
    return Captioner()


@pytest.fixture
def describer(captioner: Captioner) -> Describer:
    reviewer = Reviewer(load_flags(), np.zeros((0, 2), np.float32), 20.0, frozenset(), {})
    chooser = Chooser(VOCABULARY, Policy(thresholds=Thresholds(score=0.5, margin=0.5, raw=0.0)))
    return Describer(chooser, (), reviewer, captioner, Provenance("0123456789ab", "fake", "fake", "0"))


def record(describer: Describer, cup: float, embedded: Embedded | None) -> Record:
    values = np.array([cup, 0.0], np.float32)
    vector = np.array([1.0, 0.0], np.float32)
    scored = Scored(Embedding.pack(vector), vector, values, values, values, {}, np.zeros(0, np.float32))
    made = describer.describe(IMAGE, VISUAL, scored, embedded)
    assert made.to_json()
    return made


def test_a_persons_keywords_make_a_picture_tagged(describer: Describer) -> None:
    found = record(describer, 0.0, SAID)
    assert (found.status, found.reason, found.title) == (Status.TAGGED, None, "In the office")
    assert [(word.id, word.source) for word in found.keywords] == [
        ("embedded:mug", Source.EMBEDDED),
        ("x:cup", Source.EMBEDDED),
    ]


def test_without_keywords_of_anybody_it_is_empty(describer: Describer) -> None:
    found = record(describer, 0.0, replace(SAID, keywords=()))
    assert (found.status, found.keywords, found.title) == (Status.EMPTY, (), None)
    assert found.embedded == replace(SAID, keywords=())


def test_ours_come_after_theirs_and_the_words_stay_the_captioners(describer: Describer, captioner: Captioner) -> None:
    found = record(describer, 0.9, SAID)
    assert [word.labels["en"] for word in found.keywords] == ["mug", "Cups"]
    assert found.keywords[1].raw == pytest.approx(0.9)
    assert found.title == "ours"
    assert captioner.pictures[0].embedded == SAID
    assert [word.labels["en"] for word in record(describer, 0.9, None).keywords] == ["cup"]


def test_a_brand_among_them_is_flagged(describer: Describer) -> None:
    flags = {flag.name: flag for flag in record(describer, 0.9, Embedded(keywords=("Coca-Cola",))).flags}
    assert flags["embedded_words"].verdict == "yes"
    assert "embedded_words" not in {flag.name for flag in record(describer, 0.9, SAID).flags}
