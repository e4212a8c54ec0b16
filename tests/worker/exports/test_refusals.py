"""Each rule is broken once, and caught, and nothing else is said."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.records import Category, Embedded
from taxonomy import agencies
from taxonomy.agencies import Agency
from tests.worker.exports.agencies_made import GOOD, SCREEN, STRICT, entry, image
from worker.exports.entry import Entry
from worker.exports.refusal import RULES, SHOWN, refusal
from worker.exports.refusals import Validator

MADE_ELSEWHERE = {"record", "source_replaced", "source_vanished", "filename_twice"}
"""Not of one image's entry: tried with the sheet and the command."""
EDITORIAL = {"editorial_date", "editorial_place", "editorial_length"}
"""Tried with `editorial`; here only that they are passed on."""

PLANTED: dict[str, dict[str, Any]] = {
    "filename_length": {"filename": f"{'f' * 27}.jpg"},
    "format": {"image": image(format="PNG")},
    "too_small": {"image": image(stored_height=1300)},
    "flag_mature": {"flags": frozenset({"mature"})},
    "flag_minor": {"flags": frozenset({"minor"})},
    "flag_brand": {"flags": frozenset({"brand"})},
    "flag_text": {"flags": frozenset({"text"})},
    "title_missing": {"title": ""},
    "title_length": {"title": "A red fox " * 7},
    "title_words": {"title": "Foxes"},
    "title_characters": {"title": "A red fox; in snow"},
    "caption_missing": {"caption": " "},
    "caption_length": {"caption": "A red fox " * 11},
    "caption_words": {"caption": "Fox."},
    "caption_list": {"caption": "fox, red fox, snow, winter"},
    "address": {"caption": "A red fox, more at www.foxes.example"},
    "camera": {"caption": "A red fox in snow, f/2.8, ISO 400"},
    "language": {"caption": "A red fox in 눈."},
    "brand": {"caption": "A red fox and a Nikon."},
    "blocked_word": {"caption": "A red fox in filth."},
    "control_characters": {"filename": "fo\x00x.jpg"},
    "formula": {"filename": "=fox.jpg"},
    "keywords_few": {"keywords": ("fox",)},
    "keywords_many": {"keywords": ("fox", "snow", "winter", "red", "cold", "ice")},
    "keywords_length": {"keywords": ("f" * 20, "s" * 20, "w" * 20)},
    "keyword_empty": {"keywords": ("fox", " ", "snow")},
    "keyword_twice": {"keywords": ("fox", "snow", "fox")},
    "keyword_separator": {"keywords": ("fox", "snow,ice")},
    "keyword_phrase": {"keywords": ("fox", "deep snow")},
    "keyword_case": {"keywords": ("Fox", "snow")},
    "keyword_length": {"keywords": ("fox", "s" * 21)},
    "category_missing": {"categories": ()},
    "categories_many": {"categories": (Category("1", "A", 0.9),) * 3},
}
WITH_COMMAS = {"title_list": {"title": "fox, red fox, snow, winter"}}


def broken(made: Entry, agency: Agency = STRICT, allowed: frozenset[str] = frozenset()) -> list[str]:
    return [each.rule for each in Validator(agency, SCREEN, allowed).refusals(made)]


def test_a_good_entry_breaks_no_rule() -> None:
    assert broken(GOOD) == []


@pytest.mark.parametrize("rule", PLANTED)
def test_a_broken_rule_is_caught_and_no_other_is_blamed(rule: str) -> None:
    assert set(broken(entry(**PLANTED[rule]))) - ({"keyword_phrase"} if rule == "keyword_empty" else set()) == {rule}
    assert rule not in broken(entry(**PLANTED[rule]), allowed=frozenset({rule}))


def test_a_list_of_keywords_is_no_title() -> None:
    assert broken(entry(**WITH_COMMAS["title_list"]), replace(STRICT, forbidden="")) == ["title_list"]
    assert broken(entry(title="Red, green and blue balloons"), replace(STRICT, forbidden="")) == []


@pytest.mark.parametrize("rule", sorted(EDITORIAL))
def test_an_editorial_caption_that_cannot_be_is_passed_on(rule: str) -> None:
    made = entry(editorial=True, trouble=refusal(rule, "created", "", "because", "do"))
    assert broken(made) == [rule]


