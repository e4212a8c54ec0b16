"""Greedy and beam search over any model that tells how its sequences may go on, for many images at once.

Beam search: of each image the `beams` likeliest unfinished sequences are kept. At every step their continuations are
ranked by the sum of their log-probabilities; of the first `2 * beams`, those that end are finished, and the first
`beams` that do not are kept. A finished sequence Y counts log P(Y) / lp(Y), with the length penalty of Wu et al. 2016
(arXiv 1609.08144, equation 14) without its coverage: lp(Y) = ((5 + |Y|) / 6) ** alpha, |Y| with the end token. An image
is done when no unfinished sequence can any more come in front of its `beams` best finished ones, or at the greatest
length. What has not ended by then is given only where nothing ended: half a sentence is no caption.
"""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import torch

VERSION = 1


@dataclass(frozen=True, slots=True)
class Decoding:
    """How sequences are searched for.

    Attributes:
        beams: sequences followed for an image; 1 is greedy search.
        max_tokens: at most so many tokens follow the start token, the end token among them.
        min_tokens: so many come before the end token at least.
        length_penalty: alpha above; 0 prefers short captions, 1 divides by nearly the length.
        no_repeat: a sequence of so many tokens comes but once in a caption; 0 for no such rule.
    """

    beams: int = 4
    max_tokens: int = 30
    min_tokens: int = 5
    length_penalty: float = 0.6
    no_repeat: int = 3


class Hypothesis(NamedTuple):
    """A sequence that was found: token ids without start and end, and log P(Y) / lp(Y).

    `ended` is false if the greatest length cut it.
    """

    tokens: tuple[int, ...]
    score: float
    ended: bool


class Steps(Protocol):
    """A model in the middle of its sequences: one row for each.

    Attributes:
        start: the token that every sequence begins with.
        ends: tokens that end a sequence; the first is the end token, others count as it.
        limit: at most so many tokens follow the start token.
    """

    start: int
    ends: tuple[int, ...]
    limit: int

    def advance(self, tokens: "torch.Tensor") -> "torch.Tensor":
        """Append a token to each row, (rows,); gives the logits of the next one, float32 (rows, vocabulary)."""

    def reorder(self, rows: "torch.Tensor") -> None:
        """Rows become copies of these rows, (rows,), each of the same image's."""

    def keep(self, images: "torch.Tensor") -> None:
        """Of all images only these places are left, (k,)."""


def search(steps: Steps, images: int, decoding: Decoding) -> list[list[Hypothesis]]:
    """Sequences for each image, the best first: one in greedy search, at most `beams` in beam search.

    Args:
        steps: a fresh model with `images * decoding.beams` rows, an image's rows beside each other.
        images: n, at least 1.
        decoding: how to search.
    """
    import torch

    with torch.inference_mode():
        return _greedy(steps, images, decoding) if decoding.beams == 1 else _Beams(steps, images, decoding).search()


def length_penalty(length: int, alpha: float) -> float:
    """lp(Y) of Wu et al. 2016 for |Y| tokens."""
    return float(((5 + length) / 6) ** alpha)


def most_tokens(steps: Steps, decoding: Decoding) -> int:
    """The greatest length that settings and model allow, the end token included."""
    return min(decoding.max_tokens, steps.limit)


def _forbid(scores: "torch.Tensor", history: "torch.Tensor", steps: Steps, decoding: Decoding) -> None:
    """Set to -inf what may not come next: scores (rows, vocabulary) after a history (rows, length), start included."""
    length = history.shape[1] - 1
    if length < decoding.min_tokens:
        scores[:, list(steps.ends)] = -math.inf
    size = decoding.no_repeat
    if size and length >= size:
        windows = history[:, 1:].unfold(1, size, 1)
        last = history[:, history.shape[1] - size + 1 :]
        seen = (windows[:, :, :-1] == last[:, None]).all(-1).nonzero()
        scores[seen[:, 0], windows[seen[:, 0], seen[:, 1], -1]] = -math.inf


def _greedy(steps: Steps, images: int, decoding: Decoding) -> list[list[Hypothesis]]:
    """The likeliest token at every step."""
    import torch

    most = most_tokens(steps, decoding)
    found: list[list[Hypothesis]] = [[] for _ in range(images)]
    places = torch.arange(images)
    history = torch.full((images, 1), steps.start)
    sums = torch.zeros(images)
    for length in range(1, most + 1):
        logits = steps.advance(history[:, -1]).cpu()
        chances = logits.log_softmax(1)
        _forbid(logits, history, steps, decoding)
        token = logits.argmax(1)
        sums = sums + chances.gather(1, token[:, None])[:, 0]
        history = torch.cat([history, token[:, None]], 1)
        ended = torch.isin(token, torch.tensor(steps.ends))
        for row in (ended.nonzero()[:, 0] if length < most else torch.arange(len(token))).tolist():
            over = bool(ended[row])
            tokens = tuple(history[row, 1:].tolist())[: -1 if over else None]
            score = float(sums[row]) / length_penalty(length, decoding.length_penalty)
            found[int(places[row])].append(Hypothesis(tokens, score, over))
        left = (~ended).nonzero()[:, 0]
        if not len(left) or length == most:
            break
        if len(left) < len(ended):
            steps.keep(left)
            places, history, sums = places[left], history[left], sums[left]
    return found


