"""A search from end to end, over an index in memory and an encoder that knows four words."""

from collections.abc import Sequence

import numpy as np
import pytest

from tasks.feeding.document import Document, Term
from tasks.ports import Embeddings
from tasks.searching.meaning import Meaning, TextEncoder, texts_of
from tasks.searching.ports import Filters
from tasks.searching.search import Asked, Results, Search
from tasks.searching.understand import Understanding
from taxonomy.concepts import Concept, build
from tests.tasks.searching.memory_searcher import MemorySearcher, document

VOCABULARY = build(
    [
        Concept("c:animal", "animal"),
        Concept("c:dog", "dog", parent="c:animal", synonyms=("hound",)),
        Concept("c:beagle", "beagle", parent="c:dog"),
        Concept("c:hot-dog", "hot dog"),
        Concept("c:beach", "beach"),
    ],
    translations={"ko": {"c:dog": ("개",), "c:beach": ("해변",), "c:beagle": ("비글",), "c:hot-dog": ("핫도그",)}},
)
AXES = ("dog", "beach", "sausage", "sunset")


class Axes:
    """Texts to directions: an axis for each word that it knows."""

    prompts = ("a photo of {}", "{}")

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        self.encoded += texts
        plain = [text.replace("hot dog", "sausage").replace("hound", "dog") for text in texts]
        rows = np.array([[axis in text for axis in AXES] for text in plain], np.float32)
        rows = np.where(rows.any(axis=1, keepdims=True), rows, 1)
        found: Embeddings = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return found


PICTURES = [
    document("dog-on-beach.jpg", "c:dog", "c:beach", vector=(0.8, 0.6, 0, 0)),
    document("dog.jpg", "c:dog", vector=(1, 0, 0, 0), orientation="portrait"),
    document("beagle.jpg", "c:beagle", vector=(0.9, 0, 0, 0.435)),
    document("hot-dog.jpg", "c:hot-dog", vector=(0, 0, 1, 0)),
    document("beach.jpg", "c:beach", vector=(0, 1, 0, 0), people=True),
    document("untagged-dog.jpg", vector=(0.99, 0.14, 0, 0)),
    document("titled.jpg", vector=(0, 0, 0, 1), title="My dog at sunset"),
]


def search(contents: Sequence[Document] = PICTURES, encoder: TextEncoder | None = None) -> Search:
    return Search(MemorySearcher(contents), Understanding(VOCABULARY), Meaning(lambda: encoder or Axes()))


def keys(results: Results) -> list[str]:
    return [hit.document.key for hit in results.hits]


def test_what_is_found_by_words_and_by_meaning_comes_first() -> None:
    results = search().find(Asked("dog"))
    assert keys(results)[0] == "dog.jpg"
    assert results.hits[0].why == ("keyword: dog", "picture: 1.00")
    assert results.hits[0].rank == 1
    assert results.lists == ("words", "text")
    # Found by its picture alone: nobody wrote dog.
    untagged = next(hit for hit in results.hits if hit.document.key == "untagged-dog.jpg")
    assert untagged.why == ("picture: 0.99",)
    assert set(untagged.ranks) == {"text"}


def test_a_kind_of_it_is_found_and_says_what_it_is() -> None:
    results = search().find(Asked("hound", words_only=True))
    assert keys(results)[:3] == ["dog.jpg", "dog-on-beach.jpg", "beagle.jpg"]
    assert results.hits[2].why == ("keyword: beagle",)


def test_a_hot_dog_is_no_dog_but_comes_last_of_what_has_the_word() -> None:
    assert "hot-dog.jpg" not in keys(search().find(Asked("dog", words_only=True)))[:3]
    assert keys(search().find(Asked("hot dog", words_only=True)))[0] == "hot-dog.jpg"


def test_words_that_stand_in_a_text_alone_are_found_behind_keywords() -> None:
    results = search().find(Asked("dog", words_only=True))
    assert "titled.jpg" in keys(results)[3:]
    assert search().find(Asked("my sunset", words_only=True)).hits[0].why == ("text: sunset",)


def test_what_has_all_of_it_comes_before_what_has_a_part() -> None:
    assert keys(search().find(Asked("dog beach", words_only=True)))[0] == "dog-on-beach.jpg"


def test_twins_find_the_same() -> None:
    assert keys(search().find(Asked("dog beach"))) == keys(search().find(Asked("해변의 개")))


@pytest.mark.parametrize(
    ("text", "language", "encoded"),
    [
        ("dog", None, {"dog", "hound"}),
        ("개를", None, {"dog", "hound"}),
        ("해변의 개", None, {"beach and dog", "beach", "dog", "hound"}),
        ("dog beach", None, {"beach and dog", "beach", "dog", "hound"}),
        ("dog on a beach", None, {"dog on a beach", "beach", "dog", "hound"}),
        ("sunset", None, {"sunset"}),
        ("dog without beach", None, {"dog", "hound"}),
        ("쾅", None, set()),
        ("쾅 개", None, {"dog", "hound"}),
        ("zorg", "de", set()),
    ],
)
def test_what_is_encoded_is_english(text: str, language: str | None, encoded: set[str]) -> None:
    understood = Understanding(VOCABULARY).understand(text, language)
    assert {each.text for each in texts_of(understood)} == encoded


