"""Scoring again what another generation has stored: the same record as of a fresh look, or a fresh look."""

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tasks.generations.description import Sight, describe
from tasks.inference import Inference
from tasks.layout import Layout
from tasks.ports import Decoded, Stat
from tasks.publish import Publisher
from tasks.records import Candidate, Embedded, Embedding, ImageRef, Outcome, Record, Status
from tasks.rescoring.packs import Manifest, Row, Shard, manifest_key, prefix, write_shard
from tasks.rescoring.rescore import Rescorer
from tasks.rescoring.stored import stored_in
from tasks.tag import Tagger
from tests.conftest import jpeg
from worker.encoders.fake import FakeEncoder
from worker.images.decode import decode
from worker.runtime import Model, load_model
from worker.settings import load_settings
from worker.storage.memory import MemoryStore

BUCKET = "photos"
LAYOUT = Layout("")
COLORS = ("red", "green", "blue", "white")
REFS = [ImageRef(BUCKET, f"{color}.jpg") for color in COLORS]
POLICY = '[keywords]\nmax = 8\nmin = 6\nlanguages = ["en", "ko"]\ndeny = ["under:animal"]\n'


class Counting(MemoryStore):
    """Counts requests; says once that an image is gone, or calls `before_stat`."""

    def __init__(self, bucket: str) -> None:
        super().__init__(bucket)
        self.requests: list[str] = []
        self.before_stat: Callable[[], None] = lambda: None

    def copy(self, other: MemoryStore) -> None:
        """Have what another store has, under the same ETags."""
        self._objects, self._modified = dict(other._objects), dict(other._modified)
        self._versions = itertools.count(1000)

    def stat(self, key: str, etag: str | None = None) -> Stat:
        self.requests.append("stat")
        self.before_stat()
        return MemoryStore.fetch(_Plain(self), key, etag).stat

    def read(self, key: str) -> tuple[bytes, str] | None:
        self.requests.append("read")
        return super().read(key)

    def put(self, key: str, data: bytes, *, if_match: str | None) -> str:
        self.requests.append("put")
        return super().put(key, data, if_match=if_match)


class _Plain(MemoryStore):
    """The same objects, without counting."""

    def __init__(self, store: MemoryStore) -> None:
        self.__dict__ = store.__dict__


class Inline:
    """Decodes where it is called, and counts."""

    def __init__(self) -> None:
        self.count = 0

    def submit(self, body: bytes | Path) -> "Future[Decoded]":
        future: Future[Decoded] = Future()
        self.count += 1
        future.set_result(decode(body, FakeEncoder.preprocess))
        return future

    def close(self) -> None:
        pass


class Stage:
    """Images, an output root, and taggers for any number of models."""

    def __init__(self, stack: ExitStack) -> None:
        self.source = Counting(BUCKET)
        self.out = Counting("out")
        self.decoder = Inline()
        self._stack = stack
        for ref, color in zip(REFS, COLORS, strict=True):
            self.source.put(ref.key, jpeg(color, (64, 48), quality=85), if_match=None)

    def tagger(self, model: Model, out: MemoryStore | None = None) -> Tagger:
        store = out or self.out
        describe(store, LAYOUT, model.description)
        inference = Inference(model.judge, model.encoder.batch)
        self._stack.callback(inference.close)
        return Tagger(
            sources={BUCKET: self.source},
            decoder=self.decoder,
            inference=inference,
            describer=model.describer,
            publisher=Publisher(store, LAYOUT, model.provenance.generation),
            rescorer=Rescorer(store, LAYOUT, model.description.sight, model.embeddings.shape[1]),
        )

    def pinned(self, ref: ImageRef) -> ImageRef:
        return replace(ref, etag=self.source.stat(ref.key).etag)

    def rewrite(self, model: Model, ref: ImageRef, change: Callable[[Record], Record | bytes]) -> None:
        """Change the record that a model's generation has."""
        path = LAYOUT.done(model.provenance.generation, ref)
        found = self.out.read(path)
        assert found is not None
        changed = change(Record.from_json(found[0]))
        # Not `to_json`, which the tests have refuse what is against the schema.
        data = changed if isinstance(changed, bytes) else msgspec.json.encode(changed)
        self.out.put(path, data, if_match=found[1])


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Model]:
    folder = tmp_path_factory.mktemp("models")
    (folder / "policy.toml").write_text(POLICY, "utf-8")
    (folder / "words.txt").write_text("red\nsky\ngrass\nfire\n", "utf-8")
    (folder / "first.txt").write_text("red\nblue\nsnow\nforest\nocean\nfire\nsky\n", "utf-8")
    # One alone has the shipped vocabulary, which takes a while to load.
    given: dict[str, dict[str, object]] = {
        "first": {"vocabulary": folder / "first.txt", "max_keywords": 6},
        "policy": {"policy": folder / "policy.toml"},
        "words": {"vocabulary": folder / "words.txt"},
        "score": {"vocabulary": folder / "first.txt", "min_score": 0.01, "max_keywords": 4},
    }
    return {name: load_model(load_settings(model="fake", cache_dir=folder, **more)) for name, more in given.items()}


