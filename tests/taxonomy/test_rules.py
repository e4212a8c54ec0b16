import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonomy.concepts import TaxonomyError
from taxonomy.rules import Finder
from tests.taxonomy.small import small

FINDER = Finder(small())


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ("dog", {"w:dog"}),
        ("DOG", {"w:dog"}),
        ("dogs", {"w:dog"}),
        ("doggy", {"w:dog"}),
        ("강아지", {"w:dog"}),
        ("w:dog", {"w:dog"}),
        ("colour", {"w:color"}),
        ("d?g", {"w:dog"}),
        ("*un", {"w:gun", "w:nun"}),
        ("crane", {"w:crane", "w:lift"}),
        ("crane (bird)", {"w:crane"}),
        ("*(machine)", {"w:lift"}),
        ("under:dog", {"w:dog", "w:puppy"}),
        ("under: weapon", {"w:weapon", "w:gun"}),
        ("under:*og", {"w:dog", "w:puppy"}),
        ("facet:person", {"w:woman", "w:nun"}),
    ],
)
def test_a_rule_is_compared_with_the_whole_of_each_form(rule: str, found: set[str]) -> None:
    assert FINDER.matching(rule) == found


@pytest.mark.parametrize(
    "rule", ["do", "og", "[d]og", "", "  ", "under:", "under:do", "facet:animals", "facet:", "d??g"]
)
def test_a_rule_that_means_nothing_is_an_error(rule: str) -> None:
    with pytest.raises(TaxonomyError):
        FINDER.matching(rule)


def test_near_matches_are_suggested() -> None:
    with pytest.raises(TaxonomyError, match=r"'weapn' is no word of the vocabulary; did you mean 'weapon'\?"):
        FINDER.matching("weapn")
    with pytest.raises(
        TaxonomyError, match=r"'animl' is no facet; did you mean 'animal'\?; there are activity, animal"
    ):
        FINDER.matching("facet:animl")


def test_a_term_means_one_concept() -> None:
    assert FINDER.one("Dogs").id == "w:dog"
    assert FINDER.one("w:lift").id == "w:lift"
    assert FINDER.one("두루미").id == "w:crane"
    with pytest.raises(TaxonomyError, match=r"several concepts; write one of 'crane \(bird\)', 'crane \(machine\)'"):
        FINDER.one("crane")


@given(st.text(alphabet="*?d[]og!-\\", max_size=60))
def test_any_pattern_ends_soon(rule: str) -> None:
    with contextlib.suppress(TaxonomyError):
        assert FINDER.matching(rule)


def test_many_stars_take_no_time() -> None:
    with pytest.raises(TaxonomyError):
        FINDER.matching("*a" * 40 + "b")
