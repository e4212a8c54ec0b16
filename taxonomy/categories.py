"""Agencies' and IPTC's categories, from concepts and from the picture itself.

A scheme is one file, `data/categories/<scheme>.tsv` or a customer's own. Its head is comments, `# key: value`:

    title           what people call it
    most            how many categories an image may have, at each level
    covers          `things`: whatever a photograph shows has a category; a rule that validation holds
    needs concepts  `yes`: prompts alone decide nothing; without evidence from concepts a picture gets none

Then a table:

    id              what goes into the record and to the agency
    label           the category's name
    parent          id of the category above it, for schemes of two levels; who gets one gets the other
    concepts        names whose whole subtree belongs there, `|` between them; the nearest one above a concept wins
    prompt          what to compare the picture with
    needs           facets that an encoder has to tell, `|` between them; without them the category is never given, and
                    the evidence for it is counted among the concepts of these facets alone
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from taxonomy import exact
from taxonomy.choose import DECIMALS
from taxonomy.concepts import FACETS, TaxonomyError, Vocabulary
from taxonomy.exact import Floats
from taxonomy.files import read_table
from taxonomy.score import softmax
from taxonomy.tables import HEAD_LINE

MAPPED = 0.75
"""Weight of what the keywords say; the rest is the picture compared with the category's own prompt."""
LEAST = 0.2
"""No category below this: an image with no evidence for any gets none."""
SECOND = 0.5
"""Further categories need this share of the best one's score."""

COLUMNS = ("id", "label", "parent", "concepts", "prompt", "needs")
HEAD = ("title", "most", "covers", "needs concepts")


@dataclass(frozen=True, slots=True)
class CategoryRow:
    """One category: `concepts` are names in the vocabulary, `parent` is an id, `needs` are facets."""

    id: str
    label: str
    concepts: tuple[str, ...]
    prompt: str
    parent: str = ""
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scheme:
    """A list of categories, of which an image may have `most` at each level; see above for the rest."""

    name: str
    most: int
    rows: tuple[CategoryRow, ...]
    title: str = ""
    covers_things: bool = False
    needs_concepts: bool = False

    def only(self, facets: frozenset[str]) -> "Scheme":
        """Without the categories that an encoder of these facets cannot tell, and what is beneath those."""
        kept = [row for row in self.rows if facets.issuperset(row.needs)]
        ids = {row.id for row in kept}
        return replace(self, rows=tuple(row for row in kept if not row.parent or row.parent in ids))

    def above(self, position: int) -> Iterator[int]:
        """The position of a category, then of its parent if it has one."""
        yield position
        if parent := self.rows[position].parent:
            yield next(i for i, row in enumerate(self.rows) if row.id == parent)


def load_schemes(extra: Sequence[Path] = (), folder: Traversable | Path | None = None) -> tuple[Scheme, ...]:
    """All shipped schemes (or those of another folder), by name, then a customer's own files.

    Raises:
        TaxonomyError: with file and line.
    """
    folder = files("taxonomy") / "data" / "categories" if folder is None else folder
    shipped = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".tsv")), key=lambda entry: entry.name)
    schemes = tuple(read_scheme(path) for path in (*shipped, *extra))
    for i, scheme in enumerate(schemes):
        if scheme.name in {before.name for before in schemes[:i]}:
            raise TaxonomyError(f"there are two category schemes called {scheme.name!r}; give one file another name")
    return schemes


