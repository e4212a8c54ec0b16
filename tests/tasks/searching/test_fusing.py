"""Reciprocal rank fusion."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.searching.fuse import K, Place, fuse

IDS = st.lists(st.sampled_from("abcdefgh"), unique=True)
LISTS = st.lists(IDS, max_size=3)


def test_what_stands_high_in_both_comes_first() -> None:
    found = fuse([[Place("a"), Place("b"), Place("c")], [Place("b"), Place("d")]])
    assert [one.id for one in found] == ["b", "a", "d", "c"]
    assert found[0].ranks == (2, 1)
    assert found[0].score == pytest.approx((1 / (K + 2) + 1 / (K + 1)) / (2 / (K + 1)))
    assert found[1].ranks == (1, None)


def test_first_in_every_list_scores_one() -> None:
    assert fuse([[Place("a")], [Place("a")]])[0].score == pytest.approx(1)


def test_a_place_may_count_less() -> None:
    found = fuse([[Place("a", 0.1), Place("b", 1.0)], [Place("c")]])
    assert [one.id for one in found] == ["c", "b", "a"]


def test_of_equals_the_earlier_list_comes_first() -> None:
    assert [one.id for one in fuse([[Place("b")], [Place("a")]])] == ["b", "a"]


def test_a_document_twice_in_a_list_counts_once() -> None:
    assert fuse([[Place("a"), Place("a")]])[0].score == pytest.approx(1)


@given(LISTS)
def test_each_document_once_and_the_best_first(lists: list[list[str]]) -> None:
    found = fuse([[Place(id_) for id_ in ids] for ids in lists])
    assert sorted(one.id for one in found) == sorted({id_ for ids in lists for id_ in ids})
    assert all(0 < one.score <= 1 + 1e-9 for one in found)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    for one in found:
        assert list(one.ranks) == [ids.index(one.id) + 1 if one.id in ids else None for ids in lists]


@given(IDS)
def test_one_list_keeps_its_order(ids: list[str]) -> None:
    assert [one.id for one in fuse([[Place(id_) for id_ in ids]])] == ids


@given(IDS.filter(bool), IDS)
def test_what_moves_up_in_a_list_never_moves_down(ids: list[str], other: list[str]) -> None:
    last = ids[-1]
    lists = [[Place(id_) for id_ in other]]
    before = [one.id for one in fuse([[Place(id_) for id_ in ids], *lists])]
    after = [one.id for one in fuse([[Place(id_) for id_ in [last, *ids[:-1]]], *lists])]
    assert after.index(last) <= before.index(last)