def test_texts_are_encoded_in_the_models_prompts() -> None:
    encoder = Axes()
    search(encoder=encoder).find(Asked("beach"))
    assert encoder.encoded == ["a photo of beach", "beach"]


def test_no_model_is_loaded_for_words_or_for_what_is_not_understood() -> None:
    def load() -> TextEncoder:
        raise AssertionError("loaded")

    never = Search(MemorySearcher(PICTURES), Understanding(VOCABULARY), Meaning(load))
    assert keys(never.find(Asked("dog", words_only=True)))
    assert never.find(Asked("쾅쾅")).hits == ()
    assert keys(never.find(Asked(like=np.array([1, 0, 0, 0], np.float32))))[0] == "dog.jpg"


def test_a_picture_is_not_like_itself() -> None:
    like = np.array([1, 0, 0, 0], np.float32)
    results = search().find(Asked(like=like, without=frozenset({PICTURES[1].id})))
    assert keys(results)[0] == "untagged-dog.jpg"
    assert results.hits[0].why == ("alike: 0.99",)
    assert "dog.jpg" not in keys(results)


def test_a_text_and_a_picture_together() -> None:
    results = search().find(Asked("dog", like=np.array([0, 1, 0, 0], np.float32)))
    assert results.lists == ("words", "text", "like")
    both = next(hit for hit in results.hits if hit.document.key == "dog-on-beach.jpg")
    assert set(both.ranks) == {"words", "text", "like"}
    assert both.why == ("keyword: dog", "picture: 0.80", "alike: 0.60")
    unlike = keys(search().find(Asked("dog")))
    assert keys(results).index("untagged-dog.jpg") < unlike.index("untagged-dog.jpg")


def test_near_duplicates_are_one_hit() -> None:
    hashes = {"dog.jpg": f"{0x0F0F0F0F0F0F0F0F:016x}", "copy.jpg": f"{0x0F0F0F0F0F0F0F0E:016x}"}
    contents = [document(key, "c:dog", vector=(1, 0, 0, 0), phash=hash_) for key, hash_ in hashes.items()]
    (hit,) = search(contents).find(Asked("dog")).hits
    assert [other.key for other in hit.duplicates] == [({*hashes} - {hit.document.key}).pop()]
    assert len(search(contents).find(Asked("dog", folded=False)).hits) == 2


def test_filters_reach_both_lists() -> None:
    for filters, found in (
        (Filters(orientation="portrait"), ["dog.jpg"]),
        (Filters(people=True), ["beach.jpg"]),
        (Filters(prefix="dog"), ["dog.jpg", "dog-on-beach.jpg"]),
    ):
        assert sorted(keys(search().find(Asked("dog", filters=filters)))) == sorted(found)


def test_a_document_that_went_meanwhile_is_no_hit() -> None:
    class Going(MemorySearcher):
        def documents(self, ids: Sequence[str]) -> dict[str, Document]:
            return {id_: one for id_, one in super().documents(ids).items() if one.key != "dog.jpg"}

    results = Search(Going(PICTURES), Understanding(VOCABULARY), Meaning(Axes)).find(Asked("dog"))
    assert "dog.jpg" not in keys(results)
    assert keys(results)[0] == "dog-on-beach.jpg"


def test_the_limit_is_kept_and_more_is_asked_for() -> None:
    one = search()
    assert len(one.find(Asked("dog", limit=2)).hits) == 2
    one.find(Asked("dog", limit=200))
    assert isinstance(one.searcher, MemorySearcher)
    assert one.searcher.depths == [100, 600]


def test_where_much_folds_the_limit_is_reached_all_the_same() -> None:
    copies = [document(f"{n}.jpg", "c:dog", vector=(1, 0, 0, 0), phash="0f0f0f0f0f0f0f0f") for n in range(150)]
    others = [document(f"other-{n}.jpg", "c:dog", vector=(0.9, 0, 0, 0.435)) for n in range(3)]
    one = search([*copies, *others])
    found = one.find(Asked("dog", limit=4))
    assert len(found.hits) == 4
    assert len(found.hits[0].duplicates) == 149
    assert isinstance(one.searcher, MemorySearcher)
    assert one.searcher.depths == [100, 1000]


def test_a_keyword_of_a_persons_own_is_found_by_the_word() -> None:
    own = document("own.jpg", keywords=(Term(1, None, {"en": "golden hour"}, 1.0, "human"),), vector=(0, 0, 0, 1))
    (first, *_) = search([*PICTURES, own]).find(Asked("golden hour", words_only=True)).hits
    assert first.document.key == "own.jpg"


def test_where_nothing_has_a_vector_words_have_the_whole_say() -> None:
    results = search([document("dog.jpg", "c:dog")]).find(Asked("dog"))
    assert results.lists == ("words",)
    assert results.hits[0].score == 1