@pytest.fixture
def stage() -> Iterator[Stage]:
    with ExitStack() as stack:
        yield Stage(stack)


@pytest.fixture(scope="module")
def prepared(models: dict[str, Model]) -> Stage:
    """All images tagged by the first model."""
    with ExitStack() as stack:
        stage = Stage(stack)
        first = stage.tagger(models["first"])
        assert {first.attempt(ref).record.status for ref in REFS} == {Status.TAGGED}
    return stage


@pytest.fixture
def tagged(stage: Stage, prepared: Stage) -> Stage:
    """A copy of that."""
    stage.source.copy(prepared.source)
    stage.out.copy(prepared.out)
    return stage


def untimed(record: Record) -> str:
    when = "2026-01-01T00:00:00+00:00"
    return replace(record, created_at=when, updated_at=when, revision=1, timings_ms={}).to_json()


def rescore(stage: Stage, models: dict[str, Model], ref: ImageRef, name: str = "policy") -> Outcome:
    """Work on one image as a message with `stored` has it."""
    stored = models["first"].provenance.generation
    return stage.tagger(models[name]).attempt(stage.pinned(ref), stored=stored, new=True)


@pytest.mark.parametrize("name", ["policy", "words", "score"])
def test_a_rescored_record_is_a_fresh_one(tagged: Stage, models: dict[str, Model], name: str) -> None:
    fresh = tagged.tagger(models[name], MemoryStore("fresh"))
    expected = [untimed(fresh.attempt(ref).record) for ref in REFS]
    tagged.decoder.count = 0
    found = [untimed(rescore(tagged, models, ref, name).record) for ref in REFS]
    assert found == expected
    assert tagged.decoder.count == 0
    assert len({json.loads(text)["generation"] for text in found}) == 1
    before = [tagged.tagger(models["first"]).attempt(ref).record for ref in REFS]
    assert [one.keywords for one in before] != [Record.from_json(text).keywords for text in found]


def test_it_costs_three_requests(tagged: Stage, models: dict[str, Model]) -> None:
    tagger = tagged.tagger(models["policy"])
    stored = models["first"].provenance.generation
    tagger.attempt(
        tagged.pinned(REFS[0]), stored=stored, new=True
    )  # reads how the generation was made, and looks for packs
    ref = tagged.pinned(REFS[1])
    tagged.out.requests.clear()
    tagged.source.requests.clear()
    assert tagger.attempt(ref, stored=stored, new=True).committed
    assert (tagged.out.requests, tagged.source.requests) == (["read", "put"], ["stat"])


