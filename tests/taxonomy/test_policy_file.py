"""What a policy file says, against a small vocabulary; the shipped one where that is what matters."""

import tomllib
from pathlib import Path

import pytest

from taxonomy import files
from taxonomy.concepts import PERSONAL
from taxonomy.policy import Policy, apply, withheld
from taxonomy.policy_file import TABLES, load
from tests.taxonomy.policies import SMALL, problems, read


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "policy.toml"


@pytest.mark.parametrize("text", ["", "\n# nothing\n", "[keywords]\n", "[keywords]\nallow = []\ndeny = []\n[words]\n"])
def test_an_empty_file_is_a_neutral_policy(path: Path, text: str) -> None:
    assert read(path, text) == Policy()


def test_keywords(path: Path) -> None:
    policy = read(
        path,
        """
        [keywords]
        max = 30
        min = 5
        languages = ["en", "ko"]
        min_score = 0.25
        personal = ["age", "gender"]
        spelling = "british"
        tiers = ["A", "B"]
        """,
    )
    assert (policy.max_keywords, policy.min_keywords, policy.min_score) == (30, 5, 0.25)
    assert policy.languages == ("en", "ko")
    assert policy.personal == {"age", "gender"}
    assert (policy.spelling, policy.tiers) == ("british", {"A", "B"})


def test_personal_may_be_all_or_none(path: Path) -> None:
    assert read(path, "[keywords]\npersonal = true").personal == PERSONAL
    assert read(path, "[keywords]\npersonal = false").personal == frozenset()


def test_fewer_than_the_usual_least_number_lowers_it(path: Path) -> None:
    assert read(path, "[keywords]\nmax = 3").min_keywords == 3


def test_deny_and_allow_become_ids(path: Path) -> None:
    policy = read(path, '[keywords]\nallow = ["under:animal", "*un"]\ndeny = ["d?g", "under:weapon", "dog*"]')
    assert policy.allowed == {"w:animal", "w:dog", "w:puppy", "w:cat", "w:crane", "w:gun", "w:nun"}
    assert policy.denied == {"w:dog": "d?g", "w:weapon": "under:weapon", "w:gun": "under:weapon"}


def test_rules_may_speak_of_the_files_own_words(path: Path) -> None:
    policy = read(
        path,
        """
        [keywords]
        deny = ["robo*", "mutt"]
        [synonyms]
        dog = ["mutt"]
        [[concept]]
        id = "acme:robot"
        label = "robot"
        """,
    )
    assert policy.denied == {"acme:robot": "robo*", "w:dog": "mutt"}


def test_blocked_words_withhold_the_concepts_that_would_be_shown_with_them(path: Path) -> None:
    policy = read(path, '[words]\nblock = ["gun", "고양이"]')
    assert policy.denied == {
        "w:gun": "'gun' is blocked by the policy",
        "w:cat": "'고양이' is blocked by the policy",
    }


def test_preferred_terms_and_synonyms_by_language(path: Path) -> None:
    policy = read(
        path,
        """
        [prefer]
        dogs = "hound"
        "crane (bird)" = "heron"
        [prefer.ko]
        "강아지" = "멍멍이"
        [synonyms]
        dog = ["mutt"]
        doggy = ["pooch"]
        ko.cat = ["냥이"]
        """,
    )
    assert policy.preferred == {"en": {"w:dog": "hound", "w:crane": "heron"}, "ko": {"w:dog": "멍멍이"}}
    assert policy.synonyms == {"en": {"w:dog": ("mutt", "pooch")}, "ko": {"w:cat": ("냥이",)}}


def test_own_concepts(path: Path) -> None:
    policy = read(
        path,
        """
        [[concept]]
        id = "acme:terrier"
        label = "terrier"
        parent = "acme:hound"
        labels = { ko = ["테리어", "테리아"], fr = "terrier" }
        tier = "A"
        plural = "terriers"
        synonyms = ["ratter"]
        [[concept]]
        id = "acme:hound"
        label = "hound"
        hint = "dog"
        parent = "Dog"
        [[concept]]
        id = "acme:abbess"
        label = "abbess"
        parent = "nun"
        [[concept]]
        id = "acme:thing"
        label = "thing"
        """,
    )
    terrier, hound, abbess, thing = policy.concepts
    assert (terrier.parent, hound.parent, thing.parent) == ("acme:hound", "w:dog", None)
    assert (terrier.facet, thing.facet, abbess.facet) == ("animal", "object", "person")
    assert abbess.flags == {"personal:gender"}
    assert (terrier.tier, terrier.plural, terrier.synonyms) == ("A", "terriers", ("ratter",))
    assert policy.labels == {"ko": {"acme:terrier": ("테리어", "테리아")}, "fr": {"acme:terrier": ("terrier",)}}
    vocabulary = apply(policy, SMALL)
    assert [above.name for above in vocabulary.ancestors(terrier)] == ["hound (dog)", "dog", "animal", "life"]
    assert "fr" in vocabulary.languages


