"""Put taxonomy/data in order, fill in what follows from it, and say what came from where.

    python scripts/build_taxonomy.py SOURCES_DIR [--check]

The tables in taxonomy/data are written by people and are the source of truth: labels, tree, tiers, flags, languages.
This sorts them as a tree, adds plurals of count nouns (inflect) and British spellings (american_spellings.json) where
there are none, looks at every WordNet id, and counts which public lists in SOURCES_DIR have the same words: nothing
else is taken from these. `--check` writes nothing and fails where something would change.
"""

import csv
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import inflect

from taxonomy.concepts import Concept, Vocabulary, build
from taxonomy.files import COLUMNS, read_concepts, read_table

DATA = Path(__file__).resolve().parent.parent / "taxonomy" / "data"
AMERICAN_TOO = (
    # What the list calls American and is not, or not in the senses that a photograph has: a parking meter is no metre.
    *("banister", "bougainvillea", "clarinetist", "connection", "disk", "filter", "griffin", "medieval", "meter"),
    *("micrometer", "practice", "primeval", "program", "snowplow", "tranquility"),
)
READ = (
    # Ids whose synset does not have our word among its own, and whose sense is the same: read, one by one.
    *("wn30:11857875-n", "wn30:13001206-n", "wn30:07862348-n", "wn30:02790669-n", "wn30:09901143-n", "wn30:10435988-n"),
)
OES = (
    *("buffalo", "domino", "echo", "hero", "mango", "mosquito", "potato", "superhero", "tomato", "tornado"),
    *("torpedo", "volcano"),
)
# Of words that end so, most are Japanese or Korean ones, which people leave as they are.
I_AND_U = (
    *(
        "bikini",
        "chapati",
        "coati",
        "corgi",
        "emoji",
        "emu",
        "kiwi",
        "kudu",
        "martini",
        "menu",
        "okapi",
        "rabbi",
        "sari",
    ),
    *("taxi", "tipi", "tsunami", "tutu", "yeti", "yogi", "zebu", "zucchini"),
)
IRREGULAR = {
    # What the library gets wrong; empty where nobody would say it.
    **dict.fromkeys(("beware of dog sign", "burger and fries", "corn on the cob", "DNA", "dodo", "Gen Z"), ""),
    **dict.fromkeys(("first sunrise of the year", "number of people", "sole of foot", "triceratops", "clematis"), ""),
    **dict.fromkeys(
        ("largemouth bass", "grouse", "guinea fowl", "bison", "elk", "pike", "snipe", "Great Pyrenees"), ""
    ),
    "cactus": "cacti",
    "Doberman": "Dobermans",
    "gladiolus": "gladioli",
    "jack-in-the-box": "jack-in-the-boxes",
    "paparazzo": "paparazzi",
    "person with disability": "people with disabilities",
    "spitz": "spitzes",
    "spritz": "spritzes",
    "thief": "thieves",
}
PREPOSITION = re.compile(r" (?:of|in|on|with|at|under|to|for|from) ")
WORD = re.compile(r"[A-Za-z]+")


def main() -> int:
    """Returns the exit status."""
    sources, check = Path(sys.argv[1]), "--check" in sys.argv[2:]
    path = DATA / "concepts.tsv"
    vocabulary = build(list(read_concepts(path)))
    vocabulary = with_british(vocabulary, spellings(sources))
    vocabulary = with_plurals(vocabulary)
    changed = [*write(path, table(vocabulary), check)]
    order = vocabulary.index
    for labels in sorted((DATA / "labels").glob("*.tsv")):
        changed += write(labels, sorted_labels(labels, order), check)
    odd = list(odd_ids(vocabulary, sources))
    for line in (*report(vocabulary, sources), *odd, *changed):
        print(line)
    return 1 if check and changed else 0


def spellings(sources: Path) -> dict[str, str]:
    """American words to British ones."""
    listed = json.loads((sources / "american_spellings.json").read_text(encoding="utf-8"))
    return {us.lower(): uk.lower() for us, uk in listed.items() if us.lower() not in AMERICAN_TOO}


