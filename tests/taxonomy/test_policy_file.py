"""The policy file, against a small vocabulary; the shipped one where that is what matters."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taxonomy import files
from taxonomy.concepts import PERSONAL, TIERS, TaxonomyError
from taxonomy.limits import FIELDS
from taxonomy.own_words import CONCEPT
from taxonomy.policy import Policy, apply, withheld
from taxonomy.policy_file import KEYWORDS, TABLES, load
from taxonomy.words import Screen, Word
from tests.taxonomy.small import small

SMALL = small()
SCREEN = Screen(
    {
        "nike": Word("block", "a brand name"),
        "나이키": Word("block", "a brand name"),
        "apple": Word("review", "an ordinary word or a brand name"),
    }
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "policy.toml"


def read(path: Path, text: str) -> Policy:
    path.write_text(text, encoding="utf-8")
    return load(path, SMALL, SCREEN)


def problems(path: Path, text: str) -> list[str]:
    with pytest.raises(TaxonomyError) as caught:
        read(path, text)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{path}:") for line in lines)
    return [line.removeprefix(f"{path}:") for line in lines]


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


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "[keywords\n",
            "1: not TOML: Expected ']' at the end of a table declaration; see https://toml.io for its rules",
        ),
        ("\nmax = \n", "2: not TOML: Invalid value; see https://toml.io for its rules"),
        ("x = [1", "1: not TOML: Unclosed array; see https://toml.io for its rules"),
        ("\n[keyword]", "2: unknown table 'keyword'; did you mean 'keywords'"),
        ("max = 3", f"1: unknown key 'max'; there are {', '.join(TABLES)}"),
        ("[keywords]\n\ndny = []", "3: unknown key 'dny'; did you mean 'deny'?"),
        ("keywords = 3", "1: keywords has to be a table, not 3"),
        ('[keywords]\nmax = "ten"', "2: max has to be a whole number, not 'ten'"),
        ("[keywords]\nmax = true", "2: max has to be a whole number, not True"),
        ("[keywords]\nmax = 0", "2: max has to be between 1 and 1000, not 0"),
        ("[keywords]\nmin = 60", "2: min is 60 and more than max, 49; lower it, or raise max"),
        ("[keywords]\nmin_score = nan", "2: min_score has to be finite, not nan"),
        ('[keywords]\nlanguages = ["kor"]', "2: 'kor' is none of en, ko; did you mean 'ko'?"),
        ("[keywords]\nlanguages = [1]", "2: languages has to be a list of texts, and 1 is none"),
        ('[keywords]\nspelling = "britsh"', "2: 'britsh' is none of american, british; did you mean 'british'?"),
        ('[keywords]\ntiers = ["D"]', f"2: 'D' is none of {', '.join(TIERS)}"),
        (
            "[keywords]\npersonal = 1",
            f"2: personal has to be true, false or a list of {', '.join(sorted(PERSONAL))}, not 1",
        ),
        (
            '[keywords]\ndeny = [\n"dog",\n"weapn",\n]',
            "4: 'weapn' is no word of the vocabulary; did you mean 'weapon'?",
        ),
        ('[keywords]\nallow = [""]', "2: allow has to be one line of text, not ''"),
        ('[prefer]\ndoog = "x"', "2: 'doog' is no word of the vocabulary; did you mean 'dog' or 'dogs' or 'doggy'?"),
        ('[prefer]\ncrane = "x"', "2: 'crane' means several concepts; write one of 'crane (bird)', 'crane (machine)'"),
        ('[prefer]\ndog = "a"\ndogs = "b"', "3: 'dog' has a preferred label already; keep one of the two"),
        ("[prefer]\ndog = 3", "2: dog has to be text, not 3"),
        ('[prefer.fr]\ndog = "chien"', "1: no language 'fr'; there are en, ko"),
        ("[synonyms]\ndog = 'mutt'", "2: dog has to be a list, not 'mutt'"),
        ('[[concept]]\nlabel = "x"', "1: a concept has no id; add one under [[concept]]"),
        ('[[concept]]\nid = "a:x"', "1: a concept has no label; add one under [[concept]]"),
        ('[concept]\nid = "a:x"', "1: concept has to be a list, not {'id': 'a:x'}"),
        ('[[concept]]\nid = "w:dog"\nlabel = "x"', "2: the id 'w:dog' is there already; take another"),
        (
            '[[concept]]\nid = "dog"\nlabel = "x"',
            "2: 'dog' is no id; write a prefix of your own, a colon and a name, as in acme:lamp",
        ),
        (
            '[[concept]]\nid = "sm:x"\nlabel = "x"',
            "2: ids with wn30: and sm: belong to the shipped vocabulary; take another prefix",
        ),
        (
            '[[concept]]\nid = "a:x"\nlabel = "dog"',
            "3: 'dog' is a concept already (w:dog); give this one a hint, or add words to that one under [synonyms]",
        ),
        (
            '[[concept]]\nid = "a:x"\nlabel = "x"\nparent = "anmal"',
            "4: the parent 'anmal' is no word of the vocabulary; did you mean 'animal'?",
        ),
        (
            '[[concept]]\nid = "a:x"\nlabel = "x"\nparent = "a:x"',
            "4: 'x' is its own parent, by way of others; break the circle",
        ),
        (
            '[[concept]]\nid = "a:x"\nlabel = "x"\nflags = ["personal:genre"]',
            "4: 'personal:genre' is none of ",
        ),
        (
            '[[concept]]\nid = "a:x"\nlabel = "x"\nlabels = { en = "y" }',
            "4: English is the concepts' own language; use `label`, [prefer] or [synonyms]",
        ),
        (
            '[[concept]]\nid = "a:x"\nlabel = "Nike shoe"',
            "3: 'Nike shoe' cannot be a keyword: 'nike' is a brand name; use another word, or put it into `allow`",
        ),
        (
            '[prefer.ko]\ndog = "나이키"',
            "2: '나이키' cannot be a keyword: '나이키' is a brand name; use another word, or put it into `allow`",
        ),
        (
            '[languages]\nfr = "no.tsv"',
            "2: the label file 'no.tsv' cannot be read: No such file or directory; see that it is",
        ),
        ('[languages]\nFrench = "x"', "2: 'French' is no code of a language; write one as in fr or pt-BR"),
        ("[agency.adob]", "1: unknown table 'adob'; did you mean 'adobe'?"),
        ("[agency.adobe]\nmax = 3", "2: unknown key 'max'"),
        (
            "[agency.shutterstock]\nmax_keywords = 3",
            "2: shutterstock would take at least 7 and at most 3 keywords; set both so that the first is not more",
        ),
        ("[review]\nmatur = 1", "2: unknown key 'matur'; did you mean 'mature'?"),
        ("[review]\ntext = 2", "2: text has to be between 0 and 1, not 2"),
        ('[review]\ntext = "on"', "2: text has to be a threshold between 0 and 1, or \"off\", not 'on'"),
        (
            '[calibration]\nfile = "no.json"',
            "2: there is no file 'no.json' beside the policy; make it with `stockmeta calibrate`",
        ),
    ],
)
def test_an_error_has_file_line_cause_and_what_to_do(path: Path, text: str, found: str) -> None:
    (problem,) = problems(path, text)
    assert problem.startswith(found)


def test_all_problems_are_told_at_once_in_the_order_of_the_file(path: Path) -> None:
    text = '[keywords]\nmax = 0\ndeny = ["doog"]\n[[concept]]\nlabel = "Nike"\n[x]\n'
    found = problems(path, text)
    assert [problem.partition(":")[0] for problem in found] == ["2", "3", "4", "5", "6"]


def test_a_child_of_a_wrong_concept_is_no_problem_of_its_own(path: Path) -> None:
    text = """
