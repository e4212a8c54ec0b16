"""Packing a generation: only what changed is written again, and what is killed goes on."""

import base64
from collections.abc import Iterable

import msgspec
import numpy as np
import pytest

from tasks.errors import ConfigurationError, Unavailable
from tasks.ports import Stat
from tasks.records import Embedding, ImageRef, Record, Status
from tasks.rescoring.packed import PackReader
from tasks.rescoring.packs import Manifest, manifest_key, prefix
from tasks.rescoring.stored import stored_in
from tests.worker.libraries import BUCKET, GENERATION, library, record
from worker.library import Library
from worker.packing import Packed, Packer
from worker.storage.memory import MemoryStore

KEYS = ("a b.jpg", "a-1.jpg", "a/b.jpg", "foo-1.jpg", "foo.jpg", "new\nline.jpg", "z.jpg", "녹색.jpg")


@pytest.fixture(autouse=True)
def three_a_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.packing.ROWS", 3)


def embedding(seed: int, dimensions: int = 8) -> Embedding:
    vector = np.random.default_rng(seed).standard_normal(dimensions)
    return Embedding.pack((vector / np.linalg.norm(vector)).astype(np.float32))


def made(keys: Iterable[str] = KEYS) -> Library:
    return library(record(key, embedding=embedding(place)) for place, key in enumerate(keys))


def pack(place: Library, *, dry_run: bool = False) -> Packed:
    return Packer(place.sidecars, place.layout, GENERATION, BUCKET, dry_run).run()


def path(place: Library, key: str) -> str:
    return place.layout.done(GENERATION, ImageRef(BUCKET, key))


def write(place: Library, key: str, data: bytes) -> None:
    found = place.sidecars.read(path(place, key))
    place.sidecars.put(path(place, key), data, if_match=found and found[1])


def change(place: Library, key: str, seed: int = 99) -> None:
    write(place, key, record(key, embedding=embedding(seed)).to_json().encode())


def names(place: Library) -> list[str]:
    return [stat.key for stat in place.sidecars.list(prefix(place.layout, GENERATION, BUCKET))]


def require_all(place: Library, keys: Iterable[str] = KEYS) -> None:
    """Every image is found as its sidecar has it."""
    reader = PackReader(place.sidecars, place.layout, GENERATION, BUCKET)
    for key in keys:
        found = place.sidecars.read(path(place, key))
        assert found
        assert reader.find(key) == stored_in(Record.from_json(found[0]))


def manifest(place: Library) -> Manifest:
    found = place.sidecars.read(manifest_key(place.layout, GENERATION, BUCKET))
    assert found
    return Manifest.from_json(found[0])


@pytest.mark.parametrize("order", ["bytes", "path"])
def test_every_image_is_found_in_a_pack(order: str) -> None:
    place = made()
    place.sidecars.order = order  # type: ignore[misc, assignment]  # of a fake
    packed = pack(place)
    assert (packed.images, packed.written, packed.kept, packed.read) == (8, 3, 0, 8)
    assert [shard.rows for shard in manifest(place).shards] == [3, 3, 2]
    assert packed.bytes == sum(shard.bytes for shard in manifest(place).shards)
    require_all(place)


def test_a_second_run_reads_and_writes_nothing() -> None:
    place = made()
    pack(place)
    before = [(stat.key, stat.etag) for stat in place.sidecars.list()]
    again = pack(place)
    assert (again.written, again.kept, again.read, again.removed) == (0, 3, 0, 0)
    assert [(stat.key, stat.etag) for stat in place.sidecars.list()] == before


def test_only_the_shard_of_a_changed_sidecar_is_written_and_only_that_is_read() -> None:
    place = made()
    pack(place)
    change(place, "foo.jpg")
    again = pack(place)
    assert (again.written, again.kept, again.read, again.removed) == (1, 2, 1, 1)
    require_all(place)
    assert len(names(place)) == 4


def test_what_is_new_moves_no_other_shards_bounds() -> None:
    place = made()
    pack(place)
    for key in ("a-0.jpg", "a-2.jpg"):
        place.sidecars.put(path(place, key), record(key, embedding=embedding(7)).to_json().encode(), if_match=None)
    again = pack(place)
    assert (again.kept, again.removed) == (2, 1)
    assert [shard.rows for shard in manifest(place).shards] == [3, 2, 3, 2]
    require_all(place, (*KEYS, "a-0.jpg", "a-2.jpg"))


