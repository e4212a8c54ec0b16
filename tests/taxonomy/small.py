"""A vocabulary of a few concepts, for tests of what a policy does to it."""

from taxonomy.concepts import Concept, Vocabulary, build

PLACES = {
    "ko": {"w:dog": ("개", "강아지"), "w:cat": ("고양이",), "w:crane": ("두루미",)},
}


def small() -> Vocabulary:
    """Animals with a hidden root, things, a person, two cranes; labels in Korean for some."""
    return build(
        [
            Concept("w:life", "life", flags=frozenset({"hidden"}), facet="animal"),
            Concept("w:animal", "animal", parent="w:life", facet="animal", tier="A"),
            Concept("w:dog", "dog", parent="w:animal", facet="animal", tier="A", plural="dogs", synonyms=("doggy",)),
            Concept("w:puppy", "puppy", parent="w:dog", facet="animal"),
            Concept("w:cat", "cat", parent="w:animal", facet="animal", tier="C"),
            Concept("w:crane", "crane", "bird", parent="w:animal", facet="animal"),
            Concept("w:lift", "crane", "machine", facet="object"),
            Concept("w:weapon", "weapon", facet="object"),
            Concept("w:gun", "gun", parent="w:weapon", facet="object"),
            Concept("w:color", "color", facet="color", british=("colour",)),
            Concept("w:woman", "woman", facet="person", flags=frozenset({"personal:gender"})),
            Concept("w:nun", "nun", parent="w:woman", facet="person", flags=frozenset({"personal:gender"})),
        ],
        translations=PLACES,
    )
