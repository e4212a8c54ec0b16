"""Sweeps over real stores in both orders, page by page, for keys that sort badly; and over inventories."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tasks.errors import ConfigurationError, Unavailable
from tasks.layout import Layout
from tasks.listing import shards
from tasks.listing.order import Order
from tasks.ports import Store
from tasks.records import ImageRef
from tests.faults import proxy
from tests.faults.proxy import Proxy
from tests.servers import Server
from tests.worker.inventories import compressed, row, write_inventory
from tests.worker.storage.s3_stores import opened
from worker.bulk.sweeps import open_inventory, open_sweep
from worker.library import Library
from worker.settings import load_settings
from worker.storage.local import LocalStore
from worker.storage.s3 import S3Store
from worker.storage.s3_lean import LeanRequests

NEW, OLD = "0" * 12, "1" * 12
PAGE = "7"
KEYS = (
    *("a b.jpg", "a-1.jpg", "a/b.jpg", "a/b/c.jpg", "a/b.jpg-1.jpg", "a.jpg", "a-1/x.jpg", "a-1.jpg.png"),
    *("foo.png", "foo-1.png", "foo.jpg", "foo.jpg-1.jpg", "foo.jpg.json.jpg", "foo.jpg.json", "deep/foo.jpg.json"),
    *(
        "한글/사진 1.jpg",
        "한글.jpg",
        "한글 2.jpg",
        "한글/깊이/사진.jpg",
        "+ %25.jpg",
        "100%.jpg",
        "x\x01y.jpg",
        "é.jpg",
    ),
    *(f"{folder}/{n}.jpg" for folder in ("2025", "2025-1", "2025 1", "2026/01", "2026/02") for n in range(0, 21, 3)),
)
NEWLINE = "new\nline.jpg"
LONG = ("k" * 1020 + ".jpg", ("한" * 80 + "/") * 4 + "k" * 56 + ".jpg")
"""Of 1,024 bytes: no record's path could hold them. SeaweedFS takes 255 bytes between two slashes."""


