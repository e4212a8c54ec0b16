"""Reading packs: one fetch a shard whoever asks, and a pack that is broken is as good as none."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tasks.errors import Unavailable, Vanished
from tasks.layout import Layout
from tasks.ports import Stat
from tasks.rescoring.packed import PackReader
from tasks.rescoring.packs import Manifest, Row, Shard, manifest_key, prefix, write_shard
from tests.tasks.packing import row
from worker.storage.memory import MemoryStore

GENERATION, BUCKET = "0123456789ab", "photos"
LAYOUT = Layout("")


class Counting(MemoryStore):
    """Counts what is read; holds reads of shards up until `go` is set; does not answer while `away`."""

    def __init__(self) -> None:
        super().__init__("out")
        self.reads: Counter[str] = Counter()
        self.go = threading.Event()
        self.go.set()
        self.away = False

    def stat(self, key: str, etag: str | None = None) -> Stat:
        found = super().read(key)
        if found is None:
            raise Vanished(key)
        return Stat(key, found[1], len(found[0]))

    def read(self, key: str) -> tuple[bytes, str] | None:
        if self.away:
            raise Unavailable("the store did not answer")
        self.reads[key.rpartition("/")[2]] += 1
        if key.endswith(".zip"):
            self.go.wait(10)
        return super().read(key)


def keys(shard: int) -> list[str]:
    return [f"{shard}/{place}.jpg" for place in range(5)]


def packed(store: MemoryStore, shards: int = 3) -> list[Row]:
    """Packs of five images each; returns the rows."""
    rows: list[Row] = []
    told = []
    for shard in range(shards):
        own = [row(key, 10 * shard + place) for place, key in enumerate(keys(shard))]
        data = write_shard(own)
        store.put(f"{prefix(LAYOUT, GENERATION, BUCKET)}{shard}.zip", data, if_match=None)
        told.append(Shard(f"{shard}.zip", keys(shard)[0], keys(shard)[-1], 5, len(data)))
        rows += own
    manifest = Manifest(GENERATION, BUCKET, "bytes", tuple(told))
    store.put(manifest_key(LAYOUT, GENERATION, BUCKET), manifest.to_json(), if_match=None)
    return rows


@pytest.fixture
def store() -> Counting:
    return Counting()


def reader(store: MemoryStore, kept: int = 1 << 20) -> PackReader:
    return PackReader(store, LAYOUT, GENERATION, BUCKET, kept)


def test_every_image_is_found_and_a_shard_is_fetched_once(store: Counting) -> None:
    rows = packed(store)
    store.reads.clear()
    store.go.clear()
    packs = reader(store)
    with ThreadPoolExecutor(8) as pool:
        found = [pool.submit(packs.find, one.stored.image.key) for one in rows]
        store.go.set()
        assert [future.result(10) for future in found] == [one.stored for one in rows]
    assert store.reads == {"manifest.json": 1, "0.zip": 1, "1.zip": 1, "2.zip": 1}
    assert packs.find("0/7.jpg") is None
    assert packs.find("z.jpg") is None


def test_memory_is_bounded_and_the_last_shard_stays(store: Counting) -> None:
    packed(store)
    packs = reader(store, kept=1)
    for key in ("0/0.jpg", "0/1.jpg", "1/0.jpg", "1/1.jpg", "0/0.jpg"):
        assert packs.find(key)
    assert (store.reads["0.zip"], store.reads["1.zip"]) == (2, 1)


def test_without_packs_nothing_is_found(store: Counting) -> None:
    packs = reader(store)
    assert packs.find("0/0.jpg") is None
    assert packs.find("0/1.jpg") is None


def test_a_broken_shard_is_told_by_name_and_costs_the_others_nothing(
    store: Counting, caplog: pytest.LogCaptureFixture
) -> None:
    packed(store)
    key = f"{prefix(LAYOUT, GENERATION, BUCKET)}1.zip"
    store.put(key, b"no shard", if_match=store.stat(key).etag)
    packs = reader(store)
    assert [packs.find(name) is None for name in ("0/0.jpg", "1/0.jpg", "1/1.jpg", "2/0.jpg")] == [0, 1, 1, 0]
    assert [record.getMessage() for record in caplog.records] == [
        f"out: the shard {key!r} cannot be read, so sidecars are: it is no shard: File is not a zip file"
    ]


def test_a_shard_that_was_packed_anew_meanwhile_is_no_trouble(
    store: Counting, caplog: pytest.LogCaptureFixture
) -> None:
    packed(store)
    key = f"{prefix(LAYOUT, GENERATION, BUCKET)}1.zip"
    store.delete(key, if_match=store.stat(key).etag)
    assert reader(store).find("1/0.jpg") is None
    assert not caplog.records


@pytest.mark.parametrize("data", [b"no JSON", Manifest(GENERATION, "other", "bytes").to_json()])
def test_a_manifest_of_something_else_is_told_once(
    store: Counting, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    store.put(manifest_key(LAYOUT, GENERATION, BUCKET), data, if_match=None)
    packs = reader(store)
    assert packs.find("0/0.jpg") is None
    assert packs.find("0/1.jpg") is None
    assert len(caplog.records) == 1


def test_a_manifest_is_read_again_where_it_has_changed(store: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    packs = reader(store)
    assert packs.find("0/0.jpg") is None
    rows = packed(store)
    monkeypatch.setattr("tasks.rescoring.packed.LOOK_SECONDS", 0.0)
    assert packs.find("0/0.jpg") == rows[0].stored
    assert packs.find("0/1.jpg") == rows[1].stored
    assert store.reads["manifest.json"] == 1


def test_a_store_that_is_away_is_no_trouble_of_the_packs(store: Counting, caplog: pytest.LogCaptureFixture) -> None:
    packed(store)
    packs = reader(store)
    assert packs.find("0/0.jpg")
    store.away = True
    assert packs.find("1/0.jpg") is None
    assert "did not answer" in caplog.text
    store.away = False
    assert packs.find("1/0.jpg")
