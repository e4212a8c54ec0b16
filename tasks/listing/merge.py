"""Two listings side by side, images and their records: what each image has, in constant memory.

Both sides come in their stores' own order. A record's key is its image's with a suffix, and that changes the order:
`foo-1.jpg.json` comes before `foo.jpg.json`, but `foo` before `foo-1`. So images are held back and brought into the
order of their records. A listing out of order is an error, because keys would be taken for missing or orphaned.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from heapq import merge as merge_sorted
from typing import Literal, NamedTuple, TypeVar

from tasks.errors import ConfigurationError, StockmetaError, Unavailable
from tasks.layout import SUFFIX
from tasks.listing.order import Order
from tasks.ports import Stat

Side = Literal["done", "failed", "stored"]
SIDES: tuple[Side, ...] = ("done", "failed", "stored")

Row = TypeVar("Row")

Entry = tuple[str, int, Stat]
"""What to sort by, 0 for an image or the place of the record's listing from 1, and the object."""


class Found(NamedTuple):
    """What there is of one image.

    Attributes:
        key: the image's.
        image: `None` where only records are left: an orphan.
        done: its sidecar in the generation being filled.
        failed: its terminal record there.
        stored: its sidecar in the generation whose embeddings may be used again.
    """

    key: str
    image: Stat | None
    done: Stat | None = None
    failed: Stat | None = None
    stored: Stat | None = None


class Listing(NamedTuple):
    """One side of a merge.

    Attributes:
        name: of the store, for messages.
        stats: objects in the store's order.
        prefix: what comes before the image's key in the keys of records; images have none.
    """

    name: str
    stats: Iterator[Stat]
    prefix: str = ""


def merge(images: Listing, records: Mapping[Side, Listing], order: Order) -> Iterator[Found]:
    """Every image and every record of an image that is not there, each once, in the order of the records.

    At most 1,024 images are held at a time: those whose keys begin with one another.

    Args:
        images: all of them; what is no image has to be left out already.
        records: by kind; what does not end with `.json` is skipped.
        order: in which all of the listings are.

    Raises:
        ConfigurationError: a listing goes back: the store has another order.
        Unavailable: a listing gives a key twice; and whatever a listing raises. What was found until then is true all
            the same.
    """
    return align(images, [records.get(side) for side in SIDES], order, Found)


def align(plain: Listing, suffixed: Sequence[Listing | None], order: Order, make: Callable[..., Row]) -> Iterator[Row]:
    """Listings under one another: those of objects by their keys, and those of what has `.json` after the same keys.

    Args:
        plain: of keys as they are.
        suffixed: the others; `None` keeps the place of one that is left out.
        order: in which all of them are.
        make: makes a row of the key and of what each listing has of it, `plain` first.

    Raises:
        ConfigurationError: as `merge` does; and `Unavailable`.
    """
    present = [(which, listing) for which, listing in enumerate(suffixed, 1) if listing is not None]
    sides = [_images(plain, order), *(_records(listing, order, which) for which, listing in present)]
    cuts = [0] * (1 + len(suffixed))
    for which, listing in present:
        cuts[which] = len(listing.prefix)
    row: list[Stat | None] = [None] * len(cuts)
    key = current = ""
    for sort, which, stat in merge_sorted(*sides):
        if sort != current:
            if current:
                yield make(key, *row)
                row = [None] * len(row)
            current = sort
            key = stat.key[cuts[which] : -len(SUFFIX)] if which else stat.key
        row[which] = stat
    if current:
        yield make(key, *row)


def _images(listing: Listing, order: Order) -> Iterator[Entry]:
    """Images in the order of `key + ".json"`.

    With the next key read, whatever sorts up to it may leave, and what stays is a key that the next begins with; so
    the next one's record sorts before those of all that stay, and they leave from the end.
    """
    held: list[Entry] = []
    for sort, stat in _ascending(listing, order):
        while held and held[-1][0] <= sort:
            yield held.pop()
        held.append((sort + SUFFIX, 0, stat))
    while held:
        yield held.pop()


def _records(listing: Listing, order: Order, which: int) -> Iterator[Entry]:
    begin = len(listing.prefix)
    for sort, stat in _ascending(listing, order):
        if sort.endswith(SUFFIX) and len(sort) > begin + len(SUFFIX):
            yield sort[begin:], which, stat


def _ascending(listing: Listing, order: Order) -> Iterator[tuple[str, Stat]]:
    """Objects with what they are sorted by (`tasks.listing.order.sortable`, in line: it is called for every key)."""
    last = ""
    by_path = order == "path"
    for stat in listing.stats:
        sort = stat.key.replace("/", "\0") if by_path else stat.key
        if sort <= last:
            raise _out_of_order(listing.name, last, sort, order)
        last = sort
        yield sort, stat


def _out_of_order(name: str, last: str, sort: str, order: Order) -> StockmetaError:
    last, key = (text.replace("\0", "/") for text in (last, sort))
    if last == key:
        return Unavailable(f"the listing of {name} gave {key!r} twice; try again")
    other = "path" if order == "bytes" else "bytes"
    return ConfigurationError(
        f"the listing of {name} gave {key!r} after {last!r}, so it is not in the order that is expected ({order}); "
        f"set STOCKMETA_S3_ORDER={other} if that is how the store lists"
    )
