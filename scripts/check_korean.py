"""Compare the Korean labels with what open sources say, and write the figures into docs/korean.md.

    python scripts/check_korean.py SOURCES_DIR [--check] > disagreements.tsv

Sources: candidates_wordnet.tsv by WordNet id (Unicode CLDR, OpenStreetMap, Open Multilingual Wordnet, Kengdic, a word
list of a game), candidates_phrases.tsv and stock_terms_en_ko.tsv by English word. A word agrees if it is one of ours
with or without spaces, and is close if one of the two contains the other. Standard output has a line for each concept
with which no source agrees or is close: to be looked at by somebody who reads Korean. `--check` writes nothing and
fails where the page does not say the same.
"""

import csv
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from taxonomy.concepts import TIERS, Concept, Vocabulary
from taxonomy.files import load

PAGE = Path(__file__).resolve().parent.parent / "docs" / "korean.md"
TABLE = re.compile(r"(<!-- check -->\n).*?(<!-- end -->\n)", re.DOTALL)
TITLES = {
    "cldr": "Unicode CLDR",
    "osm": "OpenStreetMap",
    "omw": "Open Multilingual Wordnet",
    "kengdic": "Kengdic",
    "game": "a word list of a game",
    "phrases": "phrases, from CLDR and OpenStreetMap mostly",
    "stock": "stock terms, written for this project",
}
VERDICTS = ("agree", "close", "disagree")


class Found(NamedTuple):
    """What one source says of a concept, and how that compares with ours."""

    source: str
    words: tuple[str, ...]
    verdict: str


def main() -> int:
    """Returns the exit status."""
    vocabulary = load()
    sources = Sources(Path(sys.argv[1]))
    found = {concept.id: list(compared(concept, vocabulary, sources)) for concept in vocabulary.concepts}
    for concept in vocabulary.concepts:
        verdicts = {each.verdict for each in found[concept.id]}
        if verdicts == {"disagree"}:
            print("\t".join(disagreement(concept, vocabulary, found[concept.id], sources)))
    before = PAGE.read_text(encoding="utf-8")
    after = TABLE.sub(lambda match: match[1] + "\n".join(tables(vocabulary, found)) + "\n" + match[2], before)
    if after != before and "--check" in sys.argv[2:]:
        sys.stderr.write("docs/korean.md does not say what the sources say\n")
        return 1
    PAGE.write_text(after, encoding="utf-8")
    return 0


class Sources:
    """Korean words by source, for ids and for English words."""

    def __init__(self, folder: Path) -> None:
        self.ids: dict[str, dict[str, tuple[str, ...]]] = {}
        self.glosses: dict[str, str] = {}
        for row in rows(folder / "candidates_wordnet.tsv"):
            self.glosses[row["id"]] = row["gloss"]
            entries = (entry.partition(":") for entry in row["ko_all"].split("; ") if ":" in entry)
            self.ids[row["id"]] = {name.strip(): words for name, _, text in entries if (words := korean(text))}
        self.words: dict[str, dict[str, tuple[str, ...]]] = {"phrases": {}, "stock": {}}
        for row in rows(folder / "candidates_phrases.tsv"):
            if words := korean(row["ko_best"]):
                self.words["phrases"].setdefault(row["label"].casefold(), words)
        for row in rows(folder / "stock_terms_en_ko.tsv"):
            if words := korean(f"{row['ko']},{row['ko_alt'] or ''}"):
                self.words["stock"].setdefault(row["en"].casefold(), words)

    def of(self, concept: Concept) -> Iterator[tuple[str, tuple[str, ...]]]:
        """What each source says of a concept; by word only where that is nobody else's."""
        yield from self.ids.get(concept.id, {}).items()
        for name, known in self.words.items():
            if not concept.hint and (words := known.get(concept.label.casefold())):
                yield name, words


def rows(path: Path) -> Iterator[Mapping[str, str]]:
    """Rows of a tab-separated list."""
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)


def korean(text: str) -> tuple[str, ...]:
    """The words of a cell that have Hangul in them."""
    words = (word.strip() for word in re.split("[,|]", text))
    return tuple(dict.fromkeys(word for word in words if re.search("[가-힣]", word)))


def compared(concept: Concept, vocabulary: Vocabulary, sources: Sources) -> Iterator[Found]:
    """A concept's words beside those of each source that has some."""
    ours = [joined(word) for word in vocabulary.translations["ko"].get(concept.id, ())]
    for name, words in sources.of(concept) if ours else ():
        yield Found(name, words, verdict(ours, [joined(word) for word in words]))


def joined(word: str) -> str:
    """Without spaces, which Koreans set as they like."""
    return word.replace(" ", "")


def verdict(ours: Iterable[str], theirs: Iterable[str]) -> str:
    """How two lists of words compare."""
    pairs = [(one, other) for one in ours for other in theirs]
    if any(one == other for one, other in pairs):
        return "agree"
    return "close" if any(one in other or other in one for one, other in pairs) else "disagree"


def disagreement(concept: Concept, vocabulary: Vocabulary, found: Iterable[Found], sources: Sources) -> tuple[str, ...]:
    """One line to look at: tier, id, name, path, ours, theirs, gloss."""
    path = " > ".join(above.name for above in vocabulary.ancestors(concept))
    theirs = "; ".join(f"{each.source}: {', '.join(each.words)}" for each in found)
    ours = ", ".join(vocabulary.translations["ko"][concept.id])
    return concept.tier, concept.id, concept.name, path, ours, theirs, sources.glosses.get(concept.id, "")


def tables(vocabulary: Vocabulary, found: Mapping[str, list[Found]]) -> Iterator[str]:
    """By source, and by tier."""
    by_source = Counter((each.source, each.verdict) for all_ in found.values() for each in all_)
    yield "| source | concepts | agree | close | disagree |"
    yield "|---|---|---|---|---|"
    for name, title in TITLES.items():
        counts = [by_source[name, verdict] for verdict in VERDICTS]
        yield f"| {title} | {sum(counts):,} | {' | '.join(share(count, sum(counts)) for count in counts)} |"
    yield ""
    yield "| tier | concepts | with a label | in some source | some source agrees | at best close | all disagree |"
    yield "|---|---|---|---|---|---|---|"
    for tier in (*TIERS, "all"):
        concepts = [concept for concept in vocabulary.concepts if tier in (concept.tier, "all")]
        best = Counter(at_best(found[concept.id]) for concept in concepts if found[concept.id])
        labelled = sum(bool(vocabulary.translations["ko"].get(concept.id)) for concept in concepts)
        cells = (f"{labelled:,}", share(best.total(), len(concepts)), *(share(best[v], best.total()) for v in VERDICTS))
        yield f"| {tier} | {len(concepts):,} | {' | '.join(cells)} |"


def at_best(found: Iterable[Found]) -> str:
    """The best of a concept's verdicts."""
    verdicts = {each.verdict for each in found}
    return next(verdict for verdict in VERDICTS if verdict in verdicts)


def share(count: int, of: int) -> str:
    """A count with its share."""
    return f"{count:,} ({count / of:.0%})" if of else "0"


if __name__ == "__main__":
    sys.exit(main())
