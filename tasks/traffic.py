"""Requests to stores and bytes on the way, as S3 bills them: plain sums, for reports and for what a run will cost."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Literal, Protocol, Self

Operation = Literal["list", "get", "head", "put", "delete"]
OPERATIONS: tuple[Operation, ...] = ("list", "get", "head", "put", "delete")


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests by kind, and bytes.

    Attributes:
        list: pages of listings, of at most 1,000 keys each.
        get: of objects, of parts of them, and of their tags.
        head: of objects and buckets.
        put: writes, refused ones too.
        delete: which Amazon does not bill.
        read: bytes that came: objects' contents and pages of listings.
        written: bytes of contents that were sent.
    """

    list: int = 0
    get: int = 0
    head: int = 0
    put: int = 0
    delete: int = 0
    read: int = 0
    written: int = 0

    def __add__(self, other: Self) -> "Traffic":
        """Both together."""
        return Traffic(*(getattr(self, name) + getattr(other, name) for name in _NAMES))

    def __sub__(self, other: Self) -> "Traffic":
        """What this has more."""
        return Traffic(*(getattr(self, name) - getattr(other, name) for name in _NAMES))

    def __mul__(self, times: int) -> "Traffic":
        """So many times that."""
        return Traffic(*(getattr(self, name) * times for name in _NAMES))

    @property
    def requests(self) -> int:
        """Of all kinds."""
        return sum(getattr(self, operation) for operation in OPERATIONS)

    def to_counts(self) -> dict[str, int]:
        """Those that are not 0, by the names that they have among a run's counts: `requests:get`, `bytes:read`."""
        return {_COUNT[name]: count for name, count in asdict(self).items() if count}

    @classmethod
    def from_counts(cls, counts: Mapping[str, int]) -> Self:
        """Inverse of `to_counts`; other names are left out."""
        return cls(**{name: counts.get(_COUNT[name], 0) for name in _NAMES})


_NAMES = tuple(field.name for field in fields(Traffic))
_COUNT = {name: f"{'requests' if name in OPERATIONS else 'bytes'}:{name}" for name in _NAMES}


def divided(counts: Mapping[str, int]) -> tuple[dict[str, int], Traffic]:
    """A run's counts: images by outcome, and what they cost."""
    outcomes = {name: count for name, count in counts.items() if not name.startswith(("requests:", "bytes:"))}
    return outcomes, Traffic.from_counts(counts)


class Meter(Protocol):
    """Counts what stores are asked for."""

    def mine(self) -> Traffic:
        """What the calling thread has caused so far."""


class Nothing:
    """A `Meter` where nothing is counted: folders bill no requests."""

    def mine(self) -> Traffic:
        """None."""
        return Traffic()
