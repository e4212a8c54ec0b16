"""What a customer wants to see, and what counts as evidence."""

from dataclasses import dataclass
from typing import NamedTuple


class Thresholds(NamedTuple):
    """What counts as evidence; depends on the encoder, which brings its own.

    Attributes:
        score: no keyword with a lower score.
        margin: no keyword whose score is below this share of the best one's.
        raw: an image whose best `raw` is lower gets no keywords: the encoder knows nothing like it.
    """

    score: float = 0.0
    margin: float = 0.0
    raw: float = -1.0


NO_THRESHOLDS = Thresholds()


@dataclass(frozen=True, slots=True)
class Policy:
    """What a customer wants to see.

    Attributes:
        max_keywords: at most so many; agencies take 49 or 50.
        languages: of the labels; English is always there.
        personal: whether personal attributes (age, gender, origin …) may be shown.
        thresholds: what counts as evidence; a flat vocabulary knows only `thresholds.score`.
    """

    max_keywords: int = 49
    languages: tuple[str, ...] = ("en",)
    personal: bool = False
    thresholds: Thresholds = NO_THRESHOLDS