class _Beams:
    """Beam search, the state of it: row `image * beams + beam` of each tensor is one sequence."""

    def __init__(self, steps: Steps, images: int, decoding: Decoding) -> None:
        import torch

        self._steps, self._decoding, self._most = steps, decoding, most_tokens(steps, decoding)
        self._places = torch.arange(images)
        self._history = torch.full((images * decoding.beams, 1), steps.start)
        # All rows of an image begin alike: but for the first they must not be continued.
        self._sums = torch.full((images, decoding.beams), -math.inf)
        self._sums[:, 0] = 0.0
        self._finished: list[list[Hypothesis]] = [[] for _ in range(images)]

    def search(self) -> list[list[Hypothesis]]:
        """Best first, for each image."""
        import torch

        for length in range(1, self._most + 1):
            self._step(length)
            images = len(self._places)
            left = torch.tensor([i for i in range(images) if length < self._most and not self._done(i, length)])
            if not len(left):
                break
            if len(left) < images:
                self._drop(left)
        return [sorted(found, key=lambda one: (-one.score, one.tokens)) for found in self._finished]

    def _step(self, length: int) -> None:
        """Make every sequence one token longer, and collect what ended."""
        import torch

        beams = self._decoding.beams
        logits = self._steps.advance(self._history[:, -1]).cpu()
        scores = logits.log_softmax(1)
        _forbid(scores, self._history, self._steps, self._decoding)
        size = scores.shape[1]
        sums = self._sums[:, :, None] + scores.view(-1, beams, size)
        values, which = sums.view(len(self._places), -1).topk(min(2 * beams, beams * size), dim=1)
        tokens, parents = which % size, which // size
        ending = torch.isin(tokens, torch.tensor(self._steps.ends))
        # A stable sort puts those that go on first, and keeps their order.
        going = ending.long().sort(dim=1, stable=True).indices[:, :beams]
        self._collect(values, parents, ending, length)
        self._sums = values.gather(1, going).masked_fill(ending.gather(1, going), -math.inf)
        rows = (parents.gather(1, going) + torch.arange(len(self._places))[:, None] * beams).view(-1)
        self._steps.reorder(rows)
        self._history = torch.cat([self._history[rows], tokens.gather(1, going).view(-1, 1)], 1)
        if length == self._most:
            self._cut(length)

    def _collect(
        self,
        values: "torch.Tensor",
        parents: "torch.Tensor",
        ending: "torch.Tensor",
        length: int,
    ) -> None:
        """Take in what ended, all (images, candidates); of one image no more than `beams`."""
        penalty = length_penalty(length, self._decoding.length_penalty)
        for image, place in (ending & values.isfinite()).nonzero().tolist():
            row = image * self._decoding.beams + int(parents[image, place])
            found = Hypothesis(
                tuple(self._history[row, 1:].tolist()), float(values[image, place]) / penalty, ended=True
            )
            known = self._finished[int(self._places[image])]
            # Two tokens may end one and the same text.
            if all(found.tokens != other.tokens for other in known):
                known[:] = heapq.nlargest(self._decoding.beams, [*known, found], key=lambda one: one.score)

    def _cut(self, length: int) -> None:
        """At the greatest length: what is unfinished, where nothing was finished."""
        penalty = length_penalty(length, self._decoding.length_penalty)
        for image, place in enumerate(self._places.tolist()):
            if not self._finished[place]:
                rows = range(image * self._decoding.beams, (image + 1) * self._decoding.beams)
                self._finished[place] = [
                    Hypothesis(tuple(self._history[row, 1:].tolist()), float(value) / penalty, ended=False)
                    for row, value in zip(rows, self._sums[image], strict=True)
                    if value.isfinite()
                ]

    def _done(self, image: int, length: int) -> bool:
        """Whether nothing unfinished can come in front: a sum only falls, and the penalty helps most at the end."""
        finished = self._finished[int(self._places[image])]
        best = float(self._sums[image].max())
        if best == -math.inf:
            return True
        if len(finished) < self._decoding.beams:
            return False
        longest = self._most if self._decoding.length_penalty > 0 else length + 1
        hope = best / length_penalty(longest, self._decoding.length_penalty)
        return hope <= min(one.score for one in finished)

    def _drop(self, left: "torch.Tensor") -> None:
        """Go on with these images only, (k,)."""
        import torch

        beams = self._decoding.beams
        rows = (left[:, None] * beams + torch.arange(beams)).view(-1)
        self._steps.keep(left)
        self._places, self._sums, self._history = self._places[left], self._sums[left], self._history[rows]


def texts_of(hypotheses: Sequence[Hypothesis]) -> list[tuple[int, ...]]:
    """The token ids of those that ended; of all, where none did."""
    ended = [one.tokens for one in hypotheses if one.ended]
    return ended or [one.tokens for one in hypotheses]
