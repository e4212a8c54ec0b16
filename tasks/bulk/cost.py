"""What a bulk run costs: requests, bytes, money and time, from the counts of a listing.

The requests of an image are held against the code by a test, and the tables of docs/backfill.md are made of them.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

from tasks.bulk.results import Counts
from tasks.reading import START
from tasks.rescoring.packs import ROWS
from tasks.traffic import Traffic

Way = Literal["tag", "rendition", "rescore", "packed"]

PAGE = 1000
"""Keys in a page of a listing."""

PER_IMAGE: Mapping[Way, Traffic] = {
    "tag": Traffic(get=2, head=2, put=1),
    "rendition": Traffic(get=3, head=2, put=1),
    "rescore": Traffic(get=1, head=1, put=1),
    "packed": Traffic(head=1, put=1),
}
"""Requests for one image that a listing showed to have no record yet, where nothing goes wrong.

Two GETs more where that is not known, as of an upload, or where there is a record of an older content.
Beyond that a pack costs a HEAD and a GET for `tasks.rescoring.packs.ROWS` images, and an image whose rendition is
missing one GET more than one that is tagged.
"""

MEANINGS: Mapping[Way, str] = {
    "tag": "images are read and tagged",
    "rendition": "renditions are read, and the beginnings of the originals",
    "rescore": "embeddings are taken from the records of another generation",
    "packed": "embeddings are taken from packs",
}

RECORD_BYTES = 3_300
"""Of a record: the mean of 60 photographs with `starter` and English labels, 3,259 bytes, rounded."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Of requests, in US dollars for 1,000. Bytes cost nothing within a region, and DELETE costs nothing at all.

    The defaults are those of S3 Standard in us-east-1 as they have been quoted for years; other classes, regions and
    stores have others.

    Attributes:
        put: PUT and LIST.
        get: GET and HEAD.
    """

    put: float = 0.005
    get: float = 0.0004

    def of(self, traffic: Traffic) -> float:
        """What requests cost, US dollars."""
        return ((traffic.put + traffic.list) * self.put + (traffic.get + traffic.head) * self.get) / 1000


class Pace(NamedTuple):
    """How fast images are worked on, and who says so."""

    per_second: float
    source: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will cost from here on.

    Attributes:
        way: how images are worked on.
        images: to work on.
        listing: of this listing, and of the one that says that nothing is left.
        work: of the workers.
        dollars: for all of these requests.
        seconds: that the images take; `None` where no pace is known.
        basis: where each number comes from, one sentence each.
    """

    way: Way
    images: int
    listing: Traffic
    work: Traffic
    dollars: float
    seconds: float | None = None
    basis: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """JSON types only."""
        numbers = {"listing": self.listing.to_counts(), "work": self.work.to_counts()}
        return asdict(self) | numbers | {"dollars": round(self.dollars, 2)}


def pages(keys: int) -> Traffic:
    """Requests for a listing of so many keys; cut into parts it may take one more for each part."""
    return Traffic(list=max(1, -(-keys // PAGE)))


def listing_of(images: int, records: int) -> Traffic:
    """Requests for one listing of images and of their records, done and failed."""
    return pages(images) + pages(records) + pages(0)


def work_of(way: Way, images: int, size: int, record_bytes: int = RECORD_BYTES) -> Traffic:
    """What workers ask for.

    Args:
        way: how.
        images: how many.
        size: bytes that are read of them altogether.
        record_bytes: of one record, as it is written.
    """
    packs = Traffic(get=1, head=1) * (-(-images // ROWS) if way == "packed" else 0)
    return PER_IMAGE[way] * images + packs + Traffic(read=size, written=images * record_bytes)


def estimate(
    counts: Counts,
    way: Way,
    *,
    prices: Prices,
    pace: Pace | None = None,
    billed: bool = True,
    record_bytes: int | None = None,
) -> Estimate:
    """What a run costs whose listing found this.

    Args:
        counts: of a listing, `sent` being what there is to do and `bytes` its size.
        way: how it will be done.
        prices: of requests.
        pace: of the workers, if known.
        billed: whether the library lies on S3; a folder has no requests.
        record_bytes: of a record, if measured.
    """
    images = counts.sent
    size = _read(way, counts, record_bytes or RECORD_BYTES)
    seconds = images / pace.per_second if pace and pace.per_second > 0 else None
    time = f"Time: {pace.per_second:g} images a second, {pace.source}." if pace else "Time: no pace is known."
    if not billed:
        return Estimate(way, images, Traffic(), Traffic(), 0.0, seconds, ("A folder has no requests.", time))
    listed = Traffic.from_counts(counts.requests)
    measured = bool(listed.list)
    if not measured:
        listed = listing_of(counts.images + counts.others, counts.records)
        # The records that embeddings are taken from are listed beside the others.
        listed += pages(counts.images) if way in ("rescore", "packed") else Traffic()
    again = Traffic(list=listed.list) + Traffic(list=-(-images // PAGE)) if images else Traffic()
    work = work_of(way, images, size, record_bytes or RECORD_BYTES)
    if way in ("tag", "rendition"):
        work += Traffic(get=2) * max(0, images - counts.missing)
    basis = (
        f"Listing: {'counted in this one' if measured else 'a page for 1,000 keys'}"
        + (", and once more for the end with the new records." if images else "."),
        f"Requests: {requests_text(PER_IMAGE[way])} for an image ({MEANINGS[way]}); 2 GET more for one with a record.",
        _bytes_basis(way, record_bytes),
        f"Prices: {prices.put:g} USD for 1,000 PUT and LIST, {prices.get:g} for 1,000 GET and HEAD; bytes free.",
        time,
    )
    return Estimate(way, images, listed + again, work, prices.of(listed + again + work), seconds, basis)


def requests_text(traffic: Traffic) -> str:
    """`4 GET, 2 HEAD, 1 PUT`."""
    names = {"list": traffic.list, "get": traffic.get, "head": traffic.head, "put": traffic.put}
    return ", ".join(f"{count:,} {name.upper()}" for name, count in names.items() if count) or "none"


def _read(way: Way, counts: Counts, record_bytes: int) -> int:
    """Bytes that workers read."""
    if way == "tag":
        return counts.bytes
    if way == "rendition":
        return min(counts.bytes, counts.sent * START)
    return counts.sent * record_bytes


def _bytes_basis(way: Way, record_bytes: int | None) -> str:
    record = f"{record_bytes:,} bytes a record, measured here" if record_bytes else f"{RECORD_BYTES:,} bytes a record"
    read = {
        "tag": "what the listing says of the images",
        "rendition": f"at most {START >> 10} KiB of each original; renditions come on top, whose sizes are not known",
        "rescore": "a record each",
        "packed": "about a record each",
    }
    return f"Bytes: read, {read[way]}; written, {record}."
