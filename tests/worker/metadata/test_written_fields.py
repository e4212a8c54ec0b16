"""From what leaves the system to the values of properties."""

from tasks.published import Published, Text, Word
from tasks.records import Category, Embedded, Image
from worker.metadata.fields import Wording

IMAGE = Image("photos", "a.jpg", "e")


def said(**changes: object) -> Published:
    return Published(**{"image": IMAGE, "categories": {}, **changes})  # type: ignore[arg-type]


DOG = Word({"en": "dog", "ko": "개"}, "c-dog", "generated")
BEACH = Word({"en": "beach", "ko": "해변"}, "c-beach", "generated")
BELLA = Word({"en": "Bella"}, None, "embedded")


def test_keywords_in_one_language_or_one_after_the_other() -> None:
    published = said(keywords=(BELLA, DOG, BEACH))
    assert Wording().values(published).lists["keywords"] == ("Bella", "dog", "beach")
    assert Wording(("ko",)).values(published).lists["keywords"] == ("Bella", "개", "해변")
    assert Wording(("en", "ko")).values(published).lists["keywords"] == ("Bella", "dog", "beach", "개", "해변")


def test_a_word_is_written_once_and_on_one_line() -> None:
    words = (DOG, Word({"en": "DOG"}, None, "human"), Word({"en": " a\n b\0 "}, None, "human"))
    assert Wording().values(said(keywords=words)).lists["keywords"] == ("dog", "a b")


def test_paths_are_those_of_the_concepts() -> None:
    wording = Wording(("en",), {"c-dog": "animal|dog"})
    assert wording.values(said(keywords=(BELLA, DOG, BEACH))).lists["hierarchy"] == ("animal|dog",)


def test_texts_have_a_language_where_it_is_known() -> None:
    published = said(title=Text("A dog\0", "generated"), caption=Text("Bella", "embedded"))
    assert Wording().values(published).texts["title"] == {"x-default": "A dog"}
    several = Wording(("en", "ko")).values(published)
    assert several.texts["title"] == {"x-default": "A dog", "en": "A dog"}
    assert several.texts["headline"] == {"x-default": "A dog"}
    assert several.texts["description"] == {"x-default": "Bella"}
    assert several.texts["alt_text"] == {}
    assert several.theirs["description"] == {"Bella"}
    assert several.theirs["title"] == frozenset()


def test_a_translation_of_a_persons_keyword_is_ours() -> None:
    bridge = Word({"en": "bridge", "ko": "다리"}, "c-bridge", "embedded")
    values = Wording(("en", "ko")).values(said(keywords=(bridge, DOG), embedded=Embedded(keywords=("다리",))))
    assert values.lists["keywords"] == ("bridge", "dog", "다리", "개")
    assert values.theirs["keywords"] == {"다리"}


def test_codes_of_scenes_and_subjects() -> None:
    iptc = (Category("medtop:06000000", "environment", 0.9), Category("medtop:20000420", "nature", 0.9))
    values = Wording().values(said(categories={"iptc": iptc, "iptc_scene": (Category("011000", "view", 0.5),)}))
    # The second level of the Media Topics are no subject codes.
    assert values.lists["subject_code"] == ("06000000",)
    assert values.lists["scene"] == ("011000",)
