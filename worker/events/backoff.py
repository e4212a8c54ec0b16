"""Waiting longer each time something does not work."""

from collections.abc import Callable, Iterator

Wait = Callable[[float], bool]
"""Waits so many seconds; true at once if it is time to stop, as `threading.Event.wait` does."""


def growing(first: float = 1.0, most: float = 60.0) -> Iterator[float]:
    """Seconds to wait: `first`, twice that, and so on, `most` for ever."""
    seconds = first
    while True:
        yield seconds
        seconds = min(2 * seconds, most)
