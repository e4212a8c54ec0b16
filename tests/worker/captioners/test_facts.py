import pytest
from hypothesis import given
from hypothesis import strategies as some

from tasks.records import Embedded
from worker.captioners import facts


@pytest.mark.parametrize(
    ("said", "fullest"),
    [
        (
            Embedded(city="Edinburgh", state="Scotland", country="United Kingdom", created="2024-05-03T10:00:00"),
            " in Edinburgh, Scotland, United Kingdom, in May 2024",
        ),
        (Embedded(city="Lisbon", created="2019"), " in Lisbon in 2019"),
        (Embedded(country="United States"), " in the United States"),
        (Embedded(country="Czech Republic"), " in the Czech Republic"),
        (Embedded(country="France"), " in France"),
        (Embedded(location="Holyrood Park", city="Edinburgh"), " at Holyrood Park, Edinburgh"),
        (Embedded(location="Near the lake", city="Bern"), " near the lake, Bern"),
        (Embedded(location="The Mall", city="London"), " at the Mall, London"),
        (Embedded(location="Bern", city="Bern"), " in Bern"),
        (Embedded(city="Singapore", country="SINGAPORE"), " in Singapore"),
        (Embedded(city="São Paulo", country="Brazil."), " in São Paulo, Brazil"),
        (Embedded(city=" two\n lines\u202e "), " in two lines"),
        (Embedded(title="A title", description="Words of a person"), ""),
        (Embedded(created="2024-05"), ""),
        (None, ""),
    ],
)
def test_place_and_date_end_a_caption(said: Embedded | None, fullest: str) -> None:
    assert next(facts.endings(said)) == fullest


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "12", "?", "a" * 61, "<script>alert(1)</script>", "https://example.com/x", "www.example.com"),
        *("Buy at shop.com", "서울", "Mocква", "{city}", "a; b", "C:\\x", "x@y", "50% off", None),
    ],
)
def test_what_does_not_read_as_a_name_is_left_out(text: str | None) -> None:
    assert facts.name(text) is None
    assert next(facts.endings(Embedded(city=text, country="Chile"))) == " in Chile"


@pytest.mark.parametrize(
    ("created", "said"),
    [
        *(("2024-05-03", "May 2024"), ("2024-05", "May 2024"), ("2024", "2024"), ("1931-12-31T23:59", "December 1931")),
        *(("2024-13-01", "2024"), ("2024-00", "2024"), ("1970-01-01T00:00:00", None), ("2000-01-01", None)),
        *(("1980-01-01", None), ("0000-00-00", None), ("1700", None), ("9999-12-31", None), ("20240503", None)),
        *(("yesterday", None), ("", None), (None, None)),
    ],
)
def test_dates_that_cannot_be_true_are_left_out(created: str | None, said: str | None) -> None:
    assert facts.date(created) == said


def test_shorter_endings_follow_and_the_last_is_none() -> None:
    said = Embedded(location="Old Town", city="Bern", country="Switzerland", created="2020-02")
    endings = list(facts.endings(said))
    assert endings[0] == " at Old Town, Bern, Switzerland, in February 2020"
    assert endings[-2:] == [" in Switzerland", ""]
    assert max(map(len, endings)) == len(endings[0])


texts = some.none() | some.text(max_size=80)


@given(location=texts, city=texts, state=texts, country=texts, created=texts)
def test_whatever_a_file_says_makes_one_plain_line(
    location: str | None, city: str | None, state: str | None, country: str | None, created: str | None
) -> None:
    said = Embedded(location=location, city=city, state=state, country=country, created=created)
    for ending in facts.endings(said):
        assert ending == "" or ending[0] == " "
        assert ending.strip() == " ".join(ending.split())
        assert ending.isprintable()
        assert not set(ending) & set('<>{}[]|\\"@#%*=:;?!')
