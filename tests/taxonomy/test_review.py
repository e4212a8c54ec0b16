import numpy as np
import pytest

from taxonomy.review import FLAGS, Finding, Reviewer, ReviewFlag, assessed, load_flags
from taxonomy.score import BLOCK
from tests.taxonomy.test_score import directions

MATURE = ReviewFlag("mature", 0.5, ("nude", "gore"), ("dressed",))
TEXT = ReviewFlag("text", 0.5, ("letters",), ("no letters",))
BOTH = frozenset({"mature", "text"})
PROMPTS = np.eye(5, dtype=np.float32)


def findings(picture: list[float], **wanted: float | None) -> dict[str, Finding]:
    embeddings = PROMPTS if "text" not in wanted or wanted["text"] is not None else PROMPTS[:3]
    reviewer = Reviewer([MATURE, TEXT], embeddings, 5.0, BOTH, wanted)
    (shares,) = reviewer.score(np.array([picture], np.float32))
    return {finding.flag: finding for finding in reviewer.judge(shares)}


def test_the_prompts_for_and_against_share_the_probability() -> None:
    found = findings([0.6, 0.6, 0.5, 0.1, 0.9])
    powers = np.exp(5 * np.array([0.6, 0.6, 0.5]))
    probability = round(float(powers[:2].sum() / powers.sum()), 4)
    assert found["mature"] == Finding("mature", "yes", f"{probability} of 0.5 needed; nearest to 'nude'")
    assert found["text"].verdict == "no"
    assert found["text"].reason.endswith("nearest to 'no letters'")


def test_a_policys_threshold_wins() -> None:
    assert findings([0.6, 0.6, 0.5, 0.1, 0.9], mature=0.99)["mature"].verdict == "no"
    assert findings([0.6, 0.6, 0.5, 0.1, 0.9], text=0.001)["text"].verdict == "yes"


def test_what_is_not_assessed_says_why() -> None:
    assert findings([1, 0, 0, 0, 0], text=None)["text"] == Finding("text", "not assessed", "the policy switched it off")
    blind = Reviewer([MATURE, TEXT], np.zeros((0, 5), np.float32), 5.0, frozenset(), {})
    (shares,) = blind.score(np.zeros((1, 5), np.float32))
    assert {f.reason for f in blind.judge(shares)} == {"the encoder cannot tell it"}
    assert {f.verdict for f in blind.judge(shares)} == {"not assessed"}


def test_embeddings_have_to_be_those_of_the_prompts() -> None:
    with pytest.raises(ValueError, match="3 embeddings for 5 prompts"):
        Reviewer([MATURE, TEXT], PROMPTS[:3], 5.0, BOTH, {})


def test_flags_do_not_depend_on_the_batch() -> None:
    rng = np.random.default_rng(0)
    flags = load_flags()
    prompts = directions(rng, sum(len(flag.prompts) for flag in flags), 64)
    reviewer = Reviewer(flags, prompts, 20.0, FLAGS, {})
    rows = directions(rng, BLOCK, 64)
    order = rng.permutation(BLOCK)
    np.testing.assert_array_equal(reviewer.score(rows[order]), reviewer.score(rows)[order])


def test_the_shipped_flags() -> None:
    flags = load_flags()
    assert {flag.name for flag in flags} == FLAGS
    for flag in flags:
        assert flag.speaking_for
        assert flag.speaking_against
        assert 0 < flag.threshold < 1
        assert len(set(flag.prompts)) == len(flag.prompts)
    assert assessed(flags, FLAGS, {"minor": None}) == [flag for flag in flags if flag.name != "minor"]
    assert assessed(flags, frozenset(), {}) == []
