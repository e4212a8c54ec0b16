"""Near-duplicates among hits."""

from hypothesis import given
from hypothesis import strategies as st

from tasks.searching.fold import BITS, Folded, fold

BASE = 0x0F0F0F0F0F0F0F0F
HASHES = st.one_of(st.none(), st.integers(0, 2**64 - 1), st.sampled_from([BASE, BASE ^ 1, BASE ^ 0xFF]))


def text(value: int | None) -> str | None:
    return None if value is None else f"{value:016x}"


def test_the_best_stays_and_names_the_others() -> None:
    found = fold([("a", text(BASE)), ("b", text(~BASE & (2**64 - 1))), ("c", text(BASE ^ 0b111)), ("d", text(BASE))])
    assert found == [Folded("a", ("c", "d")), Folded("b")]


def test_one_bit_too_many_is_another_picture() -> None:
    more = (1 << (BITS + 1)) - 1
    assert fold([("a", text(BASE)), ("b", text(BASE ^ more))]) == [Folded("a"), Folded("b")]
    assert fold([("a", text(BASE)), ("b", text(BASE ^ (more >> 1)))]) == [Folded("a", ("b",))]


def test_plain_surfaces_and_pictures_without_a_hash_are_nothing_like_each_other() -> None:
    assert (
        len(fold([("a", "0" * 16), ("b", "0" * 16), ("c", None), ("d", None), ("e", "f" * 16), ("f", "f" * 16)])) == 6
    )


def test_pictures_that_drift_apart_do_not_fold_into_one() -> None:
    steps = [BASE ^ ((1 << (BITS * step)) - 1) for step in range(4)]
    found = fold([(str(step), text(value)) for step, value in enumerate(steps)])
    assert found == [Folded("0", ("1",)), Folded("2", ("3",))]


@given(st.lists(HASHES, max_size=12))
def test_nothing_is_lost_and_the_order_stays(hashes: list[int | None]) -> None:
    ids = [str(number) for number in range(len(hashes))]
    found = fold(zip(ids, map(text, hashes), strict=True))
    assert sorted(id_ for one in found for id_ in (one.id, *one.duplicates)) == sorted(ids)
    kept = [int(one.id) for one in found]
    assert kept == sorted(kept)
    for one in found:
        assert all(int(other) > int(one.id) for other in one.duplicates)
        value = hashes[int(one.id)]
        for other in one.duplicates:
            assert value is not None
            assert ((hashes[int(other)] or 0) ^ value).bit_count() <= BITS