def test_every_rule_is_planted_somewhere() -> None:
    assert set(PLANTED) | set(WITH_COMMAS) | EDITORIAL | MADE_ELSEWHERE == set(RULES)


def test_every_rule_is_in_the_documentation() -> None:
    text = (Path(__file__).parents[3] / "docs" / "agencies.md").read_text(encoding="utf-8")
    assert [rule for rule in RULES if f"`{rule}`" not in text] == []


def test_a_short_title_is_refused_as_a_long_one_is() -> None:
    assert broken(entry(title="A b")) == ["title_length"]


def test_mature_content_goes_into_its_column_where_there_is_one() -> None:
    shutterstock = replace(agencies.load("shutterstock"), limits=STRICT.limits)
    assert "flag_mature" not in broken(entry(flags=frozenset({"mature"})), shutterstock)
    assert "flag_minor" in broken(entry(flags=frozenset({"minor"})), shutterstock)


def test_in_editorial_pictures_brands_and_people_are_what_it_is_about() -> None:
    made = entry(editorial=True, caption="A red fox and a Nikon.", flags=frozenset({"brand", "minor"}))
    assert broken(made) == []
    assert broken(replace(made, caption="A red fox in filth.", flags=frozenset({"text"}))) == [
        "flag_text",
        "blocked_word",
    ]


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        *(("address", text) for text in ("Mail fox@snow.example now", "See https://a.example/b", "Photos at fox.com")),
        *(
            ("camera", text)
            for text in (
                "A fox taken at 1/250 s",
                "A fox with 85mm",
                "A fox at ISO 6400",
                "A fox, IMG_0042",
                "OLYMPUS DIGITAL CAMERA",
            )
        ),
    ],
)
def test_addresses_and_camera_data_in_other_forms(rule: str, text: str) -> None:
    assert broken(entry(caption=text)) == [rule]


@pytest.mark.parametrize(
    "text",
    [
        "A café at 5 p.m. in São Paulo.",
        "A 9 mm drill and 1/2 of an apple.",
        "The ISO of a fox.",
        "A 50 mm lens, ISO 9001 and ISO 9000.",
    ],
)
def test_what_only_looks_like_trouble_passes(text: str) -> None:
    assert broken(entry(caption=text)) == []


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_no_cell_of_ours_begins_as_a_formula(start: str) -> None:
    assert broken(entry(caption=f"{start}cmd|' /C calc'!A0")) == ["formula"]
    assert broken(entry(keywords=(f"{start}fox", "snow"))) == ["formula"]
    assert broken(entry(embedded=Embedded(city="Oulu"))) == []


def test_a_reason_quotes_only_the_beginning_and_says_what_to_do() -> None:
    (found,) = Validator(STRICT, SCREEN).refusals(entry(caption="A red fox " * 20))
    assert len(found.value) == SHOWN
    assert "100" in found.reason and found.remedy


def test_a_table_of_fields_refuses_next_to_nothing() -> None:
    iptc = agencies.load("iptc")
    made = entry(title="여우", caption="여우 Nikon", keywords=(), categories=(), flags=frozenset({"brand"}))
    assert broken(made, iptc) == []
    assert broken(entry(title="", caption=""), iptc) == []


def test_a_phones_jpeg_with_further_pictures_is_a_jpeg() -> None:
    assert Validator(STRICT, SCREEN).refusals(entry(image=image(format="MPO"))) == []
    png = replace(STRICT, formats=("PNG",))
    assert [each.rule for each in Validator(png, SCREEN).refusals(entry(image=image(format="MPO")))] == ["format"]


def test_a_brand_excuses_no_other_word_and_a_blocked_word_is_no_brand_for_its_letters() -> None:
    screen = SCREEN.extended(["brandy"])
    rules = Validator(STRICT, screen)

    def found(caption: str, *, editorial: bool) -> list[str]:
        return [each.rule for each in rules.refusals(entry(caption=caption, editorial=editorial))]

    for text in ("A Nikon and filth in snow.", "Filth beside a Nikon in snow."):
        assert found(text, editorial=True) == ["blocked_word"]
        assert found(text, editorial=False) == ["brand", "blocked_word"]
    assert found("A glass of brandy in snow.", editorial=True) == ["blocked_word"]