def test_what_is_gone_goes() -> None:
    place = made()
    pack(place)
    for key in ("z.jpg", "녹색.jpg"):
        place.sidecars.delete(path(place, key), if_match=place.sidecars.stat(path(place, key)).etag)
    again = pack(place)
    assert (again.images, again.removed) == (6, 1)
    assert PackReader(place.sidecars, place.layout, GENERATION, BUCKET).find("z.jpg") is None
    require_all(place, KEYS[:6])


class Failing(MemoryStore):
    """Refuses writes after some."""

    left = 2

    def put(self, key: str, data: bytes, *, if_match: str | None) -> str:
        if "/packed/" in key:
            if not self.left:
                raise Unavailable("the disk is full")
            self.left -= 1
        return super().put(key, data, if_match=if_match)


def test_a_run_that_was_killed_goes_on() -> None:
    place = made()
    place.sidecars.__class__ = Failing
    with pytest.raises(Unavailable):
        pack(place)
    assert PackReader(place.sidecars, place.layout, GENERATION, BUCKET).find("z.jpg") is None
    place.sidecars.left = 9  # type: ignore[attr-defined]  # it is there by now
    again = pack(place)
    assert (again.kept, again.written, again.read) == (2, 1, 2)
    require_all(place)


def test_what_cannot_be_packed_is_named_and_left_to_its_sidecar() -> None:
    place = made()
    write(place, "a-1.jpg", b"no JSON")
    write(place, "foo.jpg", record("foo.jpg", embedding=embedding(1, 16)).to_json().encode())
    # Not `to_json`, which the tests have refuse what is against the schema.
    write(place, "z.jpg", msgspec.json.encode(record("z.jpg", status=Status.EMPTY, embedding=None)))
    write(place, "a/b.jpg", record("other.jpg", embedding=embedding(1)).to_json().encode())
    packed = pack(place)
    assert packed.unusable == tuple(path(place, key) for key in ("a-1.jpg", "a/b.jpg", "foo.jpg", "z.jpg"))
    reader = PackReader(place.sidecars, place.layout, GENERATION, BUCKET)
    assert [key for key in KEYS if reader.find(key) is None] == ["a-1.jpg", "a/b.jpg", "foo.jpg", "z.jpg"]


def test_a_first_sidecar_of_another_encoder_costs_the_others_nothing() -> None:
    place = made()
    write(place, "a b.jpg", record("a b.jpg", embedding=embedding(1, 16)).to_json().encode())
    assert pack(place).unusable == (path(place, "a b.jpg"),)
    require_all(place, KEYS[1:])


def test_nothing_but_broken_sidecars_makes_no_shard() -> None:
    place = made(("a.jpg",))
    write(place, "a.jpg", base64.b64encode(b"?"))
    assert pack(place).written == 0
    assert manifest(place).shards == ()


def test_a_dry_run_writes_nothing() -> None:
    place = made()
    would = pack(place, dry_run=True)
    assert (would.images, would.written, would.read) == (8, 3, 0)
    assert names(place) == []


@pytest.mark.parametrize("data", [b"no JSON", Manifest("f" * 12, BUCKET, "bytes").to_json()])
def test_a_manifest_that_cannot_be_used_is_replaced(data: bytes) -> None:
    place = made()
    place.sidecars.put(manifest_key(place.layout, GENERATION, BUCKET), data, if_match=None)
    pack(place)
    require_all(place)


def test_a_broken_shard_of_before_is_packed_from_sidecars() -> None:
    place = made()
    pack(place)
    shard = next(name for name in names(place) if name.endswith(".zip"))
    place.sidecars.put(shard, b"broken", if_match=place.sidecars.stat(shard).etag)
    for key in KEYS:
        change(place, key)
    pack(place)
    require_all(place)


def test_two_at_a_time_are_refused() -> None:
    place = made()
    packer = Packer(place.sidecars, place.layout, GENERATION, BUCKET)
    packer.progress = lambda images, _: pack(place) if images == 8 else None  # type: ignore[assignment, return-value, func-returns-value]  # it packs
    with pytest.raises(Unavailable, match="at the same time"):
        packer.run()
    require_all(place)


class Backwards(MemoryStore):
    """Lists in another order than it names."""

    def list(self, prefix: str = "") -> "Iterable[Stat]":  # type: ignore[override]  # as good
        return iter(sorted(super().list(prefix), reverse=True))


def test_a_listing_in_another_order_is_refused() -> None:
    place = made()
    place.sidecars.__class__ = Backwards
    with pytest.raises(ConfigurationError, match="STOCKMETA_S3_ORDER"):
        pack(place)
