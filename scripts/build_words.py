"""Make taxonomy/data/words/ from public lists and from what was decided when they were read.

    python scripts/build_words.py SOURCES_DIR

SOURCES_DIR holds brands_osm_nsi.tsv (name-suggestion-index, BSD-3), brands_simple_icons.tsv (simple-icons, CC0),
ldnoobw_<language>.txt (LDNOOBW, CC-BY-4.0), and WordNet's and the project's own nouns (candidates_wordnet.tsv,
stock_terms_en_ko.tsv), which tell a brand from an ordinary word. The decisions are in words_reviewed.toml.

Of the brands those that are known: all of simple-icons, and of the index those in every country or at least four, in
Latin script; the Korean ones were chosen by hand.
"""

import csv
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

from taxonomy import files
from taxonomy.words import tokens

HERE = Path(__file__).resolve().parent
DATA = HERE.parent / "taxonomy" / "data" / "words"
COUNTRIES = 4
SOFTWARE = (
    ".js",
    ".io",
    ".net",
    ".sh",
    ".dev",
    " CI",
    " UI",
    " IDE",
    " CMS",
    " Linux",
    " Framework",
    " Stack",
    " Studio",
)
"""Endings of names that nobody photographs: libraries and tools."""
LATIN = re.compile(r"[a-z0-9ßæøœđıłþð&+ ]+")
LANGUAGES = ("en", "ko", "de", "es", "fr", "ja", "zh")

BRANDS_HEADER = """\
# Brand names. Made by scripts/build_words.py; decisions are made in scripts/words_reviewed.toml, not here.
# Selected and normalised from simple-icons (CC0) and name-suggestion-index (BSD-3, see NOTICE); own: added by this
# project. review: also an ordinary word, or the name of a person or a place.
word\tverdict\tsource
"""
OFFENSIVE_HEADER = """\
# Offensive words. Made by scripts/build_words.py; decisions are made in scripts/words_reviewed.toml, not here.
# Selected, normalised and judged from LDNOOBW (CC-BY-4.0, see NOTICE); own: added by this project.
# review: ambiguous (animals, food, medicine, art, names). alone: only where it is the whole text.
word\tlanguage\tverdict\tplace\tsource
"""


def main() -> int:
    """Returns the exit status."""
    sources = Path(sys.argv[1])
    decided = tomllib.loads((HERE / "words_reviewed.toml").read_text(encoding="utf-8"))
    stale = [*brands(sources, decided["brands"]), *offensive(sources, decided["offensive"])]
    for word in stale:
        print(f"words_reviewed.toml decides about {word!r}, which is in no list")
    return 1 if stale else 0


def brands(sources: Path, decided: dict[str, str]) -> list[str]:
    """Write brands.tsv; returns decisions about words that are in no list."""
    lists = {name: set(split(text)) for name, text in decided.items()}
    ordinary = set(ordinary_words(sources))
    rows = {word: (verdict(word, lists, ordinary), source) for word, source in known_brands(sources, lists["korean"])}
    for word in lists["own_block"] | lists["own_review"]:
        level = "review" if word in lists["own_review"] or word in ordinary else "block"
        rows[word] = (level, rows[word][1] if word in rows else "own")
    stale = sorted((lists["review"] | lists["drop"] | lists["block"] | lists["korean"]) - set(rows))
    named = set().union(*lists.values())
    rows = {
        word: (level, source)
        for word, (level, source) in rows.items()
        # Three letters that nobody decided about are somebody's acronym.
        if word not in lists["drop"] and (len(word) > 3 or word in named | ordinary or source != "simple-icons")
    }
    write(DATA / "brands.tsv", BRANDS_HEADER, ((word, *row) for word, row in sorted(rows.items())))
    return stale


def verdict(word: str, lists: dict[str, set[str]], ordinary: set[str]) -> str:
    """A name is plain unless it is an ordinary word, was decided to be one, or is too short to be anything."""
    if word in lists["review"] or word in ordinary:
        return "review"
    if word in lists["block"]:
        return "block"
    short = len(word) <= 3 and word.isascii()
    return "review" if short or word.replace(" ", "").isdigit() else "block"