def test_what_comes_again_is_looked_at_first(tagged: Stage, models: dict[str, Model]) -> None:
    """Put off, a message's listing is old: somebody may have left a record of the other kind."""
    tagger = tagged.tagger(models["policy"])
    ref = tagged.pinned(REFS[0])
    failed = replace(tagger.attempt(ref).record, status=Status.REJECTED, reason="unreadable")
    done, other = (where(models["policy"].provenance.generation, ref) for where in (LAYOUT.done, LAYOUT.failed))
    tagged.out.delete(done, if_match=tagged.out.stat(done).etag)
    tagged.out.put(other, msgspec.json.encode(failed), if_match=None)
    outcome = tagger.attempt(ref, stored=models["first"].provenance.generation)
    assert outcome.cached
    assert [stat.key for stat in tagged.out.list(models["policy"].provenance.generation)][:1] == [other]


def test_a_ref_without_an_etag_is_looked_at_first(tagged: Stage, models: dict[str, Model]) -> None:
    tagger = tagged.tagger(models["policy"])
    outcome = tagger.attempt(REFS[0], stored=models["first"].provenance.generation)
    assert outcome.record.image.etag == tagged.source.stat(REFS[0].key).etag
    assert tagged.decoder.count == 0


def broken_embedding(text: bytes, dimensions: int = 64) -> Callable[[Record], Record]:
    import base64

    return lambda record: replace(record, embedding=Embedding(dimensions, base64.b64encode(text).decode()))


@pytest.mark.parametrize(
    "change",
    [
        lambda record: b"no JSON",
        lambda record: b'{"schema": "stockmeta/9"}',
        lambda record: replace(record, image=replace(record.image, etag='"other"')),
        lambda record: replace(record, image=replace(record.image, key="other.jpg")),
        lambda record: replace(record, generation="f" * 12),
        lambda record: replace(record, embedding=None),
        lambda record: replace(record, visual=None),
        lambda record: replace(record, status=Status.REJECTED, reason="unreadable"),
        broken_embedding(b"\0" * 128),
        broken_embedding(np.full(64, np.nan, "<f2").tobytes()),
        broken_embedding(np.full(32, 32**-0.5, "<f2").tobytes(), 32),
        broken_embedding(np.full(32, 32**-0.5, "<f2").tobytes(), 64),
        lambda record: replace(record, embedding=Embedding(64, "no base64!")),
    ],
)
def test_what_cannot_be_used_is_read_afresh(
    tagged: Stage, models: dict[str, Model], change: Callable[[Record], Record | bytes]
) -> None:
    fresh = untimed(tagged.tagger(models["policy"], MemoryStore("fresh")).attempt(REFS[2]).record)
    tagged.rewrite(models["first"], REFS[2], change)
    tagged.decoder.count = 0
    outcome = rescore(tagged, models, REFS[2])
    assert untimed(outcome.record) == fresh
    assert tagged.decoder.count == 1


@pytest.mark.parametrize("stored", ["f" * 12, "", "../current"])
def test_a_generation_that_is_not_there_is_no_trouble(tagged: Stage, models: dict[str, Model], stored: str) -> None:
    outcome = tagged.tagger(models["policy"]).attempt(tagged.pinned(REFS[0]), stored=stored)
    assert outcome.committed
    assert tagged.decoder.count == 1


@pytest.mark.parametrize("changed", ["encoder", "decoding", "reading", "rendition", "generator"])
def test_what_was_seen_otherwise_is_not_used(tagged: Stage, models: dict[str, Model], changed: str) -> None:
    tagger = tagged.tagger(models["policy"])
    assert tagger.rescorer
    sight = replace(tagger.rescorer.sight, **{changed: "another"})
    other = replace(tagger, rescorer=Rescorer(tagged.out, LAYOUT, sight, tagger.rescorer.dimensions))
    other.attempt(tagged.pinned(REFS[0]), stored=models["first"].provenance.generation)
    assert tagged.decoder.count == 1


