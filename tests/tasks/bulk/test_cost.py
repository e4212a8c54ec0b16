"""What a run is said to cost is what it asks for, counted."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from tasks.bulk.cost import PAGE, PER_IMAGE, Estimate, Pace, Prices, estimate, listing_of, pages, requests_text, work_of
from tasks.bulk.results import Counts
from tasks.describe import Describer, Provenance
from tasks.errors import Rejected
from tasks.generations.description import Description, Sight, describe
from tasks.inference import Inference, Judge
from tasks.layout import Layout
from tasks.ports import Decoded, Start
from tasks.publish import Publisher
from tasks.records import ImageRef, Record, Status
from tasks.renditions import Renditions
from tasks.rescoring.packs import Manifest, Row, Shard, manifest_key, prefix, write_shard
from tasks.rescoring.rescore import Rescorer
from tasks.rescoring.stored import stored_in
from tasks.tag import Tagger
from tasks.traffic import OPERATIONS, Traffic, divided
from taxonomy.choose import Chooser
from taxonomy.concepts import Concept, build
from taxonomy.policy import Policy, Thresholds
from taxonomy.review import Reviewer, load_flags
from taxonomy.score import Scorer
from tests.conftest import jpeg
from worker.captioners.composed import ComposedCaptioner
from worker.encoders.fake import FakeEncoder
from worker.images.decode import Limits, decode
from worker.storage import counted
from worker.storage.counted import CountedStore, Meter
from worker.storage.memory import MemoryStore

OLD, NEW = "0123456789ab", "ba9876543210"
IMAGES = 4
VOCABULARY = build([Concept(f"x:{name}", name) for name in ("cup", "dog", "kite", "lamp", "road", "tree")])
SIGHT = Sight("encoder", "decoding", "reading")
PRICES = Prices()


class Inline:
    """Decodes where it is called."""

    def submit(self, body: bytes | Path, original: Start | None = None) -> "Future[Decoded]":
        future: Future[Decoded] = Future()
        try:
            future.set_result(decode(body, FakeEncoder.preprocess, Limits(), original=original))
        except Rejected as error:
            future.set_exception(error)
        return future

    def close(self) -> None:
        pass


@dataclass
class Library:
    """Images and records in counted stores, and a tagger for any generation."""

    meter: Meter
    source: CountedStore
    sidecars: CountedStore
    make: Callable[[str], Tagger]
    renditions: Renditions | None = None

    def asked(self, act: Callable[[], object]) -> Traffic:
        before = self.meter.total
        act()
        return self.meter.total - before

    def tag(self, generation: str, stored: str | None = None, *, new: bool = True) -> Traffic:
        """Tag all images, as a backfill sends them."""
        tagger = replace(self.make(generation), renditions=self.renditions)

        def work() -> None:
            for key, etag in etags.items():
                ref = ImageRef("photos", key, etag if stored else None)
                assert tagger.attempt(ref, stored=stored, new=new).record.status is Status.TAGGED

        etags = {stat.key: stat.etag for stat in self.source.list("originals/")}
        return self.asked(work)


@pytest.fixture
def library() -> Iterator[Library]:
    meter = Meter()
    images = MemoryStore("photos")
    for number in range(IMAGES):
        key, color = f"originals/{number}.jpg", f"#{number}0{number}f40"
        images.put(key, jpeg(color, (600, 400)), if_match=None)
        images.put(key.replace("originals", "previews"), jpeg(color, (300, 200)), if_match=None)
    source, sidecars = CountedStore(images, meter), CountedStore(MemoryStore("out"), meter)
    layout, encoder = Layout(""), FakeEncoder()
    embeddings = encoder.encode_texts([concept.label for concept in VOCABULARY.concepts])
    reviewer = Reviewer(load_flags(), np.zeros((0, 64), np.float32), 20.0, frozenset(), {})
    inference = Inference(Judge(encoder, Scorer(VOCABULARY, embeddings, None, 20.0), (), reviewer), batch=4)

    def make(generation: str) -> Tagger:
        named = {"generation": generation, "opened_at": "2026-01-01T00:00:00+00:00", "model": "fake", "engine": "numpy"}
        described = Description(**named, taxonomy="", captioner="", languages=("en",), sight=SIGHT)  # type: ignore[arg-type] - texts all
        describe(sidecars, layout, described)
        made = Provenance(generation, encoder.model, encoder.engine, VOCABULARY.fingerprint)
        chooser = Chooser(VOCABULARY, Policy(thresholds=Thresholds()))
        rescorer = Rescorer(sidecars, layout, SIGHT, 64)
        # What a worker reads once, and not for each image.
        rescorer.find(ImageRef("photos", "none.jpg"), "none", OLD)
        return Tagger(
            sources={"photos": source},
            decoder=Inline(),
            inference=inference,
            describer=Describer(chooser, (), reviewer, ComposedCaptioner(VOCABULARY, embeddings), made),
            publisher=Publisher(sidecars, layout, generation),
            rescorer=rescorer,
        )

    yield Library(meter, source, sidecars, make)
    inference.close()


def test_an_image_that_is_tagged_costs_what_is_said(library: Library) -> None:
    assert requests(library.tag(OLD)) == requests(PER_IMAGE["tag"] * IMAGES)


def test_an_image_without_a_listing_costs_two_requests_more(library: Library) -> None:
    assert requests(library.tag(OLD, new=False)) == requests((PER_IMAGE["tag"] + Traffic(get=2)) * IMAGES)


def test_an_image_that_is_scored_again_costs_what_is_said(library: Library) -> None:
    library.tag(OLD)
    assert requests(library.tag(NEW, stored=OLD)) == requests(PER_IMAGE["rescore"] * IMAGES)


def test_an_image_with_a_rendition_costs_what_is_said(library: Library) -> None:
    found = replace(library, renditions=Renditions("previews/{below}.jpg")).tag(OLD)
    assert requests(found) == requests(PER_IMAGE["rendition"] * IMAGES)
    missing = replace(library, renditions=Renditions("nowhere/{below}.jpg")).tag(NEW)
    assert requests(missing) == requests((PER_IMAGE["tag"] + Traffic(get=1)) * IMAGES)


def test_an_image_that_is_packed_costs_what_is_said(library: Library) -> None:
    library.tag(OLD)
    rows = []
    for stat in library.source.list("originals/"):
        found = library.sidecars.read(Layout("").done(OLD, ImageRef("photos", stat.key)))
        stored = found and stored_in(Record.from_json(found[0]))
        assert found and stored
        rows.append(Row(stored, found[1]))
    keys = [row.stored.image.key for row in rows]
    shard = Shard("a.zip", keys[0], keys[-1], IMAGES, 1)
    library.sidecars.put(f"{prefix(Layout(''), OLD, 'photos')}a.zip", write_shard(rows), if_match=None)
    manifest = Manifest(OLD, "photos", "bytes", (shard,))
    library.sidecars.put(manifest_key(Layout(""), OLD, "photos"), manifest.to_json(), if_match=None)
    rescored = library.tag(NEW, stored=OLD)
    assert requests(rescored) == requests(work_of("packed", IMAGES, 0)), "one shard is read"


def test_what_is_done_is_cheaper(library: Library) -> None:
    first = library.tag(OLD)
    again = library.tag(OLD, new=False)
    assert 0 < again.requests < first.requests / 2
    assert again.put == again.list == 0


def test_a_listing_costs_what_is_said(library: Library) -> None:
    library.tag(OLD)
    layout = Layout("")

    def listed() -> None:
        for images in (library.source.list(),):
            assert len(list(images)) == 2 * IMAGES
        for kind in ("done", "failed"):
            list(library.sidecars.list(layout.prefix(kind, OLD, "photos")))  # type: ignore[arg-type] - both are kinds

    assert requests(library.asked(listed)) == requests(listing_of(2 * IMAGES, IMAGES))


def requests(traffic: Traffic) -> dict[str, int]:
    return {operation: getattr(traffic, operation) for operation in OPERATIONS}


def test_pages_are_those_of_the_stores() -> None:
    assert PAGE == counted.PAGE
    assert [pages(keys).list for keys in (0, 1, 1000, 1001)] == [1, 1, 1, 2]


def test_requests_are_paid_by_the_thousand() -> None:
    assert PRICES.of(Traffic(put=1000)) == PRICES.of(Traffic(list=1000)) == 0.005
    assert PRICES.of(Traffic(get=1000)) == PRICES.of(Traffic(head=1000)) == 0.0004
    assert PRICES.of(Traffic(delete=10**9, read=10**15, written=10**15)) == 0.0
    assert Prices(put=1.0, get=0.5).of(Traffic(list=1, get=2, head=1, put=1)) == pytest.approx(0.0035)


FOUND = Counts(images=100_000_000, missing=100_000_000, sent=100_000_000, bytes=10**15, complete=True)


def test_a_library_of_a_hundred_million_is_estimated() -> None:
    found = estimate(FOUND, "tag", prices=PRICES, pace=Pace(100.0, "as workers say"))
    assert found.work == PER_IMAGE["tag"] * 100_000_000 + Traffic(read=10**15, written=3_300 * 100_000_000)
    # 100,000 pages of images and two empty listings of records; the same again, and 100,000 pages of new records.
    assert found.listing == Traffic(list=300_004)
    assert found.dollars == pytest.approx(PRICES.of(found.work) + 300_004 * 0.005 / 1000)
    assert found.seconds == 1_000_000
    assert any("as workers say" in line for line in found.basis)


def test_what_has_a_record_costs_two_requests_more() -> None:
    some = estimate(replace(FOUND, missing=0, stale=1000, sent=1000), "tag", prices=PRICES)
    assert some.work.get == (PER_IMAGE["tag"].get + 2) * 1000


def test_scoring_again_is_cheaper_and_reads_records() -> None:
    tagged, rescored = (estimate(FOUND, way, prices=PRICES) for way in ("tag", "rescore"))  # type: ignore[arg-type] - both are ways
    assert rescored.dollars < tagged.dollars
    assert rescored.work.read == 3_300 * 100_000_000
    assert rescored.seconds is None
    assert any("no pace" in line for line in rescored.basis)


def test_nothing_to_do_costs_one_listing() -> None:
    done = Counts(images=5000, current=5000, records=5000, complete=True)
    found = estimate(done, "tag", prices=PRICES)
    assert (found.listing, found.work) == (Traffic(list=5 + 5 + 1), Traffic())
    assert found.dollars == pytest.approx(11 * 0.005 / 1000)


def test_what_was_counted_goes_before_what_is_computed() -> None:
    counts = Counts(images=10, missing=10, sent=10, requests={"requests:list": 7, "requests:head": 1, "bytes:read": 5})
    found = estimate(counts, "tag", prices=PRICES)
    assert found.listing == Traffic(list=7 + 7 + 1, head=1, read=5)
    assert any("counted in this one" in line for line in found.basis)


def test_a_folder_costs_time_alone() -> None:
    found = estimate(FOUND, "tag", prices=PRICES, pace=Pace(50.0, "measured here"), billed=False)
    assert (found.listing, found.work, found.dollars, found.seconds) == (Traffic(), Traffic(), 0.0, 2_000_000)


def test_measured_records_are_believed() -> None:
    found = estimate(replace(FOUND, sent=10), "tag", prices=PRICES, record_bytes=5000)
    assert found.work.written == 50_000
    assert any("measured" in line for line in found.basis)


def test_an_estimate_is_json() -> None:
    found = estimate(FOUND, "tag", prices=PRICES).to_dict()
    assert found["listing"] == {"requests:list": 300_004}
    assert found["work"]["requests:put"] == 100_000_000
    assert set(found) == set(Estimate.__dataclass_fields__)


def test_requests_are_said_in_words() -> None:
    assert requests_text(Traffic(get=4, head=2, put=1)) == "4 GET, 2 HEAD, 1 PUT"
    assert requests_text(Traffic(list=2000)) == "2,000 LIST"
    assert requests_text(Traffic()) == "none"


def test_a_runs_counts_are_divided() -> None:
    traffic = Traffic(get=3, put=1, read=10)
    outcomes = {"tagged": 2, "rejected/truncated": 1}
    assert divided(outcomes | traffic.to_counts()) == (outcomes, traffic)
    assert (traffic - Traffic(get=1)) + Traffic(get=1) == traffic