def known_brands(sources: Path, korean: set[str]) -> Iterator[tuple[str, str]]:
    """Normalised names that are known widely enough, each with its source; the first source that has it."""
    seen: set[str] = set()
    for name, source in (*index_names(sources, korean), *icon_names(sources)):
        word = " ".join(tokens(name))
        usable = LATIN.fullmatch(word) or word in korean
        if usable and len(word.replace(" ", "")) > 1 and word not in seen:
            seen.add(word)
            yield word, source


def index_names(sources: Path, korean: set[str]) -> Iterator[tuple[str, str]]:
    """Names out of the name-suggestion-index."""
    for row in table(sources / "brands_osm_nsi.tsv"):
        places = [place for place in row["locations"].split(",") if place]
        names = {row["brand"], row["en"]} if "001" in places or len(places) >= COUNTRIES else set()
        names |= {name for name in (row["brand"], row["ko"]) if " ".join(tokens(name)) in korean}
        yield from ((name, "name-suggestion-index") for name in sorted(names))


def icon_names(sources: Path) -> Iterator[tuple[str, str]]:
    """Names out of simple-icons, without their aliases, which are products and packages, and without libraries."""
    for row in table(sources / "brands_simple_icons.tsv"):
        if not row["title"].endswith(SOFTWARE):
            yield row["title"], "simple-icons"


def ordinary_words(sources: Path) -> Iterator[str]:
    """What a picture may show: the vocabulary, WordNet's common nouns, the terms of stock photography."""
    vocabulary = files.load()
    for concept in vocabulary.concepts:
        yield from (" ".join(tokens(word)) for word in concept.words)
    for labelled in vocabulary.translations.values():
        yield from (" ".join(tokens(label)) for labels in labelled.values() for label in labels)
    for row in table(sources / "candidates_wordnet.tsv"):
        if row["instance"] != "1":
            yield from (" ".join(tokens(word)) for word in (row["label"], *row["synonyms"].split("|")))
    for row in table(sources / "stock_terms_en_ko.tsv"):
        yield from (" ".join(tokens(word)) for cell in row.values() for word in (cell or "").split("|"))


def offensive(sources: Path, decided: dict[str, dict[str, str]]) -> list[str]:
    """Write offensive.tsv; returns decisions about words that are in no list."""
    rows, stale = [], []
    for language in LANGUAGES:
        lists = {name: set(split(text)) for name, text in decided[language].items()}
        alone, drop, review = lists.get("alone", set()), lists.get("drop", set()), lists.get("review", set())
        lines = (sources / f"ldnoobw_{language}.txt").read_text(encoding="utf-8").splitlines()
        listed = dict.fromkeys(" ".join(tokens(line)) for line in lines)
        stale += [f"{language}: {word}" for word in sorted((alone | drop | review) - set(listed))]
        own = dict.fromkeys(lists.get("own_block", ()), "block")
        own |= dict.fromkeys(lists.get("own_review", ()), "review")
        for word in sorted({*listed, *own} - drop - {""}):
            level = own.get(word, "review" if word in review else "block")
            source = "LDNOOBW" if word in listed else "own"
            rows.append((word, language, level, "alone" if word in alone else "anywhere", source))
    write(DATA / "offensive.tsv", OFFENSIVE_HEADER, rows)
    return stale


def split(text: str) -> list[str]:
    """The words of a decision, in the form in which they are compared."""
    return [word for part in text.replace("\n", " ").split(",") if (word := " ".join(tokens(part)))]


def table(path: Path) -> Iterator[dict[str, str]]:
    """Rows of a tab-separated file."""
    with path.open(encoding="utf-8") as file:
        yield from csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)


def write(path: Path, header: str, rows: Iterable[tuple[str, ...]]) -> None:
    """Write one of the tables."""
    path.write_text(header + "".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
