import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonomy.concepts import Concept, Vocabulary, build, literal
from taxonomy.score import BLOCK, Floats, Scorer, statistics


def random_tree(rng: np.random.Generator, size: int) -> Vocabulary:
    parents = [None if i == 0 or rng.random() < 0.2 else f"{rng.integers(i)}" for i in range(size)]
    return build([Concept(f"{i}", f"word {i}", parent=parent) for i, parent in enumerate(parents)])


def directions(rng: np.random.Generator, n: int, d: int = 8) -> Floats:
    rows = rng.standard_normal((n, d)).astype(np.float32)
    unit: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def test_what_implies_a_concept_from_elsewhere_adds_to_its_evidence_once() -> None:
    concepts = [
        Concept("indoors", "indoors"),
        Concept("room", "room", parent="indoors"),
        Concept("furniture", "furniture"),
        Concept("bed", "bed", parent="furniture"),
        Concept("tree", "tree"),
    ]
    vocabulary = build(concepts, implied={"indoors": ("furniture", "bed", "room")})
    rng = np.random.default_rng(5)
    scores = Scorer(vocabulary, directions(rng, 5), None, 5.0).score(directions(rng, 4))

    information = 1 - np.log(4) / np.log(5)
    np.testing.assert_allclose(scores.score[:, 0], scores.chance[:, :4].sum(axis=1) * information, atol=1e-6)


def test_of_equals_what_buyers_type_more_often_has_the_better_chance() -> None:
    vocabulary = build([Concept(tier, f"word {tier}", tier=tier) for tier in "ABC"])
    same = directions(np.random.default_rng(6), 1).repeat(3, axis=0)
    chance = Scorer(vocabulary, same, None, 10.0).score(same[:1]).chance[0]
    assert chance[0] > chance[1] > chance[2]


@given(st.integers(0, 2**32 - 1), st.integers(2, 40))
def test_a_score_is_the_chance_of_the_subtree_times_its_information(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    vocabulary = random_tree(rng, size)
    concepts = directions(rng, size)
    scores = Scorer(vocabulary, concepts, statistics(concepts, directions(rng, 5)), 10.0).score(directions(rng, 3))

    np.testing.assert_allclose(scores.chance.sum(axis=1), 1, rtol=1e-5)
    for i, concept in enumerate(vocabulary.concepts):
        below = [j for j, other in enumerate(vocabulary.concepts) if concept in (other, *vocabulary.ancestors(other))]
        information = 1 - np.log(len(below)) / np.log(size)
        np.testing.assert_allclose(scores.score[:, i], scores.chance[:, below].sum(axis=1) * information, atol=1e-6)


def test_a_row_does_not_depend_on_its_batch() -> None:
    rng = np.random.default_rng(3)
    vocabulary, images = random_tree(rng, 300), directions(rng, 3 * BLOCK + 5, 64)
    concepts = directions(rng, 300, 64)
    scorer = Scorer(vocabulary, concepts, statistics(concepts, directions(rng, 50, 64)), 20.0)
    together = scorer.score(images)
    order = rng.permutation(len(images))
    for part, shuffled in zip(together, scorer.score(images[order]), strict=True):
        np.testing.assert_array_equal(shuffled, part[order])
    for i in range(len(images)):
        for part, alone in zip(together, scorer.score(images[i : i + 1]), strict=True):
            np.testing.assert_array_equal(alone[0], part[i])


def test_hub_correction_takes_out_what_is_near_everything() -> None:
    rng = np.random.default_rng(1)
    references, special = directions(rng, 200), directions(rng, 1)
    hub = references.mean(axis=0, keepdims=True)
    vocabulary = literal(["hub", "special"])
    concepts = np.concatenate([hub / np.linalg.norm(hub), special])

    corrected = Scorer(vocabulary, concepts, statistics(concepts, references), 1.0).score(references).raw

    np.testing.assert_allclose(corrected.mean(axis=0), 0, atol=1e-5)
    deviations = corrected.std(axis=0)
    np.testing.assert_allclose(deviations[0], deviations[1], rtol=1e-3)


def test_a_flat_list_ranks_by_the_corrected_cosine() -> None:
    rng = np.random.default_rng(2)
    scores = Scorer(literal(["a", "b", "c"]), directions(rng, 3), None, 100.0).score(directions(rng, 2))
    np.testing.assert_array_equal(scores.score, scores.raw)


def test_one_embedding_for_each_concept() -> None:
    with pytest.raises(ValueError, match="2 embeddings for 3 concepts"):
        Scorer(literal(["a", "b", "c"]), directions(np.random.default_rng(0), 2), None, 1.0)