[[concept]]
id = "a:one"
label = "one"
parent = "nowhere"
[[concept]]
id = "a:two"
label = "two"
parent = "one"
[[concept]]
id = "a:b"
label = "b"
parent = "c"
[[concept]]
id = "a:c"
label = "c"
parent = "b"
[[concept]]
id = "a:d"
label = "d"
parent = "c"
"""
    assert [problem.partition(":")[0] for problem in problems(path, text)] == ["5", "13", "17"]


def test_label_files_are_checked_too(path: Path) -> None:
    labels = path.parent / "fr.tsv"
    labels.write_text("id\tlabel\nw:dgo\tchien\n", encoding="utf-8")
    (unknown,) = problems(path, '[languages]\nfr = "fr.tsv"')
    assert "has 1 ids that no concept has, such as 'w:dgo'; did you mean 'w:dog'" in unknown
    labels.write_text("id\tname\nw:dog\tchien\n", encoding="utf-8")
    (wrong,) = problems(path, '[languages]\nfr = "fr.tsv"')
    assert "unknown column 'name'" in wrong
    labels.write_bytes(b"id\tlabel\nw:dog\t\xff\n")
    (binary,) = problems(path, '[languages]\nfr = "fr.tsv"')
    assert "not UTF-8" in binary


def test_a_file_that_cannot_be_read(path: Path) -> None:
    with pytest.raises(TaxonomyError, match=r"policy.toml: No such file or directory; name a policy file"):
        load(path, SMALL, SCREEN)
    path.write_bytes(b"# \n\xff")
    with pytest.raises(TaxonomyError, match=r":2: not UTF-8 at byte 3; save the file as UTF-8"):
        load(path, SMALL, SCREEN)
    path.write_bytes(b"\xef\xbb\xbf[keywords]\r\nmax = 3\r\n")
    assert load(path, SMALL, SCREEN).max_keywords == 3


WORDS = [
    "dog",
    "cat",
    "crane",
    "under:animal",
    "facet:object",
    "Nike",
    "apple",
    "*",
    "a:b",
    "a:c",
    "ko",
    "x.tsv",
    "",
    "\0",
]
VALUES = st.recursive(
    st.one_of(st.sampled_from(WORDS), st.integers(), st.floats(), st.booleans(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from([*CONCEPT, *WORDS]), inner, max_size=3)
    ),
    max_leaves=8,
)
KEYS = st.sampled_from([*KEYWORDS, *FIELDS, *WORDS, "adobe", "mature", "text", "file", "block", "allow", "fr", "ko"])


def literal(value: object) -> str:
    """A value as TOML; dictionaries inline."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + "".join(c if c.isalnum() else f"\\U{ord(c):08x}" for c in value) + '"'
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(key)} = {literal(entry)}" for key, entry in value.items()) + "}"
    return "[" + ", ".join(map(literal, value)) + "]" if isinstance(value, list) else repr(value)


