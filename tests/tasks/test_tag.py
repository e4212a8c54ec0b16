"""The way of one image, on the shipped fakes and the real decoding, in this process."""

import hashlib
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tasks.describe import Describer, Provenance
from tasks.errors import Rejected, Unavailable, Vanished
from tasks.inference import Inference, Judge
from tasks.layout import Layout
from tasks.ports import Decoded, Fetched, Stat
from tasks.publish import Publisher
from tasks.records import ImageRef, Status
from tasks.tag import Tagger, tag_many
from taxonomy.categories import Categorizer, CategoryRow, Scheme
from taxonomy.choose import Chooser
from taxonomy.concepts import Concept, build
from taxonomy.policy import Policy, Thresholds
from taxonomy.review import Reviewer, load_flags
from taxonomy.score import Scorer
from tests.conftest import jpeg
from worker.captioners.composed import ComposedCaptioner
from worker.encoders.fake import FakeEncoder
from worker.images.decode import decode
from worker.storage.memory import MemoryStore

GENERATION = "0123456789ab"
REVIEWER = Reviewer(load_flags(), np.zeros((0, 64), np.float32), 20.0, frozenset(), {})
VOCABULARY = build([Concept(f"x:{name}", name) for name in ("cup", "dog", "kite", "lamp", "road", "tree")])


class Inline:
    """Decodes where it is called; `before` is what happens first."""

    def __init__(self) -> None:
        self.before: Callable[[], None] = lambda: None

    def submit(self, body: bytes | Path) -> "Future[Decoded]":
        future: Future[Decoded] = Future()
        try:
            self.before()
            future.set_result(decode(body, FakeEncoder.preprocess))
        except (Rejected, RuntimeError) as error:
            future.set_exception(error)
        return future

    def close(self) -> None:
        pass


class Broken(MemoryStore):
    """A store that does not answer for some keys."""

    def fetch(self, key: str, etag: str | None = None, *, most: int | None = None) -> Fetched:
        if key.startswith("away"):
            raise Unavailable("the store did not answer")
        return super().fetch(key, etag, most=most)


@pytest.fixture
def source() -> MemoryStore:
    store = Broken("photos")
    for i, color in enumerate(("red", "green", "blue", "white", "black")):
        store.put(f"{i}.jpg", jpeg(color), if_match=None)
    return store


@pytest.fixture
def decoder() -> Inline:
    return Inline()


@pytest.fixture
def tagger(source: MemoryStore, decoder: Inline) -> Iterator[Tagger]:
    encoder = FakeEncoder()
    embeddings = encoder.encode_texts([concept.label for concept in VOCABULARY.concepts])
    scheme = Scheme(
        "agency", 2, (CategoryRow("1", "Things", ("cup", "lamp"), "things"), CategoryRow("2", "Rest", (), "x"))
    )
    categorizer = Categorizer(scheme, VOCABULARY, encoder.encode_texts(["things", "x"]), None, 20.0)
    inference = Inference(Judge(encoder, Scorer(VOCABULARY, embeddings, None, 20.0), (categorizer,), REVIEWER), batch=4)
    yield Tagger(
        sources={"photos": source},
        decoder=decoder,
        inference=inference,
        describer=Describer(
            Chooser(VOCABULARY, Policy(thresholds=Thresholds())),
            (categorizer,),
            REVIEWER,
            ComposedCaptioner(VOCABULARY, embeddings),
            Provenance(GENERATION, encoder.model, encoder.engine, VOCABULARY.fingerprint),
        ),
        publisher=Publisher(MemoryStore("out"), Layout(""), GENERATION),
    )
    inference.close()


def sidecars(tagger: Tagger) -> list[str]:
    assert tagger.publisher
    return [stat.key for stat in tagger.publisher.sidecars.list()]


