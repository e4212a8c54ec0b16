import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonomy import files
from taxonomy.concepts import Concept, build
from taxonomy.words import BRANDS, OFFENSIVE, Screen, Word, collisions, load_screen, tokens


@pytest.fixture(scope="module")
def screen() -> Screen:
    return load_screen()


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("Nike", "block"),
        ("NIKE running shoes", "block"),
        ("Nike's shoe", "block"),
        ("McDonald’s", "block"),
        ("L'Oréal", "block"),
        ("loreal", "block"),
        ("H&M store", "block"),
        ("Louis Vuitton bag", "block"),
        ("louis", "pass"),
        ("apple", "review"),
        ("Apple laptop", "review"),
        ("pineapple", "pass"),
        ("Scunthorpe", "pass"),
        ("classic grass", "pass"),
        ("assess", "pass"),
        ("fuck", "block"),
        ("whores", "block"),
        ("cock", "review"),
        ("tits", "review"),
        ("dog", "pass"),
        ("jelly donut", "pass"),
        ("", "pass"),
        ("나이키", "block"),
        ("스타벅스에서", "block"),
        ("섹스를", "review"),
        ("섹스토이", "pass"),
        ("성인", "review"),
        ("유모", "pass"),
        ("보지", "block"),
        ("보지 않는 사람", "pass"),
        ("자지도 않고", "pass"),
        ("강아지", "pass"),
        ("scheiße", "block"),
        ("salope", "block"),
    ],
)
def test_whole_words_whatever_their_case_and_accents(screen: Screen, text: str, level: str) -> None:
    assert screen.screen(text).level == level


def test_the_reason_names_the_word(screen: Screen) -> None:
    assert screen.screen("a Nike shoe").reason == "'nike' is a brand name"
    assert screen.screen("dog").reason == ""


def test_a_known_phrase_is_innocent_and_what_is_plain_stays_plain() -> None:
    words = {"apple": Word("review", "a brand"), "nike": Word("block", "a brand"), "jet ski": Word("review", "a brand")}
    screen = Screen(words).extended(known=["apple pie", "nike shoe", "jet ski", "apple"])
    assert screen.screen("hot apple pie").level == "pass"
    assert screen.screen("apple").level == "review"
    assert screen.screen("jet ski").level == "review"
    assert screen.screen("nike shoe").level == "block"


def test_a_customers_own_words_win() -> None:
    screen = Screen({"nike": Word("block", "a brand")}).extended(blocked=["Dog Food", "cat"], allowed=["NIKE", "cat"])
    assert [screen.screen(text).level for text in ("nike", "dog food", "dog", "cat")] == [
        "pass",
        "block",
        "pass",
        "pass",
    ]


def test_what_begins_alike_is_told_apart() -> None:
    screen = Screen({"red": Word("review", "x"), "red bull": Word("block", "y")})
    assert [screen.screen(text).level for text in ("red", "red bull", "red bulls eye", "bull red")] == [
        "review",
        "block",
        "review",
        "review",
    ]


def test_accents_go_and_syllables_stay() -> None:
    assert tokens("Citroën  Döner-Kebab") == ("citroen", "doner", "kebab")
    assert tokens("パ ハ") == ("パ", "ハ")
    assert tokens("각") == ("각",)


@given(st.text())
def test_any_text_has_a_verdict(text: str) -> None:
    verdict = Screen({"x": Word("block", "y")}).screen(text)
    assert (verdict.level == "pass") == (verdict.reason == "")


def test_no_shipped_label_is_blocked_and_those_that_collide_are_listed(screen: Screen) -> None:
    found = collisions(files.load(), screen)
    assert [(form, verdict.reason) for _, form, verdict in found if verdict.level == "block"] == []
    assert "apple" in {form for _, form, _ in found}


def test_collisions_look_at_every_form() -> None:
    tree = build(
        [Concept("x", "shoe", synonyms=("nike",)), Concept("y", "dog")], translations={"ko": {"y": ("개", "나이키")}}
    )
    found = collisions(tree, Screen({"nike": Word("block", "b"), "나이키": Word("block", "b")}))
    assert [(concept.id, form) for concept, form, _ in found] == [("x", "nike"), ("y", "나이키")]


@pytest.mark.parametrize(("name", "columns"), [("brands", BRANDS), ("offensive", OFFENSIVE)])
def test_the_tables_hold_words_as_they_are_compared(name: str, columns: tuple[str, ...]) -> None:
    rows = [row for _, row in files.read_table(files.files("taxonomy") / f"data/words/{name}.tsv", columns, columns)]
    assert all(" ".join(tokens(row["word"])) == row["word"] for row in rows)
    assert {row["verdict"] for row in rows} == {"block", "review"}
    keys = [(row["word"], row.get("language")) for row in rows]
    assert len(set(keys)) == len(keys) > 500


def test_fast_enough_to_look_at_every_word_of_an_image(screen: Screen) -> None:
    start = time.perf_counter()
    for _ in range(500):
        screen.screen("a small brown dog on the beach")
    assert (time.perf_counter() - start) / 500 < 0.002
