"""The format of packs: what goes in comes out, and nothing else is taken for a pack."""

import io
import tracemalloc
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tasks.layout import Layout
from tasks.records import Candidate, Embedded
from tasks.rescoring.packs import (
    CARRIED,
    EMBEDDINGS,
    Manifest,
    Row,
    Shard,
    manifest_key,
    prefix,
    read_shard,
    shard_name,
    write_shard,
)
from tests.tasks.packing import row

KEYS = ("a b.jpg", "a/b.jpg", "녹색.jpg", "new\nline.jpg", "k" * 1000)


def rows() -> list[Row]:
    full: dict[str, Any] = {
        "embedded": Embedded(title="A line\u2028and another", keywords=("rock", "바위"), signed=True),
        "candidates": (Candidate("a rock", 0.25),),
        "written": "f" * 64,
    }
    return [row(key, seed, **(full if seed == 1 else {})) for seed, key in enumerate(KEYS)]


def made(table: bytes, lines: bytes, names: tuple[str, str] = (EMBEDDINGS, CARRIED)) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as shard:
        for name, data in zip(names, (table, lines), strict=True):
            shard.writestr(name, data)
    return file.getvalue()


def array(values: object) -> bytes:
    file = io.BytesIO()
    np.save(file, np.asarray(values), allow_pickle=True)
    return file.getvalue()


def test_what_goes_in_comes_out() -> None:
    given = rows()
    read = read_shard(write_shard(given))
    assert [read.get(key) for key in KEYS] == given
    assert [read.row(place) for place in range(len(given))] == given
    assert read.get("b.jpg") is None
    assert read.bytes > len(KEYS[-1])


