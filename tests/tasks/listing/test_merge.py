"""The merge against a plain computation over sets, for keys that sort badly."""

from collections.abc import Iterator, Mapping
from itertools import islice

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.errors import ConfigurationError, Unavailable
from tasks.listing.merge import SIDES, Found, Listing, Side, merge
from tasks.listing.order import Order, sortable
from tasks.ports import Stat

LONGEST = "한" * 341 + "a"
ODD = (
    *("a b.jpg", "a-1.jpg", "a/b.jpg", "a.jpg", "a/b/c.jpg", "a/b", "a"),
    *("foo", "foo-1", "foo.jpg", "foo.jpg-1.jpg", "foo.jpg.json", "foo.jpg.json.json", "foo.jpg/x", "foo.json", "foo."),
    *("한글/사진 1.jpg", "한글.jpg", "new\nline.jpg", "\x01", "/", "//", "a//b", ".json", "\U0010ffff.jpg"),
    *(LONGEST, LONGEST[:-1], "k" * 1024, "k" * 1023),
)
KEYS = st.one_of(
    st.sampled_from(ODD),
    st.text(st.sampled_from("a-./ 0j\n한\U0010ffff"), min_size=1, max_size=8),
    st.lists(st.sampled_from(("foo", ".json", "-1", "/", ".", ".js")), min_size=1, max_size=6).map("".join),
)
ORDERS: tuple[Order, ...] = ("bytes", "path")
PREFIXES: Mapping[Side, str] = {"done": "out/done/b/", "failed": "out/failed/b/", "stored": "old/done/b/"}


def stat(key: str) -> Stat:
    return Stat(key, f'"{key}"', len(key), 1.0)


def listing(keys: set[str], order: Order, prefix: str = "", suffix: str = "") -> Listing:
    paths = sorted((prefix + key + suffix for key in keys), key=lambda path: sortable(path, order))
    return Listing("store", map(stat, paths), prefix)


def merged(images: set[str], records: Mapping[Side, set[str]], order: Order) -> list[Found]:
    sides = {side: listing(keys, order, PREFIXES[side], ".json") for side, keys in records.items()}
    return list(merge(listing(images, order), sides, order))


def computed(images: set[str], records: Mapping[Side, set[str]]) -> dict[str, Found]:
    def record(side: Side, key: str) -> Stat | None:
        return stat(f"{PREFIXES[side]}{key}.json") if key in records.get(side, ()) else None

    return {
        key: Found(key, stat(key) if key in images else None, *(record(side, key) for side in SIDES))
        for key in images.union(*records.values())
    }


@pytest.mark.parametrize("order", ORDERS)
@settings(max_examples=40)
@given(images=st.sets(KEYS), done=st.sets(KEYS), failed=st.sets(KEYS), stored=st.sets(KEYS))
@example(images=set(ODD), done=set(ODD), failed=set(), stored=set(ODD))
@example(images=set(ODD), done=set(), failed=set(ODD[::2]), stored=set(ODD[1::2]))
@example(images=set(), done=set(ODD), failed=set(), stored=set())
def test_nothing_is_missing_and_nothing_invented(
    order: Order, images: set[str], done: set[str], failed: set[str], stored: set[str]
) -> None:
    records: dict[Side, set[str]] = {"done": done, "failed": failed, "stored": stored}
    found = merged(images, records, order)
    assert {one.key: one for one in found} == computed(images, records)
    assert len({one.key for one in found}) == len(found)
    assert found == sorted(found, key=lambda one: sortable(f"{one.key}.json", order))


@pytest.mark.parametrize("order", ORDERS)
@settings(max_examples=40)
@given(keys=st.sets(KEYS, min_size=1), at=st.integers(0, 1000), broken=st.sampled_from(("images", *SIDES)))
def test_a_listing_that_breaks_off_invents_nothing(order: Order, keys: set[str], at: int, broken: str) -> None:
    def breaking(whole: Listing) -> Listing:
        def stats() -> Iterator[Stat]:
            yield from islice(whole.stats, at % len(keys))
            raise Unavailable("broken off")

        return whole._replace(stats=stats())

    images = listing(keys, order)
    sides = {side: listing(keys, order, PREFIXES[side], ".json") for side in SIDES}
    if broken == "images":
        images = breaking(images)
    else:
        sides = {side: breaking(whole) if side == broken else whole for side, whole in sides.items()}
    expected = computed(keys, dict.fromkeys(SIDES, keys))
    found = 0
    with pytest.raises(Unavailable, match="broken off"):
        for one in merge(images, sides, order):
            assert one == expected[one.key]
            found += 1
    assert found < len(keys)


@pytest.mark.parametrize("order", ORDERS)
@settings(max_examples=40)
@given(keys=st.lists(KEYS, unique=True, min_size=2, max_size=9), side=st.sampled_from(("images", "done")))
def test_what_is_not_in_order_is_an_error(order: Order, keys: list[str], side: str) -> None:
    expected = sorted(keys, key=lambda key: sortable(key, order)) == keys
    if side == "done":
        keys = [f"out/done/b/{key}.json" for key in keys]
        expected = sorted(keys, key=lambda key: sortable(key, order)) == keys
    out = Listing("'b'", map(stat, keys), "" if side == "images" else "out/done/b/")
    empty = Listing("'b'", iter(()))
    found = merge(out, {}, order) if side == "images" else merge(empty, {"done": out}, order)
    if expected:
        assert len(list(found)) == len(keys)
    else:
        with pytest.raises(ConfigurationError, match="STOCKMETA_S3_ORDER="):
            list(found)


def test_the_error_says_which_keys_of_which_store() -> None:
    images = Listing("'pictures'", map(stat, ("a b.jpg", "a/b.jpg")))
    with pytest.raises(ConfigurationError) as caught:
        list(merge(images, {}, "path"))
    for part in ("'pictures'", "'a/b.jpg'", "'a b.jpg'", "STOCKMETA_S3_ORDER=bytes"):
        assert part in str(caught.value)


def test_a_key_that_comes_twice_is_an_error() -> None:
    with pytest.raises(Unavailable, match=r"'a\.jpg' twice"):
        list(merge(Listing("'b'", map(stat, ("a.jpg", "a.jpg"))), {}, "bytes"))


def test_what_is_no_record_is_skipped() -> None:
    paths = ("out/done/b/.json", "out/done/b/a.jpg.json", "out/done/b/a.jpg.json.unfinished")
    found = merge(Listing("", iter(())), {"done": Listing("", map(stat, paths), "out/done/b/")}, "bytes")
    assert [one.key for one in found] == ["a.jpg"]


@pytest.mark.parametrize("order", ORDERS)
def test_no_more_is_held_than_keys_that_begin_with_one_another(order: Order) -> None:
    chain = ["k" * n for n in range(1, 1025)]
    read = 0

    def stats() -> Iterator[Stat]:
        nonlocal read
        for key in (*chain, *(f"l{n:05}" for n in range(5000))):
            read += 1
            yield stat(key)

    keys = []
    for given_out, one in enumerate(merge(Listing("", stats()), {}, order)):
        assert read - given_out <= 1026
        keys.append(one.key)
    assert len(keys) == 6024