def test_many_images_come_in_order_and_are_committed(tagger: Tagger) -> None:
    refs = [ImageRef("photos", f"{i}.jpg") for i in (3, 1, 4, 0, 2)]
    outcomes = list(tag_many(tagger, refs, threads=3))
    assert [outcome.ref for outcome in outcomes] == refs
    assert {outcome.record.status for outcome in outcomes} == {Status.TAGGED}
    assert len(sidecars(tagger)) == 5
    for outcome in outcomes:
        assert outcome.record.to_json()
        ranks = [word.rank for word in outcome.record.keywords]
        assert ranks == list(range(1, len(ranks) + 1))


def test_a_result_does_not_depend_on_the_company(tagger: Tagger) -> None:
    alone = tagger.attempt(ImageRef("photos", "2.jpg")).record
    object.__setattr__(tagger, "publisher", None)
    together = list(tag_many(tagger, [ImageRef("photos", f"{i}.jpg") for i in range(5)], threads=5))[2].record
    assert (alone.keywords, alone.categories, alone.embedding, alone.caption) == (
        together.keywords,
        together.categories,
        together.embedding,
        together.caption,
    )


def test_a_second_run_encodes_nothing(tagger: Tagger, decoder: Inline) -> None:
    first = tagger.attempt(ImageRef("photos", "0.jpg"))
    decoder.before = lambda: pytest.fail("decoded again")
    second = tagger.attempt(ImageRef("photos", "0.jpg"))
    assert second.cached
    assert second.record == first.record


def test_each_trouble_is_its_own_images(tagger: Tagger, source: MemoryStore, caplog: pytest.LogCaptureFixture) -> None:
    source.put("away.jpg", jpeg(), if_match=None)
    source.put("broken.jpg", b"\xff\xd8\xff\xe0 no picture", if_match=None)
    keys = ["0.jpg", "away.jpg", "1.jpg", "gone.jpg", "broken.jpg", "2.jpg", "k" * 1020]
    outcomes = list(tag_many(tagger, [ImageRef("photos", key) for key in keys], threads=4))
    found = [(outcome.record.status.value, outcome.record.reason, outcome.committed) for outcome in outcomes]
    assert found == [
        ("tagged", None, True),
        ("failed", "unavailable", False),
        ("tagged", None, True),
        ("failed", "vanished", False),
        ("rejected", "truncated", True),
        ("tagged", None, True),
        ("rejected", "key_too_long", False),
    ]
    assert tagger.attempt(ImageRef("elsewhere", "0.jpg")).record.reason == "unavailable"


def test_a_bug_is_logged_and_stops_nothing(tagger: Tagger, decoder: Inline, caplog: pytest.LogCaptureFixture) -> None:
    turns = itertools.count()

    def sometimes() -> None:
        if next(turns) == 1:
            raise RuntimeError("a bug")

    decoder.before = sometimes
    outcomes = list(tag_many(tagger, [ImageRef("photos", f"{i}.jpg") for i in range(3)], threads=1))
    assert [outcome.record.reason for outcome in outcomes] == [None, "internal_error", None]
    assert "Traceback" in caplog.text


def test_an_image_replaced_meanwhile_ends_as_what_it_is_now(
    tagger: Tagger, source: MemoryStore, decoder: Inline
) -> None:
    turns = itertools.count()

    def replace_once() -> None:
        if next(turns) == 0:
            source.put("0.jpg", jpeg("yellow", (30, 20)), if_match=source.stat("0.jpg").etag)

    decoder.before = replace_once
    outcome = tagger.attempt(ImageRef("photos", "0.jpg"))
    assert outcome.record.image.width == 30
    assert outcome.record.image.etag == source.stat("0.jpg").etag
    assert len(sidecars(tagger)) == 1


def test_a_version_asked_for_and_replaced_meanwhile_leaves_nothing(
    tagger: Tagger, source: MemoryStore, decoder: Inline
) -> None:
    etag = source.stat("0.jpg").etag
    decoder.before = lambda: (source.put("0.jpg", jpeg("yellow"), if_match=etag), None)[1]
    outcome = tagger.attempt(ImageRef("photos", "0.jpg", etag))
    assert outcome.record.reason == "replaced"
    assert sidecars(tagger) == []


