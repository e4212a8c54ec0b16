"""Two generations side by side."""

from itertools import permutations

import pytest

from tasks.generations.compare import EXAMPLES, Brief, Comparison, Pictured, overlap, pair
from tasks.records import Category, Keyword, Source, Status
from tests.worker.libraries import record


def brief(*names: str, key: str = "a.jpg", etag: str = '"1"', source: Source = Source.VOCABULARY, **more: str) -> Brief:
    words = tuple(Keyword(i, f"c-{name}", {"en": name}, 0.5, 0.1, source) for i, name in enumerate(names, 1))
    return Brief(Status.TAGGED, Pictured("photos", key, etag), keywords=words, **more)  # type: ignore[arg-type]


def test_the_overlap_is_ruzickas() -> None:
    # Weights 1, 0.9 and 1, 0.9, 0.81: b has 0.9 and 1, a and c have nothing on the other side.
    assert overlap("ab", "bcd") == pytest.approx(0.9 / (1 + 1 + 0.9 + 0.81))
    assert overlap("bcd", "ab") == overlap("ab", "bcd")


def test_the_same_ranking_overlaps_wholly_and_disjoint_ones_not_at_all() -> None:
    assert overlap("abc", "abc") == 1
    assert overlap("abc", "xyz") == 0
    assert overlap("", "") == 1
    assert overlap("", "a") == 0


def test_what_stands_first_counts_most() -> None:
    assert overlap("abcde", "xbcde") < overlap("abcde", "abcdx") < 1
    assert overlap("abcde", "bacde") < overlap("abcde", "abced") < 1
    assert overlap("abcde", "abcdx") < overlap("abcd", "abcdx") < 1


def test_a_brief_is_read_out_of_a_whole_record() -> None:
    whole = record(keywords=["tree", "sky"], categories={"adobe": (Category("1", "Animals", 0.5),)})
    found = Brief.from_json(whole.to_json().encode())
    assert (found.status, found.image) == (whole.status, Pictured("photos", "a.jpg", '"1"'))
    assert (found.keywords, found.categories) == (whole.keywords, whole.categories)
    assert (found.title, found.caption, found.alt_text) == (whole.title, whole.caption, whole.alt_text)
    with pytest.raises(ValueError, match="status"):
        Brief.from_json(b"{}")


def test_what_is_gained_and_lost() -> None:
    comparison = Comparison(9)
    comparison.add(brief("tree", "sky", title="old"), brief("tree", "oak", title="new"))
    comparison.add(brief("tree", key="b.jpg"), brief("tree", "oak", key="b.jpg"))
    comparison.add(brief("tree", key="c.jpg"), brief("tree", key="c.jpg"))
    assert [tuple(word) for word in comparison.often("gained", 5)] == [("c-oak", "oak", 2)]
    assert [tuple(word) for word in comparison.often("lost", 5)] == [("c-sky", "sky", 1)]
    assert (comparison.total("gained"), comparison.total("lost")) == (2, 1)
    assert (comparison.compared, comparison.same) == (3, 1)
    assert comparison.changed == {"title": 1, "keywords": 2}
    assert [found.a.image.key for found in comparison.worst] == ["a.jpg", "b.jpg"]


def test_the_files_own_words_are_no_gain_or_loss() -> None:
    comparison = Comparison(9)
    comparison.add(brief("mine", source=Source.EMBEDDED), brief("tree"))
    assert comparison.often("lost", 5) == []
    assert [word.label for word in comparison.often("gained", 5)] == ["tree"]


def test_categories_are_compared_by_scheme() -> None:
    def with_categories(**schemes: str) -> Brief:
        categories = {name: tuple(Category(c, c, 0.5) for c in ids) for name, ids in schemes.items()}
        return Brief(Status.TAGGED, Pictured("photos", "a.jpg"), categories=categories)

    comparison = Comparison(9)
    comparison.add(with_categories(adobe="ab", iptc="x"), with_categories(adobe="ba", iptc="x", own="1"))
    assert comparison.changed == {"categories/adobe": 1, "categories/own": 1}


def test_records_of_different_contents_are_not_compared() -> None:
    comparison = Comparison(9)
    comparison.add(brief("tree"), brief("oak", etag='"2"'))
    assert comparison.compared == 0
    assert comparison.apart["other_content"].keys == ["a.jpg"]
    assert not comparison.worst


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_the_worst_are_the_same_in_whatever_order_images_come(order: tuple[int, ...]) -> None:
    images = [
        (brief("x", key="a"), brief("y", key="a")),
        (brief("x", key="ab"), brief("y", key="ab")),
        (brief("x", key="b"), brief("y", key="b")),
        (brief("x", "y", key="c"), brief("x", "z", key="c")),
    ]
    comparison = Comparison(2)
    for i in order:
        comparison.add(*images[i])
    assert [found.a.image.key for found in comparison.worst] == ["a", "ab"]


def test_a_comparison_holds_no_more_than_it_shows() -> None:
    comparison = Comparison(3)
    for i in range(500):
        comparison.add(brief("x", key=f"{i:03}"), brief("y", key=f"{i:03}"))
        comparison.tell_apart("only_a", f"{i}")
        comparison.tell_apart("failed_only_b", f"{i}", "truncated")
    assert len(comparison.worst) == 3
    assert comparison.apart["only_a"].count == 500
    assert len(comparison.apart["only_a"].keys) == EXAMPLES
    assert comparison.reasons == {"truncated": 500}


def test_a_pair_says_what_is_in_one_of_them_only() -> None:
    found = pair(brief("a", "b"), brief("b", "c"))
    assert [word.labels["en"] for word in found.lost] == ["a"]
    assert [word.labels["en"] for word in found.gained] == ["c"]
    assert 0 < found.distance < 1
