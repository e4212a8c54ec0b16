"""What colours are called."""

import pytest

from tasks.feeding import colors


@pytest.mark.parametrize(
    ("color", "name"),
    [
        ("#000000", "black"),
        ("#202020", "black"),
        ("#7f7f7f", "gray"),
        ("#ffffff", "white"),
        ("#f5f2e8", "white"),
        ("#e50000", "red"),
        ("#15b01a", "green"),
        ("#0343df", "blue"),
        ("#87ceeb", "blue"),
        ("#000080", "blue"),
        ("#ffff14", "yellow"),
        ("#f97306", "orange"),
        ("#653700", "brown"),
        ("#c2a98b", "brown"),
        ("#ff81c0", "pink"),
        ("#7e1e9c", "purple"),
    ],
)
def test_a_colour_is_called_what_people_call_it(color: str, name: str) -> None:
    assert colors.name(color) == name
    assert colors.name(color.upper()) == name


@pytest.mark.parametrize("wrong", ["red", "#fff", "#gggggg", "", "0123456", "#+1+1+1", "# 1 1 1"])
def test_what_is_no_colour_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="no colour"):
        colors.name(wrong)


@pytest.mark.parametrize(
    ("word", "name"),
    [("Red", "red"), ("grey", "gray"), ("빨강", "red"), ("파란색", "blue"), ("tall", None), ("", None)],
)
def test_a_word_of_any_language_means_a_colour(word: str, name: str | None) -> None:
    assert colors.find(word) == name


def test_every_name_has_labels_in_both_languages_and_no_label_means_two() -> None:
    labels = [label for languages in colors.LABELS.values() for names in languages.values() for label in names]
    assert len(labels) == len(set(labels))
    assert all(set(languages) == {"en", "ko"} for languages in colors.LABELS.values())
    assert len(colors.NAMES) == 11
