"""Titles that tell the pictures of a series apart."""

from tasks.records import Embedded, Image
from worker.exports.entry import Entry
from worker.exports.series import Titles


def entry(title: str, *keywords: str, city: str | None = None) -> Entry:
    return Entry(Image("b", "a.jpg", None), "a.jpg", title, keywords=keywords, embedded=Embedded(city=city))


def titles(entries: list[Entry], limit: int | None = 70, forbidden: str = "") -> list[str]:
    made, found = Titles(), []
    for each in entries:
        found.append(made.distinct(each, each.title, limit, forbidden))
        made.take(found[-1])
    return found


def test_the_first_keeps_its_title_and_others_are_given_a_keyword_then_the_place_then_a_number() -> None:
    series = [entry("Red fox", "fox", "snow", city="Oulu") for _ in range(5)]
    assert titles(series) == ["Red fox", "Red fox, snow", "Red fox, Oulu", "Red fox 2", "Red fox 3"]


def test_titles_that_differ_in_case_alone_are_equal() -> None:
    assert titles([entry("Red fox", "snow"), entry("RED FOX", "snow")]) == ["Red fox", "RED FOX, snow"]


def test_an_agency_that_takes_no_commas_is_given_none() -> None:
    assert titles([entry("Red fox", "a, b", "snow")] * 2, forbidden=",;") == ["Red fox", "Red fox - snow"]


def test_within_the_limit_at_a_word() -> None:
    assert titles([entry("Red fox in deep snow", "forest")] * 3, limit=20) == [
        "Red fox in deep snow",
        "Red fox, forest",
        "Red fox in deep 2",
    ]


def test_one_more_at_the_end_changes_no_title_before() -> None:
    series = [entry("Red fox", "fox", *words) for words in (("snow",), ("forest",), ("snow", "ice"), ("forest",))]
    assert titles([*series, entry("Red fox", "snow")])[:4] == titles(series)


def test_one_more_in_the_middle_changes_those_that_would_be_equal_and_no_others() -> None:
    series = [entry("Red fox", word) for word in ("snow", "forest", "river", "night")]
    longer = titles([*series[:2], entry("Red fox", "river"), *series[2:]])
    assert longer[:2] + longer[4:] == titles(series)[:2] + titles(series)[3:]


def test_ten_thousand_of_one_title_take_no_time_and_are_all_distinct() -> None:
    found = titles([entry("Red fox", "snow")] * 10_000)
    assert len({title.casefold() for title in found}) == 10_000
    assert found[-1] == "Red fox 9999"


def test_no_title_stays_none() -> None:
    assert titles([entry(""), entry("")]) == ["", ""]


def test_an_addition_that_would_leave_nothing_of_the_title_is_none() -> None:
    assert titles([entry("Red fox in deep snow", "x" * 17, "forest")] * 2, limit=20)[1] == "Red fox, forest"


def test_a_keyword_that_the_title_has_in_the_singular_tells_nothing_apart() -> None:
    assert titles([entry("Outdoor scene", "outdoors", "snow")] * 2)[1] == "Outdoor scene, snow"