TABLE = st.tuples(
    st.sampled_from(
        [*(f"[{name}]" for name in TABLES), "[[concept]]", "[agency.adobe]", "[prefer.ko]", "[synonyms.ko]"]
    ),
    st.dictionaries(KEYS, VALUES, max_size=4),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(st.lists(TABLE, max_size=5))
def test_no_tables_crash_the_loader(path: Path, tables: list[tuple[str, dict[str, object]]]) -> None:
    rows = [
        "\n".join([header, *(f"{literal(k)} = {literal(v)}" for k, v in table.items())]) for header, table in tables
    ]
    survive(path, "\n".join(rows))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(st.text(alphabet=st.one_of(st.sampled_from("[]{}=\"'\n\\#.,kdog1e"), st.characters(codec="utf-8"))))
def test_no_text_crashes_the_loader(path: Path, text: str) -> None:
    survive(path, text)


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "[" * 5000,
        "x = " + "[" * 200 + "]" * 200,
        "[keywords]\nmax = 0x" + "f" * 5000,
        "[keywords]\nmin_score = 0x" + "f" * 5000,
        "[keywords]\nmin_score = " + "9" * 400,
        "[keywords]\nmax = " + "9" * 5000,
        "[calibration]\nfile = '" + "x" * 5000 + "'",
        "[languages]\nfr = '" + "x" * 5000 + "'",
        "[languages]\nfr = '.'",
        "[calibration]\nfile = '.'",
        "[keywords]\nmax = 2020-01-01",
        "a" * 5000,
        "[" + "a." * 500 + "a]",
    ],
)
def test_no_extreme_value_crashes_the_loader(path: Path, text: str) -> None:
    with pytest.raises(TaxonomyError):
        read(path, text)


def survive(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8"))
    try:
        policy = load(path, SMALL, SCREEN)
    except TaxonomyError as error:
        assert str(error).startswith(f"{path}:")
    else:
        tomllib.loads(text.removeprefix("\ufeff"))
        withheld(policy, apply(policy, SMALL))


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