def test_terminal_records_are_not_taken_over(tagged: Stage, models: dict[str, Model]) -> None:
    tagged.source.put("mended.jpg", jpeg("red"), if_match=None)
    ref = ImageRef(BUCKET, "mended.jpg")
    record = replace(
        tagged.tagger(models["first"], MemoryStore("aside")).attempt(ref).record,
        status=Status.REJECTED,
        reason="unreadable",
    )
    path = LAYOUT.failed(models["first"].provenance.generation, ref)
    tagged.out.put(path, msgspec.json.encode(record), if_match=None)
    assert rescore(tagged, models, ref).record.status.done


def test_candidates_stay_with_their_generator_and_go_with_another(tagged: Stage, models: dict[str, Model]) -> None:
    candidates = (Candidate("a red thing", 0.25),)
    tagged.rewrite(models["first"], REFS[0], lambda record: replace(record, candidates=candidates))
    assert rescore(tagged, models, REFS[0]).record.candidates == ()
    with_one = Sight("e", "d", "r", generator="coca")
    dimensions = models["first"].embeddings.shape[1]
    store = MemoryStore("out")
    described = replace(models["first"].description, sight=with_one)
    describe(store, LAYOUT, described)
    path = LAYOUT.done(described.generation, REFS[0])
    found = tagged.out.read(path)
    assert found
    store.put(path, found[0], if_match=None)
    etag = tagged.source.stat(REFS[0].key).etag
    for generator, expected in (("coca", candidates), ("", ())):
        rescorer = Rescorer(store, LAYOUT, replace(with_one, generator=generator), dimensions)
        stored = rescorer.find(REFS[0], etag, described.generation)
        assert stored
        assert stored.candidates == expected


def test_what_the_file_said_and_what_we_wrote_into_it_are_carried(tagged: Stage, models: dict[str, Model]) -> None:
    said = Embedded(title="A thing", keywords=("fire engine", "소방차"), city="Seoul")
    tagged.rewrite(models["first"], REFS[0], lambda record: replace(record, embedded=said, written="f" * 64))
    record = rescore(tagged, models, REFS[0]).record
    assert (record.embedded, record.written) == (said, "f" * 64)
    assert record.keywords[0].source == "embedded"


def test_an_image_replaced_meanwhile_leaves_nothing(tagged: Stage, models: dict[str, Model]) -> None:
    ref = tagged.pinned(REFS[0])
    data = jpeg("black")
    tagged.source.before_stat = lambda: (
        None
        if _Plain(tagged.source).read(ref.key)[0] == data  # type: ignore[index]  # it is there
        else _Plain(tagged.source).put(ref.key, data, if_match=ref.etag) and None
    )
    outcome = tagged.tagger(models["policy"]).attempt(ref, stored=models["first"].provenance.generation, new=True)
    assert (outcome.committed, outcome.record.reason) == (False, "replaced")
    assert not list(tagged.out.list(f"{models['policy'].provenance.generation}/done"))
    # It comes again without an ETag, and is read.
    again = tagged.tagger(models["policy"]).attempt(REFS[0], stored=models["first"].provenance.generation)
    assert again.record.image.etag == tagged.source.stat(ref.key).etag
    assert tagged.decoder.count == 1


def test_an_image_that_is_gone_leaves_nothing(tagged: Stage, models: dict[str, Model]) -> None:
    ref = tagged.pinned(REFS[0])
    tagged.source.delete(ref.key, if_match=ref.etag or "")
    outcome = tagged.tagger(models["policy"]).attempt(ref, stored=models["first"].provenance.generation, new=True)
    assert outcome.record.reason == "vanished"
    assert not list(tagged.out.list(f"{models['policy'].provenance.generation}/done"))


def test_a_record_that_came_meanwhile_stays(tagged: Stage, models: dict[str, Model]) -> None:
    there = tagged.tagger(models["policy"]).attempt(REFS[0]).record
    outcome = rescore(tagged, models, REFS[0])
    assert outcome.cached
    assert outcome.record == there


