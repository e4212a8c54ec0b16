"""What is shown of a bulk run that goes on."""

import json
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from tasks.bulk.results import Counts, Progress
from worker.bulk import progress as bulk_progress
from worker.bulk.progress import EVERY_SECONDS, Slowly, done, drawn, duration, frequent, in_one_line, remaining, shown

COUNTS = Counts(images=20_000, current=10_000, missing=9_000, stale=1_000, sent=10_000, seconds=100.0)
PROGRESS = Progress(
    "listing",
    1,
    COUNTS,
    sent=10_000,
    outcomes={"tagged": 7_900, "rejected/truncated": 60, "rejected/unreadable": 40},
    open=32,
    per_second=80.0,
    workers=2,
)


def test_a_line_says_all() -> None:
    line = in_one_line(PROGRESS)
    for part in (
        "pass 1, listing: ",
        "listed 20,000 images",
        "to do 9,000 missing, 1,000 stale",
        "sent 10,000",
        "ended 8,000",
        "rate 80.0 images a second",
        "open 32 messages",
        "without metadata truncated 60, unreadable 40",
    ):
        assert part in line
    assert "\n" not in line


def test_remaining_time_is_that_of_what_is_left() -> None:
    waiting = replace(PROGRESS, phase="waiting")
    assert remaining(waiting) == 2_000 / 80
    assert remaining(replace(waiting, per_second=0.0)) is None
    assert done(waiting) == 0.8


def test_while_it_is_listed_nobody_knows_unless_the_library_is_known() -> None:
    assert remaining(PROGRESS) is None
    assert "known once all is counted" in in_one_line(PROGRESS)
    known = replace(PROGRESS, expected=36_000)
    assert done(known) == 0.5
    assert remaining(known) == 100.0
    assert "20,000 images of about 36,000" in in_one_line(known)


def test_a_pass_that_has_found_nothing_is_at_its_end() -> None:
    ended = Progress("ended", 2, Counts(images=5, current=5, complete=True))
    assert done(ended) == 1.0
    assert remaining(ended) == 0.0
    assert "rate" not in in_one_line(ended)
    assert "5 images, all of them" in in_one_line(ended)


def test_what_somebody_should_look_at_is_said() -> None:
    assert "no worker is heard of" in in_one_line(replace(PROGRESS, workers=0))
    assert "no worker" not in in_one_line(PROGRESS)
    assert "no worker" not in in_one_line(replace(PROGRESS, workers=0, phase="ended"))
    assert "paused" in in_one_line(replace(PROGRESS, phase="paused"))
    assert in_one_line(replace(PROGRESS, workers=0, note="the queue is away")).endswith("; the queue is away")


def test_no_text_from_outside_is_obeyed_by_a_terminal() -> None:
    hostile = replace(PROGRESS, note="\x1b[2J[bold]a\nb", outcomes={"rejected/\x1b]0;x\x07": 1})
    assert "\x1b" not in in_one_line(hostile)
    assert "\n" not in in_one_line(hostile)
    assert "\\x1b[2J[bold]a\\nb" in in_one_line(hostile)
    text = on_terminal(hostile)
    assert "[bold]a" in text
    assert "\x1b]0;x" not in text


def test_the_most_frequent_reasons_come_first() -> None:
    outcomes = {f"rejected/r{number}": number for number in range(1, 8)} | {
        "tagged": 100,
        "failed/vanished": 50,
        "failed/x": 9,
    }
    assert frequent(outcomes) == "x 9, r7 7, r6 6, r5 5, r4 4, others 6", "what was deleted is no trouble"
    assert frequent({"tagged": 1}) == ""


def test_a_log_gets_a_line_now_and_then_and_what_is_new_at_once() -> None:
    now, said = [0.0], list[str]()
    slowly = Slowly(said.append, clock=lambda: now[0])
    for second in range(61):
        now[0] = float(second)
        slowly(PROGRESS)
    assert len(said) == 1 + 60 // int(EVERY_SECONDS)
    slowly(replace(PROGRESS, phase="waiting"))
    slowly(replace(PROGRESS, phase="waiting", note="the queue is away"))
    slowly(replace(PROGRESS, phase="waiting", note="the queue is away", sent=10_001))
    assert len(said) == 5


def test_without_a_terminal_lines_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with shown() as show:
        show(PROGRESS)
        show(PROGRESS)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("stockmeta: pass 1, listing") == 1


def test_programs_get_json(capsys: pytest.CaptureFixture[str]) -> None:
    with shown(as_json=True) as show:
        show(replace(PROGRESS, note="\x1b[2J"))
        show(PROGRESS)
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert (first["phase"], first["ended"], first["counts"]["missing"]) == ("listing", 8_000, 9_000)
    assert (first["note"], second["note"]) == ("\x1b[2J", None)


def test_a_terminal_is_drawn_on_and_left_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Console(file=StringIO(), force_terminal=True, width=100)
    monkeypatch.setattr(bulk_progress.console, "stderr", lambda: terminal)
    with shown() as show:
        show(PROGRESS)
    assert "20,000 images" in terminal.file.getvalue()  # type: ignore[attr-defined] - it is the StringIO


def on_terminal(progress: Progress) -> str:
    terminal = Console(file=StringIO(), force_terminal=True, width=100)
    terminal.print(drawn(progress))
    return terminal.file.getvalue()  # type: ignore[attr-defined, no-any-return] - it is the StringIO


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((0, "0 s"), (99.4, "99 s"), (100, "2 min"), (7199, "120 min"), (7200, "2 h 0 min"), (12_000, "3 h 20 min")),
        *((172_800, "2 d 0 h"), (370_800, "4 d 7 h")),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
