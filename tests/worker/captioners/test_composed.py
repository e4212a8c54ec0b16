import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from numpy.typing import NDArray

from tasks.ports import Captioner, Picture, Words
from tasks.records import Embedded
from taxonomy import concepts, files
from taxonomy.choose import Chosen
from taxonomy.concepts import Concept, Vocabulary
from taxonomy.limits import Limits, load_limits
from worker.captioners import english
from worker.captioners.composed import ComposedCaptioner
from worker.captioners.mentions import Selector
from worker.captioners.patterns import Patterns

LIMITS = load_limits()


def concept(label: str, parent: str | None = None, facet: str = "object", grammar: str = "count", **more) -> Concept:  # type: ignore[no-untyped-def]
    return Concept(id=label, label=label, parent=parent, facet=facet, grammar=grammar, **more)


VOCABULARY = concepts.build(
    [
        concept("animal", facet="animal"),
        concept("mammal", "animal", "animal"),
        concept("dog", "mammal", "animal", synonyms=("hound",)),
        concept("golden retriever", "dog", "animal"),
        concept("cat", "mammal", "animal"),
        concept("unicorn", "mammal", "animal"),
        concept("toy"),
        concept("ball", "toy"),
        concept("dog toy", "toy"),
        concept("beach ball", "ball"),
        concept("hound"),
        concept("hour"),
        concept("grass", facet="plant", grammar="mass"),
        concept("scissors", grammar="plural"),
        concept("sun", facet="nature"),
        concept("rock", facet="nature"),
        concept("sky", facet="nature"),
        concept("water", facet="nature", grammar="mass"),
        concept("plant", facet="plant", plural="plants"),
        concept("theater", facet="building"),
        concept("aircraft", facet="vehicle"),
        concept("airplane", "aircraft", "vehicle"),
        concept("boat", facet="vehicle"),
        concept("pizza", facet="food"),
        concept("outdoors", facet="place", grammar="mass"),
        concept("landscape", facet="nature"),
        concept("beach", "landscape", "nature"),
        concept("indoors", facet="place", grammar="mass"),
        concept("kitchen", "indoors", "place"),
        concept("city skyline", facet="place"),
        concept("sunny", facet="weather", grammar="adjective"),
        concept("sitting", facet="activity", grammar="adjective"),
        concept("no people", facet="person", grammar="phrase"),
        concept("two people", facet="person", grammar="phrase"),
        concept("architect", facet="person"),
        concept("hand", facet="body"),
        concept("vintage", facet="style", grammar="adjective"),
        concept("freedom", facet="concept", grammar="mass"),
        concept("artifact", flags=frozenset({"hidden"})),
        concept("vase", "artifact"),
        concept("Bible", grammar="proper"),
    ]
)


def embeddings(count: int, size: int = 64) -> NDArray[np.float32]:
    vectors = np.random.default_rng(0).normal(size=(count, size))
    unit: NDArray[np.float32] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


EMBEDDINGS = embeddings(len(VOCABULARY.concepts))
CAPTIONER = ComposedCaptioner(VOCABULARY, EMBEDDINGS)


def seen(vector: NDArray[np.floating]) -> Picture:
    return Picture(vector.astype(np.float32), np.zeros(0, np.float32))


def chosen(vocabulary: Vocabulary, position: int, score: float) -> Chosen:
    return Chosen(vocabulary.concepts[position], position, score, score, "vocabulary")


def caption(**scores: float) -> Words:
    """Words for a picture that is exactly what its keywords say; `_` stands for a space."""
    keywords = [chosen(VOCABULARY, VOCABULARY.index[label.replace("_", " ")], score) for label, score in scores.items()]
    keywords.sort(key=lambda keyword: -keyword.score)
    picture = sum(EMBEDDINGS[keyword.position] * keyword.score for keyword in keywords)
    words = CAPTIONER.caption(seen(picture / np.linalg.norm(picture)), keywords)
    assert words is not None
    return words


def test_it_is_a_captioner() -> None:
    captioner: Captioner = CAPTIONER
    assert captioner.caption(seen(EMBEDDINGS[0]), []) is None


