"""No file crashes the loader of policies: it loads, or is refused with a line."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taxonomy.concepts import TaxonomyError
from taxonomy.limits import FIELDS
from taxonomy.own_words import CONCEPT
from taxonomy.policy import apply, withheld
from taxonomy.policy_file import KEYWORDS, TABLES, load
from tests.taxonomy.policies import SCREEN, SMALL, read


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "policy.toml"


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
