from dataclasses import replace
from io import BytesIO

import pytest

from tasks.errors import Unavailable
from tasks.ports import Fetched
from tests.worker.libraries import library
from worker.bulk.key_list import KeySweep, read_keys
from worker.storage.memory import MemoryStore


@pytest.mark.parametrize(
    ("data", "null", "keys"),
    [
        (b"", False, []),
        (b"a.jpg\nb c.jpg\r\n\n\xed\x95\x9c.jpg", False, ["a.jpg", "b c.jpg", "한.jpg"]),
        (b"a.jpg\0line\nbreak.jpg\r\0\0b.jpg", True, ["a.jpg", "line\nbreak.jpg\r", "b.jpg"]),
    ],
)
def test_keys_of_a_list(data: bytes, null: bool, keys: list[str]) -> None:
    assert list(read_keys(BytesIO(data), null=null)) == keys


def test_a_long_list_is_read_in_pieces() -> None:
    keys = [f"2026/{i:06}/한글 사진.jpg" for i in range(20_000)]
    assert list(read_keys(BytesIO("\n".join(keys).encode()))) == keys


def test_each_is_looked_at_once_and_what_is_gone_or_no_image_is_counted() -> None:
    lib = library()
    for key in ("a.jpg", "2026/b.jpg", "notes.txt"):
        lib.source.put(key, b"x", if_match=None)
    given = ["a.jpg", "s3://photos/2026/b.jpg", "a.jpg", "gone.jpg", "notes.txt", "s3://films/c.jpg"]
    sweep = KeySweep(lib, given)
    found = list(sweep)
    assert [one.key for one in found] == ["a.jpg", "2026/b.jpg"]
    assert all(one.image == lib.source.stat(one.key) for one in found)
    assert {one.stored for one in found} == {None}
    assert (sweep.objects, sweep.complete) == (5, True)
    assert all(one.stored is not None for one in KeySweep(lib, given, stored=True))


def test_only_a_part_of_the_library() -> None:
    lib = replace(library(), prefix="2026/")
    for key in ("a.jpg", "2026/b.jpg"):
        lib.source.put(key, b"x", if_match=None)
    assert [one.key for one in KeySweep(lib, ["a.jpg", "2026/b.jpg"])] == ["2026/b.jpg"]


def test_a_store_that_is_away_ends_it() -> None:
    class Away(MemoryStore):
        def fetch(self, key: str, etag: str | None = None) -> Fetched:
            raise Unavailable("away")

    sweep = KeySweep(replace(library(), source=Away("photos")), ["a.jpg"] * 2)
    with pytest.raises(Unavailable):
        list(sweep)
    assert not sweep.complete
