"""Inventories: every row that counts, and an error for whatever is not as the manifest says."""

from collections.abc import Iterator

import pytest

from tasks.errors import ConfigurationError, Unavailable
from tasks.ports import Stat
from tests.worker.inventories import NAME, compressed, row, write_inventory
from worker.bulk.inventory import Inventory, read_manifest
from worker.storage.memory import MemoryStore

ODD = ("a b.jpg", "a+b.jpg", "100%/x.jpg", '한글/사진 "1",2.jpg', "new\nline.jpg", "a/b.jpg")


class Pieces(MemoryStore):
    """Gives objects in small pieces."""

    def pieces(self, key: str) -> Iterator[bytes]:
        body = self.fetch(key).body
        assert isinstance(body, bytes)
        yield from (body[begin : begin + 100] for begin in range(0, len(body), 100))


@pytest.fixture
def store() -> Pieces:
    return Pieces("lists")


def inventory(store: Pieces, *files: bytes) -> Inventory:
    return read_manifest(store, write_inventory(store, files))


def test_every_object_is_read(store: Pieces) -> None:
    found = inventory(store, compressed([row(key) for key in ODD[:3]]), compressed([row(key) for key in ODD[3:]]))
    assert (found.bucket, found.created) == ("pictures", 1795136400.0)
    etag = f'"{"0" * 32}"'
    assert list(found.objects()) == [Stat(key, etag, 7, 1795083630.0) for key in ODD]


def test_older_versions_and_delete_markers_are_left_out(store: Pieces) -> None:
    rows = [row("a.jpg"), row("a.jpg", latest="false"), row("gone.jpg", marker="true", etag="")]
    assert [stat.key for stat in inventory(store, compressed(rows)).objects()] == ["a.jpg"]


def test_a_list_of_current_versions_has_fewer_columns(store: Pieces) -> None:
    rows = [["pictures", "a.jpg", "2026-11-19T10:20:30.000Z", "abc"]]
    schema = "Bucket, Key, LastModifiedDate, ETag"
    name = write_inventory(store, [compressed(rows)], fileSchema=schema)
    assert list(read_manifest(store, name).objects()) == [Stat("a.jpg", '"abc"', 0, 1795083630.0)]


@pytest.mark.parametrize("other", ["ORC", "Parquet"])
def test_other_formats_are_refused(store: Pieces, other: str) -> None:
    with pytest.raises(ConfigurationError, match=f"as {other} is not read"):
        read_manifest(store, write_inventory(store, [], fileFormat=other))


def test_columns_that_are_missing_are_named(store: Pieces) -> None:
    name = write_inventory(store, [], fileSchema="Bucket, Key, Size")
    with pytest.raises(ConfigurationError, match="lacks ETag and LastModifiedDate"):
        read_manifest(store, name)


@pytest.mark.parametrize("content", [b"{}", b"[]", b"\xff", b'{"fileFormat": "CSV"}', b'"CSV"'])
def test_what_is_no_manifest(store: Pieces, content: bytes) -> None:
    store.put("x.json", content, if_match=None)
    with pytest.raises(ConfigurationError, match="no manifest"):
        read_manifest(store, "x.json")
    with pytest.raises(ConfigurationError, match="no such object"):
        read_manifest(store, "y.json")


def test_a_manifest_that_is_not_what_its_checksum_says(store: Pieces) -> None:
    inventory(store)
    data, etag = store.read(NAME) or (b"", "")
    store.put(NAME, data.replace(b"pictures", b"Pictures", 1), if_match=etag)
    with pytest.raises(ConfigurationError, match=r"manifest\.checksum"):
        read_manifest(store, NAME)


def test_a_file_that_is_another_than_the_manifest_says(store: Pieces) -> None:
    found = inventory(store, compressed([row("a.jpg")]))
    key = found.files[0].key
    store.put(key, compressed([row("b.jpg")]), if_match=store.stat(key).etag)
    with pytest.raises(Unavailable, match="MD5"):
        list(found.objects())


@pytest.mark.parametrize(
    "data",
    [
        compressed([row(f"{n}.jpg") for n in range(99)])[:-30],
        b"no gzip",
        compressed([row("a.jpg")[:-1]]),
        compressed([["pictures", "a.jpg", "", "true", "false", "7", "yesterday", "0", ""]]),
        compressed([[*row("a.jpg")[:1], "%ff.jpg", *row("a.jpg")[2:]]]),
    ],
)
def test_a_file_that_is_damaged(store: Pieces, data: bytes) -> None:
    with pytest.raises(ConfigurationError, match="damaged"):
        list(inventory(store, data).objects())


def test_a_file_that_is_gone(store: Pieces) -> None:
    found = inventory(store, compressed([row("a.jpg")]))
    store.delete(found.files[0].key, if_match=store.stat(found.files[0].key).etag)
    with pytest.raises(ConfigurationError, match="gone"):
        list(found.objects())