@pytest.fixture(params=["seaweed", "moto_server", "folder", "moto_server to folder", "folder to moto_server"])
def library(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    with ExitStack() as stack:

        def store(name: str) -> Store:
            if name == "folder":
                return LocalStore(tmp_path, "folder")
            return stack.enter_context(opened(request.getfixturevalue(name), monkeypatch))

        whole = LeanRequests.list

        def small_pages(self: LeanRequests, parameters: Mapping[str, str]) -> bytes | None:
            return whole(self, {**parameters, "MaxKeys": PAGE})

        monkeypatch.setattr(LeanRequests, "list", small_pages)
        source, to, sidecars = request.param.partition(" to ")
        images = store(source)
        yield Library(images, "", store(sidecars) if to else images, Layout())


def put(library: Library) -> dict[str, tuple[bool, ...]]:
    """Fill a library; returns what a sweep has to find: the image, done, failed, stored."""
    folder = isinstance(library.source, LocalStore)
    moto = isinstance(library.source, S3Store) and library.source.order == "bytes"
    images = [*KEYS, *(() if moto else (NEWLINE,)), *(() if folder else LONG[1 - moto :])]
    found = {}
    for number, key in enumerate([*images, *(f"gone/{n}.jpg" for n in range(9)), "gone.jpg"]):
        ref = ImageRef(library.source.bucket, key)
        held = len(key) < 1000 and "\n" not in key and len(key.encode()) < 900
        here = (key in images, held and number % 2 == 0, held and number % 5 == 0, held and number % 3 == 0)
        if here[0]:
            library.source.put(key, b"x", if_match=None)
        paths = (library.layout.done, NEW), (library.layout.failed, NEW), (library.layout.done, OLD)
        for has, (path, generation) in zip(here[1:], paths, strict=True):
            if has:
                library.sidecars.put(path(generation, ref), b"{}", if_match=None)
        if any(here[1:]) or (here[0] and library.owns(key)):
            found[key] = (here[0] and library.owns(key), *here[1:])
    return found


def test_nothing_is_missing_and_nothing_invented(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = put(library)
    for lanes, level in ((1, 0), (4, 0), (4, 12), (4, 2000)):
        monkeypatch.setattr(shards, "LEVEL", level)
        monkeypatch.setattr(shards, "SMALL", 10)
        sweep = open_sweep(library, NEW, OLD, lanes)
        found = [(one.key, tuple(side is not None for side in one[1:])) for one in sweep]
        assert sweep.complete
        assert len(found) == len(expected)
        assert dict(found) == expected


@pytest.mark.parametrize(("name", "wrong"), [("seaweed", "bytes"), ("moto_server", "path")])
def test_an_order_that_is_not_the_store_s_is_noticed(
    name: str, wrong: Order, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(request.getfixturevalue(name), monkeypatch, order=wrong) as store:
        library = Library(store, "", store, Layout())
        for key in ("a b.jpg", "a/b.jpg"):
            store.put(key, b"x", if_match=None)
        with pytest.raises(ConfigurationError, match="STOCKMETA_S3_ORDER"):
            list(open_sweep(library, NEW, None, 1))


def test_a_listing_that_breaks_off_removes_nothing(seaweed: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store goes away between two pages: an error, and no image is said to be gone."""
    with Proxy(("127.0.0.1", seaweed.ports[0])) as between:
        endpoint = f"http://127.0.0.1:{between.port}"
        with opened(seaweed, monkeypatch, endpoint=endpoint, attempts=2) as store:
            library = Library(store, "", store, Layout())
            keys = [f"{n:02}.jpg" for n in range(40)]
            for key in keys:
                store.put(key, b"x", if_match=None)
                store.put(library.layout.done(NEW, ImageRef(store.bucket, key)), b"{}", if_match=None)
            whole = LeanRequests.list
            monkeypatch.setattr(LeanRequests, "list", lambda self, given: whole(self, {**given, "MaxKeys": "10"}))
            seen = []
            with pytest.raises(Unavailable), ExitStack() as rules:
                sweep = open_sweep(library, NEW, None, 1)
                for found in sweep:
                    if not seen:
                        rules.enter_context(between.rule(proxy.CutAfter(0, "GET")))
                    seen.append(found)
            assert 0 < len(seen) < len(keys)
            assert all(found.image and found.done for found in seen)
            assert not sweep.complete


def test_an_inventory_instead_of_a_listing(seaweed: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(seaweed, monkeypatch) as store, opened(seaweed, monkeypatch) as lists:
        keys = [f"in/{key}" for key in KEYS if key.endswith((".jpg", ".png"))]
        rows = [row(key) for key in reversed(keys)] + [row("elsewhere/a.jpg"), row("in/old.jpg", latest="false")]
        files = [compressed(rows[begin : begin + 20]) for begin in range(0, len(rows), 20)]
        name = write_inventory(lists, files, store.bucket)
        library = Library(store, "in/", store, Layout())
        for key in ("in/a b.jpg", "in/gone.jpg"):
            store.put(library.layout.done(NEW, ImageRef(store.bucket, key)), b"{}", if_match=None)
        inventory = open_inventory(f"s3://{lists.bucket}/{name}", library, load_settings())
        found = {
            one.key: (one.image is not None, one.done is not None)
            for one in open_sweep(library, NEW, None, None, inventory)
        }
        expected = dict.fromkeys(keys, (True, False)) | {"in/a b.jpg": (True, True), "in/gone.jpg": (False, True)}
        assert found == expected
        with pytest.raises(ConfigurationError, match="it lists the bucket"):
            open_inventory(f"s3://{lists.bucket}/{name}", Library(lists, "", lists, Layout()), load_settings())
        with pytest.raises(ConfigurationError, match=r"manifest\.json"):
            open_inventory(f"s3://{lists.bucket}/inventories", library, load_settings())


def test_an_inventory_s_large_files_are_read_in_pieces(seaweed: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    from worker.storage import s3, s3_body

    for module in (s3, s3_body):
        monkeypatch.setattr(module, "PART", 1000)
    with opened(seaweed, monkeypatch) as store:
        data = bytes(range(256)) * 13
        store.put("large", data, if_match=None)
        pieces = list(store.pieces("large"))
        assert [len(piece) for piece in pieces] == [1000, 1000, 1000, 328]
        assert b"".join(pieces) == data
