"""Captions with a dateline."""

from datetime import date

import pytest

from tasks.records import Embedded
from worker.exports.editorial import editorial
from worker.exports.refusal import Refusal

TODAY = date(2026, 11, 22)
TEXT = "People cross a bridge."


def made(limit: int | None = 200, text: str = TEXT, **file: str) -> str:
    found = editorial(text, Embedded(**file), limit, TODAY)
    assert isinstance(found, str), found
    return found


def rule(text: str = TEXT, limit: int | None = 200, **file: str) -> str:
    found = editorial(text, Embedded(**file), limit, TODAY)
    assert isinstance(found, Refusal), found
    return found.rule


BERLIN = {"city": "Berlin", "country": "Germany"}


def test_city_country_and_day() -> None:
    assert (
        made(**BERLIN, created="2024-05-14T09:30:00")
        == "BERLIN, GERMANY – MAY 14: People cross a bridge on May 14, 2024 in Berlin, Germany."
    )


@pytest.mark.parametrize("country", [{"country": "United States"}, {"country": "Etats-Unis", "country_code": "US"}])
def test_in_the_united_states_the_state_stands_for_the_country(country: dict[str, str]) -> None:
    text = made(city="Austin", state="Texas", created="2024-05-14", **country)
    assert text.startswith("AUSTIN, TEXAS – MAY 14: ")
    assert text.endswith(" on May 14, 2024 in Austin, Texas.")


def test_elsewhere_the_country_does() -> None:
    assert made(city="Munich", state="Bavaria", country="Germany", created="2024-05-14").startswith("MUNICH, GERMANY –")
    assert made(city="Seoul", country_code="KR", created="2024-05-14").startswith("SEOUL, KR –")


def test_what_is_not_known_to_the_day_is_circa() -> None:
    assert made(**BERLIN, created="2024-05") == (
        "BERLIN, GERMANY – CIRCA MAY: People cross a bridge circa May 2024 in Berlin, Germany."
    )
    assert made(**BERLIN, created="2024") == (
        "BERLIN, GERMANY – CIRCA 2024: People cross a bridge circa 2024 in Berlin, Germany."
    )
    assert made(country="Germany", created="2024-05-14").startswith("CIRCA GERMANY – MAY 14: ")


def test_what_the_description_says_already_is_not_said_twice() -> None:
    said = made(text="A bridge in Berlin, Germany, in May 2024.", **BERLIN, created="2024-05-14")
    assert said == "BERLIN, GERMANY – MAY 14: A bridge in Berlin, Germany, in May 2024."


@pytest.mark.parametrize(
    "created", ["", "2024-13", "2024-13-01", "2023-02-29", "2024-05-00", "0000-01-01", "1700-01-01", "2026-11-24"]
)
def test_dates_that_are_unknown_or_cannot_be_are_refused(created: str) -> None:
    assert rule(**BERLIN, created=created) == "editorial_date"


@pytest.mark.parametrize("created", ["yesterday", "2027", "14.05.2024", "20240514", "２０２４"])
def test_dates_that_are_no_dates_are_refused(created: str) -> None:
    assert rule(**BERLIN, created=created) == "editorial_date"


def test_today_is_no_future_wherever_the_camera_was() -> None:
    assert made(**BERLIN, created="2026-11-23").startswith("BERLIN, GERMANY – NOVEMBER 23:")


def test_places_that_are_unknown_are_refused() -> None:
    assert rule(created="2024-05-14") == "editorial_place"
    assert rule(created="2024-05-14", city="Berlin") == "editorial_place"
    assert isinstance(editorial(TEXT, None, 200, TODAY), Refusal)


def test_the_description_is_shortened_and_date_and_place_are_not() -> None:
    text = made(
        limit=108,
        text="People and their bicycles cross an old bridge of stone and steel.",
        **BERLIN,
        created="2024-05-14",
    )
    assert (
        text
        == "BERLIN, GERMANY – MAY 14: People and their bicycles cross an old bridge on May 14, 2024 in Berlin, Germany."
    )
    assert len(text) <= 108
    assert rule(limit=70, **BERLIN, created="2024-05-14") == "editorial_length"


def test_what_is_cut_off_with_the_end_of_the_description_is_said_all_the_same() -> None:
    long = "People and their bicycles cross an old bridge of stone and steel, in the summer of 2024, in Berlin."
    text = made(limit=120, text=long, **BERLIN, created="2024-05-14")
    assert text.endswith(" on May 14, 2024 in Berlin, Germany.")
    assert text.startswith("BERLIN, GERMANY – MAY 14: People and their bicycles cross")
    assert len(text) <= 120


@pytest.mark.parametrize("dateline", ["BERLIN, GERMANY - MAY 14, 2024: ", "BERLIN – CIRCA 2024: "])
def test_a_dateline_that_a_person_wrote_is_not_there_twice(dateline: str) -> None:
    assert made(text=dateline + TEXT, **BERLIN, created="2024-05-14") == made(**BERLIN, created="2024-05-14")


@pytest.mark.parametrize("text", ["NASA - ESA: a joint mission", "May 14 - a day: people walk", "MAY 14: people walk"])
def test_what_is_no_dateline_stays(text: str) -> None:
    assert f": {text} on May" in made(text=text, **BERLIN, created="2024-05-14")
