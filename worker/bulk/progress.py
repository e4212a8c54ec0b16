"""A bulk run as it goes on: some lines that change on a terminal, elsewhere a line every half minute."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from time import monotonic
from typing import NamedTuple

from rich.console import RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tasks.bulk.results import Progress, without_metadata
from worker import console

EVERY_SECONDS = 30.0
REASONS = 5
"""The most frequent reasons that are shown."""

Show = Callable[[Progress], None]
MINUTE, HOUR, DAY = 60, 3600, 86400


class Line(NamedTuple):
    """One thing to say, and whether somebody should look at it."""

    what: str
    text: str
    alarming: bool = False


@contextmanager
def shown(*, as_json: bool = False) -> Iterator[Show]:
    """What to call with each `Progress`, as often as one likes; what is shown ends with the block.

    Args:
        as_json: for programs: one JSON object a line on standard error, at most one a second unless something is new.
    """
    if as_json:
        yield Slowly(_line, to_json, every=1.0)
        return
    terminal = console.stderr()
    if not terminal.is_terminal:
        yield Slowly(console.say)
        return
    with Live(console=terminal, refresh_per_second=4, transient=True) as live:
        yield lambda progress: live.update(drawn(progress))


class Slowly:
    """Says a line now and then, and at once what is new: another pass or phase, and what somebody should look at."""

    def __init__(
        self,
        say: Callable[[str], None],
        text: Callable[[Progress], str] | None = None,
        *,
        every: float = EVERY_SECONDS,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._say, self._text, self._every, self._clock = say, text or in_one_line, every, clock
        self._last: float | None = None
        self._before: tuple[object, ...] | None = None

    def __call__(self, progress: Progress) -> None:
        """See `Show`."""
        now, key = self._clock(), (progress.number, progress.phase, progress.note)
        if self._last is None or key != self._before or now - self._last >= self._every:
            self._last, self._before = now, key
            self._say(self._text(progress))


def _line(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def to_json(progress: Progress) -> str:
    """The same for programs: the fields of `Progress`, and how many images ended."""
    return json.dumps(asdict(progress) | {"ended": progress.ended}, ensure_ascii=False)


def in_one_line(progress: Progress) -> str:
    """All of it, for a log."""
    first, *rest = lines(progress)
    return f"{first.what} {first.text}: " + "; ".join(
        f"{line.what} {line.text}" if line.what else line.text for line in rest
    )


def drawn(progress: Progress) -> RenderableType:
    """All of it, for a terminal."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", justify="right")
    table.add_column(overflow="fold")
    share = done(progress)
    bar = ProgressBar(total=1.0, completed=share or 0.0, width=60, pulse=share is None and progress.phase == "listing")
    table.add_row("", bar)
    for line in lines(progress):
        # Not as markup: keys and errors are in it.
        table.add_row(Text(line.what), Text(line.text, style="bold yellow" if line.alarming else ""))
    return table


def lines(progress: Progress) -> list[Line]:
    """What there is to say, the phase first."""
    counts, paused = progress.counts, progress.phase == "paused"
    found = [Line("pass", f"{progress.number}, {progress.phase}", paused)]
    listed = f"{counts.images:,} images" + (f" of about {progress.expected:,}" if progress.expected else "")
    if counts.complete:
        listed += ", all of them"
    found.append(Line("listed", listed))
    found.append(Line("to do", f"{counts.missing:,} missing, {counts.stale:,} stale"))
    found.append(Line("sent", f"{progress.sent:,}"))
    found.append(Line("ended", f"{progress.ended:,}"))
    if progress.phase != "ended":
        found.append(Line("rate", f"{progress.per_second:,.1f} images a second over the last minute"))
        found.append(Line("remaining", remaining_text(progress)))
    found.append(Line("open", messages(progress.open)))
    if reasons := frequent(progress.outcomes):
        found.append(Line("without metadata", reasons))
    if paused:
        found.append(Line("", "paused: nothing is sent until the process is told to go on", True))
    elif not progress.workers and progress.sent and progress.phase != "ended" and not progress.note:
        found.append(Line("", "no worker is heard of", True))
    if progress.note:
        found.append(Line("", printable(progress.note), True))
    return found


def frequent(outcomes: Mapping[str, int], most: int = REASONS) -> str:
    """Outcomes without metadata, the most frequent first: `truncated 12, unreadable 3`."""
    ranked = sorted(without_metadata(outcomes).items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{printable(name.partition('/')[2] or name)} {count:,}" for name, count in ranked[:most])
    more = sum(count for _, count in ranked[most:])
    return f"{shown}, others {more:,}" if more else shown


def done(progress: Progress) -> float | None:
    """Which share of the pass is done; `None` where nobody knows."""
    counts = progress.counts
    if progress.phase == "ended":
        return 1.0
    left = progress.sent - progress.ended
    if counts.complete or progress.phase == "waiting":
        return 1.0 - left / counts.sent if counts.sent else 1.0
    if not progress.expected or not counts.images:
        return None
    # What is in hand is listed and not done.
    return max(0.0, min(1.0, (counts.images - left) / progress.expected))


def remaining(progress: Progress) -> float | None:
    """Seconds until all has ended, at the pace so far; `None` where nobody knows."""
    left, counts = progress.sent - progress.ended, progress.counts
    if counts.complete or progress.phase == "waiting":
        if left <= 0:
            return 0.0
        return left / progress.per_second if progress.per_second else None
    share = done(progress)
    # Listing what is done already is fast, and what is not waits for the work: so far is all there is to go by.
    return counts.seconds * (1 - share) / share if share else None


def remaining_text(progress: Progress) -> str:
    """The same in words."""
    seconds = remaining(progress)
    if seconds is not None:
        return duration(seconds)
    if progress.phase == "listing" and not progress.expected:
        return "known once all is counted"
    return "not known yet"


def messages(number: int) -> str:
    """`1 message`, `12 messages`."""
    return f"{number:,} message{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `3 h 20 min`, `4 d 7 h`."""
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    if whole < 2 * HOUR:
        return f"{round(whole / MINUTE)} min"
    if whole < 2 * DAY:
        minutes = round(whole / MINUTE)
        return f"{minutes // 60} h {minutes % 60} min"
    hours = round(whole / HOUR)
    return f"{hours // 24} d {hours % 24} h"


def printable(text: str) -> str:
    """Without what a terminal would obey."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
