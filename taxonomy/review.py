"""What a person should look at before a picture is sold, from zero-shot scores.

`data/review.tsv` has a flag a line: its threshold, prompts that speak for it and prompts that speak against it, `|`
between them. The picture is compared with all of them; a softmax at the encoder's temperature makes the cosines shares,
and what the prompts for the flag get together is its probability.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import accumulate
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from taxonomy import exact
from taxonomy.choose import DECIMALS
from taxonomy.concepts import TaxonomyError
from taxonomy.exact import Floats
from taxonomy.files import read_table
from taxonomy.score import softmax

COLUMNS = ("flag", "threshold", "for", "against")
FLAGS = frozenset({"mature", "minor", "brand", "text"})
"""The shipped ones: mature content, recognisable minors, visible brands, text or watermarks."""


@dataclass(frozen=True, slots=True)
class ReviewFlag:
    """One flag: `yes` where the prompts `speaking_for` it get at least `threshold` of the probability."""

    name: str
    threshold: float
    speaking_for: tuple[str, ...]
    speaking_against: tuple[str, ...]

    @property
    def prompts(self) -> tuple[str, ...]:
        """Those for, then those against."""
        return (*self.speaking_for, *self.speaking_against)


class Finding(NamedTuple):
    """What became of one flag in one picture, and why."""

    flag: str
    verdict: Literal["yes", "no", "not assessed"]
    reason: str


def load_flags() -> tuple[ReviewFlag, ...]:
    """The shipped flags. Raises `TaxonomyError` with file and line."""
    path = files("taxonomy") / "data" / "review.tsv"
    return tuple(_flag(f"{path}:{line}", row) for line, row in read_table(path, COLUMNS, COLUMNS))


def _flag(place: str, row: Mapping[str, str]) -> ReviewFlag:
    try:
        threshold = float(row["threshold"])
    except ValueError as error:
        raise TaxonomyError(f"{place}: the threshold {row['threshold']!r} is no number") from error
    return ReviewFlag(row["flag"], threshold, tuple(row["for"].split("|")), tuple(row["against"].split("|")))


def assessed(flags: Sequence[ReviewFlag], able: frozenset[str], wanted: Mapping[str, float | None]) -> list[ReviewFlag]:
    """The flags that the encoder can tell and that are not switched off, whose prompts have to be embedded."""
    return [flag for flag in flags if flag.name in able and wanted.get(flag.name, flag.threshold) is not None]


class Reviewer:
    """Gives a picture its flags.

    Args:
        flags: all there are.
        prompts: embeddings of the prompts of `assessed`, one after the other, (p, d), unit length.
        logit_scale: inverse temperature.
        able: the flags that the encoder can tell.
        wanted: flag to a threshold in place of its own; `None` switches it off.
    """

    def __init__(
        self,
        flags: Sequence[ReviewFlag],
        prompts: Floats,
        logit_scale: float,
        able: frozenset[str],
        wanted: Mapping[str, float | None],
    ) -> None:
        chosen = assessed(flags, able, wanted)
        ends = list(accumulate(len(flag.prompts) for flag in chosen))
        if len(prompts) != (ends[-1] if ends else 0):
            raise ValueError(f"{len(prompts)} embeddings for {ends[-1] if ends else 0} prompts")
        self.flags = tuple(flags)
        self._able, self._wanted = able, wanted
        self._prompts = exact.directions(prompts).T
        self._logit_scale = logit_scale
        self._spans = {f.name: slice(end - len(f.prompts), end) for f, end in zip(chosen, ends, strict=True)}

    def score(self, embeddings: Floats) -> Floats:
        """The share of each prompt among its flag's, (n, p), from unit vectors (n, d)."""
        if not self._spans:
            return np.zeros((len(embeddings), 0), np.float32)
        logits = exact.cosines(exact.directions(embeddings), self._prompts) * self._logit_scale
        return np.concatenate([softmax(logits[:, span]) for span in self._spans.values()], axis=1)

    def judge(self, shares: NDArray[np.float32]) -> list[Finding]:
        """All flags of one picture from its shares (p,), in the order in which they were given."""
        return [self._finding(flag, shares) for flag in self.flags]

    def _finding(self, flag: ReviewFlag, shares: NDArray[np.float32]) -> Finding:
        if flag.name not in self._able:
            return Finding(flag.name, "not assessed", "the encoder cannot tell it")
        threshold = self._wanted.get(flag.name, flag.threshold)
        if threshold is None:
            return Finding(flag.name, "not assessed", "the policy switched it off")
        own = shares[self._spans[flag.name]].astype(np.float64)
        probability = round(float(own[: len(flag.speaking_for)].sum()), DECIMALS)
        verdict: Literal["yes", "no"] = "yes" if probability >= threshold else "no"
        nearest = flag.prompts[int(np.argmax(np.round(own, DECIMALS)))]
        return Finding(flag.name, verdict, f"{probability} of {threshold:g} needed; nearest to {nearest!r}")
