"""How two generations differ, image by image, in constant memory: counts, and the few that differ most."""

import heapq
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from tasks.records import Category, Keyword, Source, Status, decoded

PERSISTENCE = 0.9
"""The chance that who has read one keyword reads the next: ten in the mean, which are those that agencies weigh."""

EXAMPLES = 20

OWN = frozenset({Source.EMBEDDED, Source.HUMAN})
"""Keywords that a generation takes over and does not find; they are unbounded in number, and no gain or loss of its."""


@dataclass(frozen=True, slots=True)
class Pictured:
    """What a comparison needs of a record's image."""

    bucket: str
    key: str
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Brief:
    """What a comparison needs of a record, which is a tenth of it."""

    status: Status
    image: Pictured
    reason: str | None = None
    title: str | None = None
    caption: str | None = None
    alt_text: str | None = None
    keywords: tuple[Keyword, ...] = ()
    categories: Mapping[str, tuple[Category, ...]] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: bytes) -> "Brief":
        """Of a record's JSON. Raises `ValueError`."""
        return decoded(data, cls)


def overlap(one: Sequence[str], other: Sequence[str]) -> float:
    """How alike two lists of ranked names are, 0 to 1, each name once: what stands first counts most.

    The weighted Jaccard index (Ruzicka's similarity; Ioffe 2010, "Improved Consistent Sampling, Weighted Minhash and L1
    Sketching", ICDM): the sum of the lesser of a name's two weights over that of the greater. A weight is `PERSISTENCE`
    to the power of the rank, the chance that a reader gets so far (Webber, Moffat and Zobel 2010, "A similarity measure
    for indefinite rankings", ACM TOIS 28(4)). Their rank-biased overlap itself is not it: it takes a shorter list for a
    beginning, and sees no difference where words came after the last.
    """
    a, b = ({name: PERSISTENCE**rank for rank, name in enumerate(names)} for names in (one, other))
    names = list(dict.fromkeys([*one, *other]))
    lesser = math.fsum(min(a.get(name, 0.0), b.get(name, 0.0)) for name in names)
    greater = math.fsum(max(a.get(name, 0.0), b.get(name, 0.0)) for name in names)
    return lesser / greater if names else 1.0


class Pair(NamedTuple):
    """One image's records in two generations, and how far apart their keywords are, 0 to 1."""

    distance: float
    a: Brief
    b: Brief

    @property
    def lost(self) -> tuple[Keyword, ...]:
        """Keywords of `a` that `b` has not."""
        return _without(self.a, self.b)

    @property
    def gained(self) -> tuple[Keyword, ...]:
        """Keywords of `b` that `a` has not."""
        return _without(self.b, self.a)


def pair(a: Brief, b: Brief) -> Pair:
    """Put two records of the same image side by side."""
    alike = overlap([word.id for word in a.keywords], [word.id for word in b.keywords])
    return Pair(1.0 - alike, a, b)


def _without(one: Brief, other: Brief) -> tuple[Keyword, ...]:
    there = {word.id for word in other.keywords}
    return tuple(word for word in one.keywords if word.id not in there)


class Often(NamedTuple):
    """A keyword with its English label, and in how many images it was gained or lost."""

    id: str
    label: str
    images: int


class Examples:
    """A count, and the keys of the first few."""

    def __init__(self) -> None:
        self.count = 0
        self.keys: list[str] = []

    def add(self, key: str) -> None:
        """Count one."""
        self.count += 1
        if len(self.keys) < EXAMPLES:
            self.keys.append(key)


Where = Literal["only_a", "only_b", "failed_only_a", "failed_only_b", "failed_both", "other_content", "unreadable"]
"""Where an image is told apart without its keywords: it is in one generation only, failed in one or both, has a record
of another content in each, or one that cannot be read."""


class Comparison:
    """Takes images one by one, and holds counts and the `limit` that differ most; bounded by the vocabulary."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._worst: list[tuple[float, str, str, Pair]] = []
        self._labels: dict[str, str] = {}
        self._gained: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        self.compared = 0
        self.same = 0
        self.distance = 0.0
        self.apart: dict[Where, Examples] = {}
        self.changed: Counter[str] = Counter()
        """Images whose title, caption, alt_text, keywords, status or categories/SCHEME are not the same."""
        self.reasons: Counter[str] = Counter()
        """Why images failed in `b` that did not in `a`."""

    def tell_apart(self, where: Where, key: str, reason: str | None = None) -> None:
        """Count an image whose keywords cannot be compared."""
        self.apart.setdefault(where, Examples()).add(key)
        if reason is not None:
            self.reasons[reason] += 1

    def add(self, a: Brief, b: Brief) -> None:
        """Compare an image's two records, of the same content or counted as `other_content`."""
        if a.image.etag != b.image.etag:
            self.tell_apart("other_content", a.image.key)
            return
        found = pair(a, b)
        self.compared += 1
        self.distance += found.distance
        changes = list(_changes(a, b))
        self.changed.update(changes)
        self.same += not changes
        self._count(self._gained, found.gained)
        self._count(self._lost, found.lost)
        self._keep(found)

    def often(self, which: Literal["gained", "lost"], number: int) -> list[Often]:
        """The keywords that were gained or lost most often; ties by id."""
        counts = self._gained if which == "gained" else self._lost
        most = heapq.nsmallest(number, counts.items(), key=lambda item: (-item[1], item[0]))
        return [Often(name, self._labels[name], images) for name, images in most]

    def total(self, which: Literal["gained", "lost"]) -> int:
        """How many keywords were gained or lost, over all images."""
        return (self._gained if which == "gained" else self._lost).total()

    @property
    def worst(self) -> list[Pair]:
        """The images that differ most, the most different first; ties by key."""
        return [kept[-1] for kept in sorted(self._worst, key=lambda kept: (-kept[0], kept[-1].a.image.key))]

    def _count(self, counts: Counter[str], words: Sequence[Keyword]) -> None:
        for word in words:
            if word.source not in OWN:
                counts[word.id] += 1
                self._labels.setdefault(word.id, word.labels.get("en", word.id))

    def _keep(self, found: Pair) -> None:
        if not found.distance or not self._limit:
            return
        image = found.a.image
        # Of equally different ones those whose keys come first stay, whatever the order of arrival.
        entry = (found.distance, _backwards(image.key), image.bucket, found)
        if len(self._worst) < self._limit:
            heapq.heappush(self._worst, entry)
        elif entry[:2] > self._worst[0][:2]:
            heapq.heapreplace(self._worst, entry)


def _backwards(key: str) -> str:
    """Sorts the other way round."""
    return "".join(chr(0x10FFFF - ord(character)) for character in key) + chr(0x10FFFF)


def _changes(a: Brief, b: Brief) -> Iterator[str]:
    for name in ("status", "title", "caption", "alt_text"):
        if getattr(a, name) != getattr(b, name):
            yield name
    if [word.id for word in a.keywords] != [word.id for word in b.keywords]:
        yield "keywords"
    for scheme in sorted(a.categories.keys() | b.categories.keys()):
        one, other = (tuple(c.id for c in brief.categories.get(scheme, ())) for brief in (a, b))
        if one != other:
            yield f"categories/{scheme}"