def test_the_same_content_is_the_same_bytes_under_the_same_name() -> None:
    assert write_shard(rows()) == write_shard(rows())
    pairs = [(one.stored.image.key, one.sidecar) for one in rows()]
    assert shard_name(pairs) == shard_name(iter(pairs))
    assert shard_name(pairs) != shard_name(pairs[:-1])
    # What ends one key must not be what begins the next.
    assert shard_name([("a", "b"), ("c", "d")]) != shard_name([("a b\n1 c", "d")])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no shard"),
        (b"PK\x03\x04 and no more", "no shard"),
        (made(array([[1.0]]), b"{}", ("other.npy", CARRIED)), "no shard"),
        (made(b"no numbers", b""), "magic"),
        (made(array(np.array([{}], object)), b"{}\n"), "Object arrays"),
        (made(array(np.zeros((1, 8), np.float64)), b"{}\n"), "float64"),
        (made(array(np.zeros(8, np.float16)), b"{}\n"), "in 1 dimensions"),
        (made(array(np.zeros((2, 8), np.float16)), b"{}\n"), "2 embeddings and 1 lines"),
        (made(array(np.zeros((1, 8), np.float16)), b"{}\n"), "image"),
        (made(array(np.zeros((1, 8), np.float16)), b"no JSON\n"), "JSON"),
    ],
)
def test_nothing_else_is_taken_for_a_shard(data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_shard(data)


@pytest.mark.parametrize("cut", [1, 10, 200, 900])
def test_a_shard_cut_off_is_no_shard(cut: int) -> None:
    with pytest.raises(ValueError, match="no shard"):
        read_shard(write_shard(rows())[:-cut])


def test_a_shard_with_a_byte_altered_says_the_same_or_is_none() -> None:
    data, given = write_shard(rows()), rows()
    refused = 0
    for place in range(0, len(data), 3):
        altered = bytearray(data)
        altered[place] ^= 0xFF
        try:
            read = read_shard(bytes(altered))
        except ValueError:
            refused += 1
        else:
            # Times and comments of a zip are nothing that anybody asks for.
            assert [read.get(key) for key in KEYS] == given
    assert refused > len(data) / 6


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.rescoring.packs.MOST_BYTES", 1000)
    with pytest.raises(ValueError, match="has 10000 bytes"):
        read_shard(made(array([[1.0]]), b" " * 10_000))


def test_a_bomb_whose_header_says_that_it_is_small_is_not_unpacked() -> None:
    size = 64 << 20
    data = made(array([[1.0]]), b" " * size).replace(size.to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="no shard: Bad CRC"):
            read_shard(data)
        assert tracemalloc.get_traced_memory()[1] < size / 8
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_cannot_be_unpacked_piece_by_piece_is_refused(method: int) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as shard:
        shard.writestr(EMBEDDINGS, array(np.zeros((1, 8), np.float16)))
        shard.writestr(CARRIED, b"{}")
    with pytest.raises(ValueError, match="compressed by method"):
        read_shard(file.getvalue())


@pytest.mark.parametrize(("good", "broken"), [(b"(1, 8)", b"(1, 8("), (b"{'descr'", b"('descr'"), (b"'<f2'", b"  (  ")])
def test_a_table_whose_header_is_no_python_is_no_shard(good: bytes, broken: bytes) -> None:
    table = array(np.zeros((1, 8), np.float16))
    assert good in table
    with pytest.raises(ValueError, match=r"."):
        read_shard(made(table.replace(good, broken), b"{}\n"))


def test_a_table_that_claims_too_much_is_refused() -> None:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f2", "fortran_order": False, "shape": (10**9, 10**6)})
    with pytest.raises(ValueError, match=r"."):
        read_shard(made(file.getvalue(), b""))


@pytest.mark.parametrize("order", ["bytes", "path"])
def test_a_key_is_found_in_the_stores_order(order: str, manifest: Callable[[str, list[str]], Manifest]) -> None:
    keys = ["a b.jpg", "a/b.jpg"] if order == "bytes" else ["a/b.jpg", "a b.jpg"]
    found = manifest(order, [keys[0], keys[0], keys[1], "z.jpg"])
    assert [found.find(key) for key in keys] == list(found.shards)
    # `foo-1.json` comes before `foo.json`, though `foo` is the shorter.
    suffixed = manifest(order, ["foo-1.jpg", "foo-1.jpg", "foo.jpg", "foo.jpg"])
    assert suffixed.find("foo-1.jpg") == suffixed.shards[0]
    assert suffixed.find("foo.jpg") == suffixed.shards[1]


@pytest.fixture
def manifest() -> Callable[[str, list[str]], Manifest]:
    def make(order: str, bounds: list[str]) -> Manifest:
        pairs = zip(bounds[::2], bounds[1::2], strict=True)
        shards = tuple(Shard(f"{i}.zip", first, last, 2, 10) for i, (first, last) in enumerate(pairs))
        return Manifest("0123456789ab", "photos", order, shards)  # type: ignore[arg-type]  # from a parameter

    return make


def test_a_key_between_or_beside_shards_is_in_none(manifest: Callable[[str, list[str]], Manifest]) -> None:
    found = manifest("bytes", ["b.jpg", "d.jpg", "f.jpg", "h.jpg"])
    names = {key: shard and shard.name for key in "abcdefghi" if (shard := found.find(f"{key}.jpg")) or True}
    assert names == dict.fromkeys("bcd", "0.zip") | dict.fromkeys("fgh", "1.zip") | dict.fromkeys("aei")
    assert manifest("bytes", []).find("a.jpg") is None
    assert Manifest.from_json(found.to_json()) == found


def test_what_is_no_manifest_is_refused() -> None:
    for data in (b"", b"{}", b"[]", b"[" * 100_000):
        with pytest.raises(ValueError, match=r"."):
            Manifest.from_json(data)


def test_packs_lie_in_their_generation_and_are_no_records() -> None:
    layout = Layout()
    assert manifest_key(layout, "0123456789ab", "photos") == ".stockmeta/0123456789ab/packed/photos/manifest.json"
    assert layout.parse(manifest_key(layout, "0123456789ab", "photos")) is None
    for generation, bucket in (("../x", "photos"), ("0123456789ab", "a/b"), ("0123456789ab", "")):
        with pytest.raises(ValueError, match="is not a"):
            prefix(layout, generation, bucket)