@pytest.mark.parametrize(
    ("scores", "title", "sentence"),
    [
        ({"dog": 0.9, "ball": 0.8}, "Dog and ball", "A dog and a ball."),
        ({"dog": 0.9, "ball": 0.8, "grass": 0.7}, "Dog with ball and grass", "A dog with a ball and grass."),
        ({"unicorn": 0.9, "hour": 0.8}, "Unicorn and hour", "A unicorn and an hour."),
        ({"scissors": 0.9, "Bible": 0.8}, "Scissors and Bible", "Scissors and Bible."),
        ({"kitchen": 0.9, "scissors": 0.8}, "Kitchen with scissors", "A kitchen with scissors."),
        ({"dog": 0.9, "beach": 0.8}, "Beach with dog", "A beach with a dog."),
        ({"beach": 0.9}, "Beach scene", "A beach scene."),
        ({"landscape": 0.9}, "A landscape", "A landscape."),
        ({"indoors": 0.9}, "Indoor scene", "An indoor scene."),
        ({"city_skyline": 0.9, "sun": 0.8}, "City skyline with sun", "A city skyline with the sun."),
        ({"landscape": 0.9, "two_people": 0.8}, "Landscape with two people", "A landscape with two people."),
        ({"sunny": 0.9, "dog": 0.8}, "Sunny scene with dog", "A sunny scene with a dog."),
        ({"golden_retriever": 0.9}, "Golden retriever", "A golden retriever."),
        ({"dog": 0.9}, "A dog", "A dog."),
        ({"mammal": 0.9}, "An animal", "An animal."),
        ({"kitchen": 0.9}, "Kitchen interior", "A kitchen interior."),
        ({"dog": 0.9, "indoors": 0.8}, "Dog indoors", "A dog indoors."),
        ({"scissors": 0.9, "indoors": 0.8}, "Indoor scene with scissors", "An indoor scene with scissors."),
        ({"kitchen": 0.9, "indoors": 0.8, "dog": 0.7}, "Kitchen with dog", "A kitchen with a dog."),
        ({"vase": 0.9}, "A vase", "A vase."),
        ({"architect": 0.9}, "An architect", "An architect."),
        ({"rock": 0.9}, "A rock", "A rock."),
        ({"grass": 0.9}, "Some grass", "Some grass."),
        ({"sun": 0.9}, "The sun", "The sun."),
        ({"boat": 0.9, "water": 0.8}, "Boat and water", "A boat and water."),
        ({"water": 0.9, "boat": 0.8}, "Boat and water", "A boat and water."),
        ({"water": 0.9, "outdoors": 0.8}, "Outdoor scene with water", "An outdoor scene with water."),
        ({"plant": 0.9, "outdoors": 0.8}, "Outdoor scene with plants", "An outdoor scene with plants."),
        ({"airplane": 0.9, "outdoors": 0.8}, "An airplane", "An airplane."),
        ({"sky": 0.9, "outdoors": 0.8}, "The sky", "The sky."),
        ({"pizza": 0.9, "indoors": 0.8}, "A pizza", "A pizza."),
        ({"theater": 0.9, "indoors": 0.8}, "A theater", "A theater."),
        ({"dog": 0.9, "ball": 0.8, "outdoors": 0.7}, "Dog and ball outdoors", "A dog and a ball outdoors."),
        ({"vintage": 0.9, "freedom": 0.3}, "Vintage scene", "A vintage scene."),
    ],
)
def test_sentences(scores: dict[str, float], title: str, sentence: str) -> None:
    words = caption(**scores)
    assert (words.title, words.caption) == (title, sentence)


def test_a_line_of_the_tree_is_one_thing_and_said_as_narrowly_as_is_sure() -> None:
    assert caption(dog=0.9, golden_retriever=0.85, mammal=0.5, animal=0.3).caption == "A golden retriever."
    assert caption(animal=0.6, mammal=0.4, dog=0.3, golden_retriever=0.25).caption == "A dog."
    assert caption(animal=0.6, mammal=0.4, dog=0.1).caption == "An animal."


def test_rivals_are_not_neighbours() -> None:
    assert caption(dog=0.9, cat=0.4, mammal=0.5).caption == "A dog."
    assert caption(dog=0.9, cat=0.85).caption == "A dog and a cat."