def with_british(vocabulary: Vocabulary, listed: Mapping[str, str]) -> Vocabulary:
    """With the British spelling of every label and synonym that has one; names are spelled as they are."""
    concepts = []
    for concept in vocabulary.concepts:
        spelled = (
            [] if concept.grammar == "proper" else [british(w, listed) for w in (concept.label, *concept.synonyms)]
        )
        # The label's own first: it is what `spelling = "british"` shows, unless people wrote another there.
        new = [
            word
            for word, american in zip(spelled, (concept.label, *concept.synonyms), strict=False)
            if word not in (american, concept.label)
            and all(one.id == concept.id for one in vocabulary.by_word.get(word.casefold(), ()))
        ]
        forms = tuple(dict.fromkeys((*concept.british, *new)))
        # A British spelling among the synonyms moves to where it belongs.
        synonyms = tuple(word for word in concept.synonyms if word not in forms)
        concepts.append(replace(concept, british=forms, synonyms=synonyms))
    return build(concepts)


def british(text: str, listed: Mapping[str, str]) -> str:
    """A text in British spelling."""

    def spell(match: re.Match[str]) -> str:
        word = listed.get(match[0].lower(), match[0])
        return word.capitalize() if match[0][0].isupper() and word != match[0] else word

    return WORD.sub(spell, text)


def with_plurals(vocabulary: Vocabulary) -> Vocabulary:
    """With the regular plural of every count noun that has none written; never a word of another concept."""
    engine = inflect.engine()
    taken = {word: {one.label for one in concepts} for word, concepts in vocabulary.by_word.items()}
    concepts = []
    for concept in vocabulary.concepts:
        plural = concept.plural
        if not plural and concept.grammar == "count" and concept.facet not in ("activity", "sport"):
            plural = plural_of(concept.label, engine)
            if plural == concept.label or taken.get(plural.casefold(), {concept.label}) != {concept.label}:
                plural = ""
        concepts.append(replace(concept, plural=plural))
    return build(concepts)


def plural_of(label: str, engine: inflect.engine) -> str:
    """The plural of a noun or phrase, or nothing where there is none that people say."""
    if label in IRREGULAR:
        return IRREGULAR[label]
    if PREPOSITION.search(label):
        return str(engine.plural_noun(label))
    before, space, last = label.rpartition(" ")
    if before == "number" or last == "ethnicity" or (last[-1] in "iu" and last not in I_AND_U):
        return ""
    if last.isupper() or (re.search("[^aeiou]o$", last) and last.casefold() not in OES):
        return f"{before}{space}{last}s"
    return f"{before}{space}{IRREGULAR.get(last) or engine.plural_noun(last)}"


def table(vocabulary: Vocabulary) -> Iterator[str]:
    """The lines of concepts.tsv, in the order of the tree, siblings by name."""
    children: dict[str | None, list[Concept]] = {}
    for concept in vocabulary.concepts:
        children.setdefault(concept.parent, []).append(concept)
    names = {concept.id: concept.name for concept in vocabulary.concepts}
    yield "\t".join(COLUMNS)
    # The roots stay as people ordered them.
    stack = list(reversed(children.get(None, [])))
    while stack:
        concept = stack.pop()
        yield "\t".join(cells(concept, names.get(concept.parent or "", "")))
        stack.extend(sorted(children.get(concept.id, []), key=lambda one: one.name.casefold(), reverse=True))


def cells(concept: Concept, parent: str) -> tuple[str, ...]:
    """One line."""
    return (
        *(concept.id, concept.label, concept.hint, parent, concept.facet, concept.tier, concept.grammar),
        *(concept.plural, "|".join(concept.british), "|".join(concept.synonyms), "|".join(sorted(concept.flags))),
    )


