import pytest

from worker.captioners import cleaning


@pytest.mark.parametrize(
    ("text", "tidied"),
    [
        ("a dog sitting on a couch .", "a dog sitting on a couch"),
        ("a picture of a dog on a couch", "dog on a couch"),
        ("there is a dog on the couch", "a dog on the couch"),
        ("this is an image of two dogs in the snow", "two dogs in the snow"),
        ("a dog on a couch. the dog is brown.", "a dog on a couch"),
        ("a red bus at a bus stop", "a red bus at a bus stop"),
        ("a person holding a bat next to a", "a person holding a bat"),
        ("a large bat on top of a", "a large bat"),
        ("a woman 's hand on a table", "a woman's hand on a table"),
        ("a little girl s birthday cake", "a little girl's birthday cake"),
        ("a st. bernard on a couch", "a st. bernard on a couch"),
        ("a man & a woman on a bench", "a man and a woman on a bench"),
        ("A Dog On A Couch", "a dog on a couch"),
        ("a bus next to another bus on a street", "a bus next to another bus on a street"),
        ("a room with floral wallpaper", "a room with floral wallpaper"),
        ("a café with crème brûlée", "a café with crème brûlée"),
        ('a sign that says "stop" on a pole', "a sign that says stop on a pole"),
    ],
)
def test_a_caption_becomes_one_plain_line(text: str, tidied: str) -> None:
    assert cleaning.tidy(text) == tidied


@pytest.mark.parametrize(
    "text",
    [
        "",
        "dog",
        "a dog",
        "of the and with a",
        "a dog with its",
        "강아지가 소파에 앉아 있다",
        "a dog on a couch 犬",
        "a beach in the desktop wallpaper",
        "a cat and a cat on a bed",
        "a very very large dog in a yard",
        "a red car near a red car",
        "a cup next to a cup next to a cup",
        "dog bed and dog bed in a room",
        "a stock photo of a dog on a couch",
        "photo by somebody of a dog",
        "dog on a couch | wallpaper download",
        "a dog on www.example.com",
        "royalty-free image of a beach",
    ],
)
def test_what_is_no_caption(text: str) -> None:
    assert cleaning.tidy(text) is None


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("a dog sitting on a couch", "Dog sitting on a couch"),
        ("the dog, a cat and a bird", "Dog and a cat and a bird"),
        ("a bowl of fruit, carrots and celery", "Bowl of fruit carrots and celery"),
        (
            "a large white boat sailing on a river with a city skyline in the background of the picture",
            "Large white boat sailing on a river with a city skyline",
        ),
        ("a couch", None),
    ],
)
def test_titles_are_headlines_without_commas(text: str, title: str | None) -> None:
    assert cleaning.title(text, 70) == title


def test_texts_are_cut_where_a_clause_ends() -> None:
    text = "a person standing on a wooden bridge with a bicycle next to a river and some trees"
    for limit in range(30, 90):
        sentence = cleaning.sentence(text, limit)
        assert len(sentence) <= limit
        assert sentence.endswith(".")
        assert sentence[0] == "A"
    assert cleaning.sentence(text, 60) == "A person standing on a wooden bridge with a bicycle."
    assert cleaning.sentence(text, 200) == text.capitalize() + "."