def test_an_image_deleted_meanwhile_leaves_nothing(tagger: Tagger, source: MemoryStore, decoder: Inline) -> None:
    def delete() -> None:
        if source.read("0.jpg"):
            source.delete("0.jpg", if_match=source.stat("0.jpg").etag)

    decoder.before = delete
    assert tagger.attempt(ImageRef("photos", "0.jpg")).record.reason == "vanished"
    assert sidecars(tagger) == []


def test_references_are_read_only_a_little_ahead(tagger: Tagger) -> None:
    taken = itertools.count()

    def endless() -> Iterator[ImageRef]:
        while True:
            yield ImageRef("photos", f"{next(taken) % 5}.jpg")

    some = tag_many(tagger, endless(), threads=2)
    assert all(next(some).record.status.done for _ in range(10))
    some.close()
    assert next(taken) < 20


def test_the_embedding_is_the_stored_one(tagger: Tagger) -> None:
    record = tagger.attempt(ImageRef("photos", "1.jpg")).record
    assert record.embedding
    np.testing.assert_allclose(np.linalg.norm(record.embedding.unpack()), 1, atol=2e-3)


def test_a_file_that_is_too_large_is_refused_unread(tagger: Tagger, source: MemoryStore, decoder: Inline) -> None:
    object.__setattr__(tagger, "max_bytes", 100)
    decoder.before = lambda: pytest.fail("it was read")
    record = tagger.attempt(ImageRef("photos", "0.jpg")).record
    assert (record.status, record.reason) == (Status.REJECTED, "too_many_bytes")
    assert sidecars(tagger) == [f"{GENERATION}/failed/photos/0.jpg.json"]


def test_an_image_that_is_gone_takes_its_records_with_it(tagger: Tagger, source: MemoryStore) -> None:
    tagger.attempt(ImageRef("photos", "0.jpg"))
    assert tagger.committed(ImageRef("photos", "0.jpg"))
    source.delete("0.jpg", if_match=source.stat("0.jpg").etag)
    assert tagger.attempt(ImageRef("photos", "0.jpg")).record.reason == "vanished"
    assert sidecars(tagger) == []
    with pytest.raises(Vanished):
        tagger.committed(ImageRef("photos", "0.jpg"))


def test_an_image_that_comes_back_meanwhile_is_tagged(tagger: Tagger, source: MemoryStore) -> None:
    looks = itertools.count()
    stat = source.stat

    def gone_at_first(key: str, etag: str | None = None) -> Stat:
        if next(looks) == 0:
            raise Vanished("gone at that moment")
        return stat(key, etag)

    source.stat = gone_at_first  # type: ignore[method-assign]
    assert tagger.attempt(ImageRef("photos", "0.jpg")).record.status is Status.TAGGED


def test_what_we_wrote_into_an_image_ourselves_is_adopted(tagger: Tagger, source: MemoryStore, decoder: Inline) -> None:
    ref = ImageRef("photos", "1.jpg")
    before = tagger.attempt(ref).record
    publisher = tagger.publisher
    assert publisher is not None
    # As a command leaves it that ended between writing the image and telling the record.
    data = jpeg("green", comment=b"words")
    path = publisher.layout.done(GENERATION, ref)
    found = publisher.sidecars.read(path)
    assert found is not None
    announced = replace(before, written=hashlib.sha256(data).hexdigest())
    publisher.sidecars.put(path, announced.to_json().encode(), if_match=found[1])
    etag = source.rewrite("1.jpg", data, if_match=source.stat("1.jpg").etag)

    def decoding() -> None:
        raise AssertionError("it was decoded")

    decoder.before = decoding
    outcome = tagger.attempt(ref)
    assert outcome.cached
    assert outcome.record.image == replace(before.image, etag=etag, bytes=len(data), sha256=announced.written)
    assert (outcome.record.keywords, outcome.record.created_at) == (before.keywords, before.created_at)
    assert tagger.attempt(ref).record == outcome.record
    # Somebody else's content is a new picture.
    decoder.before = lambda: None
    source.put("1.jpg", jpeg("navy"), if_match=etag)
    after = tagger.attempt(ref)
    assert not after.cached
    assert after.record.written is None
