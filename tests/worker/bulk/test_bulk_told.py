"""The end of a bulk run: what is printed, which images it names, and the exit status."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.bulk.cost import Pace, Prices, estimate
from tasks.bulk.results import Counts, Kept, Result, Unfinished
from tasks.errors import ConfigurationError, Unavailable
from tasks.layout import Layout
from tasks.records import Image, ImageRef, Record, Status
from tasks.renditions import Renditions
from tasks.rescoring.packs import manifest_key
from worker.bulk.estimate import estimated, heard_pace, way_of
from worker.bulk.generation import Expected
from worker.bulk.report import Report
from worker.bulk.told import MOST, status, summary, told
from worker.library import Library
from worker.queue.heartbeat import WorkerState
from worker.settings import load_settings
from worker.storage.counted import CountedStore, Meter
from worker.storage.local import LocalStore
from worker.storage.memory import MemoryStore

GENERATION = "0123456789ab"
STARTED = 1_790_000_000.0
DONE = Counts(images=3, current=3, records=3, complete=True)
RESULT = Result("run", "s3://photos", GENERATION, STARTED, STARTED + 10, (DONE,), converged=True)
REJECTED = replace(RESULT, outcomes={"tagged": 1, "rejected/truncated": 2})


@pytest.fixture
def library() -> Library:
    meter = Meter()
    stores = [CountedStore(MemoryStore(name), meter) for name in ("photos", "out")]
    return Library(stores[0], "2026/", stores[1], Layout(""), meter=meter)


def reject(library: Library, key: str, seconds: float) -> None:
    """Leave a terminal record, written so many seconds after the run began."""
    moment = datetime.fromtimestamp(STARTED + seconds, UTC).isoformat()
    record = Record(
        status=Status.REJECTED,
        image=Image("photos", key, "e"),
        generation=GENERATION,
        revision=1,
        created_at=moment,
        updated_at=moment,
        reason="truncated",
        detail="the file ends too early",
    )
    path = library.layout.failed(GENERATION, ImageRef("photos", key))
    library.sidecars.put(path, record.to_json().encode(), if_match=None)


def test_a_report_names_the_images_of_this_run(library: Library, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    reject(library, "2026/before.jpg", -3600)
    reject(library, "2026/now.jpg", 5)
    reject(library, "2025/elsewhere.jpg", 5)
    library.sidecars.put(f"{GENERATION}/failed/photos/2026/odd.jpg.json", b"no record", if_match=None)
    before = library.meter.total
    assert told(REJECTED, library, load_settings()) == 1
    out, err = capsysbinary.readouterr()
    (line,) = out.decode().splitlines()
    said = json.loads(line)
    assert said["unfinished"] == [
        {"key": "2026/now.jpg", "status": "rejected", "reason": "truncated", "detail": "the file ends too early"}
    ]
    assert said["requests"]["listing"]["requests:put"] == before.put
    assert b"3 images worked on, 2 without metadata, " in err
    assert b"stockmeta failed list" in err


def test_a_run_without_rejections_lists_nothing(library: Library, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert told(RESULT, library, load_settings()) == 0
    assert library.meter.total.requests == 0
    assert json.loads(capsysbinary.readouterr().out)["unfinished"] == []


def test_of_very_many_the_first_are_named(
    library: Library, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.bulk.told.MOST", 2)
    for number in range(4):
        reject(library, f"2026/{number}.jpg", 5)
    left = Unfinished("z.jpg", "missing", "needs_backfill")
    assert told(replace(REJECTED, unfinished=(left,)), library, load_settings()) == 1
    named = json.loads(capsysbinary.readouterr().out)["unfinished"]
    assert [image["key"] for image in named] == ["2026/0.jpg", "2026/1.jpg"]
    assert MOST == 1000


def test_a_report_is_given_where_the_store_is_away(
    library: Library, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(prefix: str = "") -> None:
        raise Unavailable("the store did not answer")

    monkeypatch.setattr(library.sidecars, "list", away)
    assert told(REJECTED, library, load_settings()) == 1
    out, err = capsysbinary.readouterr()
    assert json.loads(out)["without_metadata"] == 2
    assert b"the store did not answer" in err


def test_a_folder_gets_the_report_too(
    library: Library, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert told(RESULT, library, load_settings(), tmp_path / "r") == 0
    assert str(tmp_path / "r" / "report.html").encode() in capsysbinary.readouterr().err
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="--report"):
        told(RESULT, library, load_settings(), tmp_path / "file")
    assert json.loads(capsysbinary.readouterr().out)["run"] == "run", "given before the folder failed"


BROKEN = Counts(images=2, complete=False)
STATUSES = {
    "all is well": (RESULT, 0),
    "some have no metadata": (REJECTED, 1),
    "some were deleted meanwhile": (replace(RESULT, outcomes={"tagged": 1, "failed/vanished": 2}), 0),
    "some did not end": (replace(RESULT, not_ended=1), 1),
    "orphans were kept back": (replace(RESULT, kept=(Kept("too_many", 9),)), 1),
    "orphans were there again": (replace(RESULT, kept=(Kept("there", 9),)), 0),
    "the listing broke off": (replace(RESULT, passes=(BROKEN,), converged=False), 1),
    "a part was wanted": (replace(RESULT, passes=(replace(BROKEN, sent=2),), converged=False), 0),
    "some need a backfill": (replace(RESULT, passes=(replace(DONE, unstored=1),), converged=False), 1),
    "nothing was listed": (replace(RESULT, passes=()), 1),
}


@pytest.mark.parametrize(("result", "expected"), STATUSES.values(), ids=STATUSES)
def test_exit_statuses(result: Result, expected: int) -> None:
    assert status(result) == expected


def worker(per_second: float) -> WorkerState:
    return WorkerState("id", "host", 1, GENERATION, "fake", ("backfill",), 0.0, per_second=per_second)


def test_the_pace_is_that_of_live_workers() -> None:
    assert heard_pace([]) is None
    assert heard_pace([worker(0.0)]) is None, "idle workers say nothing"
    both = heard_pace([worker(2.5), worker(1.0)])
    assert both is not None
    assert both.per_second == 3.5
    assert "2 live workers" in both.source


def test_what_the_operator_says_comes_first(library: Library) -> None:
    expected = Expected(GENERATION, [worker(2.0)])
    counts = Counts(images=100, missing=100, sent=100, bytes=10**6)
    said = estimated(counts, expected, None, (), library, load_settings(price_put=1.0), 10.0)
    assert (said.seconds, said.basis[-1]) == (10.0, "Time: 10 images a second, as you said.")
    assert said.dollars > 0.1, "at the prices of the settings"
    heard = estimated(counts, expected, None, (), library, load_settings(), None)
    assert heard.seconds == 50.0
    unknown = estimated(counts, Expected(GENERATION), None, (), library, load_settings(), None)
    assert unknown.seconds is None


def test_a_folder_is_not_billed(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, "photos")
    folder = Library(store, "", store, Layout())
    counts = Counts(images=100, missing=100, sent=100, bytes=10**6)
    assert estimated(counts, Expected(GENERATION), None, (), folder, load_settings(), None).dollars == 0.0


def test_the_way_is_told_by_what_there_is(library: Library) -> None:
    assert way_of(library, None) == "tag"
    assert way_of(replace(library, renditions=Renditions("previews/{stem}.jpg")), None) == "rendition"
    assert way_of(library, GENERATION) == "rescore"
    library.sidecars.put(manifest_key(library.layout, GENERATION, "photos"), b"{}", if_match=None)
    assert way_of(library, GENERATION) == "packed"


def test_a_dry_run_in_one_line() -> None:
    counts = Counts(images=100, missing=40, sent=40, bytes=10**6, complete=True)
    due = estimate(counts, "tag", prices=Prices(), pace=Pace(2.0, "as you said"))
    dry = replace(RESULT, passes=(counts,), dry_run=True, converged=False)
    line = summary(Report(dry, estimate=due))
    assert line.startswith("40 of 100 images are to be worked on: about 20 s, ")
    assert summary(Report(dry, estimate=replace(due, seconds=None))).count("nobody knows how long") == 1