def read_scheme(path: Traversable | Path) -> Scheme:
    """One scheme, called by its file's name. Raises `TaxonomyError` with file, line and cause."""
    try:
        head = dict(HEAD_LINE.findall(path.read_text(encoding="utf-8-sig")))
    except (OSError, UnicodeDecodeError) as error:
        raise TaxonomyError(f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8'}") from error
    if not head.get("most", "").isdecimal() or int(head["most"]) < 1:
        raise TaxonomyError(f"{path}:1: say how many categories an image may have, in a line such as '# most: 2'")
    if head.get("covers", "things") != "things" or head.get("needs concepts", "yes") != "yes":
        raise TaxonomyError(f"{path}:1: 'covers' may only be things, 'needs concepts' only yes; leave out the line")
    name = Path(path.name).stem
    return Scheme(
        name,
        int(head["most"]),
        tuple(_rows(path)),
        head.get("title", name),
        covers_things="covers" in head,
        needs_concepts="needs concepts" in head,
    )


def _rows(path: Traversable | Path) -> Iterator[CategoryRow]:
    tops: dict[str, str] = {}
    for line, row in read_table(path, ("id", "label", "prompt"), COLUMNS):
        needs = _split(row["needs"])
        if unknown := sorted(set(needs) - FACETS):
            raise TaxonomyError(f"{path}:{line}: {unknown[0]!r} is none of {', '.join(sorted(FACETS))}")
        if row["id"] in tops:
            raise TaxonomyError(f"{path}:{line}: the id {row['id']!r} is there twice")
        if row["parent"] and tops.get(row["parent"]) != "":
            raise TaxonomyError(f"{path}:{line}: {row['parent']!r} is no category of the first level above this line")
        tops[row["id"]] = row["parent"]
        yield CategoryRow(row["id"], row["label"], _split(row["concepts"]), row["prompt"], row["parent"], needs)


def _split(cell: str) -> tuple[str, ...]:
    return tuple(part for text in cell.split("|") if (part := text.strip()))


class Categorizer:
    """Gives an image its categories in one scheme.

    Args:
        scheme: k categories, at least one, all of which the encoder can tell.
        vocabulary: m concepts, whose chances `choose` is given.
        prompts: embeddings of the categories' prompts, (k, d), unit length.
        references: as in `Scorer`.
        logit_scale: inverse temperature.
    """

    def __init__(
        self, scheme: Scheme, vocabulary: Vocabulary, prompts: Floats, references: Floats | None, logit_scale: float
    ) -> None:
        self.scheme = scheme
        self._prompts = exact.directions(prompts).T
        self._mean = np.zeros(len(scheme.rows), np.float32)
        if references is not None:
            self._mean = exact.cosines(exact.directions(references), self._prompts).mean(axis=0)
        self._logit_scale = logit_scale
        membership = _membership(scheme, vocabulary)
        self._mapped_share = MAPPED if membership.any() else 0
        among = _among(scheme, vocabulary)
        self._among = list(among)
        self._membership = exact.shares(np.column_stack([membership, *among.values()]))
        self._upward = exact.shares(_upward(scheme))
        # What no concept leads to is nothing that this encoder can tell, and is not guessed from a prompt.
        self._told = membership.any(axis=0) | vocabulary.flat

    def score(self, chance: Floats, embeddings: Floats) -> Floats:
        """Scores (n, k) from chances (n, m) and unit vectors (n, d).

        A category of the first level has its own score and those beneath it; all of that level sum to at most 1, but
        for those that are counted among facets of their own.
        """
        cosines = exact.cosines(exact.directions(embeddings), self._prompts)
        direct = softmax((cosines - self._mean) * self._logit_scale) * self._told
        mapped, among = np.split(exact.sums(chance, self._membership), [len(self.scheme.rows)], axis=1)
        mapped[:, self._among] /= np.maximum(among, 1e-12)
        if self.scheme.needs_concepts:
            # The prompts only move what concepts say: a picture that is none of these has none, whatever is nearest.
            direct = np.where(mapped >= LEAST, direct, 0)
            mapped = np.where(mapped >= LEAST, mapped, 0)
        share = self._mapped_share
        return exact.sums(share * mapped + (1 - share) * direct, self._upward).astype(np.float32)

    def choose(self, scores: NDArray[np.float32]) -> list[tuple[CategoryRow, float]]:
        """The categories of one image from its scores (k,), the best first; a parent before what is beneath it."""
        rounded = np.round(scores.astype(np.float64), DECIMALS)
        rows = self.scheme.rows
        floor = max(LEAST, SECOND * rounded.max())
        # Few pass, so only those are sorted.
        enough = np.flatnonzero(rounded >= floor).tolist()
        passed = sorted(enough, key=lambda i: (-rounded[i], bool(rows[i].parent), i))
        top = [i for i in passed if not rows[i].parent][: self.scheme.most]
        ids = {rows[i].id for i in top}
        below = [i for i in passed if rows[i].parent in ids][: self.scheme.most]
        return [(rows[i], float(rounded[i])) for i in passed if i in top or i in below]


def targets(scheme: Scheme, vocabulary: Vocabulary) -> list[tuple[int, ...]]:
    """For each concept the positions of the categories that it leads to: those of the nearest concept that has any."""
    named: dict[str, list[int]] = {}
    for position, row in enumerate(scheme.rows):
        for name in row.concepts:
            named.setdefault(name, []).append(position)
    found: list[tuple[int, ...]] = []
    for concept in vocabulary.concepts:
        parent = () if concept.parent is None else found[vocabulary.index[concept.parent]]
        found.append(tuple(named.get(concept.name, parent)))
    return found


def _membership(scheme: Scheme, vocabulary: Vocabulary) -> Floats:
    """Share of each concept that belongs to each category, (m, k); several categories share a concept equally."""
    membership = np.zeros((len(vocabulary.concepts), len(scheme.rows)), np.float32)
    if not vocabulary.flat:
        found = targets(scheme, vocabulary)
        number = np.array([len(positions) for positions in found])
        concepts = np.repeat(np.arange(len(found)), number)
        membership[concepts, list(chain.from_iterable(found))] = 1 / number[concepts]
    return membership


def _among(scheme: Scheme, vocabulary: Vocabulary) -> dict[int, Floats]:
    """For categories that need facets, which concepts (m,) are of these."""
    facets = np.array([concept.facet for concept in vocabulary.concepts])
    return {
        position: np.isin(facets, row.needs).astype(np.float32) for position, row in enumerate(scheme.rows) if row.needs
    }


def _upward(scheme: Scheme) -> Floats:
    """Adds to each category's score what is beneath it: (k, k)."""
    upward = np.zeros((len(scheme.rows), len(scheme.rows)), np.float32)
    for position in range(len(scheme.rows)):
        upward[position, list(scheme.above(position))] = 1
    return upward


def check(schemes: Sequence[Scheme], vocabulary: Vocabulary) -> None:
    """Raise `TaxonomyError` for a category that names a concept which is not there."""
    for scheme in schemes:
        for row in scheme.rows:
            for name in row.concepts:
                if name not in vocabulary.by_name:
                    raise TaxonomyError(f"{scheme.name}: {row.label!r} names {name!r}, which is not a concept")