def test_an_own_concept_may_be_beneath_what_shares_its_label(path: Path) -> None:
    policy = read(path, '[[concept]]\nid = "acme:dog"\nlabel = "dog"\nhint = "acme"\nparent = "dog"\n')
    assert [(concept.name, concept.parent) for concept in policy.concepts] == [("dog (acme)", "w:dog")]


@pytest.mark.parametrize("parent", ["acme:lamp", "Lamp"])
def test_an_own_concept_is_not_its_own_parent(path: Path, parent: str) -> None:
    found = problems(path, f'[[concept]]\nid = "acme:lamp"\nlabel = "lamp"\nparent = "{parent}"\n')
    assert found == ["4: 'lamp' is its own parent, by way of others; break the circle"]


def test_own_languages(path: Path) -> None:
    (path.parent / "fr.tsv").write_text("id\tlabel\tsynonyms\nw:dog\tchien\ttoutou\na:b\tbidule\t\n", encoding="utf-8")
    text = '[languages]\nfr = "fr.tsv"\n[keywords]\nlanguages = ["fr"]\n[[concept]]\nid = "a:b"\nlabel = "gadget"\n'
    policy = read(path, text)
    vocabulary = apply(policy, SMALL)
    assert vocabulary.labels(vocabulary.by_name["dog"], policy.languages) == {"en": "dog", "fr": "chien"}
    assert vocabulary.labels(vocabulary.by_name["gadget"], policy.languages) == {"en": "gadget", "fr": "bidule"}


@pytest.mark.parametrize("zero", ["0", "0.0"])
def test_a_threshold_of_nothing_is_a_threshold(path: Path, zero: str) -> None:
    assert read(path, f"[review]\ntext = {zero}").review == {"text": 0.0}


def test_agencies_review_words_and_calibration(path: Path) -> None:
    (path.parent / "house.json").write_text("{}", encoding="utf-8")
    policy = read(
        path,
        """
        [agency.adobe]
        max_keywords = 45
        title = 60
        [agency.shutterstock]
        [review]
        text = 0.7
        minor = "off"
        brand = false
        [words]
        block = ["Widget"]
        allow = ["Nike"]
        [synonyms]
        dog = ["nike dog"]
        [calibration]
        file = "house.json"
        """,
    )
    assert policy.agencies == {"adobe": {"max_keywords": 45, "title": 60}, "shutterstock": {}}
    assert policy.review == {"text": 0.7, "minor": None, "brand": None}
    assert (policy.blocked, policy.unblocked) == (("Widget",), ("Nike",))
    assert policy.calibration == path.parent / "house.json"


def test_words_to_look_at_are_warnings_with_their_lines(path: Path) -> None:
    policy = read(path, '[synonyms]\ndog = [\n  "apple dog",\n]\n[prefer]\ndog = "gun"\n')
    assert policy.warnings == (
        f"{path}:3: 'apple dog': 'apple' is an ordinary word or a brand name; see that it is meant",
        f"{path}:6: 'gun' is shown for 'gun' too",
    )


def test_the_example_loads_with_the_shipped_vocabulary() -> None:
    example = Path(__file__).parents[2] / "examples" / "policy.toml"
    vocabulary = files.load()
    policy = load(example, vocabulary)
    assert set(tomllib.loads(example.read_text(encoding="utf-8"))) >= set(TABLES) - {"calibration", "languages"}
    assert policy.warnings == ()
    assert len(withheld(policy, apply(policy, vocabulary))) > len(withheld(Policy(), vocabulary))


def test_the_worked_example_of_the_docs_is_right(path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "policy.md").read_text(encoding="utf-8")
    path.write_text(page.partition("```toml\n")[2].partition("```")[0], encoding="utf-8")
    vocabulary = files.load()
    policy = load(path, vocabulary)
    shown = apply(policy, vocabulary)
    assert policy.warnings == ()
    assert shown.shown(shown.by_name["puppy"]) == "puppy dog"
    assert shown.labels(shown.by_name["dog"], policy.languages)["ko"] == "강아지"
    assert (policy.agencies, policy.review) == ({"adobe": {"max_keywords": 25}}, {"brand": None})
