"""A change stream that may be away, or not be there at all, while the rest of a feed goes on."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tasks.errors import Unavailable
from tasks.feeding.changes import Announced, ChangeStream
from tasks.feeding.patience import Patience


class PatientStream:
    """Asks a stream, unless it did not answer a moment ago; nothing here raises `Unavailable`.

    Args:
        stream: `None` where there is no broker.
        patience: with it.
        wait: waits so many seconds, or for the end of the feed.
    """

    def __init__(self, stream: ChangeStream | None, patience: Patience, wait: Callable[[float], object]) -> None:
        self._stream, self._patience, self._wait = stream, patience, wait
        self._asked = False

    @property
    def asked(self) -> bool:
        """Whether it has said what was missed, and has answered since; before that nothing is read."""
        return self._stream is None or self._asked

    def missed(self) -> str | None:
        """Why changes may have been missed; `None` also while it cannot say."""
        with self._asking() as stream:
            if stream is not None:
                reason = stream.missed()
                self._asked = True
                return reason
        return None

    def read(self, most: int, wait: float) -> Sequence[Announced]:
        """Changes, after `wait` seconds at most. None while nobody could ask what was missed before."""
        if self._asked:
            with self._asking() as stream:
                if stream is not None:
                    return stream.read(most, wait)
        if wait:
            self._wait(wait)
        return ()

    def done(self, announced: Sequence[Announced]) -> bool:
        """Say that these were delivered; whether it was told."""
        with self._asking() as stream:
            if stream is not None:
                stream.done(announced)
                return True
        return False

    def caught_up(self) -> bool:
        """Say that listings were compared since `missed` gave a reason; whether it was told."""
        with self._asking() as stream:
            if stream is not None:
                stream.caught_up()
                return True
        return False

    @contextmanager
    def _asking(self) -> Iterator[ChangeStream | None]:
        if self._stream is None or self._patience.left:
            yield None
            return
        try:
            yield self._stream
        except Unavailable as error:
            self._asked = False
            self._patience.failed(error)
        else:
            self._patience.answered()