def test_where_nothing_is_sure_nothing_is_claimed() -> None:
    assert caption(dog=0.075, ball=0.07, beach=0.07) == Words("Untitled picture", "A picture.", "A picture.")
    assert caption(vintage=0.1).title == "Untitled picture"


def test_nothing_is_said_twice() -> None:
    assert caption(dog=0.9, dog_toy=0.8, hound=0.7).caption == "A dog."
    assert caption(beach=0.9, beach_ball=0.8).caption == "A beach with a beach ball."


def test_what_is_not_there_or_not_a_thing_is_not_said() -> None:
    assert caption(dog=0.9, no_people=0.8, sitting=0.8, vintage=0.8, hand=0.8, freedom=0.8).caption == "A dog."


def test_the_picture_decides_what_goes_together() -> None:
    keywords = [
        chosen(VOCABULARY, VOCABULARY.index[label], 0.9 - n / 10) for n, label in enumerate(("dog", "ball", "sun"))
    ]
    for other in ("ball", "sun"):
        picture = EMBEDDINGS[VOCABULARY.index["dog"]] + EMBEDDINGS[VOCABULARY.index[other]]
        words = CAPTIONER.caption(seen(picture / np.linalg.norm(picture)), keywords)
        assert words is not None
        assert words.title == f"Dog and {other}"


def test_a_word_list_is_taken_literally_without_grammar() -> None:
    vocabulary = concepts.literal(["sunset", "vintage", "노을"])
    captioner = ComposedCaptioner(vocabulary, np.eye(3, dtype=np.float32))
    keywords = [chosen(vocabulary, n, 0.1) for n in range(3)]
    words = captioner.caption(seen(np.array([0.8, 0.6, 0.0])), keywords)
    assert words == Words("Sunset and vintage", "Sunset and vintage.", "Sunset and vintage.")
    assert captioner.caption(seen(np.array([0, 0, 1])), keywords[2:]) == Words("노을", "노을.", "노을.")


def test_long_labels_are_cut_at_words() -> None:
    vocabulary = concepts.literal(["very " * 100 + "long"])
    words = ComposedCaptioner(vocabulary, np.eye(1, dtype=np.float32)).caption(
        seen(np.ones(1)), [chosen(vocabulary, 0, 0.5)]
    )
    assert words is not None
    assert words.title == "V" + ("very " * 100)[1:69]
    assert words.alt_text.endswith(" very.")


def test_the_fingerprint_follows_what_decides_the_words() -> None:
    again = ComposedCaptioner(VOCABULARY, EMBEDDINGS)
    tighter = ComposedCaptioner(VOCABULARY, EMBEDDINGS, LIMITS._replace(title=60))
    regrammared = ComposedCaptioner(concepts.build([concept("grass", grammar="mass")]), EMBEDDINGS[:1])
    before = ComposedCaptioner(concepts.build([concept("grass")]), EMBEDDINGS[:1])
    assert again.fingerprint == CAPTIONER.fingerprint
    assert len({c.fingerprint for c in (again, tighter, regrammared, before)}) == 4


EDINBURGH = Embedded(city="Edinburgh", state="Scotland", country="United Kingdom", created="2024-05-03")


@pytest.mark.parametrize(
    ("label", "score", "sentence"),
    [
        ("vase", 0.9, "A vase in Edinburgh, Scotland, United Kingdom, in May 2024."),
        ("vase", 0.01, "A picture taken in Edinburgh, Scotland, United Kingdom, in May 2024."),
    ],
)
def test_captions_say_where_and_when_and_titles_and_alt_texts_do_not(label: str, score: float, sentence: str) -> None:
    keywords = [chosen(VOCABULARY, VOCABULARY.index[label], score)]
    plain = CAPTIONER.caption(seen(EMBEDDINGS[0]), keywords)
    placed = CAPTIONER.caption(replace(seen(EMBEDDINGS[0]), embedded=EDINBURGH), keywords)
    assert plain is not None
    assert placed == plain._replace(caption=sentence)


def test_a_place_that_does_not_fit_is_left_out_and_never_cut() -> None:
    tight = ComposedCaptioner(VOCABULARY, EMBEDDINGS, LIMITS._replace(caption=30))
    picture = replace(seen(EMBEDDINGS[0]), embedded=EDINBURGH)
    words = tight.caption(picture, [chosen(VOCABULARY, VOCABULARY.index["vase"], 0.9)])
    assert words is not None
    assert words.caption == "A vase in the United Kingdom."