def test_an_outdated_record_that_the_listing_missed_is_replaced(tagged: Stage, models: dict[str, Model]) -> None:
    before = tagged.tagger(models["policy"]).attempt(REFS[0]).record
    tagged.source.put(REFS[0].key, jpeg("purple"), if_match=tagged.source.stat(REFS[0].key).etag)
    tagged.tagger(models["first"]).attempt(REFS[0])
    tagged.decoder.count = 0
    record = rescore(tagged, models, REFS[0]).record
    assert tagged.decoder.count == 0
    assert record.image.etag != before.image.etag
    assert record.revision > before.revision
    path = LAYOUT.done(models["policy"].provenance.generation, REFS[0])
    assert Record.from_json((tagged.out.read(path) or (b"", ""))[0]) == record


def pack(stage: Stage, model: Model) -> None:
    generation = model.provenance.generation
    rows = []
    for ref in sorted(REFS, key=lambda ref: ref.key):
        found = stage.out.read(LAYOUT.done(generation, ref))
        assert found
        stored = stored_in(Record.from_json(found[0]))
        assert stored
        rows.append(Row(stored, found[1]))
    keys = [row.stored.image.key for row in rows]
    stage.out.put(f"{prefix(LAYOUT, generation, BUCKET)}a.zip", write_shard(rows), if_match=None)
    manifest = Manifest(generation, BUCKET, "bytes", (Shard("a.zip", keys[0], keys[-1], len(rows), 1),))
    stage.out.put(manifest_key(LAYOUT, generation, BUCKET), manifest.to_json(), if_match=None)


def test_packs_give_the_same_for_one_request_less(tagged: Stage, models: dict[str, Model]) -> None:
    expected = [untimed(rescore(tagged, models, ref, "score").record) for ref in REFS]
    for ref in REFS:
        path = LAYOUT.done(models["score"].provenance.generation, ref)
        tagged.out.delete(path, if_match=tagged.out.stat(path).etag)
    pack(tagged, models["first"])
    tagger = tagged.tagger(models["score"])
    stored = models["first"].provenance.generation
    found = [untimed(tagger.attempt(tagged.pinned(REFS[0]), stored=stored).record)]
    tagged.out.requests.clear()
    found += [untimed(tagger.attempt(tagged.pinned(ref), stored=stored, new=True).record) for ref in REFS[1:]]
    assert found == expected
    assert Counter(tagged.out.requests) == {"put": 3}
    assert tagged.decoder.count == 0


def test_a_pack_from_before_the_image_was_replaced_does_not_count(tagged: Stage, models: dict[str, Model]) -> None:
    pack(tagged, models["first"])
    tagged.source.put(REFS[0].key, jpeg("purple"), if_match=tagged.source.stat(REFS[0].key).etag)
    tagged.tagger(models["first"]).attempt(REFS[0])
    tagged.decoder.count = 0
    record = rescore(tagged, models, REFS[0]).record
    assert record.image.etag == tagged.source.stat(REFS[0].key).etag
    assert tagged.decoder.count == 0


def test_a_generation_that_gets_its_description_later_is_found(
    tagged: Stage, models: dict[str, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    generation = models["first"].provenance.generation
    path = LAYOUT.description(generation)
    tagged.out.delete(path, if_match=tagged.out.stat(path).etag)
    tagger = tagged.tagger(models["policy"])
    tagger.attempt(tagged.pinned(REFS[0]), stored=generation)
    describe(tagged.out, LAYOUT, models["first"].description)
    tagger.attempt(tagged.pinned(REFS[1]), stored=generation)
    assert tagged.decoder.count == 2
    monkeypatch.setattr("tasks.rescoring.rescore.LOOK_SECONDS", 0.0)
    tagger.attempt(tagged.pinned(REFS[2]), stored=generation)
    assert tagged.decoder.count == 2
