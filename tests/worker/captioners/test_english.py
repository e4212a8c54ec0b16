import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from worker.captioners import english


@pytest.mark.parametrize(
    "phrase",
    """an apple|an elephant|a dog|a unicorn|a uniform|a university|a European|a eucalyptus|an umbrella|an urn|a urinal
    |an usher|a utensil|a ukulele|a utopia|an uninvited guest|an unidentified object|an hour|an hourglass|a house
    |an heirloom|an herb|a herbivore|an honest face|an X-ray|a T-shirt|a DVD player|an LED lamp|an SUV|a USB cable
    |a UFO|a U-turn|an 18-wheeler|an 8-bit console|a 180 degree turn|a one-way street|a onesie|an onion|an éclair
    |a ewe|a Ouija board|an Arbor Day scene|an igloo|an ATM|a yurt""".replace("\n", "").split("|"),
)
def test_articles(phrase: str) -> None:
    expected, _, noun = phrase.strip().partition(" ")
    assert english.article(noun) == expected


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("  two\t words\n", "two words"),
        ("nul\0l\x1b[31m", "nul l [31m"),
        ("‮evil", "evil"),
        ("#1 (fan)", "1 (fan)"),
        ("!!!", ""),
        ("🙂", ""),
        ("골든 리트리버", "골든 리트리버"),
        ("photo of a dog", "dog"),
        ("An image of photo of the sea", "sea"),
        ("photograph", "photograph"),
        ("image of ", "image of"),
    ],
)
def test_clean(label: str, expected: str) -> None:
    assert english.clean(label) == expected


def test_plain_has_no_special_characters() -> None:
    assert english.plain("salt & pepper, fresh! (50%) - Valentine's T-shirt/한국") == (
        "salt and pepper fresh 50 Valentine's T-shirt 한국"
    )


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("one two three", 13, "one two three"),
        ("one two three", 12, "one two"),
        ("one two three", 7, "one two"),
        ("a cat with a dog", 12, "a cat"),
        ("a cat, and", 8, "a cat"),
        ("unbreakable", 5, "unbre"),
    ],
)
def test_cut(text: str, limit: int, expected: str) -> None:
    assert english.cut(text, limit) == expected


def test_sentences_end_once() -> None:
    assert english.sentence("the St. Bernard...", 50) == "The St. Bernard."
    assert english.sentence("what?!", 50) == "What."
    assert english.sentence("ა", 50) == "ა."


def test_lists() -> None:
    assert [english.listed("abc"[:n]) for n in (1, 2, 3)] == ["a", "a and b", "a, b and c"]


def test_words_fold_plurals() -> None:
    assert english.words("Dogs") == english.words("a dog") == {"dog"}


@settings(deadline=None)
@given(text=some.text(), limit=some.integers(3, 40))
def test_any_label_stays_on_one_line_and_within_the_limit(text: str, limit: int) -> None:
    label = english.clean(text)
    assert label == " ".join(label.split())
    assert not label or label[0].isalnum()
    if label:
        assert 0 < len(english.cut(label, limit)) <= limit
        sentence = english.sentence(label, limit)
        assert len(sentence) <= limit
        assert sentence.endswith(".")
        assert not sentence.endswith("..")
    assert "," not in english.plain(text)
