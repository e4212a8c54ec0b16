"""What a feed tells of itself while it goes on, as a Protocol. `worker/feed_metrics.py` counts it."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from tasks.feeding.deliver import What
from tasks.feeding.reconcile import Compared

Away = Literal["stream", "index"]
"""What does not answer: the change stream; or the index, or the sidecars that it is made of."""


class Watcher(Protocol):
    """Told of everything that an operator counts. Returns at once and never raises."""

    def delivered(self, outcomes: Mapping[What, int]) -> None:
        """So many images were looked at, and this became of them."""

    def committed(self, lags: Sequence[float]) -> None:
        """Changes are visible to searches, so many seconds after each was announced."""

    def compared(self, compared: Compared, seconds: float) -> None:
        """An index was compared with the sidecars, and put right."""

    def away(self, what: Away, seconds: float) -> None:
        """Something did not answer, and was not asked again for so many seconds."""


class Silent:
    """A `Watcher` that nobody listens to."""

    def delivered(self, outcomes: Mapping[What, int]) -> None:
        """Nothing."""

    def committed(self, lags: Sequence[float]) -> None:
        """Nothing."""

    def compared(self, compared: Compared, seconds: float) -> None:
        """Nothing."""

    def away(self, what: Away, seconds: float) -> None:
        """Nothing."""