def test_embeddings_and_vocabulary_have_to_match() -> None:
    with pytest.raises(ValueError, match="embeddings"):
        ComposedCaptioner(VOCABULARY, EMBEDDINGS[1:])


def test_the_limits_are_the_tightest_of_all_agencies() -> None:
    assert Limits(title=70, caption=200, alt_text=125) == LIMITS


def check(words: Words) -> None:
    for text, limit in zip(words, LIMITS, strict=True):
        assert 0 < len(text) <= limit
        assert text == " ".join(text.split())
        assert text.isprintable() or "\u200c" in text or "\u200d" in text
        assert not re.match(r"(?i)(an? )?(photo|image) of ", text)
        assert text[0] == text[0].title() or len(text[0].title()) > 1
    assert words.caption.endswith(".")
    assert words.alt_text.endswith(".")
    assert not words.title.endswith(".")
    assert not set(words.title) & set(',.;:!?&/#$%*()[]{}<>"|\\\n\t')


positions = some.lists(some.integers(0, len(VOCABULARY.concepts) - 1), min_size=1, max_size=30, unique=True)
scores = some.floats(-1, 1, width=32)


@settings(deadline=None)
@given(positions=positions, values=some.lists(scores, min_size=40, max_size=40), seed=some.integers(0, 99))
def test_any_keywords_make_good_words(positions: list[int], values: list[float], seed: int) -> None:
    keywords = [chosen(VOCABULARY, position, score) for position, score in zip(positions, values, strict=False)]
    words = CAPTIONER.caption(seen(EMBEDDINGS[seed % len(EMBEDDINGS)]), keywords)
    assert words is not None
    check(words)
    said = [
        keyword.concept for keyword in keywords if re.search(rf"(?i)\b(?<!-){keyword.concept.label}\b", words.caption)
    ]
    narrowest = [c for c in said if not any(c.label in other.label and c != other for other in said)]
    assert not any(above in narrowest for c in narrowest for above in VOCABULARY.ancestors(c))
    assert len(words.title.split()) > 1


@settings(deadline=None)
@given(labels=some.lists(some.text(max_size=300), min_size=1, max_size=8), score=scores)
def test_any_word_list_makes_words_or_none(labels: list[str], score: float) -> None:
    if not any(label.strip() for label in labels):
        return
    vocabulary = concepts.literal(labels)
    count = len(vocabulary.concepts)
    captioner = ComposedCaptioner(vocabulary, embeddings(count, 8))
    words = captioner.caption(seen(embeddings(1, 8)[0]), [chosen(vocabulary, n, score) for n in range(count)])
    sayable = any(character.isalnum() for c in vocabulary.concepts for character in c.label)
    assert (words is not None) == sayable
    if words is not None:
        check(words)


def test_every_concept_of_the_shipped_vocabulary_has_words() -> None:
    vocabulary = files.load()
    selector, patterns = Selector(vocabulary), Patterns(vocabulary)
    for position in range(len(vocabulary.concepts)):
        keyword = chosen(vocabulary, position, 0.9)
        mention = selector._mention(keyword) or selector._fallback(keyword)
        assert mention is not None
        title = english.headline(english.plain(patterns.headline((mention,))), LIMITS.title)
        statement = patterns.statement((mention,))
        check(Words(title, english.sentence(statement, LIMITS.caption), english.sentence(statement, LIMITS.alt_text)))
        assert " " in title


def test_what_a_policy_shows_under_another_s_word_is_not_said_twice() -> None:
    renamed = concepts.build(VOCABULARY.concepts, translations={"en": {"ball": ("dog",)}})
    keywords = [chosen(VOCABULARY, VOCABULARY.index[label], 0.4) for label in ("dog", "ball")]
    picture = EMBEDDINGS[[keyword.position for keyword in keywords]].sum(axis=0) / np.float32(2**0.5)
    told = [ComposedCaptioner(each, EMBEDDINGS).caption(seen(picture), keywords) for each in (VOCABULARY, renamed)]
    plain, preferred = (words.caption.casefold() for words in told if words is not None)
    assert ("dog" in plain, "ball" in plain) == (True, True)
    assert preferred.count("dog") == 1
