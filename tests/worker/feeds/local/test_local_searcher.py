import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import ConfigurationError
from tasks.feeding.document import Document, document_id
from tasks.feeding.ports import Put, Remove
from tasks.records import Category
from tasks.searching.ports import Filters, Ranked, WordQuery
from tests.worker.feeds.local.made import DIMENSIONS, GENERATION, document, vector, word
from worker.feeds.local.index import LocalIndex
from worker.feeds.local.searcher import LocalSearcher
from worker.feeds.local.sink import LocalSink


class Library:
    """A sink, its index and a searcher of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sink = LocalSink(folder, "b", few=20)
        self.index: LocalIndex = self.sink.open(GENERATION)
        self.sink.serve(self.index)
        self.searcher = LocalSearcher(folder)

    def put(self, *documents: Document) -> None:
        self.index.deliver([Put(each) for each in documents])
        self.index.commit()

    def keys(self, hits: Sequence[Ranked]) -> list[str]:
        found = self.searcher.documents([each.id for each in hits])
        return [found[each.id].key for each in hits]

    def words(self, *rest: str, limit: int = 10, filters: Filters = Filters(), **concepts: float) -> list[str]:  # noqa: B008 - frozen
        query = WordQuery("", "en", {f"c:{name}": weight for name, weight in concepts.items()}, rest)
        return self.keys(self.searcher.by_words(query, filters, limit))

    def nearest(self, to: np.ndarray, limit: int = 10, **filters: Any) -> list[str]:
        return self.keys(self.searcher.by_vector(to, Filters(**filters), limit))


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    made = Library(tmp_path / "index")
    yield made
    made.searcher.close()
    made.sink.close()


def test_documents_come_back_as_they_were_delivered(library: Library) -> None:
    given = document("a/é 강.jpg", seed=4, title='Say "hi"', keywords=(word(1, "dog", ko="개"),), width=6000)
    library.put(given, document("b", seed=None))
    ids = [document_id("b", key) for key in ("b", "a/é 강.jpg", "missing")]
    assert library.searcher.documents(ids) == {ids[0]: document("b", seed=None), ids[1]: given}
    assert list(library.searcher.documents(ids)) == ids[:2]
    assert (library.searcher.generation, library.searcher.model) == (GENERATION, "fake")


def test_an_empty_index_has_no_hits_and_no_model(library: Library) -> None:
    assert library.searcher.model is None
    assert library.words("dog", dog=1.0) == []
    assert library.nearest(vector(1)) == []
    library.put(document("a", seed=None))
    assert library.nearest(vector(1)) == []


def test_nothing_that_serves_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="run `stockmeta feed local"):
        LocalSearcher(tmp_path / "nowhere")


def test_the_weight_of_a_keyword_counts_and_its_rank(library: Library) -> None:
    library.put(
        document("weak", keywords=(word(1, "dog", weight=0.1),)),
        document("strong", keywords=(word(1, "dog", weight=0.9),)),
        document("later", keywords=(word(1, "cat"), word(40, "dog", weight=0.9))),
        document("hardly less", keywords=(word(1, "dog", weight=0.899),)),
        document("another", keywords=(word(1, "cat", weight=0.9),)),
    )
    assert library.words(dog=1.0) == ["strong", "hardly less", "later", "weak"]
    assert library.words(dog=1.0, limit=2) == ["strong", "hardly less"]


def test_rare_concepts_and_those_asked_for_more_count_more(library: Library) -> None:
    library.put(
        *(document(f"common{i}", keywords=(word(1, "sky"),)) for i in range(5)),
        document("rare", keywords=(word(1, "dog"),)),
        document("both", keywords=(word(1, "dog"), word(1, "sky"))),
    )
    assert library.words(dog=1.0, sky=1.0)[:2] == ["both", "rare"]
    assert library.words(dog=0.01, sky=1.0)[0] == "both"
    assert library.words(dog=0.01, sky=1.0)[-1] == "rare"


@pytest.mark.parametrize(
    ("asked", "field", "text", "why"),
    [
        ("running", "title", "Dogs that ran and run", "title"),
        ("beaches", "caption", "Two dogs at a beach.", "caption"),
        ("Umbrella", "alt_text", "An UMBRELLA", "alt text"),
        ("zurich", "city", "Zürich", "place"),
        ("서울", "country", "대한민국 서울특별시", "place"),
        ("adams", "creators", ("Ansel Adams",), "creator"),
        ("강아지", "title", "귀여운 강아지가 달린다", "title"),
        ("山", "title", "山", "title"),
    ],
)
def test_words_are_found_in_texts(library: Library, asked: str, field: str, text: Any, why: str) -> None:
    library.put(document("a", **{field: text}), document("b", title="Nothing of it"))
    [hit] = library.searcher.by_words(WordQuery(asked, "en", {}, (asked,)), Filters(), 10)
    assert (library.keys([hit]), hit.why) == (["a"], (why,))


def test_words_are_found_in_keywords_of_every_language_and_in_the_key(library: Library) -> None:
    library.put(document("IMG_2024-holiday.jpg", keywords=(word(1, "hot dog", ko="핫도그", de="Würstchen"),)))
    for asked, why in (
        ("dogs", "keyword 핫도그"),
        ("핫도그", "keyword 핫도그"),
        ("wurstchen", "keyword 핫도그"),
        ("holidays", "name of the file"),
    ):
        [hit] = library.searcher.by_words(WordQuery(asked, "ko", {}, (asked,)), Filters(), 10)
        assert hit.why == (why,)
    [hit] = library.searcher.by_words(WordQuery("", "fr", {"c:hot dog": 1.0}, ("2024",)), Filters(), 10)
    assert hit.why == ("keyword hot dog", "name of the file")


def test_korean_words_need_all_of_their_syllables_in_order(library: Library) -> None:
    library.put(
        document("puppy", title="강아지"), document("river", title="강 아저씨"), document("wrong", title="지아강")
    )
    assert library.words("강아지") == ["puppy"]
    # Decomposed, as macOS names files.
    assert library.words("\u1100\u1161\u11bc\u110b\u1161\u110c\u1175") == ["puppy"]


def test_a_compound_is_found_that_is_spaced_elsewhere(library: Library) -> None:
    library.put(document("together", title="골든리트리버강아지"), document("apart", title="골든리트리버 강아지"))
    assert library.words("골든리트리버강아지") == ["together", "apart"]


@given(st.text(max_size=30))
@settings(max_examples=60)
def test_nothing_that_is_typed_has_a_meaning(shared: Library, text: str) -> None:
    shared.words(text)
    assert shared.words(text, dog=1.0)[0] == "a"
    for key in shared.words(dog=1.0, filters=Filters(prefix=text)):
        assert key.startswith(text)


@pytest.fixture(scope="module")
def shared(in_memory: Path) -> Iterator[Library]:
    made = Library(in_memory / "shared")
    made.put(document("a", keywords=(word(1, "dog"),)))
    yield made
    made.searcher.close()
    made.sink.close()


@pytest.mark.parametrize("text", ['title:x OR "', "* AND (", "dog~2", "[a TO b]", "\\", "+-!", "\n", "key:/.*/"])
def test_the_syntax_of_engines_is_only_text(library: Library, text: str) -> None:
    library.put(document("a", title="nothing of it", keywords=()))
    assert library.words(text) == []


@pytest.mark.parametrize("prefix", ["a.b/", "a(b)[c]{d}^$|*+?/", "강/", "new\nline/", "a\\b", "x" * 1023, "강" * 341])
def test_a_prefix_is_only_text(library: Library, prefix: str) -> None:
    library.put(document(f"{prefix}1"), document("other"), document(f"z{prefix}"))
    assert library.nearest(vector(0), prefix=prefix) == [f"{prefix}1"]


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=4), max_size=8), st.integers(1, 3))
@settings(max_examples=10)
def test_keys_of_every_sort_are_found_by_what_they_begin_with(shared: Library, keys: list[str], length: int) -> None:
    # "a" is in the index already.
    there = {"a", *keys}
    shared.index.deliver([Put(document(key, tag="odd"), forced=True) for key in there])
    shared.index.commit()
    for prefix in {key[:length] for key in there}:
        assert set(shared.nearest(vector(0), 100, prefix=prefix)) == {key for key in there if key.startswith(prefix)}
    shared.index.deliver([Remove(key, shared.index.indexed([key])[key].version + 1) for key in there - {"a"}])
    shared.index.deliver([Put(document("a", keywords=(word(1, "dog"),)), forced=True)])
    shared.index.commit()


def test_bytes_that_are_no_text_find_nothing(library: Library) -> None:
    library.put(document("a", title="dog"))
    broken = b"dog\xff".decode(errors="surrogateescape")
    assert library.words(broken, "dog") == ["a"]
    for filters in (Filters(prefix=broken), Filters(colors=(broken,))):
        assert library.words("dog", filters=filters) == []
        assert library.keys(library.searcher.by_vector(vector(0), filters, 10)) == []


def test_more_hits_may_be_wanted_than_there_are(library: Library) -> None:
    library.put(document("a", title="dog"), document("b", seed=3))
    assert library.words("dog", limit=10**12) == ["a"]
    assert library.nearest(vector(0), limit=10**12) == ["a", "b"]
    assert library.nearest(vector(0), limit=10**12, prefix="b") == ["b"]


def picture(number: int) -> Document:
    return document(
        f"{number % 2}/{number:03}",
        seed=None if number % 11 == 10 else number,
        categories={"adobe": (Category(f"{number % 3}", "x", 1.0),), "iptc": (Category("0", "x", 1.0),)},
        orientation=("landscape", "portrait", "square")[number % 3],
        color_names=("red", "blue") if number % 5 == 0 else ("red",),
        people=(True, False, None)[number % 3],
        keywords=(word(1, "dog"),),
    )


PICTURES = {each.key: each for each in map(picture, range(120))}

FILTERS = [
    Filters(),
    Filters(categories=(("adobe", "1"),)),
    Filters(categories=(("adobe", "1"), ("iptc", "0"))),
    Filters(categories=(("adobe", "1"), ("iptc", "1"))),
    Filters(orientation="square"),
    Filters(colors=("red",)),
    Filters(colors=("red", "blue")),
    Filters(people=True),
    Filters(people=False),
    Filters(prefix="1/"),
    Filters((("adobe", "0"),), "landscape", ("blue",), True, "0/"),
]


def passes(filters: Filters, one: Document) -> bool:
    there = {(scheme, each.id) for scheme, categories in one.categories.items() for each in categories}
    return (
        there.issuperset(filters.categories)
        and filters.orientation in (None, one.orientation)
        and set(filters.colors) <= set(one.color_names)
        and (filters.people is None or filters.people is one.people)
        and one.key.startswith(filters.prefix)
    )


def expected(filters: Filters, to: np.ndarray, limit: int) -> list[str]:
    cosines = {
        key: float(one.embedding.unpack() @ to)
        for key, one in PICTURES.items()
        if one.embedding is not None and passes(filters, one)
    }
    return sorted(cosines, key=lambda key: -cosines[key])[:limit]


@pytest.fixture(scope="module", params=["all looked at", "a graph", "a graph and what came since"])
def pictures(request: pytest.FixtureRequest, in_memory: Path) -> Iterator[Library]:
    made = Library(in_memory / request.param)
    given = list(PICTURES.values())
    if request.param == "all looked at":
        made.index._vectors._few = 1000
        made.put(*given)
    elif request.param == "a graph":
        made.put(*given)
    else:
        # Some of the graph were other pictures since, and some are gone.
        made.put(*given[:90], *(document(f"gone{i}", seed=i) for i in range(5)))
        made.put(*(document(key, version=2, seed=i + 500) for i, key in enumerate(list(PICTURES)[:5])))
        made.index.deliver([Remove(f"gone{i}", 2) for i in range(5)])
        made.index.deliver([Put(one, forced=True) for one in given[:5]])
        made.put(*given[90:100])
        made.index.deliver([Put(one, forced=True) for one in given[100:]])
        made.index.commit()
    yield made
    made.searcher.close()
    made.sink.close()


@pytest.mark.parametrize("exact", [0, 5000])
@pytest.mark.parametrize("filters", FILTERS)
def test_filters_leave_what_passes_and_the_nearest_of_it(
    pictures: Library, filters: Filters, exact: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.feeds.local.searcher.EXACT", exact)
    to = vector(7777)
    hits = pictures.searcher.by_vector(to, filters, 12)
    assert pictures.keys(hits) == expected(filters, to, 12)
    for hit, one in zip(hits, pictures.searcher.documents([each.id for each in hits]).values(), strict=True):
        assert one.embedding is not None
        unit = one.embedding.unpack()
        assert hit.score == pytest.approx(float(unit @ to) / np.linalg.norm(unit), abs=1e-5)
    words = pictures.words(dog=1.0, limit=1000, filters=filters)
    assert sorted(words) == sorted(key for key, one in PICTURES.items() if passes(filters, one))


def test_a_vector_of_another_model_is_refused(library: Library) -> None:
    library.put(document("a"))
    with pytest.raises(ValueError, match=f"{DIMENSIONS}"):
        library.searcher.by_vector(np.ones(3, dtype=np.float32), Filters(), 1)


def test_a_search_sees_what_was_committed_and_not_what_is_gone(library: Library) -> None:
    library.put(*(document(f"k{i}", seed=i, title="A dog") for i in range(40)))
    assert library.nearest(vector(3), limit=1) == ["k3"]
    library.put(document("k3", version=2, seed=1000, title="A cat"), document("new", seed=3))
    assert library.nearest(vector(3), limit=1) == ["new"]
    assert library.nearest(vector(1000), limit=1) == ["k3"]
    assert library.words("cat") == ["k3"]
    library.index.deliver([Remove("new", 2), Remove("k3", 3)])
    library.index.commit()
    assert "new" not in library.nearest(vector(3), limit=100)
    assert library.words("cat") == []
    library.index.deliver([Put(document("k3", version=4, seed=3))])
    library.index.commit()
    assert library.nearest(vector(3), limit=1) == ["k3"]
    assert len(library.nearest(vector(3), limit=100)) == 40


def test_who_has_not_searched_for_long_finds_what_is_there(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    library.put(*(document(f"k{i}", seed=0) for i in range(10)))
    assert len(library.nearest(vector(0), limit=5)) == 5
    library.index.deliver([Remove(f"k{i}", 2) for i in range(5)])
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 25 * 3600)
    # What was removed is forgotten now, and nothing says any more that it was.
    library.index.commit()
    assert sorted(library.nearest(vector(0), limit=5)) == [f"k{i}" for i in range(5, 10)]


def test_a_search_follows_what_serves(library: Library) -> None:
    library.put(document("old", seed=1, title="dog"))
    assert library.nearest(vector(1)) == ["old"]
    new = library.sink.open(GENERATION, anew=True)
    new.deliver([Put(document("new", seed=1, title="dog"))])
    new.commit()
    assert library.nearest(vector(1)) == ["old"]
    library.sink.serve(new)
    assert library.nearest(vector(1)) == library.words("dog") == ["new"]
    other = library.sink.open("ba9876543210")
    library.sink.serve(other)
    assert library.nearest(vector(1)) == []
    assert library.searcher.generation == "ba9876543210"


def test_a_reader_goes_on_while_the_text_is_made_anew(library: Library) -> None:
    library.put(document("a", title="dog"))
    assert library.words("dog") == ["a"]
    library.index._text.rebuild()
    assert library.words("dog") in (["a"], [])
    library.put(document("b", title="dog"))
    assert sorted(library.words("dog")) == ["a", "b"]
