"""Near-duplicates among results: the best stays and names the others."""

from collections.abc import Iterable
from typing import NamedTuple

BITS = 8
"""Perceptual hashes of 64 bits that differ in so many or fewer are of the same picture, resized or touched up."""
PLAIN = 8
"""Bits of a hash of which fewer are set or clear: a plain surface, whose hash says nothing."""


class Folded(NamedTuple):
    """A document that stays, and those that look the same, in their order."""

    id: str
    duplicates: tuple[str, ...] = ()


def fold(found: Iterable[tuple[str, str | None]], bits: int = BITS) -> list[Folded]:
    """Fold ids with their perceptual hashes, the best first; without a hash, nothing looks the same.

    Only what stays is compared with: pictures that drift apart in small steps do not fold into one.
    """
    kept: list[tuple[str, int | None, list[str]]] = []
    for id_, text in found:
        value = _value(text)
        same = None if value is None else next((one for one in kept if _near(one[1], value, bits)), None)
        if same is None:
            kept.append((id_, value, []))
        else:
            same[2].append(id_)
    return [Folded(id_, tuple(others)) for id_, _, others in kept]


def _near(one: int | None, other: int, bits: int) -> bool:
    return one is not None and (one ^ other).bit_count() <= bits


def _value(text: str | None) -> int | None:
    """A hash as a number; `None` where there is none that says anything."""
    if text is None:
        return None
    value = int(text, 16)
    return value if PLAIN <= value.bit_count() <= 64 - PLAIN else None