def sorted_labels(path: Path, order: Mapping[str, int]) -> Iterator[str]:
    """The lines of a language file, in the order of the concepts."""
    rows = [row for _, row in read_table(path, ("id", "label"), ("id", "label", "synonyms"))]
    yield "id\tlabel\tsynonyms"
    for row in sorted(rows, key=lambda row: order.get(row["id"], len(order))):
        yield f"{row['id']}\t{row['label']}\t{row['synonyms']}"


def write(path: Path, lines: Iterator[str], check: bool) -> Iterator[str]:
    """Write a table under the comments that it has, if it differs; says so."""
    before = path.read_text(encoding="utf-8")
    comments = [line for line in before.split("\n") if line.startswith("#")]
    after = "\n".join((*comments, *lines)) + "\n"
    if after != before:
        different = sum(one != other for one, other in zip(before.split("\n"), after.split("\n"), strict=False))
        if not check:
            path.write_text(after, encoding="utf-8")
        yield f"{path.name}: {different} lines {'would change' if check else 'changed'}"


def odd_ids(vocabulary: Vocabulary, sources: Path) -> Iterator[str]:
    """Ids of WordNet that it does not have, and those whose synset does not call it any of our words."""
    with (sources / "candidates_wordnet.tsv").open(encoding="utf-8", newline="") as file:
        synsets = {row["id"]: row for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)}
    for concept in vocabulary.concepts:
        if not concept.id.startswith("wn30:") or concept.id in READ:
            continue
        row = synsets.get(concept.id)
        if row is None:
            yield f"not among the candidates: {concept.id} {concept.name}"
            continue
        lemmas = {folded(word) for word in (row["label"], *row["synonyms"].split("|"))}
        if not lemmas & {folded(word) for word in concept.words}:
            yield f"to be read: {concept.id} {concept.name}: WordNet says {row['synonyms']}: {row['gloss'][:90]}"


def folded(word: str) -> str:
    """A word without what spellings differ in."""
    return re.sub(r"[^a-z0-9]", "", word.casefold())


def report(vocabulary: Vocabulary, sources: Path) -> Iterator[str]:
    """What came from where: ids, and in how many public lists the words are."""
    ids = Counter(concept.id.partition(":")[0] for concept in vocabulary.concepts)
    yield f"{len(vocabulary.concepts)} concepts; ids: {ids['wn30']} WordNet 3.0, {ids['sm']} our own"
    plurals = sum(bool(concept.plural) for concept in vocabulary.concepts)
    british_too = sum(bool(concept.british) for concept in vocabulary.concepts)
    yield f"with a plural: {plurals}; with a British form: {british_too}"
    found = Counter[str]()
    lists = {name: {folded(word) for word in words} for name, words in word_lists(sources)}
    for concept in vocabulary.concepts:
        forms = {folded(word) for word in concept.words}
        found.update(name for name, words in lists.items() if forms & words)
        found["in none of them"] += not any(forms & words for words in lists.values())
    yield from (f"words also in {name}: {found[name]} of {len(lists[name])}" for name in lists)
    yield f"in none of these lists: {found['in none of them']}"


def word_lists(sources: Path) -> Iterator[tuple[str, list[str]]]:
    """Each list's name and its words."""
    for name, column in (
        ("candidates_wordnet.tsv", "synonyms"),
        ("candidates_phrases.tsv", "label"),
        ("stock_terms_en_ko.tsv", "en"),
    ):
        with (sources / name).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
        yield name, [word for row in rows for word in row[column].split("|")]
    for name in ("ram_tag_list.txt", "kinetics700_actions.txt", "sun_attributes_102.txt", "vg_attributes_vocab.txt"):
        yield name, (sources / name).read_text(encoding="utf-8").splitlines()
    places = (sources / "places365_categories.txt").read_text(encoding="utf-8").splitlines()
    yield "places365_categories.txt", [line.split(" ")[0][3:].split("/")[0] for line in places]
    lvis = json.loads((sources / "lvis_categories.json").read_text(encoding="utf-8"))
    yield "lvis_categories.json", [word for entry in lvis for word in entry["synonyms"]]


if __name__ == "__main__":
    sys.exit(main())
